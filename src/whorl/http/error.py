"""A request that is answered by the server itself, with an error status or a redirect.

Any layer raises `HttpError`; the version of HTTP renders it, or resets where a response is under way.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["HttpError"]


class HttpError(Exception):
    """The request is not served.

    Args:
        status: the status code, RFC 9110 section 15.
        reason: one sentence for the client, with the section that the request breaks. It never repeats bytes of the
            request.
        fields: further fields of the response, such as Retry-After.
    """

    def __init__(self, status: int, reason: str, fields: Sequence[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.fields = fields
