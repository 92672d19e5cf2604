"""What to say about a name that is not a setting: which one was probably meant, or that Uvicorn's option is not here.

Called by `config` (Python keywords), `sources` (environment and file) and the command line. It knows names, no values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

__all__ = ["missing_option", "nearest", "no_such_setting"]

NOT_YET: Final = (  # Uvicorn's options for what this release does not do; "http2" stands for "http2_…", too
    "http2",
    "timeout_notify",
    "callback_notify",
)
NOT_NEEDED: Final = {  # Uvicorn's options that have no counterpart, and why
    "http": "Whorl has one HTTP parser",
    "h11_max_incomplete_event_size": "limit_request_line and limit_header_section bound a request's head",
    "reset_contextvars": "every request has a context of its own",
}
SWITCHES_NO_MORE: Final = {"proxy_headers": "--proxy-headers off"}  # Uvicorn's switches that are more than that here


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like this one, or None if none does."""
    from difflib import get_close_matches  # here, because a start without mistakes has no use for it

    matches = get_close_matches(name, list(known), n=1)
    return matches[0] if matches else None


def missing_option(name: str, written: str) -> str | None:
    """A sentence for an option that Uvicorn has and Whorl does not, or None for any other name.

    Args:
        name: the name as a Python keyword.
        written: the name as the user wrote it: "--workers".
    """
    if any(name == absent or name.startswith(absent + "_") for absent in NOT_YET):
        return f"{written} is an option of Uvicorn that this release of Whorl does not have: leave it out"
    if written.startswith("--no-") and name in SWITCHES_NO_MORE:
        return f"{written} is written {SWITCHES_NO_MORE[name]} here"
    if name in NOT_NEEDED:
        return f"{written} is an option of Uvicorn that Whorl does not need ({NOT_NEEDED[name]}): leave it out"
    return None


def no_such_setting(name: str, known: Iterable[str], written: str, spell: Callable[[str], str] = str) -> str:
    """A sentence for a name that is not a setting, with the one that was probably meant.

    Args:
        name: the name as a Python keyword.
        known: the names of all settings.
        written: the name as the user wrote it, with its place: "prot in whorl.toml".
        spell: how that place spells a name.
    """
    missing = missing_option(name, written)
    if missing is not None:
        return missing
    near = nearest(name, known)
    return f"{written} is not a setting" + (f": did you mean {spell(near)}?" if near else "")
