"""A loop that has been made: what it is, what it can do, and how to run on it.

What the user named may have one of four shapes: a function that returns a loop, a loop class, a function that returns
a loop class, or one that returns another function that makes the loop. `make_loop` finds out which by calling it, so
that exactly one loop is made: the one that serves. Which loop it is, is read from its class and not from what was
typed, because somebody may have wrapped it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeGuard

from whorl.errors import ConfigError
from whorl.loops.registry import ASYNCIO, KNOWN, UVLOOP, Feature, KnownLoop, one_line, version
from whorl.platform import HERE, Platform

__all__ = ["LoopInfo", "make_loop"]

MOST_HOPS = 2
"""A function may return a callable that makes the loop; a longer chain is a mistake."""

LOOP_METHODS = ("call_soon", "call_later", "create_server", "run_forever", "is_running", "is_closed", "close")
"""What makes a loop of an object that does not inherit from asyncio's abstract class: rsloop's does not."""

REMEDIES = {
    Feature.UNIX_SOCKETS: "use --host and --port, or",
}
"""What to do without the feature. The sentence goes on with a loop that has it."""


@dataclass(frozen=True, slots=True)
class LoopInfo:
    """A loop, not running yet unless it was somebody else's, and what is known of it.

    Args:
        loop: the loop itself.
        known: its row in the table of known loops, None for a stranger.
        reason: why this one: `auto`, `asked for`, or the words that named it.
        platform: where it runs.
    """

    loop: asyncio.AbstractEventLoop
    known: KnownLoop | None
    reason: str
    platform: Platform = HERE

    @classmethod
    def of(
        cls, loop: asyncio.AbstractEventLoop, reason: str = "already running", platform: Platform = HERE
    ) -> LoopInfo:
        """Recognises a loop by its class, or by the nearest base class that belongs to a known loop."""
        by_name = {known.name: known for known in KNOWN}
        # Every loop inherits from AbstractEventLoop, which says nothing about it.
        packages = (package_of(base) for base in type(loop).__mro__ if base is not asyncio.AbstractEventLoop)
        return cls(loop, next((by_name[name] for name in packages if name in by_name), None), reason, platform)

    @property
    def name(self) -> str:
        """`uvloop`; for a class of somebody else's, the module and the class."""
        kind = type(self.loop)
        if self.known is not None and package_of(kind) == self.known.name:
            return self.known.name
        return f"{kind.__module__}.{kind.__qualname__}"

    def can(self, feature: Feature) -> bool:
        """Returns: whether the loop has the feature. A stranger is believed to have them all."""
        lacking = ASYNCIO.lacking(self.platform) if self.known is None else self.known.lacking(self.platform)
        return feature not in lacking

    @property
    def takes_poller(self) -> bool:
        """Whether a poller of ours serves sockets at less cost than the loop does, and beside it.

        It does on asyncio's own loop and on uvloop, where there is epoll(7). A subclass is somebody's own, and what he
        changed is to take effect.
        """
        kind = type(self.loop)
        return self.platform.has_epoll and (kind is asyncio.SelectorEventLoop or package_of(kind) == UVLOOP.name)

    @property
    def is_woken_by_signals(self) -> bool:
        """Whether a signal ends what the loop waits in, so that its handler runs at once. A stranger is trusted."""
        return self.platform.signals_wake_loops and (self.known is None or self.known.wakes)

    def require(self, *features: Feature) -> None:
        """Raises ConfigError for the features that this loop lacks, one sentence for each."""
        refusals = [self._refusal(feature) for feature in features if not self.can(feature)]
        if refusals:
            raise ConfigError(*refusals)

    def _refusal(self, feature: Feature) -> str:
        if feature is Feature.UNIX_SOCKETS and not self.platform.has_unix_sockets:
            return f"loop {self.name} has no Unix sockets on Windows: use --host and --port"
        able = next(
            loop for loop in (UVLOOP, ASYNCIO) if feature not in loop.lacks and not loop.why_unsupported(self.platform)
        )
        return f"loop {self.name} has no {feature.value}: {REMEDIES.get(feature, 'use')} --loop {able.name}"

    def describe(self) -> str:
        """Returns: the phrase for the line that Whorl prints when it starts, such as `loop uvloop 0.23.0 (auto)`."""
        name = self.name
        if self.known is ASYNCIO and name == ASYNCIO.name:
            kind = type(self.loop).__name__.removeprefix("_Unix").removeprefix("_Windows")
            return f"loop asyncio {kind}, Python {self.platform.python_version} ({self.reason})"
        if self.known is None:
            return f"loop {name} ({self.reason})"
        base = self.known.name if name == self.known.name else f"{name} on {self.known.name}"
        return f"loop {base} {version(self.known, self.platform)} ({self.reason})"

    def runner(self) -> asyncio.Runner:
        """Returns: a runner that runs on this very loop and closes it at the end. To be entered once."""
        return asyncio.Runner(loop_factory=lambda: self.loop)


def package_of(kind: type) -> str:
    return kind.__module__.partition(".")[0]


def make_loop(named: object, spec: str) -> asyncio.AbstractEventLoop:
    """Calls what the user named until a loop comes out.

    Args:
        named: what stands at `spec`.
        spec: `<module>:<function>`, for the text of refusals.

    Raises:
        ConfigError: it is no callable, needs arguments, raises, or does not come to a loop that can be run.
    """
    if is_loop(named):
        raise ConfigError(
            f'loop "{spec}" is a loop already, and it cannot be made anew: name the function or class that makes it'
        )
    if not callable(named):
        raise ConfigError(f'loop "{spec}" is {a(named)}: name a function or a class that makes an event loop')
    made: object = named
    for _ in range(MOST_HOPS):
        if not callable(made):
            break
        made = call(made, spec)
        if is_loop(made):
            check_usable(made, spec)
            return made
    if inspect.iscoroutine(made):
        made.close()  # or Python warns that nobody awaited it
        raise ConfigError(
            f'loop "{spec}" is an async function: write a plain one, nothing can be awaited before there is a loop'
        )
    raise ConfigError(f'loop "{spec}" returned {a(made)}, not an event loop')


def is_loop(thing: object) -> TypeGuard[asyncio.AbstractEventLoop]:
    if isinstance(thing, asyncio.AbstractEventLoop):
        return True
    return not isinstance(thing, type) and all(callable(getattr(thing, name, None)) for name in LOOP_METHODS)


def call(factory: Callable[[], object], spec: str) -> object:
    try:
        inspect.signature(factory).bind()
    except TypeError as error:
        raise ConfigError(f'loop "{spec}" is called with no arguments, and it needs some: {error}') from None
    except ValueError:
        pass  # compiled code need not tell its signature
    try:
        return factory()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ConfigError(f'loop "{spec}" raised {one_line(error)}') from None


def check_usable(loop: asyncio.AbstractEventLoop, spec: str) -> None:
    try:
        state = "closed" if loop.is_closed() else "running" if loop.is_running() else None
    except NotImplementedError:
        raise ConfigError(
            f'loop "{spec}" returned {a(loop)}, which is not a whole event loop: it lacks is_closed() or is_running()'
        ) from None
    if state is not None:
        raise ConfigError(f'loop "{spec}" returned a loop that is {state} already: return a new one at each call')


def a(thing: object) -> str:
    """Returns: what kind of thing it is, with its article."""
    if thing is None:
        return "nothing"
    if isinstance(thing, type):
        return f"the class {thing.__name__}"
    name = type(thing).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
