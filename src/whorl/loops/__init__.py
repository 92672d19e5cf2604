"""Name -> event loop: what is installed, what `auto` picks and why. See README.md beside this file."""

from __future__ import annotations

from whorl.loops.choice import LoopChoice, resolve
from whorl.loops.loop_info import LoopInfo
from whorl.loops.registry import Feature

__all__ = ["Feature", "LoopChoice", "LoopInfo", "resolve"]
