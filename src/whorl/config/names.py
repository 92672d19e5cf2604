"""What to say about a name that is not a setting: which one was probably meant.

It knows names, no values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

__all__ = ["nearest", "no_such_setting"]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like this one, or None if none does."""
    from difflib import get_close_matches  # here, because a start without mistakes has no use for it

    matches = get_close_matches(name, list(known), n=1)
    return matches[0] if matches else None


def no_such_setting(name: str, known: Iterable[str], written: str, spell: Callable[[str], str] = str) -> str:
    """A sentence for a name that is not a setting, with the one that was probably meant.

    Args:
        name: the name as a Python keyword.
        known: the names of all settings.
        written: the name as the user wrote it, with its place: "prot in whorl.toml".
        spell: how that place spells a name.
    """
    near = nearest(name, known)
    return f"{written} is not a setting" + (f": did you mean {spell(near)}?" if near else "")
