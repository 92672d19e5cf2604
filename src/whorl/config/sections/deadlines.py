"""How long a client may take.

One section of `Config`, which puts them together.
"""

from __future__ import annotations

from dataclasses import dataclass

from whorl.config.kind import OrNone
from whorl.config.quantities import Seconds
from whorl.config.setting import setting

__all__ = ["DeadlinesSettings"]


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class DeadlinesSettings:
    """How long a client may take."""

    timeout_tls_handshake: float | None = setting(
        "Deadlines",
        10.0,
        OrNone(Seconds(), "no deadline", zero=True),
        "Close a new connection whose TLS handshake takes longer than this.",
    )
    timeout_first_byte: float | None = setting(
        "Deadlines",
        10.0,
        OrNone(Seconds(), "no deadline", zero=True),
        "Close a new connection that sends nothing for this long.",
    )
    timeout_request_head: float | None = setting(
        "Deadlines",
        30.0,
        OrNone(Seconds(), "no deadline", zero=True),
        "Answer 408 when a request's head takes longer than this.",
    )
    timeout_request_body: float | None = setting(
        "Deadlines",
        30.0,
        OrNone(Seconds(), "no deadline", zero=True),
        "Answer 408 when a request body makes no progress for this long.",
    )
    timeout_response: float | None = setting(
        "Deadlines",
        60.0,
        OrNone(Seconds(), "no deadline", zero=True),
        "Reset the connection when its client takes nothing of a response for this long.",
    )
    timeout_linger: float | None = setting(
        "Deadlines",
        30.0,
        OrNone(Seconds(), "no deadline", zero=True),
        "After the last response of a connection, read and drop what its client still sends for this long, or until "
        "it is silent for 5 s; then close.",
        why="Many clients send their whole body before they read the answer, and closing earlier destroys it.",
    )
    timeout_keep_alive: float | None = setting(
        "Deadlines",
        75.0,
        OrNone(Seconds(least=0.0), "no deadline"),
        "Close a connection that is idle between requests for this long; 0 closes it as soon as it is idle.",
        why="Longer than the 60 s of common load balancers, which would send a request into a closing connection.",
    )
    timeout_graceful_shutdown: float | None = setting(
        "Deadlines",
        30.0,
        OrNone(Seconds(least=0.0), "wait for ever"),
        "When the server stops, cancel the requests still in flight after this long; 0 cancels them at once.",
    )
    drain_delay: float = setting(
        "Deadlines",
        0.0,
        Seconds(least=0.0),
        "When the server is told to stop, go on accepting for this long before the drain begins; whorl.shutdown() has "
        "begun by then, so a readiness check can fail.",
        why="A load balancer needs a moment to notice; an image without a shell has no `sleep` for a preStop hook.",
    )
