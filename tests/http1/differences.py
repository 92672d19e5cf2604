"""Where Whorl and the oracles differ on purpose: the list, each with its reason, and the search for what is not on it.

`unexplained` reads bytes with Whorl and with each oracle. Two readers that accept the same bytes must agree on every
part of the request and, above all, on where it ends. Where only one accepts, the refusal must be one of the tables
below. Waiting for more is no answer, so it differs from an acceptance and never from a refusal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.http1.oracles import ORACLES, Reading, Verdict, read_whorl
from whorl.http.request import Field

# Refusals of Whorl that an oracle does not share, by the beginning of their reason.
STRICTER_THAN_BOTH = {
    "Host is not a host name": "h11 and llhttp pass any Host on; RFC 9112 section 3.2 wants 400 for an invalid one",
    "A request has exactly one Host": "llhttp never counts them, and h11 does not for a minor version above 1",
    "The only expectation that can be met": "h11 and llhttp leave expectations to the server above them",
    "The request-target has none of the four forms": "h11 and llhttp leave the forms to the server above them",
    "The request-target holds a byte": "h11 and, in some places, llhttp let a fragment through",
    "The target of CONNECT": "h11 and llhttp leave the forms to the server above them",
    "This server opens no tunnels": "h11 and llhttp read CONNECT for proxies",
}
STRICTER = {
    "h11": STRICTER_THAN_BOTH
    | {
        "A line ends in a bare LF": "h11 takes LF for CRLF",
        "A line of a chunked body ends in a bare LF": "h11 takes LF for CRLF in trailers and extensions",
        "A field line has no colon": "h11 takes LF LF for the end of a head",
        "A field name is not a token": "h11 takes LF for CRLF",
        "White space stands before the colon": "h11 takes LF LF for the end of a head",
        "The request line is not": "h11 takes LF for CRLF",
        "The HTTP version is malformed": "h11 takes LF for CRLF",
        "A field line is folded": "h11 unfolds",
        "A field value holds a control character": "h11 lets all but NUL and white space through",
        "A chunk extension is malformed": "h11 does not read extensions",
        "A chunk size is not": "h11 allows white space after the size, and 20 digits",
        "The chunk extensions are too large": "h11 does not count them",
        "Content-Length and Transfer-Encoding": "h11 lets Transfer-Encoding win",
        "Content-Length is not a number": "h11 takes a list of equal lengths for one",
        "Content-Length is beyond any length": "h11 allows 20 digits",
        "Content-Length stands more than once": "h11 takes equal lengths for one",
        "HTTP/1.0 has no Transfer-Encoding": "h11 reads chunks in HTTP/1.0",
        "This server speaks HTTP/1.1": "h11 does not look at the major version",
    },
    "httptools": STRICTER_THAN_BOTH
    | {
        "A chunk size is not": "llhttp allows any number of leading zeros",
        "HTTP/1.0 has no Transfer-Encoding": "llhttp reads chunks in HTTP/1.0",
        "The request line is not": "llhttp reads HTTP/0.9, where there is no version",
        "The HTTP version is malformed": "llhttp reads HTTP/0.9, where there is no version",
        "This server speaks HTTP/1.1": "llhttp knows HTTP/0.9 and HTTP/2.0 by number",
        "The method is not a token": "llhttp passes over CR and LF in any number and order before the request line",
        "This is not HTTP": "llhttp passes over CR and LF in any number and order before the request line",
        "A line ends in a bare LF": "llhttp passes over LF before the request line, and reads HTTP/0.9 to any LF",
        "Too many empty lines": "llhttp passes over any number",
        "Transfer-Encoding has members": "llhttp passes over empty members, unless they come last",
        "The final transfer coding": "llhttp does not look at the coding where it sees CONNECT or Upgrade",
        "The only transfer coding": "llhttp does not look at the coding where it sees CONNECT or Upgrade",
    },
}


@dataclass(frozen=True, slots=True)
class Leniency:
    """A refusal of an oracle that Whorl does not share.

    Attributes:
        oracle: whose.
        reason: how its reason begins.
        why: the reason why Whorl accepts.
        applies: whether that is what these bytes are about, from Whorl's reading and the bytes of the request.
    """

    oracle: str
    reason: str
    why: str
    applies: Callable[[Reading, bytes], bool]


ABSOLUTE_FORM = re.compile(rb"(?i:https?)://([^/?]*)(/[^?]*|)(\?.*|)")  # RFC 3986 appendix B
LAST_CHUNK = re.compile(rb"0+([ \t]*;.*)?")
METHODS_OF_ALL = {b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"CONNECT"}


def _unknown_method(reading: Reading, octets: bytes) -> bool:
    return reading.method not in METHODS_OF_ALL


def _has_trailers(reading: Reading, octets: bytes) -> bool:
    before_the_end = octets[: reading.end].split(b"\r\n")[-3]
    return bool(reading.values(b"transfer-encoding")) and not LAST_CHUNK.fullmatch(before_the_end)


def _has_extensions(reading: Reading, octets: bytes) -> bool:
    return bool(reading.values(b"transfer-encoding")) and b";" in octets[: reading.end]


def _starts_with_empty_line(reading: Reading, octets: bytes) -> bool:
    return octets.startswith(b"\r\n")


def _minor_above_1(reading: Reading, octets: bytes) -> bool:
    return not octets.lstrip(b"\r\n").partition(b"\r\n")[0].endswith((b"HTTP/1.0", b"HTTP/1.1"))


def _tab_in_head(reading: Reading, octets: bytes) -> bool:
    return b"\t" in octets.partition(b"\r\n\r\n")[0]


LENIENT = (
    Leniency("h11", "no request line received", "empty lines come before it", _starts_with_empty_line),
    Leniency("h11", "illegal request line", "h11 looks at the first byte of an empty line", _starts_with_empty_line),
    Leniency("h11", "", "trailers are dropped, so their meaning does not count", _has_trailers),
    Leniency("httptools", "", "trailers are dropped, so their meaning does not count", _has_trailers),
    Leniency("httptools", "Invalid character in chunk ext", "llhttp knows no BWS and no quoted pair", _has_extensions),
    Leniency("httptools", "Invalid method", "llhttp has a list of methods", _unknown_method),
    Leniency("httptools", "Expected space after method", "llhttp has a list of methods", _unknown_method),
    Leniency("httptools", "Expected ", "llhttp has other rules for methods of its list", _unknown_method),
    Leniency(
        "httptools", "Invalid HTTP version", "RFC 9110 section 2.5: a higher minor is read as ours", _minor_above_1
    ),
    Leniency("httptools", "Request has invalid `Transfer-Enc", "HTAB is white space as well", _tab_in_head),
)


def unexplained(octets: bytes) -> list[str]:
    """What Whorl and the oracles make differently of these bytes for no listed reason."""
    ours = read_whorl(octets)
    return [f"{name}: {text}" for name, read in ORACLES.items() for text in _compare(name, octets, ours, read(octets))]


def _compare(name: str, octets: bytes, ours: Reading, theirs: Reading) -> Iterator[str]:
    accepted = Verdict.ACCEPTED
    if ours.verdict is accepted and theirs.verdict is accepted:
        yield from _compare_requests(name, ours, theirs)
    elif ours.verdict is accepted and not any(
        leniency.oracle == name and theirs.reason.startswith(leniency.reason) and leniency.applies(ours, octets)
        for leniency in LENIENT
        if theirs.verdict is Verdict.REFUSED
    ):
        yield f"accepted here, and there {theirs.verdict.value} {theirs.reason}"
    elif theirs.verdict is accepted and not _stops_at_upgrade(name, theirs):
        if ours.verdict is Verdict.WAITING:
            yield "accepted there, and here waiting for more"
        elif not ours.reason.startswith(tuple(STRICTER[name])):
            yield f"accepted there, and here refused: {ours.reason}"


def _stops_at_upgrade(name: str, theirs: Reading) -> bool:
    """llhttp ends a request at its head where it asks for Upgrade, whatever body is announced (RFC 9110 section 7.8
    does not)."""
    options = b",".join(theirs.values(b"connection")).lower()
    return name == "httptools" and b"upgrade" in options and bool(theirs.values(b"upgrade"))


def _compare_requests(name: str, ours: Reading, theirs: Reading) -> Iterator[str]:
    if ours.method != theirs.method:
        yield f"method {ours.method!r}, and there {theirs.method!r}"
    target, authority = _resolve(theirs)
    if ours.target != target:
        yield f"target {ours.target!r}, and there {target!r}"
    hosts = theirs.values(b"host")
    if authority and hosts:
        hosts = [authority]
    if ours.values(b"host") != hosts and not (authority and ours.values(b"host") == [authority]):
        yield f"Host {ours.values(b'host')}, and there {hosts}"
    # A minor version above 1 is read as 1 (RFC 9110 section 2.5).
    version = "1.0" if theirs.version == "1.0" else "1.1"
    if ours.version != version:
        yield f"version {ours.version}, and there {version}"
    if _comparable(ours.fields) != _comparable(theirs.fields):
        yield f"fields {ours.fields}, and there {theirs.fields}"
    if ours.framing() != theirs.framing() and not _stops_at_upgrade(name, theirs):
        yield f"body and end {ours.framing()}, and there {theirs.framing()}"


def _comparable(fields: list[Field]) -> list[Field]:
    """Fields without Host, which is compared apart, and with the coding in lower case, as h11 gives it."""
    return [
        (name, value.lower() if name == b"transfer-encoding" else value) for name, value in fields if name != b"host"
    ]


def _resolve(theirs: Reading) -> tuple[bytes, bytes]:
    """The target in origin-form and the authority that absolute-form names; the oracles leave that to the server above
    them (RFC 9112 section 3.2.2)."""
    if theirs.target[:1] in (b"/", b"*"):
        return theirs.target, b""
    parts = ABSOLUTE_FORM.fullmatch(theirs.target)
    assert parts, theirs.target
    authority, path, query = parts.groups()
    if not path and not query and theirs.method == b"OPTIONS":
        return b"*", authority
    return (path or b"/") + query, authority
