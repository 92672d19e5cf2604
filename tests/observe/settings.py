"""The part of a configuration that `whorl.observe` reads. No tests in this file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Settings:
    log_level: str = "info"
    log_config: str | Path | Mapping[str, Any] | None = None
    use_colors: bool | None = None
    access_log: bool = True
