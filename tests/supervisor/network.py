"""A network of hosts in one machine: namespaces of their own, joined by a bridge (ip-netns(8), veth(4)).

Everything is in the namespaces, the bridge included, so nothing of this machine's own network is touched, and all of it
goes with them. It takes root, and the program `ip`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

PREFIX = "whorl-test"
NEEDS = {"haproxy": "haproxy", "ip": "iproute2"}


def why_not() -> str | None:
    """What is missing here, None if nothing is."""
    if os.geteuid() != 0:
        return "network namespaces take root"
    for program, package in NEEDS.items():
        if shutil.which(program) is None:
            return f"{program} is not installed (apt-get install {package})"
    done = ip("netns", "add", f"{PREFIX}-{os.getpid()}-probe", check=False)
    if done.returncode != 0:
        return f"namespaces cannot be made ({done.stderr.strip()})"
    ip("netns", "delete", f"{PREFIX}-{os.getpid()}-probe")
    return None


def ip(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *words], check=check, capture_output=True, text=True, timeout=10)


@dataclass(frozen=True)
class Host:
    """One host.

    Attributes:
        namespace: what `ip netns` calls it.
        address: its IPv4 address.
    """

    namespace: str
    address: str

    def command(self, *words: str) -> list[str]:
        """A command that runs there; `ip` becomes it, so that signals reach it."""
        return ["ip", "netns", "exec", self.namespace, *words]


@contextmanager
def network(names: Sequence[str]) -> Iterator[dict[str, Host]]:
    """Hosts that reach each other, by name, until the block ends. The first one has the bridge."""
    remove_stale()
    hosts = {name: Host(f"{PREFIX}-{os.getpid()}-{name}", f"10.88.0.{n}") for n, name in enumerate(names, 1)}
    first = hosts[names[0]].namespace
    try:
        for host in hosts.values():
            ip("netns", "add", host.namespace)
            ip("-n", host.namespace, "link", "set", "lo", "up")
        ip("-n", first, "link", "add", "bridge", "type", "bridge")
        ip("-n", first, "address", "add", f"{hosts[names[0]].address}/24", "dev", "bridge")
        ip("-n", first, "link", "set", "bridge", "up")
        for name in names[1:]:
            join(hosts[name], first, name)
        yield hosts
    finally:
        for host in hosts.values():
            ip("netns", "delete", host.namespace, check=False)


def join(host: Host, bridged: str, port: str) -> None:
    """A cable from a host to the bridge in another namespace."""
    peer = ["peer", "name", port, "netns", bridged]
    ip("-n", host.namespace, "link", "add", "cable", "type", "veth", *peer)
    ip("-n", bridged, "link", "set", port, "master", "bridge", "up")
    ip("-n", host.namespace, "address", "add", f"{host.address}/24", "dev", "cable")
    ip("-n", host.namespace, "link", "set", "cable", "up")


def remove_stale() -> None:
    """Those of a test that was killed, and so could not remove them."""
    for line in ip("netns", "list").stdout.splitlines():
        name = line.split()[0]
        if name.startswith(PREFIX) and not os.path.exists(f"/proc/{name.split('-')[2]}"):
            ip("netns", "delete", name, check=False)
