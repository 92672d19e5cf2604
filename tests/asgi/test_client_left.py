"""Which errors of an application only say that the client has left, however they were wrapped on their way up."""

from __future__ import annotations

import pytest

from tests.apps import SHAPES, nested_groups
from whorl.asgi.exchange import speaks_of_leaving
from whorl.asgi.stream import ClientLeft

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
        ClientLeft(),
        cause(ValueError(), ClientLeft()),
        ExceptionGroup("", [ClientLeft(), cause(ValueError(), ClientLeft())]),
        ExceptionGroup("", [chain(shared := chain(ClientLeft(), 2), 1), chain(shared, 3), shared]),
        cause(ValueError(), ExceptionGroup("", [ClientLeft()])),
    ],
)
def test_it_is_about_the_client(error: Exception) -> None:
    assert speaks_of_leaving(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        cause(ConnectionError("another"), ValueError()),
        ExceptionGroup("", [ClientLeft(), ValueError()]),
        ExceptionGroup("", [ClientLeft(), ExceptionGroup("", [chain(ClientLeft(), 2), chain(ValueError(), 2)])]),
    ],
)
def test_it_is_about_something_else(error: Exception) -> None:
    assert not speaks_of_leaving(error)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_odd_shape(shape: str) -> None:
    assert not speaks_of_leaving(SHAPES[shape]())


def test_a_deep_one() -> None:
    """Recursion would overflow the stack, and compiled code would crash."""
    assert speaks_of_leaving(chain(ClientLeft()))
    assert not speaks_of_leaving(chain(ValueError()))
    assert speaks_of_leaving(nested_groups(ClientLeft()))


def test_a_truth_value_that_raises() -> None:
    class Unsure(ClientLeft):
        def __bool__(self) -> bool:
            raise ValueError

    assert speaks_of_leaving(cause(ValueError(), Unsure()))
