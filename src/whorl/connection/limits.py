"""The settings that a connection keeps to. Their defaults and units stand in `whorl.config`, and only there."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import inf
from typing import Any, Self

from whorl.config import Config

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Settings by their names (docs/settings.md). A deadline that is turned off is infinite."""

    limit_concurrency: int | None
    limit_request_line: int
    limit_header_section: int
    limit_header_fields: int
    limit_body_size: int | None
    limit_body_drain: int
    limit_linger: int
    limit_pipeline: int
    buffer_response_high: int
    buffer_response_low: int
    timeout_tls_handshake: float
    timeout_first_byte: float
    timeout_request_head: float
    timeout_request_body: float
    timeout_response: float
    timeout_keep_alive: float
    timeout_linger: float
    ws_ping_interval: float
    ws_ping_timeout: float

    @classmethod
    def of(cls, config: Config) -> Self:
        """Take the settings from a configuration."""
        values: dict[str, Any] = {}
        for field in fields(cls):
            value = getattr(config, field.name)
            values[field.name] = inf if value is None and field.name.startswith(("timeout_", "ws_ping_")) else value
        return cls(**values)
