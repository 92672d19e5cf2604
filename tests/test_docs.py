"""The pages that people read: what they name is there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    page
    for folder in (".", "docs", "src", "tests", "conformance", "benchmarks", "examples")
    for page in (ROOT.glob("*.md") if folder == "." else (ROOT / folder).rglob("*.md"))
)


def named_tests() -> set[str]:
    """Every class and function of the suites, a method with its class before it as well as alone."""
    names: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                names.add(node.name)
                methods = [
                    entry.name for entry in node.body if isinstance(entry, ast.FunctionDef | ast.AsyncFunctionDef)
                ]
                names.update(methods, (f"{node.name}::{method}" for method in methods))
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                names.add(node.name)
    return names


def test_the_security_model_names_tests_that_exist() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:Test\w+(?:::)?)?(?:test_\w+)?)`", page)) - {""}
    assert len(named) > 50
    assert named - named_tests() == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if "://" not in target and not (page.parent / target).exists()] == []


def test_the_state_diagrams_are_those_of_the_code() -> None:
    subprocess.run([sys.executable, ROOT / "tools" / "state_diagrams.py", "--check"], check=True)
