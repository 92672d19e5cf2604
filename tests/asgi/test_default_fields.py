"""Date is of the second in which a response is sent, whatever the clock does (RFC 9110 section 6.6.1)."""

from __future__ import annotations

import pytest

from whorl.http import default_fields as defaults
from whorl.http.default_fields import DefaultFields, http_date
from whorl.http.encoder import HAS_DATE
from whorl.wire.http1.writer import encode_field


@pytest.mark.parametrize(
    "times",
    [
        pytest.param([1000.0, 1000.999, 1001.0, 1001.5], id="into the next second"),
        pytest.param([1000.5, 5000.0, 1000.5, 999.999], id="set forward and back"),
        pytest.param([0.0, 0.5, 1.0], id="from the beginning of time"),
    ],
)
def test_the_date_is_of_the_second(times: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    fields = DefaultFields(encode_field, b"", True, ())
    for now in times:
        monkeypatch.setattr(defaults, "time", lambda now=now: now)
        assert fields.header_block(0) == b"date: %b\r\n\r\n" % http_date(int(now))
        assert fields.header_block(HAS_DATE) == b"\r\n"
