"""The shape of the source: imports point downward, wire formats do no I/O, classes and functions stay small."""

from __future__ import annotations

import ast
import gc
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "whorl"
MODULES = sorted(SOURCE.rglob("*.py"))

SHARED = {"compiled", "errors", "platform", "version", "config", "loops", "observe"}
MAY_IMPORT = {  # layer -> what it may import of Whorl, besides itself
    "http": {"compiled"},
    "wire": {"compiled", "http"},
    "proxy": {"http"},
    "errors": set(),
    "platform": set(),
    "version": set(),
    "compiled": set(),
    "config": {"errors", "platform"},
    "loops": {"errors", "platform"},
    "observe": {"errors", "platform", "config"},
    "asgi": SHARED | {"http", "wire", "proxy"},
    "tls": {"errors", "platform", "config"},
    "net": SHARED,
    "connection": SHARED | {"http", "wire", "proxy", "asgi", "tls", "net"},
    "server": SHARED | {"http", "wire", "proxy", "asgi", "tls", "net", "connection"},
    "supervisor": SHARED | {"server"},
    "reload": SHARED | {"server", "supervisor"},
    "entry": SHARED | {"server", "supervisor", "reload"},  # `whorl.run` and the command line end there
    "cli": SHARED | {"http", "wire", "asgi", "tls", "connection", "server", "entry"},
    "workers": SHARED | {"server"},  # imported by Gunicorn
    "__main__": {"cli"},
    "__init__": SHARED | {"server", "asgi", "entry"},  # the public names
}
WIRE_RULES = {"wire", "proxy"}
NOT_FOR_WIRE_RULES = {"asyncio", "socket", "ssl", "logging", "time", "os", "select", "threading", "datetime"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
BRANCHES = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler)
MAX_PUBLIC_METHODS = 32
KNOWN_CYCLES: list[str] = []
MAX_BRANCHES = 15


def layer_of(path: Path) -> str:
    """The folder below `src/whorl`, or the name of a module that stands there by itself."""
    return path.relative_to(SOURCE).with_suffix("").parts[0]


def parse(path: Path) -> ast.Module:
    """The syntax tree of a module. No collection meanwhile: a finalizer that runs then makes CPython 3.11 count its own
    recursion wrongly (gh-106905)."""
    gc.disable()
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    finally:
        gc.enable()


def imported_modules(path: Path) -> set[str]:
    """The full names of all modules that a module imports, anywhere in it."""
    package = ("whorl", *path.relative_to(SOURCE).parent.parts)
    names: set[str] = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*above, *filter(None, (node.module,))))
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return names


def imported_layers(path: Path) -> set[str]:
    """The layers of Whorl that a module imports; `__init__` for a name of the package itself."""
    parts = [name.split(".") for name in imported_modules(path)]
    ours = {part[1] if len(part) > 1 else "__init__" for part in parts if part[0] == "whorl"}
    return {name if name in MAY_IMPORT or (SOURCE / name).is_dir() else "__init__" for name in ours}


def name_of(path: Path) -> str:
    return str(path.relative_to(SOURCE))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_downward(path: Path) -> None:
    layer = layer_of(path)
    assert layer in MAY_IMPORT, f"{layer} is no layer: say in MAY_IMPORT what it may import"
    above = imported_layers(path) - MAY_IMPORT[layer] - {layer}
    assert not above, f"{layer} must not import {', '.join(sorted(above))}"


@pytest.mark.parametrize("path", [path for path in MODULES if layer_of(path) in WIRE_RULES], ids=name_of)
def test_wire_rules_do_no_input_or_output_and_have_no_clock(path: Path) -> None:
    found = {name.split(".")[0] for name in imported_modules(path)} & NOT_FOR_WIRE_RULES
    assert not found, f"bytes and the time are arguments here: do not import {', '.join(sorted(found))}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_classes_and_functions_stay_small(path: Path) -> None:
    """Limits that files of any length keep: a limit of lines only makes more files."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.ClassDef):
            methods = [part.name for part in node.body if isinstance(part, FUNCTIONS) and part.name[0] != "_"]
            assert len(methods) <= MAX_PUBLIC_METHODS, f"{node.name} has {len(methods)} public methods: split it"
        elif isinstance(node, FUNCTIONS):
            branches = sum(isinstance(part, BRANCHES) for part in ast.walk(node))
            assert branches <= MAX_BRANCHES, f"{node.name} has {branches} branches: split it"


@pytest.mark.parametrize("path", [path for path in MODULES if layer_of(path) in {"asgi", "http"}], ids=name_of)
def test_no_version_of_http_above_its_connection(path: Path) -> None:
    found = {name for name in imported_modules(path) if name.startswith(("whorl.wire.http1", "whorl.wire.http2"))}
    assert not found, f"an exchange serves every version of HTTP: do not import {', '.join(sorted(found))}"


def test_modules_import_each_other_in_no_cycle() -> None:
    """Those under TYPE_CHECKING included: two files that need each other are one idea, or lack a seam."""
    modules = {".".join(("whorl", *path.relative_to(SOURCE).with_suffix("").parts)): path for path in MODULES}
    imports = {
        module: {name for full in imported_modules(path) for name in (full, full.rpartition(".")[0]) if name in modules}
        for module, path in modules.items()
    }
    while leaves := [module for module, names in imports.items() if not names - {module} & imports.keys()]:
        for module in leaves:
            del imports[module]
    assert sorted(imports) == KNOWN_CYCLES


def test_the_rule_sees_imports_of_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "wire" / "reader.py"
    module.parent.mkdir()
    (tmp_path / "server").mkdir()
    module.write_text(
        "import time\nimport whorl.asgi.scope\nfrom whorl import server\nfrom . import head\nfrom ..loops import x\n"
        "def late():\n    from whorl.cli.main import main\n    from whorl import run\n"
    )
    monkeypatch.setattr("tests.test_layers.SOURCE", tmp_path)
    assert imported_layers(module) == {"asgi", "server", "wire", "loops", "cli", "__init__"}
    assert "time" in imported_modules(module)
