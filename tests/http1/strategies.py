"""What hypothesis makes: valid requests together with what they mean, edits that spoil them, and bytes from small
alphabets that come near a grammar.
"""

from __future__ import annotations

from hypothesis import strategies as st

from tests.http1.corpus import FRAGMENTS, SEEDS, Edit, spoil
from tests.http1.oracles import Reading, Verdict
from tests.http1.vectors import head
from whorl.http.request import Field

TCHARS = "!#$%&'*+-.^_`|~0123456789abcXYZ"
tokens = st.text(TCHARS, min_size=1, max_size=12).map(str.encode)
spaces = st.sampled_from([b"", b" ", b"\t", b"  ", b" \t "])
values = (
    st.lists(st.sampled_from([9, *range(0x20, 0x7F), *range(0x80, 0x100)]), max_size=30)
    .map(bytes)
    .map(lambda value: value.strip(b" \t"))
)
targets = st.lists(st.sampled_from([octet for octet in range(0x21, 0x7F) if octet != 0x23]), max_size=30).map(
    lambda octets: b"/" + bytes(octets)
)
hosts = st.sampled_from([b"a", b"A.example", b"a:80", b"a:", b"[::1]", b"[2001:db8::1]:8000", b"a%20b", b"192.0.2.7:1"])
# httptools knows a list of methods; that it is a list is said in `differences`.
methods = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND", "M-SEARCH"])
FRAMING = {b"host", b"content-length", b"transfer-encoding", b"connection", b"expect", b"te", b"upgrade"}
names = st.one_of(
    st.sampled_from([b"Accept", b"user-agent", b"COOKIE", b"Content-Type", b"X-A", b"Authorization"]), tokens
).filter(lambda name: name.lower() not in FRAMING)
fields = st.lists(st.tuples(names, values), max_size=5)


@st.composite
def chunks(draw: st.DrawFn, body: bytes, trailers: list[Field]) -> bytes:
    """A body as chunks of any sizes, sizes in either case and with zeros before them."""
    octets = b""
    at = 0
    while at < len(body):
        size = draw(st.integers(1, len(body) - at))
        digits = draw(st.sampled_from([b"%x", b"%X", b"0%x", b"000%X"])) % size
        octets += digits + b"\r\n" + body[at : at + size] + b"\r\n"
        at += size
    return octets + head(b"0", *(name + b":" + value for name, value in trailers))


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, Reading]:
    """A valid request that stays on its connection, and how it is to be read."""
    method = draw(methods)
    target = draw(targets)
    host = draw(hosts)
    lines = [(name, value, draw(spaces), draw(spaces)) for name, value in draw(fields)]
    lines.insert(draw(st.integers(0, len(lines))), (b"Host", host, b" ", b""))
    body = draw(st.binary(max_size=40))
    coding = draw(st.sampled_from(["none", "length", "chunked"]))
    if coding == "none":
        framed = body = b""
    elif coding == "length":
        framed = body
        lines.insert(draw(st.integers(0, len(lines))), (b"Content-Length", b"%d" % len(body), b"", b" "))
    else:
        trailers = draw(st.lists(st.tuples(tokens.map(lambda name: b"X-" + name), values), max_size=2))
        framed = draw(chunks(body, trailers))
        lines.insert(draw(st.integers(0, len(lines))), (b"Transfer-Encoding", b"chunked", b" ", b""))
    octets = (
        head(
            b"%b %b HTTP/1.1" % (method.encode(), target),
            *(name + b":" + before + value + after for name, value, before, after in lines),
        )
        + framed
    )
    expected = [(name.lower(), value) for name, value, _, _ in lines]
    return octets, Reading(Verdict.ACCEPTED, "", method.encode(), target, "1.1", expected, body, len(octets))


edits = st.builds(
    Edit,
    place=st.integers(0, 2000),
    at_boundary=st.booleans(),
    cut_bytes=st.sampled_from([0, 0, 0, 1, 2, 6]),
    put=st.sampled_from(FRAGMENTS),
)
spoilt = st.builds(
    spoil,
    st.one_of(st.sampled_from(SEEDS), requests().map(lambda request: request[0])),
    st.lists(edits, min_size=1, max_size=4),
)
