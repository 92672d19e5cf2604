"""The fork server (`--preload`): it imports the application once and forks workers. See ../README.md."""
