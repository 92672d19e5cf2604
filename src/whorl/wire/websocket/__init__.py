"""WebSocket wire rules (RFC 6455, RFC 7692), sans-IO: bytes in, messages or a failure out. See README.md."""
