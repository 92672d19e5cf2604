"""Writes the state diagrams of ARCHITECTURE.md from the tables in the code: `python tools/state_diagrams.py [--check]`.

A diagram stands between `<!-- states: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from whorl.asgi.exchange import Exchange
from whorl.asgi.states import ABORTED, COMPLETE, SENDING, STARTED, TRAILERS, ResponseState
from whorl.asgi.websocket import CLOSE_TRANSITIONS, CloseState
from whorl.connection.http1_state import CLOSED, LINGERING, TRANSITIONS

PAGE = Path(__file__).parents[1] / "ARCHITECTURE.md"
PLACE = re.compile(r"(<!-- states: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

# Where each message may lead. `Exchange.handlers` says which states take it.
LEADS_TO = {
    "http.response.start": (STARTED,),
    "http.response.body": (SENDING, TRAILERS, COMPLETE),
    "http.response.pathsend": (SENDING, TRAILERS, COMPLETE),
    "http.response.trailers": (TRAILERS, COMPLETE),
}


def connection() -> Iterator[str]:
    """Every transition but those to the end, which each phase has."""
    yield "[*] --> NEW"
    for phase, following in TRANSITIONS.items():
        for new in following:
            if new < LINGERING:
                yield f"{phase.name} --> {new.name}"
    for phase in (LINGERING, *TRANSITIONS[LINGERING][:-1]):
        for new in TRANSITIONS[phase]:
            yield f"{phase.name} --> {new.name}"
    yield f"{CLOSED.name} --> [*]"
    yield "note right of LINGERING: any phase before may lead to LINGERING, CLOSING or CLOSED"


def exchange() -> Iterator[str]:
    yield f"[*] --> {ResponseState(0).name}"
    for state, handlers in zip(ResponseState, Exchange.handlers, strict=True):
        for message in handlers:
            for new in LEADS_TO.get(message, ()):
                if new >= state:
                    yield f"{state.name} --> {new.name}: {message.removeprefix('http.response.')}"
    for state in (COMPLETE, ABORTED):
        yield f"{state.name} --> [*]"


def websocket_close() -> Iterator[str]:
    yield f"[*] --> {CloseState(0).name}"
    for state, following in CLOSE_TRANSITIONS.items():
        for new in following:
            yield f"{state.name} --> {new.name}"
        if not following:
            yield f"{state.name} --> [*]"


def diagram(lines: Iterable[str]) -> str:
    return "\n".join(["```mermaid", "stateDiagram-v2", *(f"    {line}" for line in lines), "```", ""])


def rendered(page: str) -> str:
    """The page, with its diagrams as the tables have them."""
    diagrams = {"connection": connection, "exchange": exchange, "websocket_close": websocket_close}
    return PLACE.sub(lambda place: f"{place[1]}{diagram(diagrams[place[2]]())}{place[3]}", page)


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    new = rendered(page)
    if "--check" not in sys.argv:
        PAGE.write_text(new, encoding="utf-8")
    elif new != page:
        sys.exit("ARCHITECTURE.md: the state diagrams are not those of the code: run python tools/state_diagrams.py")


if __name__ == "__main__":
    main()
