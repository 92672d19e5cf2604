"""Compile the hot modules while the wheel is built, where WHORL_COMPILE=1 asks for it (hatchling's custom build hook).

Without it nothing happens here, and the wheel is pure Python. With it, a module that cannot be compiled is an error: a
build that was to be fast is never silently slow. The names of the modules stand in `whorl.compiled`.
"""

from __future__ import annotations

import os
import runpy
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

REQUIREMENTS = ["mypy[mypyc]>=1.18", "setuptools>=75"]


def is_wanted() -> bool:
    """Whether the environment asks for compiled modules."""
    return os.environ.get("WHORL_COMPILE", "0") not in ("", "0")


class CompileHook(BuildHookInterface[Any]):
    """Adds the extensions to a wheel."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What the build needs beside hatchling."""
        return REQUIREMENTS if is_wanted() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and tell hatchling what to put into the wheel."""
        if not is_wanted() or self.target_name != "wheel":
            return
        if version == "editable":
            raise SystemExit("WHORL_COMPILE=1 is for a wheel: an editable install runs what it can edit")
        self._folder = Path(tempfile.mkdtemp(prefix="whorl-compiled-"))
        source = self._folder / "src"
        shutil.copytree(Path(self.root, "src"), source, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        modules = runpy.run_path(str(source / "whorl" / "compiled.py"))["HOT_MODULES"]
        for extension in compile_modules(source, modules):
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
