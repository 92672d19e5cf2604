"""Errors for malformed response fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from whorl.http.encoder import ResponseFieldEncoder
from whorl.wire.http1.writer import encode_field

TABLE = ResponseFieldEncoder(encode_field)
COLLECTS: list[Callable[[Any], object]] = [TABLE.encode_all, TABLE.encode_trailers]


@pytest.mark.parametrize("collect", COLLECTS)
@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ((b"x", bytearray(b"y")), "(b'x', bytearray)"),
        ([b"x", bytearray(b"y")], "(b'x', bytearray)"),
        ((bytearray(b"x"), b"y"), "(bytearray(b'x'), bytes)"),
        ((b"x", None), "(b'x', NoneType)"),
        ((None, b"y"), "(None, bytes)"),
        ((b"x", 1), "(b'x', int)"),
        ((b"x", "y"), "(b'x', str)"),
        ((b"x", [b"y"]), "(b'x', list)"),
        (None, "None"),
        (1, "1"),
        ((), "()"),
        ((b"x",), "(b'x',)"),
        ([b"x", b"y", b"z"], "(b'x', b'y', b'z')"),
    ],
)
def test_a_field_that_is_not_a_pair_of_bytes(collect: Callable[[Any], object], field: Any, shown: str) -> None:
    with pytest.raises(TypeError) as caught:
        collect([(b"a", b"b"), field])
    assert str(caught.value) == f"a response field is a pair of bytes, not {shown}"


@pytest.mark.parametrize("collect", COLLECTS)
def test_there_are_no_fields(collect: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError, match="the fields of a response are an iterable of pairs, not None"):
        collect(None)


@pytest.mark.parametrize("collect", COLLECTS)
def test_a_field_may_be_any_iterable(collect: Callable[[Any], object]) -> None:
    collect(iter([[b"a", b"b"], iter([b"a", b"b"])]))
