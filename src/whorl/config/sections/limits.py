"""What a client may cost.

One section of `Config`, which puts them together.
"""

from __future__ import annotations

from dataclasses import dataclass

from whorl.config.kind import OrNone
from whorl.config.quantities import GIB, KIB, MIB, Count, Size
from whorl.config.setting import setting

__all__ = ["LimitsSettings"]


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class LimitsSettings:
    """What a client may cost."""

    limit_concurrency: int | None = setting(
        "Limits",
        None,
        OrNone(Count(1, None, "requests"), "no limit", zero=True),
        "Answer 503 with Retry-After while this many requests are in flight; idle connections do not count.",
        why="Only the application knows how many it can bear.",
    )
    limit_max_requests: int | None = setting(
        "Limits",
        None,
        OrNone(Count(1, None, "requests"), "no limit", zero=True),
        "Drain and leave after this many requests.",
    )
    limit_max_requests_jitter: int = setting(
        "Limits", 0, Count(0, None, "requests"), "Add a random number, from 0 to this, to limit_max_requests."
    )
    limit_request_line: int = setting(
        "Limits", 16 * KIB, Size(16, MIB), "The longest request line; a longer one is answered 414."
    )
    limit_header_section: int = setting(
        "Limits", 64 * KIB, Size(16, 16 * MIB), "The largest header section of a request; a larger one is answered 431."
    )
    limit_header_fields: int = setting(
        "Limits", 128, Count(1, 100_000, "fields"), "The most header fields in a request; more are answered 431."
    )
    limit_body_size: int | None = setting(
        "Limits",
        None,
        OrNone(Size(1), "no limit", zero=True),
        "The largest request body; a larger one is answered 413.",
        why="Only the application knows what it wants to receive.",
    )
    limit_body_drain: int = setting(
        "Limits",
        MIB,
        Size(0, GIB),
        "Read and drop this much of a body that the application left unread; if more comes, close the connection.",
        why="Reading on is cheaper than a new connection, but only to a point.",
    )
    limit_linger: int = setting(
        "Limits",
        64 * MIB,
        Size(0),
        "After the last response of a connection, read and drop this much of what its client still sends; then close.",
        why="Many clients send their whole body before they read the answer, and closing earlier destroys it.",
    )
    limit_pipeline: int = setting(
        "Limits",
        16,
        Count(1, 10_000, "requests"),
        "Serve a connection this many pipelined requests in one turn of the event loop.",
        why="One client's burst must not keep the others waiting.",
    )
    buffer_request_body: int = setting(
        "Limits",
        64 * KIB,
        Size(1, GIB),
        "Stop reading from the client while this much of a request body waits for the application.",
    )
    buffer_response_high: int = setting(
        "Limits",
        64 * KIB,
        Size(1, GIB),
        "Let the application's send() wait once this much of a response waits for the client.",
    )
    buffer_response_low: int = setting(
        "Limits", 16 * KIB, Size(0, GIB), "Let send() go on once no more than this is left of it."
    )
