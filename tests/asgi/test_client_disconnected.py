"""Which errors of an application only report that the client disconnected, however they are wrapped."""

from __future__ import annotations

import pytest

from tests.apps import SHAPES, nested_groups
from whorl.asgi.exchange import is_disconnect
from whorl.asgi.stream import ClientDisconnected

DEPTH = 100_000


def chain(first: Exception, depth: int = DEPTH) -> Exception:
    """Errors that were raised one while another was handled."""
    for _ in range(depth):
        later = ValueError("later")
        later.__context__ = first
        first = later
    return first


def cause(error: Exception, of: Exception) -> Exception:
    error.__cause__ = of
    return error


@pytest.mark.parametrize(
    "error",
    [
        ClientDisconnected(),
        cause(ValueError(), ClientDisconnected()),
        ExceptionGroup("", [ClientDisconnected(), cause(ValueError(), ClientDisconnected())]),
        ExceptionGroup("", [chain(shared := chain(ClientDisconnected(), 2), 1), chain(shared, 3), shared]),
        cause(ValueError(), ExceptionGroup("", [ClientDisconnected()])),
    ],
)
def test_it_is_about_the_client(error: Exception) -> None:
    assert is_disconnect(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        cause(ConnectionError("another"), ValueError()),
        ExceptionGroup("", [ClientDisconnected(), ValueError()]),
        ExceptionGroup(
            "", [ClientDisconnected(), ExceptionGroup("", [chain(ClientDisconnected(), 2), chain(ValueError(), 2)])]
        ),
    ],
)
def test_it_is_about_something_else(error: Exception) -> None:
    assert not is_disconnect(error)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_odd_shape(shape: str) -> None:
    assert not is_disconnect(SHAPES[shape]())


def test_a_deep_one() -> None:
    """Recursion would overflow the stack, and compiled code would crash."""
    assert is_disconnect(chain(ClientDisconnected()))
    assert not is_disconnect(chain(ValueError()))
    assert is_disconnect(nested_groups(ClientDisconnected()))


def test_a_truth_value_that_raises() -> None:
    class Unsure(ClientDisconnected):
        def __bool__(self) -> bool:
            raise ValueError

    assert is_disconnect(cause(ValueError(), Unsure()))
