"""The frameworks that are served for real, and which of them this interpreter has. No tests in this file.

The tests of a framework that is not installed are skipped, and the header of the test run says so.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import pytest

FRAMEWORKS = ("starlette", "fastapi", "django", "litestar", "quart", "blacksheep")

NEEDED = {"starlette": ("starlette", "python-multipart"), "fastapi": ("fastapi", "python-multipart")}
"""Framework -> the packages that its application needs, where that is more than the framework."""


def missing(framework: str) -> list[str]:
    """The packages that a framework's application needs and this interpreter has not."""
    absent = []
    for package in NEEDED.get(framework, (framework,)):
        try:
            version(package)
        except PackageNotFoundError:
            absent.append(package)
    return absent


ABSENT = {
    name: f"is not served: {' and '.join(packages)} not installed (pip install 'whorl[frameworks]')"
    for name in FRAMEWORKS
    if (packages := missing(name))
}
"""Name -> why it is not tested here, as the end of a sentence that begins with the name."""


def framework_param(name: str, *more: object, marks: tuple[pytest.MarkDecorator, ...] = ()) -> object:
    """A test parameter that begins with a framework's name, skipped with the reason where it is absent."""
    if name in ABSENT:
        marks = (*marks, pytest.mark.skip(reason=f"{name} {ABSENT[name]}"))
    return pytest.param((name, *more), id="-".join(map(str, (name, *more))), marks=marks)
