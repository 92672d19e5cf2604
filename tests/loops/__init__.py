"""From a name to a loop, and what the loop can do."""
