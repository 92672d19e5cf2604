"""Compile the hot modules while the wheel is built (hatchling's custom build hook).

| WHORL_COMPILE | what happens |
|---|---|
| `1` | they are compiled, and one that cannot be is an error: a build that was to be fast is never silently slow |
| `0` | they are not: the wheel is pure Python, and runs everywhere |
| nothing | they are where that is tested and possible: CPython with its lock, on Linux, with a C compiler |

An editable install runs what it can edit, and is never compiled. The names of the modules stand in `whorl.compiled`;
`whorl --version` says which of them are.
"""

from __future__ import annotations

import os
import runpy
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

REQUIREMENTS = ["mypy[mypyc]>=1.18", "setuptools>=75"]


def wish() -> bool | None:
    """What the environment asks for: compiled modules, none, or None where it does not say."""
    word = os.environ.get("WHORL_COMPILE", "")
    return None if not word else word != "0"


def is_possible() -> bool:
    """Whether it is worth a try where nobody asked for it."""
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    return (
        sys.platform == "linux"
        and sys.implementation.name == "cpython"
        and not sysconfig.get_config_var("Py_GIL_DISABLED")
        and Path(sysconfig.get_path("include"), "Python.h").is_file()
        and shutil.which(compiler) is not None
    )


def is_to_compile() -> bool:
    """Whether compiling is to be tried."""
    wanted = wish()
    return is_possible() if wanted is None else wanted


class CompileHook(BuildHookInterface[Any]):
    """Adds the extensions to a wheel."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What the build needs beside hatchling."""
        return REQUIREMENTS if is_to_compile() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and tell hatchling what to put into the wheel."""
        if self.target_name != "wheel" or not is_to_compile():
            return
        if version == "editable":
            if wish():
                raise SystemExit("WHORL_COMPILE=1 is for a wheel: an editable install runs what it can edit")
            return
        self._folder = Path(tempfile.mkdtemp(prefix="whorl-compiled-"))
        source = self._folder / "src"
        shutil.copytree(Path(self.root, "src"), source, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        modules = runpy.run_path(str(source / "whorl" / "compiled.py"))["HOT_MODULES"]
        try:
            extensions = compile_modules(source, modules)
        except (Exception, SystemExit) as error:
            if wish():
                raise
            self.app.display_warning(f"The modules could not be compiled, so this is pure Python: {error}")
            return
        for extension in extensions:
            build_data["force_include"][str(extension)] = str(extension.relative_to(source))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Throw away what was built on the way."""
        folder = getattr(self, "_folder", None)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def compile_modules(source: Path, modules: tuple[str, ...]) -> list[Path]:
    """Compile modules in place.

    Args:
        source: the folder that holds the package.
        modules: their names.

    Returns:
        The extensions, mypyc's common one among them.
    """
    from mypyc.build import mypycify
    from setuptools import setup

    before = Path.cwd()
    sys.path.insert(0, str(source))
    os.chdir(source)
    try:
        paths = [f"{name.replace('.', '/')}.py" for name in modules]
        extensions = mypycify(
            ["--strict", "--ignore-missing-imports", "--follow-imports=silent", *paths], opt_level="3"
        )
        setup(name="whorl", packages=[], ext_modules=extensions, script_args=["--quiet", "build_ext", "--inplace"])
    finally:
        os.chdir(before)
        sys.path.remove(str(source))
    built = sorted(source.rglob("*.so")) + sorted(source.rglob("*.pyd"))
    if len(built) <= len(modules):
        raise SystemExit(f"only {len(built)} extensions came out of {len(modules)} modules")
    return built
