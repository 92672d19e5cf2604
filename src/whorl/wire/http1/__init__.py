"""HTTP/1.1 wire rules (RFC 9112), sans-IO: bytes in, request heads and bodies or refusals out. See README.md."""
