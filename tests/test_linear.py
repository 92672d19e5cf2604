"""What a client sends costs steps in proportion to its length, and never to its square: each grammar, each pattern.

Steps are counted and not timed (`tests.steps`), so a small input tells as much as a large one: twice the input may take
twice the steps, where the square would take four times as many.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest

from tests.steps import ONE_CHARACTER, SOURCE, CountedPattern, Steps, fits, ops
from whorl.proxy.proxy_protocol import crc32c

COUNTED = [
    "whorl.asgi.scope",
    "whorl.wire.http1.chunks",
    "whorl.wire.http1.fields",
    "whorl.http.grammar",
    "whorl.wire.http1.head",
    "whorl.wire.http1.reader",
    "whorl.http.error",
    "whorl.observe.escaping",
    "whorl.proxy.forwarded_info",
    "whorl.proxy.forwarded",
    "whorl.proxy.headers",
    "whorl.proxy.hosts",
    "whorl.proxy.node",
    "whorl.proxy.proxy_protocol",
    "whorl.proxy.malformed_counts",
    "whorl.proxy.trusted_peers",
    "whorl.proxy.x_forwarded",
    "whorl.net.tls_records",
    "whorl.wire.websocket.closing",
    "whorl.wire.websocket.protocol",
    "whorl.wire.websocket.deflate",
    "whorl.wire.websocket.events",
    "whorl.wire.websocket.extension",
    "whorl.wire.websocket.failure",
    "whorl.wire.websocket.frames",
    "whorl.wire.websocket.handshake",
    "whorl.wire.websocket.mask",
    "whorl.wire.websocket.message",
]

# Folders whose code sees what a client sends. Those of the operator's words (config, cli, ...) are not among them.
CLIENT_FOLDERS = ("asgi", "http1", "observe", "proxy", "server", "tls", "transport", "websocket")

# Linear work is at most twice as much for twice the input; what is there for any input makes it less.
MAX_GROWTH = 2.2


@pytest.fixture(scope="module")
def steps() -> Iterator[Steps]:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)  # a group that is repeated nests generators
    yield Steps(COUNTED)
    sys.setrecursionlimit(limit)


Case = Callable[[Steps, int], Callable[[], object]]


def forwarded(value: Callable[[int], bytes], **options: Any) -> Case:
    def case(steps: Steps, n: int) -> Callable[[], object]:
        module = steps.load("whorl.proxy.forwarded")
        trust = steps.load("whorl.proxy.trusted_peers").TrustedPeers(["*"])
        fields = [(b"forwarded", value(n))]
        return lambda: module.read_forwarded(fields, trust, with_host=True)

    return case


def x_forwarded(name: bytes, value: Callable[[int], bytes]) -> Case:
    def case(steps: Steps, n: int) -> Callable[[], object]:
        headers = steps.load("whorl.proxy.headers")
        trust = steps.load("whorl.proxy.trusted_peers").TrustedPeers(["*"])
        tally = steps.load("whorl.proxy.malformed_counts").MalformedCounts()
        reader = headers.ProxyHeaders(headers.ProxyHeadersMode.X_FORWARDED, trust, tally)
        fields = [(b"x-forwarded-" + name, value(n))]
        return lambda: reader.read(fields)

    return case


def function(module: str, name: str, *args: Callable[[int], Any], **options: Any) -> Case:
    """A call of a function of this module with what is made for `n`."""

    def case(steps: Steps, n: int) -> Callable[[], object]:
        called = getattr(steps.load(module), name)
        made = [arg(n) for arg in args]
        return lambda: called(*made, **options)

    return case


def host_list(host: Callable[[int], bytes]) -> Case:
    def case(steps: Steps, n: int) -> Callable[[], object]:
        hosts = steps.load("whorl.proxy.hosts").HostList(["*.example.org", "::1"])
        return lambda: hosts.admits(host(n))

    return case


def field_line(line: Callable[[int], bytes]) -> Case:
    def case(steps: Steps, n: int) -> Callable[[], object]:
        lines = steps.load("whorl.wire.http1.fields").FieldLineCache()
        return lambda: lines.parse(line(n))

    return case


def request(data: Callable[[int], bytes]) -> Case:
    """A request, and as much of its body as there is, in one piece."""

    def case(steps: Steps, n: int) -> Callable[[], object]:
        limits = steps.load("whorl.wire.http1.head").HeadLimits(header_fields=10_000)
        reader = steps.load("whorl.wire.http1.reader").RequestReader(
            limits, steps.load("whorl.wire.http1.fields").FieldLineCache()
        )

        def read() -> None:
            reader.receive_data(data(n))
            while reader.next_request() is not None:
                reader.read_body()

        return read

    return case


def dripped(head: bytes, unit: bytes) -> Case:
    """A body of so many units, whose bytes come one by one."""

    def case(steps: Steps, n: int) -> Callable[[], object]:
        limits = steps.load("whorl.wire.http1.head").HeadLimits()
        reader = steps.load("whorl.wire.http1.reader").RequestReader(
            limits, steps.load("whorl.wire.http1.fields").FieldLineCache()
        )
        reader.receive_data(head)
        reader.next_request()

        def read() -> None:
            for piece in drip(unit * n):
                reader.receive_data(piece)
                reader.read_body()

        return read

    return case


def field(line: Callable[[int], bytes]) -> Case:
    return request(lambda n: b"GET / HTTP/1.1\r\nHost: a\r\n" + line(n) + b"\r\n\r\n")


def chunked(body: Callable[[int], bytes]) -> Case:
    return request(lambda n: b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body(n))


def handshake(**values: Callable[[int], bytes]) -> Case:
    def case(steps: Steps, n: int) -> Callable[[], object]:
        module = steps.load("whorl.wire.websocket.handshake")
        deflate = steps.load("whorl.wire.websocket.deflate")
        usual: dict[str, Callable[[int], bytes]] = {
            "upgrade": lambda n: b"websocket",
            "connection": lambda n: b"Upgrade",
            "sec_websocket_version": lambda n: b"13",
            "sec_websocket_key": lambda n: b"A" * 22 + b"==",
        }
        fields = [(name.replace("_", "-").encode(), value(n)) for name, value in (usual | values).items()]

        def read() -> None:
            if module.is_upgrade("1.1", fields):
                deflate.negotiate(module.read_handshake("GET", fields).extensions, deflate.DeflateSettings())

        return read

    return case


def frames(pieces: Callable[[int], list[bytes]]) -> Case:
    """What a client sends on a WebSocket, read as it comes."""

    def case(steps: Steps, n: int) -> Callable[[], object]:
        connection = steps.load("whorl.wire.websocket.protocol").Connection(1 << 20)
        made = pieces(n)

        def read() -> None:
            for piece in made:
                connection.receive_data(piece)
                connection.take_pongs()

        return read

    return case


def frame(opcode: int, payload: bytes = b"", final: bool = True) -> bytes:
    """A client's frame of less than 64 KiB, whose mask changes nothing."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes([final << 7 | opcode]) + length + bytes(4) + payload


def drip(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def numbered(form: bytes) -> Callable[[int], bytes]:
    """As many as there are, and no two alike."""
    return lambda n: b"".join(form % number for number in range(n))


def preamble(content: Callable[[int], bytes]) -> Case:
    def data(n: int) -> bytes:
        behind = bytes(12) + content(n)
        return b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + len(behind).to_bytes(2, "big") + behind

    return function("whorl.proxy.proxy_protocol", "read_preamble", data)


def with_checksum(n: int) -> bytes:
    """Type and length of a checksum, with a value that is right, behind much else."""
    behind = b"\x04\x00\x01a" * n + b"\x03\x00\x04"
    header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + (12 + len(behind) + 4).to_bytes(2, "big") + bytes(12)
    return behind + crc32c(header + behind + bytes(4)).to_bytes(4, "big")


EXTENSION_BYTES = b"permessage-deflate"
CASES: dict[str, Case] = {
    "Forwarded: spaces before what is no pair": forwarded(lambda n: b"a," + b" " * n + b"@"),
    "Forwarded: tabs and spaces behind a pair": forwarded(lambda n: b"for=a" + b" \t" * n + b"@"),
    "Forwarded: commas": forwarded(lambda n: b"," * n),
    "Forwarded: commas left of quoted-strings": forwarded(lambda n: b"," + b'"a"' * n),
    "Forwarded: quotes right of commas": forwarded(lambda n: b'"' + b"," * n),
    "Forwarded: semicolons": forwarded(lambda n: b";" * n),
    "Forwarded: pairs": forwarded(numbered(b"a%05d=b;")),
    "Forwarded: backslashes": forwarded(lambda n: b'a="' + b"\\" * (2 * n) + b'"'),
    "Forwarded: quotes behind backslashes": forwarded(lambda n: b'a="' + b'\\"' * n + b'"'),
    "Forwarded: backslashes and no quote": forwarded(lambda n: b"\\" * n + b'"'),
    "Forwarded: a token": forwarded(lambda n: b"a" * n),
    "Forwarded: a value": forwarded(lambda n: b"a=" + b"b" * n + b"@"),
    "Forwarded: host": forwarded(lambda n: b"for=10.0.0.1;host=" + b"a" * n),
    "X-Forwarded-For: commas": x_forwarded(b"for", lambda n: b"," * n),
    "X-Forwarded-For: spaces": x_forwarded(b"for", lambda n: b" " * n + b"," + b" " * n + b"@"),
    "X-Forwarded-For: addresses": x_forwarded(b"for", lambda n: b"10.0.0.1," * n),
    "X-Forwarded-Proto": x_forwarded(b"proto", lambda n: b"https, " * n),
    "X-Forwarded-Host": x_forwarded(b"host", lambda n: b"%41" * n),
    "X-Forwarded-Port": x_forwarded(b"port", lambda n: b"1" * n),
    "X-Forwarded-Prefix: segments": x_forwarded(b"prefix", lambda n: b"/a" * n),
    "X-Forwarded-Prefix: slashes at the end": x_forwarded(b"prefix", lambda n: b"/a" + b"/" * n),
    "node: digits": function("whorl.proxy.node", "read_node", lambda n: "1" * n, bare=True),
    "node: colons": function("whorl.proxy.node", "read_node", lambda n: ":" * (n // 4), bare=True),
    "node: a port": function("whorl.proxy.node", "read_node", lambda n: "1.1.1.1:_" + "a" * n, bare=True),
    "address": function("whorl.proxy.trusted_peers", "read_address", lambda n: "1:" * n),
    "address: a zone": function("whorl.proxy.trusted_peers", "read_address", lambda n: "::1%" + "%" * n),
    "host: a name": function("whorl.http.grammar", "check_host", lambda n: b"a" * n),
    "host: percent signs": function("whorl.http.grammar", "check_host", lambda n: b"%41" * n),
    "host: brackets": function("whorl.http.grammar", "check_host", lambda n: b"[" + b"1:" * n + b"]"),
    "host: a port": function("whorl.http.grammar", "check_host", lambda n: b"a:" + b"1" * n),
    "allowed hosts": host_list(lambda n: b"a." * n + b"example.org."),
    "allowed hosts: an address": host_list(lambda n: b"[" + b"::" * n + b"]:80"),
    "preamble 1": function(
        "whorl.proxy.proxy_protocol", "read_preamble", lambda n: b"PROXY UNKNOWN" + b" " * n + b"\r\n"
    ),
    "preamble 2: TLVs": preamble(lambda n: b"\xea\x00\x01a" * n),
    "preamble 2: TLVs of TLS": preamble(
        lambda n: b"\x20" + (5 + 4 * n).to_bytes(2, "big") + b"\1" * 5 + b"\x21\0\x01a" * n
    ),
    "preamble 2: a checksum": preamble(with_checksum),
    "Sec-WebSocket-Key": handshake(sec_websocket_key=lambda n: b"A" * n),
    "Sec-WebSocket-Version": handshake(sec_websocket_version=lambda n: b"13," * n),
    "Sec-WebSocket-Protocol": handshake(sec_websocket_protocol=numbered(b"a%05d, ")),
    "Sec-WebSocket-Protocol: what is none": handshake(sec_websocket_protocol=lambda n: b"a" * n + b"@"),
    "extensions: spaces": handshake(sec_websocket_extensions=lambda n: b"a" + b" " * n + b"@"),
    "extensions: spaces in a parameter": handshake(sec_websocket_extensions=lambda n: b"a;b" + b" " * n + b"@"),
    "extensions: spaces before a value": handshake(sec_websocket_extensions=lambda n: b"a;b=" + b" " * n + b"@"),
    "extensions: parameters": handshake(sec_websocket_extensions=lambda n: b"a" + b" ; b" * n + b"@"),
    "extensions: a token": handshake(sec_websocket_extensions=lambda n: b"a" * n + b"@"),
    "extensions: offers": handshake(
        sec_websocket_extensions=lambda n: (EXTENSION_BYTES + b"; server_max_window_bits=99,") * n
    ),
    "extensions: parameters that nobody knows": handshake(
        sec_websocket_extensions=lambda n: EXTENSION_BYTES + numbered(b"; a%05d")(n)
    ),
    "Upgrade": handshake(upgrade=lambda n: b"a, " * n + b"websocket"),
    "Connection of a handshake": handshake(connection=lambda n: b"," * n + b"upgrade"),
    "a field's name": field_line(lambda n: b"a" * n + b"@: b"),
    "a field's name: spaces": field_line(lambda n: b"a" + b" " * n + b": b"),
    "a field's value: spaces": field_line(lambda n: b"a:" + b" " * n + b"b" + b" " * n),
    "a field without a colon": field_line(lambda n: b"a" * n),
    "Content-Length": field_line(lambda n: b"Content-Length: " + b"1" * n),
    "Host": field_line(lambda n: b"Host: " + b"%41" * n),
    "Connection": field(lambda n: b"Connection: " + b"a," * n),
    "Connection: spaces": field(lambda n: b"Connection: a" + b" ," * n),
    "TE": field(lambda n: b"TE: " + b"trailers," * n),
    "Expect": field(lambda n: b"Expect: " + b"100-continue," * n),
    "Transfer-Encoding": field(lambda n: b"Transfer-Encoding: " + b"chunked," * n),
    "Upgrade that is not offered": field(lambda n: b"Upgrade: " + b"a," * n),
    "fields": field(numbered(b"a%05d: b\r\n")),
    "fields of one name": field(lambda n: b"Forwarded: a\r\n" * n),
    "Connections": field(lambda n: b"Connection: a\r\n" * n),
    "a request line of spaces": request(lambda n: b"GET" + b" " * n + b"/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a target": request(lambda n: b"GET /" + b"%41" * n + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a target in absolute form": request(lambda n: b"GET http://" + b"a" * n + b"/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a method": request(lambda n: b"A" * n + b" / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a head without an end": request(lambda n: b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * n),
    "LF without CR in a head": request(lambda n: b"GET / HTTP/1.1\r\na: b\n" + b"a: b\r\n" * n),
    "requests": request(lambda n: b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * n),
    "requests behind empty lines": request(lambda n: b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n" * n),
    "chunks": chunked(lambda n: b"1\r\nx\r\n" * n),
    "chunks with extensions": chunked(lambda n: b"1;a\r\nx\r\n" * n),
    "a chunk size": chunked(lambda n: b"0" * n + b"1\r\nx\r\n"),
    "a chunk size: spaces": chunked(lambda n: b"1" + b" " * n + b";a\r\nx\r\n"),
    "chunk extensions: spaces": chunked(lambda n: b"1;a" + b" " * n + b"@\r\n"),
    "chunk extensions: spaces before a value": chunked(lambda n: b"1;a=" + b" " * n + b"@\r\n"),
    "chunk extensions: many": chunked(lambda n: b"1" + b" ; a" * n + b"@\r\n"),
    "chunk extensions: a quoted-string": chunked(lambda n: b'1;a="' + b"\\b " * n + b"\r\n"),
    "chunk extensions: quoted-strings": chunked(lambda n: b"1" + b';a="\\""' * n + b"@\r\n"),
    "chunks that drip": dripped(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "a body that drips": dripped(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n", b"x"),
    "trailers": chunked(lambda n: b"0\r\n" + b"a: b\r\n" * n + b"\r\n"),
    "a path": function("whorl.asgi.scope", "decode_path", lambda n: b"/%2e" * n),
    "a log line": function("whorl.observe.escaping", "escape_bytes", lambda n: b"\x00a" * n),
    "pings": frames(lambda n: [frame(9) * n]),
    "pings with content": frames(lambda n: [frame(9, b"a" * 125) * n]),
    "messages": frames(lambda n: [frame(1, b"a") * n]),
    "fragments": frames(lambda n: [frame(1, final=False) + frame(0, b"a", final=False) * n]),
    "fragments in reads of their own": frames(lambda n: [frame(1, final=False), *[frame(0, b"a", final=False)] * n]),
    "a message": frames(lambda n: [frame(2, b"a" * 200 * n)]),
    "a message that drips": frames(lambda n: drip(frame(2, b"a" * 10 * n))),
    "text that drips": frames(lambda n: drip(frame(1, "€".encode() * 10 * n))),
    "TLS records": function(
        "whorl.net.tls_records", "split_records", lambda n: b"", lambda n: b"\x17\3\3\0\1a" * n, int
    ),
    "TLS records behind a part": function(
        "whorl.net.tls_records", "split_records", lambda n: b"\x17\3", lambda n: b"\3\0\1a" + b"\x17\3\3\0\1a" * n, int
    ),
}


def growth(steps: Steps, case: Case, n: int) -> float:
    return steps.of(case(steps, 2 * n)) / steps.of(case(steps, n))


@pytest.mark.parametrize("name", CASES)
def test_twice_the_input_takes_twice_the_steps(steps: Steps, name: str) -> None:
    case = CASES[name]
    steps.of(case(steps, 1))  # modules are loaded

    for n in (20, 40, 80):  # below the limits of what is short, and above them
        assert growth(steps, case, n) <= MAX_GROWTH, (n, steps.of(case(steps, n)), steps.of(case(steps, 2 * n)))


def test_the_request_line_is_checked_once_however_the_fields_behind_it_come(steps: Steps) -> None:
    """What is buffered is copied and searched with each read. To check the line again took seven times as long."""
    pieces = 50

    def read(length_bytes: int) -> None:
        limits = steps.load("whorl.wire.http1.head").HeadLimits()
        reader = steps.load("whorl.wire.http1.reader").RequestReader(
            limits, steps.load("whorl.wire.http1.fields").FieldLineCache()
        )
        for data in (b"GET /" + b"a" * length_bytes + b" HTTP/1.1\r\n", *[b"a: b\r\n"] * pieces):
            reader.receive_data(data)
            assert reader.next_request() is None

    each = (steps.of(lambda: read(1010)) - steps.of(lambda: read(10))) / (pieces + 1)
    assert each < 3.5 * 1000


# What leads into each pattern's inner parts. A pattern that is not here has none.
LEADS = ("", "a", "a;b", "a;b=", 'a="', ";a", ";a=", ';a="', "[", "1.1.1.1:", "/a", "for=", "a =")


def alphabet(pattern: CountedPattern) -> str:
    """The characters that a pattern tells apart, one of each kind, and one that it has nowhere."""
    kinds: dict[tuple[bool, ...], str] = {}
    items = list(leaves(pattern.tree))
    for code in [*b"a1", *range(256)]:
        kinds.setdefault(tuple(fits(*item, code) for item in items), chr(code))
    return "".join(kinds.values())


def leaves(tree: Any) -> Iterator[tuple[Any, Any]]:
    """The items of a parse tree that take one character."""
    for op, av in tree:
        if op in ONE_CHARACTER:
            yield op, av
        elif op is ops.SUBPATTERN:
            yield from leaves(av[3])
        elif op is ops.BRANCH:
            for branch in av[1]:
                yield from leaves(branch)
        elif op in (ops.MAX_REPEAT, ops.POSSESSIVE_REPEAT):
            yield from leaves(av[2])


def pattern_names() -> list[str]:
    """`module.NAME` of each pattern of the counted modules."""
    found = []
    for module in COUNTED:
        tree = ast.parse((SOURCE / (module.replace(".", "/") + ".py")).read_text())
        for node in tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            value = getattr(node, "value", None)
            if isinstance(value, ast.Call) and ast.unparse(value.func) == "re.compile":
                found += [f"{module}.{target.id}" for target in targets if isinstance(target, ast.Name)]
    return found


@pytest.mark.parametrize("name", pattern_names())
def test_no_pattern_tries_anything_twice(steps: Steps, name: str) -> None:
    """One or two characters again and again, behind each way into the pattern, and then what it does not take."""
    module, _, constant = name.rpartition(".")
    pattern: CountedPattern = getattr(steps.load(module), constant)
    is_bytes = isinstance(pattern.pattern.pattern, bytes)
    characters = alphabet(pattern)
    repeated = [*characters, *map("".join, product(characters, repeat=2))]
    for lead, unit, end in product(LEADS, repeated, ("", "\0")):
        counts = []
        for n in (24, 48):
            text = lead + unit * n + end
            before = steps.count
            pattern.fullmatch(text.encode("latin-1") if is_bytes else text)
            counts.append(steps.count - before)
        # What a pattern has a number for, as the digits of an address, comes to its end once.
        assert counts[1] <= MAX_GROWTH * counts[0] + 60, (lead, unit, end, counts)


def test_every_pattern_that_sees_a_client_is_counted() -> None:
    using = set()
    for folder in CLIENT_FOLDERS:
        for path in (SOURCE / "whorl" / folder).rglob("*.py"):
            names = {
                alias.name
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, (ast.Import, ast.ImportFrom))
                for alias in node.names
            }
            if "re" in names:
                using.add(".".join(path.relative_to(SOURCE).with_suffix("").parts))
    assert using <= {name.rpartition(".")[0] for name in pattern_names()}


def test_the_counter_tells_the_square_from_the_line(steps: Steps) -> None:
    """The pattern that Forwarded had, and a few that are known to be bad."""
    for text, unit, lead in ((r"[ \t]*(?:a)?[ \t]*;", " ", ""), (r"(?:a|b)*a*;", "a", ""), (r"(?:a+)*;", "a", "")):
        pattern = CountedPattern(steps, re.compile(text))
        counts = []
        for n in (6, 12):
            before = steps.count
            assert pattern.match(lead + unit * n) is None
            counts.append(steps.count - before)
        assert counts[1] > 2.5 * counts[0], (text, counts)
