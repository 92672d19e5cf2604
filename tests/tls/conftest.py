"""Servers that speak TLS, one for each loop that can."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest

from tests.harness import Process
from tests.server.conftest import Pool, name, pool, watched
from tests.tls.client import Authority

__all__ = ["name", "pool"]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def certificate(authority: Authority) -> dict[str, object]:
    """Options for a certificate for localhost."""
    return dict(authority.issue("localhost", "127.0.0.1"))


@pytest.fixture(scope="session")
def trusting(authority: Authority) -> ssl.SSLContext:
    """A client's context that trusts the servers here."""
    return authority.context()


@pytest.fixture
def server(pool: Pool, loop_name: str, certificate: dict[str, object]) -> Iterator[Process]:
    """A server with the defaults."""
    yield from watched(pool.server(loop=loop_name, **certificate))


@pytest.fixture
def hasty(pool: Pool, loop_name: str, certificate: dict[str, object]) -> Iterator[Process]:
    """A server that waits 0.3 s for a handshake."""
    yield from watched(pool.server(loop=loop_name, timeout_tls_handshake=0.3, **certificate))
