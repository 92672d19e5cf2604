"""What a proxy says, and whether to believe it."""
