"""Several processes that serve together: the parent starts, watches and replaces workers. See README.md."""
