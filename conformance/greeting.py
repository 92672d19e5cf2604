"""The application that scanners of TLS talk to: a page with the fields that they look for in an application."""

from __future__ import annotations

from typing import Any

FIELDS = [
    (b"content-type", b"text/plain"),
    (b"strict-transport-security", b"max-age=63072000; includeSubDomains"),
    (b"content-security-policy", b"default-src 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
]


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Greet."""
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": FIELDS})
    await send({"type": "http.response.body", "body": b"Hello\n"})
