"""The modules that may be compiled by mypyc, and which of them are.

What runs for every request is plain enough for mypyc: where there is a C compiler, the build makes extensions of these
modules, of the same source. Nothing else of Whorl knows whether they are, but a class of theirs that has a subclass
elsewhere says so (`mypyc_attr`).
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
    "whorl.asgi.app_context",
    "whorl.asgi.exchange",
    "whorl.asgi.scope",
    "whorl.asgi.states",
    "whorl.connection.admission",
    "whorl.connection.context",
    "whorl.connection.http1",
    "whorl.connection.http1_state",
    "whorl.connection.limits",
    "whorl.connection.tls_transport",
    "whorl.http.default_fields",
    "whorl.http.encoder",
    "whorl.http.error",
    "whorl.http.framing",
    "whorl.http.grammar",
    "whorl.http.request",
    "whorl.net.epoll",
    "whorl.net.epoll_transport",
    "whorl.net.io_batch",
    "whorl.net.tls_records",
    "whorl.net.write_buffer",
    "whorl.wire.http1.chunks",
    "whorl.wire.http1.fields",
    "whorl.wire.http1.head",
    "whorl.wire.http1.reader",
    "whorl.wire.http1.writer",
)


def compiled_modules() -> list[str]:
    """Which of the modules this process would take in compiled form."""
    compiled = []
    for name in HOT_MODULES:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None and spec.origin.endswith(tuple(EXTENSION_SUFFIXES)):
            compiled.append(name)
    return compiled
