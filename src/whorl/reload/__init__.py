"""Starting again when files change, for development. See README.md."""
