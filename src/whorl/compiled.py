"""The modules that may be compiled by mypyc, and which of them are.

What runs for every request is plain enough for mypyc: where there is a C compiler, the build makes extensions of these
modules, of the same source. Nothing else of Whorl knows whether they are, but a class of theirs that has a subclass
elsewhere says so (`mypyc_attr`). Read by the command line (`--version`) and, as a file, by the build
(`tools/build_hook.py`). It must import nothing of Whorl.
"""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr
else:

    def mypyc_attr(**attributes):
        """What mypyc reads, and nobody else does: no package is needed for it."""
        return lambda kind: kind


__all__ = ["HOT_MODULES", "compiled_modules", "mypyc_attr"]

HOT_MODULES: Final = (
    "whorl.asgi.defaults",
    "whorl.asgi.exchange",
    "whorl.asgi.fields",
    "whorl.asgi.framing",
    "whorl.asgi.scope",
    "whorl.asgi.service",
    "whorl.asgi.states",
    "whorl.http1.chunks",
    "whorl.http1.fields",
    "whorl.http1.grammar",
    "whorl.http1.head",
    "whorl.http1.reader",
    "whorl.http1.refusal",
    "whorl.http1.writer",
    "whorl.transport.connection",
    "whorl.transport.ending",
    "whorl.transport.output",
    "whorl.transport.peer",
    "whorl.transport.phase",
    "whorl.transport.poller",
    "whorl.transport.records",
    "whorl.transport.shared",
    "whorl.transport.tls",
    "whorl.transport.turn",
    "whorl.transport.wire",
)


def compiled_modules() -> list[str]:
    """Which of the modules this process would take in compiled form."""
    compiled = []
    for name in HOT_MODULES:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None and spec.origin.endswith(tuple(EXTENSION_SUFFIXES)):
            compiled.append(name)
    return compiled
