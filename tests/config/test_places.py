"""`bind`: how places are written, read, shown and refused."""

from __future__ import annotations

import pytest

from whorl import Config, ConfigError
from whorl.config.places import DescriptorPlace, Place, Places, TcpPlace, UnixPlace

KIND = Places()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("127.0.0.1:8000", TcpPlace("127.0.0.1", 8000)),
        ("localhost:0", TcpPlace("localhost", 0)),
        ("tcp://localhost:80", TcpPlace("localhost", 80)),
        ("[::]:65535", TcpPlace("::", 65535)),
        (":8000", TcpPlace("", 8000)),
        ("*:8000", TcpPlace("", 8000)),
        ("8000", TcpPlace("127.0.0.1", 8000)),
        ("unix:/run/app.sock", UnixPlace("/run/app.sock", 0o666)),
        ("unix:app.sock?mode=0660", UnixPlace("app.sock", 0o660)),
        ("unix:///run/app.sock?mode=600", UnixPlace("/run/app.sock", 0o600)),
        ("fd://3", DescriptorPlace(3)),
        ("fd:3", DescriptorPlace(3)),
    ],
)
def test_a_place_is_read_and_shown_again(text: str, place: Place) -> None:
    (read,) = KIND.read([text])
    assert read == place
    assert KIND.read(KIND.show((read,))) == (place,)


@pytest.mark.parametrize(
    "text",
    [
        *("", "host", "host:", ":", ":x", "65536", "-1", "host:65536", "host:-1", "::1:80", "[::1]", "http://host:80"),
        *("unix:", "unix:/a?x=1", "unix:/a?mode=9", "fd://", "fd:x"),
    ],
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        KIND.read([text])


def test_one_text_may_hold_several() -> None:
    assert KIND.read("127.0.0.1:1, [::1]:1\nunix:/x") == KIND.read(["127.0.0.1:1", "[::1]:1", "unix:/x"])


@pytest.mark.parametrize("both", [["a:1", "a:1"], ["0.0.0.0:1", "[::]:1"], ["unix:/a", "unix:/a"]])
def test_the_same_place_twice_is_refused(both: list[str]) -> None:
    with pytest.raises(ValueError, match="names"):
        KIND.read(both)


def test_two_free_ports_are_not_the_same_place() -> None:
    assert len(KIND.read("127.0.0.1:0 127.0.0.1:0")) == 2


@pytest.mark.parametrize("other", [{"host": "::1"}, {"port": 1}, {"uds": "x"}, {"fd": 3}])
def test_bind_has_no_other_place_beside_it(other: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="bind says everywhere to listen"):
        Config(None, bind="127.0.0.1:8000", **other)


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({}, TcpPlace("127.0.0.1", 8000)),
        ({"host": "::", "port": 1}, TcpPlace("::", 1)),
        ({"host": None, "port": 1}, TcpPlace("", 1)),
        ({"host": "*"}, TcpPlace("", 8000)),
        ({"uds": "x", "uds_mode": 0o600}, UnixPlace("x", 0o600)),
        ({"fd": 3}, DescriptorPlace(3)),
        ({"bind": "fd://4"}, DescriptorPlace(4)),
    ],
)
def test_every_way_of_writing_comes_to_places(options: dict[str, object], place: Place) -> None:
    assert Config(None, **options).places == (place,)
