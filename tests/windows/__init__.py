"""Whorl on Windows, run for real: Windows CPython under Wine, clients on Linux. `make test-windows` runs it."""
