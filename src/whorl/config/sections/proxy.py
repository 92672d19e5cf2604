"""Who stands in front, and what is believed of it.

One section of `Config`, which puts them together.
"""

from __future__ import annotations

from dataclasses import dataclass

from whorl.config.proxy_words import HostPatterns, TrustedPeerList
from whorl.config.setting import setting
from whorl.config.words import Choice

__all__ = ["ProxySettings"]


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class ProxySettings:
    """Who stands in front, and what is believed of it."""

    forwarded_allow_ips: tuple[str, ...] = setting(
        "Proxy",
        ("127.0.0.1", "::1"),
        TrustedPeerList(),
        "Believe what these peers say of the client they serve: addresses, networks, unix, or *.",
        why="A proxy on this machine is the usual case; others could be anybody.",
    )
    proxy_headers: str = setting(
        "Proxy",
        "auto",
        Choice(
            ("auto", "x-forwarded", "forwarded", "off"),
            {"true": "auto", "false": "off", "none": "off"},
            switched=("auto", "off"),
        ),
        "Which fields of those peers are believed. auto: X-Forwarded-For and -Proto, or, where there is no "
        "X-Forwarded-*, for and proto of Forwarded. x-forwarded: -Host, -Port and -Prefix as well. forwarded: "
        "Forwarded with its host.",
        why="A proxy passes on what it does not set, so no more is believed than nearly every proxy sets.",
    )
    proxy_protocol: str = setting(
        "Proxy",
        "off",
        Choice(("off", "allow", "require"), {"false": "off"}),
        "Whether those peers begin a connection with a preamble of the PROXY protocol, version 1 or 2. allow: they "
        "may. require: a connection without one is closed, and so is one of any other peer.",
    )
    allowed_hosts: tuple[str, ...] = setting(
        "Proxy",
        (),
        HostPatterns(),
        "Serve these hosts only, *.example.org for all below a name; a request for another is answered 400.",
        why="Only you know your names. Empty serves every host.",
    )
