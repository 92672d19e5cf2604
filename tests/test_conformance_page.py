"""The page about Autobahn tells of every group, also of those that were run another time, or on another machine."""

from __future__ import annotations

from conformance.autobahn import GROUPS, Index, summary


def all_ok(name: str) -> Index:
    cases = {f"1.1.{number}": {"behavior": "OK", "behaviorClose": "OK"} for number in range(GROUPS[name].cases)}
    return {"asyncio": cases}  # type: ignore[dict-item]


def test_lines_of_groups_that_were_not_run_stay() -> None:
    both = summary({name: (all_ok(name), f"run of {name}") for name in ("core", "deflate")}, ["asyncio"])
    assert "216 of 216: met" in both

    page = summary({"core": (all_ok("core"), "a later run")}, ["asyncio"], both)

    assert page == both.replace("run of core", "a later run")
    assert summary({"core": (all_ok("core"), "a later run")}, ["asyncio"], page) == page
