"""Restart the server when files change, for development. See README.md."""
