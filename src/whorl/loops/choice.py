"""Which loop: from the words after `--loop` to a factory.

`resolve` decides, and imports nothing of the user's; the choice that it returns is plain data and can be handed to
another process. `LoopChoice.make` imports, makes the one loop that will serve, and checks it, all before anything is
bound. No event loop policy is ever set or read.

    choice = resolve("auto")
    made = choice.make(Feature.UNIX_SOCKETS)
    with made.runner() as runner:
        runner.run(main())
"""

from __future__ import annotations

from dataclasses import dataclass

from whorl.errors import ConfigError
from whorl.loops.import_string import check_spec, load
from whorl.loops.loop_info import LoopInfo, make_loop
from whorl.loops.registry import KNOWN, NAMES, UVLOOP, Feature, install_command, suggestion, why_absent
from whorl.platform import HERE, Platform

__all__ = ["LoopChoice", "resolve"]


UVLOOP_SPEC = "uvloop:new_event_loop"


@dataclass(frozen=True, slots=True)
class LoopChoice:
    """A loop that has been decided on and not yet made.

    Args:
        asked: the user's own words.
        spec: what makes it, as `<module>:<function>`.
        reason: why this one, as the start-up line says it.
        platform: where it is to run.
    """

    asked: str
    spec: str
    reason: str
    platform: Platform = HERE

    def make(self, *needs: Feature) -> LoopInfo:
        """Makes the loop.

        Args:
            needs: the features that the configuration asks for; a loop that lacks one is closed and refused.

        Returns:
            a new loop, neither running nor closed. Whoever calls this closes it, most simply by `LoopInfo.runner`.

        Raises:
            ConfigError: what was named cannot be found, is not something that makes a loop, or lacks what is needed.
        """
        made = LoopInfo.of(make_loop(load(self.spec, self.platform), self.spec), self.reason, self.platform)
        try:
            made.require(*needs)
        except ConfigError:
            made.loop.close()
            raise
        return made


def resolve(name: str, platform: Platform = HERE) -> LoopChoice:
    """Decides what a name stands for.

    Args:
        name: `auto`, `asyncio`, `uvloop` or `<module>:<function>`. The module is looked for on `sys.path`, so whoever
            reads the command line puts `app_dir` first there.
        platform: where the loop is to run.

    Raises:
        ConfigError: the name is unknown or malformed, or it is `uvloop` and that is not to be had here.
    """
    match name:
        case "auto":
            absent = why_absent(UVLOOP, platform)
            if absent is None:
                return LoopChoice(name, UVLOOP_SPEC, "auto", platform)
            return LoopChoice(name, platform.asyncio_loop, f"auto: uvloop {absent}", platform)
        case "asyncio":
            return LoopChoice(name, platform.asyncio_loop, "asked for", platform)
        case "uvloop":
            absent = why_absent(UVLOOP, platform)
            if absent is None:
                return LoopChoice(name, UVLOOP_SPEC, "asked for", platform)
            raise ConfigError(f"loop uvloop {absent}: {uvloop_remedy(platform)}")
    if ":" not in name:
        raise ConfigError(f'loop "{name}" is not known: {unknown_remedy(name)}')
    check_spec(name)
    return LoopChoice(name, name, name, platform)


def uvloop_remedy(platform: Platform) -> str:
    if platform.is_windows:
        return "use --loop auto, or --loop winloop:new_event_loop"
    if UVLOOP.why_unsupported(platform):
        return "use --loop auto"
    return f"{install_command(UVLOOP)}, or use --loop auto"


def unknown_remedy(name: str) -> str:
    known = next((known for known in KNOWN if known.name == name), None)
    if known is not None:
        return f"write {known.typed}"
    nearest = suggestion(name)
    if nearest is not None:
        return f"did you mean {nearest}?"
    return f"write {', '.join(NAMES)} or <module>:<function>"
