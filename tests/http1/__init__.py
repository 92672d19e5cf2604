"""Sans-IO tests of the HTTP/1.1 wire rules, in RFC order, and their fuzzer: `python -m tests.http1.fuzz`."""
