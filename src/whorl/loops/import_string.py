"""`<module>:<function>`: what it names, looked up.

Every mistake that can be made in those words becomes one sentence with the remedy in it; no traceback of an import
reaches the user. What stands after the colon may be a dotted path, such as a method of a class.

No directory is added to `sys.path` here: whoever reads the command line puts `app_dir` first there before calling.

It calls nothing that it finds: that is for `made`.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from whorl.errors import ConfigError
from whorl.loops.registry import KNOWN, install_command, one_line, suggestion
from whorl.platform import Platform

__all__ = ["check_spec", "load"]


def check_spec(spec: str) -> None:
    """Raises ConfigError unless `spec` has the form `<module>:<function>`."""
    module, _, function = spec.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), *function.split("."))):
        hint = ": leave out the parentheses" if spec.endswith("()") else ""
        raise ConfigError(f'loop "{spec}" is not of the form <module>:<function>, such as rloop:new_event_loop{hint}')


def load(spec: str, platform: Platform) -> object:
    """Imports the module and looks the function up.

    Args:
        spec: `<module>:<function>`, well formed.
        platform: decides only how an absent loop is explained.

    Raises:
        ConfigError: the module is missing or does not import, or it has no such name.
    """
    module_name, _, path = spec.partition(":")
    found: object = import_module(module_name, spec, platform)
    owner = module_name
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise ConfigError(f'loop "{spec}": {owner} has no "{name}"{near_miss(name, found)}') from None
        except Exception as error:  # a lazy module imports on first access
            raise ConfigError(f'loop "{spec}": looking up "{name}" in {owner} raised {one_line(error)}') from None
        owner += f".{name}"
    return found


def near_miss(name: str, owner: object) -> str:
    from difflib import get_close_matches  # here, because a start without mistakes has no use for it

    nearest = get_close_matches(name, dir(owner), n=1)
    return f'; did you mean "{nearest[0]}"?' if nearest else ""


def import_module(name: str, spec: str, platform: Platform) -> ModuleType:
    try:
        return importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except ModuleNotFoundError as error:
        # "x.y.z" may fail at x, at x.y or at x.y.z; any other name is an import inside a module that exists.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise ConfigError(f'loop "{spec}": importing {name} raised {one_line(error)}') from None
        raise ConfigError(f'loop "{spec}": {why_missing(name, error.name, platform)}') from None
    except BaseException as error:  # SystemExit of a script without a main guard, or a panic of Rust code
        raise ConfigError(f'loop "{spec}": importing {name} raised {one_line(error)}') from None


def why_missing(name: str, missing: str, platform: Platform) -> str:
    known = next((known for known in KNOWN if known.name == missing), None)
    if known is not None:
        unsupported = known.why_unsupported(platform)
        return f"{missing} {unsupported}" if unsupported else f"{missing} is not installed: {install_command(known)}"
    nearest = suggestion(name)
    if nearest is not None:
        return f'there is no module "{missing}"; did you mean {nearest}?'
    return f'there is no module "{missing}"; check its spelling, and that --app-dir is where it lies'
