"""How a connection ends (RFC 9112 section 9.6), and what is read on the way there.

`Output` writes; this knows besides what the connection waits for (`Phase`) and since when, whether it reads, and how to
part so that the client has read our last words, or can tell that it will never have them all. Called by `connection`,
which is one, and by the server. It must not know exchanges.
"""

from __future__ import annotations

from whorl.compiled import mypyc_attr
from whorl.connection.context import Shared
from whorl.connection.phase import CLOSING, FRESH, LINGERING, Phase
from whorl.connection.write_buffer import Output
from whorl.wire.http1.reader import RequestReader

__all__ = ["Ending"]


@mypyc_attr(allow_interpreted_subclasses=True)
class Ending(Output):
    """A connection, as far as it reads and ends.

    Args:
        shared: what all connections of the server share.

    Attributes:
        lingering_since: when it began to linger, as `since`.
        phase: what it waits for.
        reader: what has come and was not dealt with.
        reading_held: whether the transport itself reads no more for now.
        reading_paused: whether the transport was told to read no more for now.
        since: when the wait began, in seconds of the sweep's clock; 0 until the sweep has seen it.
        their_eof: whether the client has said that it sends nothing more.
        unsent_bytes: the least that waited for the client, when the sweep last looked.
        untaken_since: since when it has taken nothing of that, as `since`.
    """

    __slots__ = (
        "_body_bytes",
        "_until_close",
        "lingering_since",
        "phase",
        "reader",
        "reading_held",
        "reading_paused",
        "since",
        "their_eof",
        "unsent_bytes",
        "untaken_since",
    )

    def __init__(self, shared: Shared) -> None:
        Output.__init__(self, shared)
        self.reader = RequestReader(shared.limits, shared.lines)
        self.phase: Phase = FRESH
        self.since = 0.0
        self.lingering_since = 0.0
        self.reading_paused = False
        self.reading_held = False
        self.unsent_bytes = 0
        self.untaken_since = 0.0
        self.their_eof = False
        self._until_close = False
        self._body_bytes = 0

    def progressed(self) -> None:
        """The client did something that the transport does not tell, or is to be waited for anew."""
        self.since = 0.0

    # Reading

    def hold_reading(self, held: bool) -> None:
        """Note that the transport reads no more, or again: what has come waits in it, or the client does not read."""
        self.reading_held = held

    def _pause_transport(self) -> None:
        if not self.reading_paused:
            self.reading_paused = True
            self.transport.pause_reading()

    def _resume_transport(self) -> None:
        if self.reading_paused:
            self.reading_paused = False
            self.since = 0.0
            if self.phase < CLOSING:
                self.transport.resume_reading()

    # Ending

    def _finish(self) -> None:
        """The last response of this connection is out."""
        if self.their_eof or (self.reader.body_complete and not self.reader.buffer):
            self.close()
        else:
            self._linger()

    def _linger(self) -> None:
        """Say that we are done, and let the client read it: to close while it sends would destroy our last words on
        their way (RFC 9112 section 9.6). Many clients send their whole body before they read, so this lasts as long as
        bytes come, within `Deadlines.linger` and `Shared.linger_bytes`."""
        self.flush()
        self.reader.discard()
        if self.their_eof or not self.transport.can_write_eof():
            self.close()
            return
        self.phase = LINGERING
        self.since = 0.0
        self.lingering_since = 0.0
        self._body_bytes = 0
        self._resume_transport()
        try:
            self.transport.write_eof()
        except OSError:  # it reset the connection already, and asyncio's own loop finds out here
            self.reset()

    def _discard(self) -> None:
        """Throw away what comes after our last words."""
        reader = self.reader
        if reader.buffer:
            if self.phase is LINGERING and not self.writing_blocked:
                self.since = 0.0
            self._body_bytes += reader.buffered_bytes
            reader.discard()
        if self.phase is LINGERING and self._body_bytes > self.shared.linger_bytes:
            self.close()

    def _cut(self) -> None:
        """Close inside a response so that the client can tell: where its end is the end of the connection, by a reset
        (RFC 9112 section 8)."""
        if self._until_close:
            self.reset()
        else:
            self.close()

    def close(self) -> None:
        """Close when everything is sent; the sweep sees to it that this ends."""
        if self.phase < CLOSING:
            self.flush()
            self.phase = CLOSING
            self.since = self.untaken_since = 0.0
            self.transport.close()

    def close_if(self, phase: Phase) -> None:
        """Close if that is what the connection waits for, and nothing has come that waits to be served."""
        if self.phase is phase and not self.reader.buffer:
            self.close()
