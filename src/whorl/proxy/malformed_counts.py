"""How much of what proxies say nobody can read, and what they drop.

It is ignored, and counted: a proxy that is set up wrongly shows nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["MalformedCounts"]


@dataclass(slots=True)
class MalformedCounts:
    """What came so far.

    Attributes:
        values: of X-Forwarded-* and Forwarded, which were ignored.
        preambles: of the PROXY protocol, whose connections were closed.
        handshakes: of WebSocket, which came without Upgrade and so were none. Nothing of them is malformed.
    """

    values: int = 0
    preambles: int = 0
    handshakes: int = field(default=0, compare=False)
