"""What the user asked for: `Config`, with every setting described once.

See README.md in this folder. `sources.assemble` makes one out of command line, environment and file; `describe` makes
the documentation.
"""

from __future__ import annotations

from whorl.config.config import SETTINGS, Config
from whorl.config.files import load_env_file
from whorl.config.setting import Setting

__all__ = ["SETTINGS", "Config", "Setting", "load_env_file"]
