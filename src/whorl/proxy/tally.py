"""How much of what proxies say nobody can read.

It is ignored, and counted: a proxy that is set up wrongly shows nowhere else. Made once by `server`, which tells the
operator; counted by `headers` and by the connection that reads a preamble.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Tally"]


@dataclass(slots=True)
class Tally:
    """What came so far.

    Attributes:
        values: of X-Forwarded-* and Forwarded, which were ignored.
        preambles: of the PROXY protocol, whose connections were closed.
    """

    values: int = 0
    preambles: int = 0
