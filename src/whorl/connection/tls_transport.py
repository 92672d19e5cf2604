"""TLS between the loop's transport and a connection (RFC 8446, RFC 5246): a protocol to the loop, a transport to the
connection.

OpenSSL works in memory, so every loop serves TLS in the same way, with what no loop's own TLS has: a client that speaks
plain HTTP gets an answer, the handshake has a deadline in the sweep, an end without close_notify counts as
disconnected, and our side can be closed while the client's is still read.

All connections of a server share the two memory BIOs (`ServerContext.tls_in`, `tls_out`), so they are in the cache.
Both are empty whenever a method here calls the connection, or returns.
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
from whorl.net.tls_records import HEADER_BYTES, RECORD_BYTES, split_records
from whorl.observe.failures import log_internal_error
from whorl.tls.certificates import Certificates
from whorl.tls.contexts import Contexts
from whorl.tls.scope_extension import tls_facts
from whorl.wire.http1.reader import RequestReader

__all__ = ["TlsTransport"]

# How much OpenSSL encrypts at once. With less, malloc(3) gives memory back to the kernel in between, and 1 MiB takes
# twice as long.
ENCRYPT_CHUNK_BYTES: Final = 32 * 1024
# How much leaves in one write. The rest is encrypted as the client takes it: it would be in memory twice otherwise.
MAX_WRITE_BYTES: Final = 256 * 1024
MAX_RECORDS: Final = 64
"""How many are decrypted in one iteration of the loop. A client may send each byte in a record of its own, or records
without content (KeyUpdate), and one read holds thousands of these."""
HELLO: Final = 0x16
"""The first byte of a TLS connection: a handshake record (RFC 8446 section 5.1)."""


class State(IntEnum):
    """The state of the TLS connection."""

    INITIAL = 0
    """Nothing has been received."""
    HANDSHAKING = 1
    """The handshake is not complete."""
    OPEN = 2
    """Data passes both ways."""
    CLOSING = 3
    """Our side is to be closed when what is written has been sent."""
    CLOSED = 4
    """Our close_notify is sent, or the connection has failed. What comes is discarded."""
    PLAIN = 5
    """The client speaks plain HTTP, and gets an answer."""


class Reading(IntEnum):
    """Whether the socket is read."""

    ACTIVE = 0
    """It is, unless the connection has paused reading."""
    HELD = 1
    """It is not, until the client has taken what waits for it and the connection reads on."""
    SCHEDULED = 2
    """In the next iteration of the loop, after the rest of the last read."""


ACTIVE: Final = Reading.ACTIVE
HELD: Final = Reading.HELD
SCHEDULED: Final = Reading.SCHEDULED

INITIAL: Final = State.INITIAL
HANDSHAKING: Final = State.HANDSHAKING
OPEN: Final = State.OPEN
CLOSING: Final = State.CLOSING
CLOSED: Final = State.CLOSED
PLAIN: Final = State.PLAIN


class TlsUser(Protocol):
    """What TLS asks of its connection."""

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


DETACHED: Final = cast("TlsUser", asyncio.Protocol())
"""Takes the place of a connection that is closed."""


@mypyc_attr(allow_interpreted_subclasses=True)
class TlsTransport(asyncio.Protocol):
    """The TLS of one connection.

    Args:
        connection: the protocol above.
        certificates: the server's.
    """

    __slots__ = (
        "_batch",
        "_certificates",
        "_connection",
        "_contexts",
        "_half_close",
        "_incoming",
        "_outgoing",
        "_partial_record",
        "_plaintext",
        "_reading",
        "_reading_paused",
        "_ssl",
        "_sslobj",
        "_state",
        "_transport",
        "_water_marks",
        "_write_paused",
    )

    _transport: asyncio.Transport
    _water_marks: tuple[int | None, int | None]
    _contexts: Contexts
    _ssl: ssl.SSLObject

    def __init__(self, connection: TlsUser, certificates: Certificates) -> None:
        self._connection = connection
        self._certificates = certificates
        self._incoming = connection.context.tls_in
        self._outgoing = connection.context.tls_out
        self._batch = connection.context.batch
        self._state: State = INITIAL
        self._partial_record = b""
        self._write_paused = False
        self._reading: Reading = ACTIVE
        self._reading_paused = False  # by the connection
        self._plaintext: list[bytes | bytearray | memoryview] = []
        self._half_close = False
        self._water_marks = (None, None)

    # The loop's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        limit_read_size(transport)
        connection = self._connection
        connection.phase = TLS_HANDSHAKE
        connection.connection_made(cast("asyncio.Transport", self))

    def data_received(self, data: bytes) -> None:
        if self._state is not OPEN:
            self._receive_unless_open(data)
            return
        size = len(data)
        if self._partial_record or size < HEADER_BYTES or size != HEADER_BYTES + (data[3] << 8 | data[4]):
            self._receive_records(data)
            return
        self._incoming.write(data)  # one whole record, like most reads
        try:
            piece = self._sslobj.read(size)
        except OSError as error:
            self._handle_read_error(error)
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
        if state >= CLOSING:
            self._connection.data_received(data)  # which discards it
        elif state is INITIAL and data[0] != HELLO and data[:1].isalpha():
            self._refuse_plain(data)
        else:
            if state is INITIAL:
                self._start_handshake()
            self._incoming.write(data)
            self._continue_handshake()

    def eof_received(self) -> bool:
        """The client has ended its side. Without a close_notify before it, an attacker may have truncated it."""
        if self._state < CLOSING and not self._connection.their_eof:
            self._disconnect()
            return True
        return self._connection.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        self._state = CLOSED
        self._reading = ACTIVE  # what is scheduled has nothing to do
        self._plaintext.clear()
        self._connection.connection_lost(error)
        self._connection = DETACHED  # break the cycle, which holds OpenSSL's buffers

    def pause_writing(self) -> None:
        self._write_paused = True
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._write_paused = False
        if self._plaintext:
            self._encrypt_pending()
        if not self._write_paused:
            self._connection.resume_writing()
            if self._reading is HELD:
                self._schedule_read_on()

    # The handshake

    def _start_handshake(self) -> None:
        """Create OpenSSL's state. A connection that has sent nothing does not have it yet."""
        self._state = HANDSHAKING
        self._contexts = self._certificates.contexts
        self._ssl = self._contexts.default.wrap_bio(self._incoming, self._outgoing, server_side=True)
        # `SSLObject` forwards `read` and `write` to its C object: to call that saves two calls per request.
        self._sslobj: Any = getattr(self._ssl, "_sslobj", self._ssl)

    def _continue_handshake(self) -> None:
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            self._write_outgoing()
            return
        except (ssl.SSLError, OSError, ValueError) as error:
            self._fail(error)
            return
        self._state = OPEN
        connection = self._connection
        connection.peer.tls = tls_facts(self._ssl, self._contexts)
        connection.phase = NEW
        connection.waiting_since = 0.0
        more = self._incoming.read()
        self._write_outgoing()
        if more:
            self.data_received(more)

    def _refuse_plain(self, data: bytes) -> None:
        """Answer 400 to a client that speaks plain HTTP."""
        self._state = PLAIN
        self._connection.reader.receive_data(data)  # the method decides whether the answer has content
        self._connection.refuse(
            HttpError(400, "This port speaks TLS: write https:// in place of http:// (RFC 9110 section 4.2.2).")
        )

    def _fail(self, error: Exception) -> None:
        """Send OpenSSL's alert for a failed handshake or record, and close."""
        connection = self._connection
        connection.context.app_context.logger.debug("TLS with %s failed: %s", connection.peer.client_label, error)
        self._incoming.read()  # drop what OpenSSL has not read
        self._write_outgoing()
        self._state = CLOSED
        self._disconnect()

    def _disconnect(self) -> None:
        """Disconnect the exchange and close."""
        self._connection.disconnect_exchange()
        self._connection.close()

    # Reading

    def _receive_records(self, data: bytes) -> None:
        """Decrypt the records of one read, and deliver them in one piece."""
        if data and self._reading is not ACTIVE:  # the loop had read this before it was paused
            self._partial_record += data
            return
        records, self._partial_record = split_records(self._partial_record, data, MAX_RECORDS)
        pieces: list[bytes] = []
        ended = False
        for record in records:
            self._incoming.write(record)
            try:
                piece = self._sslobj.read(RECORD_BYTES)
            except ssl.SSLWantReadError:
                continue  # a record without data: KeyUpdate
            except OSError as error:
                self._fail(error)
                return
            if not piece:
                ended = True
                break
            pieces.append(piece)
        self._write_outgoing()
        if pieces:
            self._connection.data_received(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if ended:
            if self._state is OPEN:
                self._connection.eof_received()
        elif len(records) == MAX_RECORDS:
            self._hold()
            self._schedule_read_on()

    def _handle_read_error(self, error: OSError) -> None:
        """Handle a record without data, or one that is malformed."""
        if isinstance(error, ssl.SSLWantReadError):
            self._write_outgoing()
        else:
            self._fail(error)

    def _hold(self) -> None:
        """Stop reading until `_read_on`: the client has had its share of this iteration, or does not take OpenSSL's
        answers."""
        if self._reading is ACTIVE and self._state is OPEN:
            self._reading = HELD
            self._connection.hold_reading(True)
            if not self._reading_paused:
                self._transport.pause_reading()

    def _schedule_read_on(self) -> None:
        self._reading = SCHEDULED
        app_context = self._connection.context.app_context
        app_context.loop.call_soon(self._read_on, context=app_context.context)

    def _read_on(self) -> None:
        """Decrypt what is left, and then read on."""
        if self._reading is not SCHEDULED:
            return
        self._reading = HELD
        if self._state is not OPEN:
            self._partial_record = b""
        elif self._reading_paused or self._write_paused:
            return
        elif self._partial_record:
            self._receive_records(b"")
            if self._reading is SCHEDULED or self._write_paused:
                return
        self._reading = ACTIVE
        self._connection.hold_reading(False)
        if not self._reading_paused and not self._transport.is_closing():
            self._resume_inner()

    def pause_reading(self) -> None:
        self._reading_paused = True
        if self._reading is ACTIVE:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._reading_paused = False
        if self._reading is ACTIVE:
            self._resume_inner()
        elif self._reading is HELD:
            self._schedule_read_on()

    def _resume_inner(self) -> None:
        self._transport.resume_reading()

    # Writing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        rest = self._plaintext
        if self._state is not OPEN or rest or not data:
            self.writelines((data,))
            return
        size_bytes = len(data)
        if self._batch.defers_encryption and size_bytes <= MAX_BATCHED_BYTES:
            self._batch.encrypt(self)
            rest.append(data)
        elif size_bytes <= ENCRYPT_CHUNK_BYTES:
            self._sslobj.write(data)  # takes all of it: a memory BIO has no limit
            self._transport.write(self._outgoing.read())
        else:
            self.writelines((data,))

    def flush(self) -> None:
        """Encrypt what was written in this batch."""
        rest = self._plaintext
        try:
            if len(rest) == 1 and self._state is OPEN and not self._write_paused:
                self._sslobj.write(rest.pop())
                self._transport.write(self._outgoing.read())
            elif rest and not self._write_paused:
                self._encrypt_pending()
        except Exception as error:
            log_internal_error(self._connection.context.app_context.logger, error)
            self.abort()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        if self._state is OPEN:
            for data in list_of_data:
                if data:
                    self._plaintext.append(memoryview(data))
            if not self._write_paused:
                self._encrypt_pending()
        elif self._state is PLAIN:
            for data in list_of_data:
                self._transport.write(data)

    def _write_outgoing(self) -> None:
        """Write what OpenSSL has to send, or drop it if the transport is closing."""
        if self._outgoing.pending:
            said = self._outgoing.read()
            if not self._transport.is_closing():
                self._transport.write(said)
            if self._write_paused:  # the client asks for answers, and does not read them
                self._hold()

    def _encrypt_pending(self) -> None:
        """Encrypt what is pending until the transport is above its high-water mark, and then end if that is due."""
        rest = self._plaintext
        while rest and not self._write_paused:
            if self._transport.is_closing():
                self._plaintext.clear()
                return
            self._transport.writelines(self._encrypt())
            # As in `WriteBuffer`: some versions of asyncio do not check the water marks.
            self._transport.set_write_buffer_limits(*self._water_marks)
        if not rest and self._state is CLOSING:
            self._end()

    def _encrypt(self) -> list[bytes]:
        """Encrypt as much of what is pending as leaves in one write."""
        rest = self._plaintext
        records: list[bytes] = []
        room = MAX_WRITE_BYTES
        whole = 0
        while whole < len(rest) and room > 0:
            step = rest[whole]
            if len(step) > ENCRYPT_CHUNK_BYTES:
                rest[whole] = step[ENCRYPT_CHUNK_BYTES:]
                step = step[:ENCRYPT_CHUNK_BYTES]
            else:
                whole += 1
            self._sslobj.write(step)
            records.append(self._outgoing.read())
            room -= len(step)
        del rest[:whole]
        return records

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size() + sum(map(len, self._plaintext))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._water_marks = high, low
        self._transport.set_write_buffer_limits(high, low)

    # Ending

    def can_write_eof(self) -> bool:
        return self._state in (OPEN, PLAIN) and self._transport.can_write_eof()

    def write_eof(self) -> None:
        """End our side; what the client still sends is discarded."""
        if self._state is PLAIN:
            self._transport.write_eof()
        elif self._state is OPEN:
            self._half_close = True
            self._start_close()

    def close(self) -> None:
        if self._state is OPEN:
            self._start_close()
        elif self._state is CLOSING:
            self._half_close = False
        else:
            self._transport.close()

    def _start_close(self) -> None:
        self._state = CLOSING
        if not self._plaintext:
            self._end()

    def _end(self) -> None:
        """Send our close_notify (RFC 8446 section 6.1). The client's is not awaited: nothing follows."""
        self._state = CLOSED
        try:
            self._ssl.unwrap()
        except (ssl.SSLError, OSError):
            pass  # OpenSSL waits for the client's
        self._write_outgoing()
        if self._half_close:
            try:
                self._transport.write_eof()
            except OSError:  # the client has reset the connection, and asyncio's transport finds out here
                self._transport.abort()
        else:
            self._transport.close()

    def abort(self) -> None:
        self._state = CLOSED
        self._plaintext.clear()
        self._transport.abort()

    def is_closing(self) -> bool:
        state = self._state
        return state is CLOSING or state is CLOSED or self._transport.is_closing()

    # Lookups

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "sslcontext":
            return self._certificates.contexts.default
        if name == "ssl_object":
            return self._ssl if OPEN <= self._state < CLOSED else default
        return self._transport.get_extra_info(name, default)
