"""Sans-IO tests of the WebSocket wire rules, in RFC order, and their fuzzer: `python -m tests.websocket.fuzz`."""
