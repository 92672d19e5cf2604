"""Several worker processes: the supervisor starts, watches and replaces them. See README.md."""
