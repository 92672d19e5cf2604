"""TLS between the loop's transport and a connection (RFC 8446, RFC 5246): to the loop it is a protocol, to the
connection a transport.

OpenSSL works in memory here, so every loop serves TLS in the same way, with what no loop's own TLS has: a client that
speaks plain HTTP is told so, a handshake has its deadline in the server's sweep, an end without close_notify is a
disconnect, and our own half can be closed while the other is still read. OpenSSL's part of one small request and its
response is 2.3 µs.

All connections of a server share the memory that OpenSSL reads from and writes to (`ServerContext.tls_in` and
`tls_out`): so it is in the processor's cache, and there is none of it for each. OpenSSL is given no more than it
takes at once, and what it says is taken before anybody else is called. Both are empty whenever a method here calls the
connection, or returns.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from enum import IntEnum
from typing import Any, Final, Protocol, cast

from whorl.asgi.scope import ConnectionInfo
from whorl.compiled import mypyc_attr
from whorl.connection.context import ServerContext
from whorl.connection.http1_state import NEW, TLS_HANDSHAKE, Phase
from whorl.http.error import HttpError
from whorl.net.io_batch import MAX_BATCHED_BYTES
from whorl.net.read_size import limit_read_size
from whorl.net.tls_records import HEADER_BYTES, RECORD_BYTES, cut
from whorl.observe.failures import bug
from whorl.tls.certificates import Certificates
from whorl.tls.contexts import Contexts
from whorl.tls.scope_extension import tls_facts
from whorl.wire.http1.reader import RequestReader

__all__ = ["TlsTransport"]

# What OpenSSL enciphers at once. With less, malloc(3) gives memory back to the kernel in between, and 1 MiB takes twice
# as long.
STEP_BYTES: Final = 32 * 1024
# What leaves in one write. The rest is enciphered as the client takes it: it would be in memory twice otherwise.
PORTION_BYTES: Final = 256 * 1024
MAX_RECORDS: Final = 64
"""So many are deciphered in one iteration of the loop. A client may send each byte in one of its own, or records
without any content (KeyUpdate), and one read holds thousands of these."""
HELLO: Final = 0x16
"""The first byte of a TLS connection: a handshake record (RFC 8446 section 5.1)."""


class State(IntEnum):
    """How far the TLS of a connection has come."""

    SILENT = 0
    """Not a byte has come."""
    SHAKING = 1
    """The handshake is under way."""
    OPEN = 2
    """Bytes go both ways."""
    ENDING = 3
    """We have nothing more to say, but not all of it is out."""
    ENDED = 4
    """Our close_notify is out, or the connection has failed: what still comes is not looked at."""
    PLAIN = 5
    """There is no TLS: the client speaks plain HTTP, and is being told."""


class Reading(IntEnum):
    """Whether the client is read."""

    ON = 0
    """It is, unless the connection has paused."""
    HELD = 1
    """Not before it has taken more of what waits for it, and the connection wants more."""
    PLANNED = 2
    """In the next iteration of the loop, after what was left of the last read."""


ON: Final = Reading.ON
HELD: Final = Reading.HELD
PLANNED: Final = Reading.PLANNED

SILENT: Final = State.SILENT
SHAKING: Final = State.SHAKING
OPEN: Final = State.OPEN
ENDING: Final = State.ENDING
ENDED: Final = State.ENDED
PLAIN: Final = State.PLAIN


class Above(Protocol):
    """What TLS asks of who speaks through it: a `Connection`."""

    peer: ConnectionInfo
    phase: Phase
    reader: RequestReader
    context: ServerContext
    waiting_since: float
    their_eof: bool

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> bool: ...
    def connection_lost(self, error: Exception | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def hold_reading(self, held: bool) -> None: ...
    def refuse(self, refusal: HttpError) -> None: ...
    def disconnect_exchange(self) -> None: ...
    def close(self) -> None: ...


LOST: Final = cast("Above", asyncio.Protocol())
"""What stands in for a connection that is over."""


@mypyc_attr(allow_interpreted_subclasses=True)
class TlsTransport(asyncio.Protocol):
    """The TLS of one connection.

    Args:
        connection: who speaks through it.
        certificates: the server's.
    """

    __slots__ = (
        "_batch",
        "_blocked",
        "_certificates",
        "_connection",
        "_contexts",
        "_half",
        "_incoming",
        "_inner",
        "_limits",
        "_outgoing",
        "_part",
        "_raw",
        "_reading",
        "_reading_paused",
        "_rest",
        "_state",
        "_tls",
    )

    _inner: asyncio.Transport
    _limits: tuple[int | None, int | None]
    _contexts: Contexts
    _tls: ssl.SSLObject

    def __init__(self, connection: Above, certificates: Certificates) -> None:
        self._connection = connection
        self._certificates = certificates
        self._incoming = connection.context.tls_in
        self._outgoing = connection.context.tls_out
        self._batch = connection.context.batch
        self._state: State = SILENT
        self._part = b""
        self._blocked = False
        self._reading: Reading = ON
        self._reading_paused = False  # by the connection
        self._rest: list[bytes | bytearray | memoryview] = []
        self._half = False
        self._limits = (None, None)

    # The loop's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._inner = cast("asyncio.Transport", transport)
        limit_read_size(transport)
        connection = self._connection
        connection.phase = TLS_HANDSHAKE
        connection.connection_made(cast("asyncio.Transport", self))

    def data_received(self, data: bytes) -> None:
        if self._state is not OPEN:
            self._receive_unless_open(data)
            return
        size = len(data)
        if self._part or size < HEADER_BYTES or size != HEADER_BYTES + (data[3] << 8 | data[4]):
            self._receive_records(data)
            return
        self._incoming.write(data)  # one whole record, as most reads are
        try:
            piece = self._raw.read(size)
        except OSError as error:
            self._not_read(error)
            return
        if not piece:
            self._connection.eof_received()
            return
        if self._batch.defers_decrypted:
            self._batch.decrypted(self._connection, piece)
        else:
            self._connection.data_received(piece)

    def _receive_unless_open(self, data: bytes) -> None:
        state = self._state
        if state >= ENDING:
            self._connection.data_received(data)  # which throws it away
        elif state is SILENT and data[0] != HELLO and data[:1].isalpha():
            self._refuse_plain(data)
        else:
            if state is SILENT:
                self._begin()
            self._incoming.write(data)
            self._shake_hands()

    def eof_received(self) -> bool:
        """The client's socket says nothing more. Without a close_notify before it, somebody may have cut it off."""
        if self._state < ENDING and not self._connection.their_eof:
            self._lose()
            return True
        return self._connection.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        self._state = ENDED
        self._reading = ON  # what is planned finds nothing to do
        self._rest.clear()
        self._connection.connection_lost(error)
        self._connection = LOST  # or the two would hold each other, with OpenSSL's buffers, until the next collection

    def pause_writing(self) -> None:
        self._blocked = True
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._blocked = False
        if self._rest:
            self._go_on()
        if not self._blocked:
            self._connection.resume_writing()
            if self._reading is HELD:
                self._plan_to_read_on()

    # The handshake

    def _begin(self) -> None:
        """Something has come: only now a connection costs what OpenSSL needs for it."""
        self._state = SHAKING
        self._contexts = self._certificates.contexts
        self._tls = self._contexts.first.wrap_bio(self._incoming, self._outgoing, server_side=True)
        # `SSLObject` passes `read` and `write` on to what it has in C, where it has that: two calls less for a request.
        self._raw: Any = getattr(self._tls, "_sslobj", self._tls)

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._say()
            return
        except (ssl.SSLError, OSError, ValueError) as error:
            self._fail(error)
            return
        self._state = OPEN
        connection = self._connection
        connection.peer.tls = tls_facts(self._tls, self._contexts)
        connection.phase = NEW
        connection.waiting_since = 0.0
        more = self._incoming.read()
        self._say()
        if more:
            self.data_received(more)

    def _refuse_plain(self, data: bytes) -> None:
        """Tell a client that speaks plain HTTP what it should have done."""
        self._state = PLAIN
        self._connection.reader.receive_data(data)  # its method decides whether the answer has content
        self._connection.refuse(
            HttpError(400, "This port speaks TLS: write https:// in place of http:// (RFC 9110 section 4.2.2).")
        )

    def _fail(self, error: Exception) -> None:
        """The handshake or a record was not in order: say so with OpenSSL's alert, and end."""
        connection = self._connection
        connection.context.app_context.logger.debug("TLS with %s failed: %s", connection.peer.client_label, error)
        self._incoming.read()  # what OpenSSL has not looked at, and will not
        self._say()
        self._state = ENDED
        self._lose()

    def _lose(self) -> None:
        """The client has left, whatever it had under way."""
        self._connection.disconnect_exchange()
        self._connection.close()

    # Reading

    def _receive_records(self, data: bytes) -> None:
        """Decipher what came with one read of the loop, and hand it on in one piece."""
        if data and self._reading is not ON:  # the loop had read this already when it was told not to
            self._part += data
            return
        records, self._part = cut(self._part, data, MAX_RECORDS)
        pieces: list[bytes] = []
        ended = False
        for record in records:
            self._incoming.write(record)
            try:
                piece = self._raw.read(RECORD_BYTES)
            except ssl.SSLWantReadError:
                continue  # there was nothing for us in it: a change of keys
            except OSError as error:
                self._fail(error)
                return
            if not piece:
                ended = True
                break
            pieces.append(piece)
        self._say()
        if pieces:
            self._connection.data_received(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if ended:
            if self._state is OPEN:
                self._connection.eof_received()
        elif len(records) == MAX_RECORDS:
            self._hold()
            self._plan_to_read_on()

    def _not_read(self, error: OSError) -> None:
        """There was nothing for us in a record, or it is not in order."""
        if isinstance(error, ssl.SSLWantReadError):
            self._say()
        else:
            self._fail(error)

    def _hold(self) -> None:
        """Read no more until `_read_on`: this iteration of the loop has had its share, or OpenSSL answers a client that
        does not read."""
        if self._reading is ON and self._state is OPEN:
            self._reading = HELD
            self._connection.hold_reading(True)
            if not self._reading_paused:
                self._inner.pause_reading()

    def _plan_to_read_on(self) -> None:
        self._reading = PLANNED
        app_context = self._connection.context.app_context
        app_context.loop.call_soon(self._read_on, context=app_context.context)

    def _read_on(self) -> None:
        """Decipher what is left, and after the last of it read again."""
        if self._reading is not PLANNED:
            return
        self._reading = HELD
        if self._state is not OPEN:
            self._part = b""
        elif self._reading_paused or self._blocked:
            return
        elif self._part:
            self._receive_records(b"")
            if self._reading is PLANNED or self._blocked:
                return
        self._reading = ON
        self._connection.hold_reading(False)
        if not self._reading_paused and not self._inner.is_closing():
            self._resume_inner()

    def pause_reading(self) -> None:
        self._reading_paused = True
        if self._reading is ON:
            self._inner.pause_reading()

    def resume_reading(self) -> None:
        self._reading_paused = False
        if self._reading is ON:
            self._resume_inner()
        elif self._reading is HELD:
            self._plan_to_read_on()

    def _resume_inner(self) -> None:
        self._inner.resume_reading()

    # Writing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        rest = self._rest
        if self._state is not OPEN or rest or not data:
            self.writelines((data,))
            return
        size_bytes = len(data)
        if self._batch.defers_encryption and size_bytes <= MAX_BATCHED_BYTES:
            self._batch.encrypt(self)
            rest.append(data)
        elif size_bytes <= STEP_BYTES:
            self._raw.write(data)  # which takes all of it: in memory there is always room
            self._inner.write(self._outgoing.read())
        else:
            self.writelines((data,))

    def flush(self) -> None:
        """Encipher what was written in the turn that ends now."""
        rest = self._rest
        try:
            if len(rest) == 1 and self._state is OPEN and not self._blocked:
                self._raw.write(rest.pop())
                self._inner.write(self._outgoing.read())
            elif rest and not self._blocked:
                self._go_on()
        except Exception as error:
            bug(self._connection.context.app_context.logger, error)
            self.abort()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        if self._state is OPEN:
            for data in list_of_data:
                if data:
                    self._rest.append(memoryview(data))
            if not self._blocked:
                self._go_on()
        elif self._state is PLAIN:
            for data in list_of_data:
                self._inner.write(data)

    def _say(self) -> None:
        """Send what OpenSSL has to say, or throw it away where nobody listens any more."""
        if self._outgoing.pending:
            said = self._outgoing.read()
            if not self._inner.is_closing():
                self._inner.write(said)
            if self._blocked:  # it asks for answers, and does not read them
                self._hold()

    def _go_on(self) -> None:
        """Encipher what was left over, until the client has enough; and after the last of it whatever ends it."""
        rest = self._rest
        while rest and not self._blocked:
            if self._inner.is_closing():
                self._rest.clear()
                return
            self._inner.writelines(self._encipher())
            # As in `Output.write`: there are versions of asyncio that forget the water marks.
            self._inner.set_write_buffer_limits(*self._limits)
        if not rest and self._state is ENDING:
            self._end()

    def _encipher(self) -> list[bytes]:
        """Encipher as much of what was left over as leaves in one write."""
        rest = self._rest
        records: list[bytes] = []
        room = PORTION_BYTES
        whole = 0
        while whole < len(rest) and room > 0:
            step = rest[whole]
            if len(step) > STEP_BYTES:
                rest[whole] = step[STEP_BYTES:]
                step = step[:STEP_BYTES]
            else:
                whole += 1
            self._raw.write(step)
            records.append(self._outgoing.read())
            room -= len(step)
        del rest[:whole]
        return records

    def get_write_buffer_size(self) -> int:
        return self._inner.get_write_buffer_size() + sum(map(len, self._rest))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._limits = high, low
        self._inner.set_write_buffer_limits(high, low)

    # Ending

    def can_write_eof(self) -> bool:
        return self._state in (OPEN, PLAIN) and self._inner.can_write_eof()

    def write_eof(self) -> None:
        """Say that we say no more; what the client still sends is thrown away."""
        if self._state is PLAIN:
            self._inner.write_eof()
        elif self._state is OPEN:
            self._half = True
            self._say_goodbye()

    def close(self) -> None:
        if self._state is OPEN:
            self._say_goodbye()
        elif self._state is ENDING:
            self._half = False
        else:
            self._inner.close()

    def _say_goodbye(self) -> None:
        self._state = ENDING
        if not self._rest:
            self._end()

    def _end(self) -> None:
        """Send our close_notify (RFC 8446 section 6.1). Theirs is not waited for, because nothing follows here."""
        self._state = ENDED
        try:
            self._tls.unwrap()
        except (ssl.SSLError, OSError):
            pass  # it wants theirs
        self._say()
        if self._half:
            try:
                self._inner.write_eof()
            except OSError:  # it reset the connection already, and asyncio's own loop finds out here
                self._inner.abort()
        else:
            self._inner.close()

    def abort(self) -> None:
        self._state = ENDED
        self._rest.clear()
        self._inner.abort()

    def is_closing(self) -> bool:
        state = self._state
        return state is ENDING or state is ENDED or self._inner.is_closing()

    # Facts

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "sslcontext":
            return self._certificates.contexts.first
        if name == "ssl_object":
            return self._tls if OPEN <= self._state < ENDED else default
        return self._inner.get_extra_info(name, default)
