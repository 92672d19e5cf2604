"""Counts the steps of Whorl's own source, so that a test can tell linear work from quadratic without a clock.

`load` executes a module's source with every call, slice, comparison, sum and loop replaced by one that counts: a loop
costs one step for each item, `bytes.find` one for each byte that it passes, a slice one for each byte that it copies.
A pattern is taken through its parse tree by a backtracking matcher that counts each character it tries. Functions of
the standard library are taken to be linear in their arguments, `int` of decimal digits to be quadratic.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import operator
import re
import re._constants as ops  # type: ignore[import-untyped]
import re._parser as parser  # type: ignore[import-untyped]
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.harness import ROOT

SOURCE = ROOT / "src"
ONE_CHARACTER = (ops.LITERAL, ops.NOT_LITERAL, ops.IN, ops.ANY)
COUNTER_NAME = "__steps__"
SEQUENCES = (bytes, bytearray, memoryview, str, list, tuple)

# What looks at no more than one item, however long its arguments are.
FREE = {len, isinstance, type, range, slice, iter, next, memoryview, getattr, zip, enumerate, map, super, print}


def size(value: object) -> int:
    return len(value) if isinstance(value, SEQUENCES) else 1


class Steps:
    """The counter of some modules.

    Args:
        names: the modules whose source is executed with counting; their imports of one another as well.

    Attributes:
        count: the steps so far.
        patterns: the patterns that these modules have compiled, by their text.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = set(names)
        self.modules: dict[str, types.ModuleType] = {}
        self.count = 0
        self.patterns: dict[str | bytes, CountedPattern] = {}

    def of(self, act: Callable[[], object]) -> int:
        """How many steps this takes, whether it returns or raises."""
        before = self.count
        try:
            act()
        except Exception as error:
            if not type(error).__module__.startswith("whorl."):
                raise
        return self.count - before

    def load(self, name: str) -> types.ModuleType:
        """The module, counting."""
        found = self.modules.get(name)
        if found is not None:
            return found
        importlib.import_module(name)  # dataclasses look for it
        path = SOURCE / (name.replace(".", "/") + ".py")
        tree = ast.fix_missing_locations(Instrument().visit(ast.parse(path.read_text())))
        module = self.modules[name] = types.ModuleType(name)
        module.__dict__[COUNTER_NAME] = self
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": self._import}
        exec(compile(tree, path, "exec"), module.__dict__)
        return module

    def _import(self, name: str, *more: Any) -> types.ModuleType:
        return self.load(name) if name in self.names else builtins.__import__(name, *more)

    # What the source is made to call

    def one(self) -> None:
        self.count += 1

    def each(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self.count += 1
            yield item

    def made(self, value: Any) -> Any:
        self.count += size(value)
        return value

    def added(self, target: Any, value: Any) -> Any:
        result = operator.iadd(target, value)
        self.count += size(value if isinstance(target, list) else result)
        return result

    def within(self, item: Any, container: Any) -> bool:
        self.count += size(container)
        return item in container

    def equal(self, one: Any, other: Any) -> bool:
        self.count += min(size(one), size(other))
        return bool(one == other)

    def call(self, function: Any, *args: Any, **more: Any) -> Any:
        self.count += 1
        if function in (int, builtins.int) and args and isinstance(args[0], (bytes, str)):
            self.count += len(args[0]) ** (2 if len(args) == 1 else 1)
        elif not self._counts_itself(function) and function not in FREE:
            self.count += sum(map(size, args))
        return function(*args, **more)

    def method(self, value: Any, name: str, *args: Any, **more: Any) -> Any:
        if value is re and name == "compile":
            pattern = re.compile(*args, **more)
            return self.patterns.setdefault(pattern.pattern, CountedPattern(self, pattern))
        function = getattr(value, name)
        result = function(*args, **more)
        self.count += 1
        if isinstance(value, (bytes, bytearray, str)):
            self.count += self._text_steps(value, name, args, result)
        elif isinstance(value, list) and name != "append":
            self.count += len(value) + sum(map(size, args))
        elif not isinstance(value, (dict, set, frozenset)) and not self._counts_itself(function):
            self.count += sum(map(size, args))
        return result

    def _counts_itself(self, function: Any) -> bool:
        if isinstance(function, type):
            return function.__module__ in self.names
        if isinstance(getattr(function, "__self__", None), CountedPattern):
            return True
        function = getattr(function, "__func__", function)
        return isinstance(function, types.FunctionType) and COUNTER_NAME in function.__globals__

    def _text_steps(self, text: bytes | str, name: str, args: tuple[Any, ...], result: Any) -> int:
        if name in ("find", "rfind", "index", "rindex"):
            start, end, _ = slice(*([*args[1:], None, None][:2])).indices(len(text))
            if result < 0:
                return max(0, end - start)
            return int(result - start if name in ("find", "index") else end - result)
        if name in ("startswith", "endswith"):
            return sum(map(len, args[0])) if isinstance(args[0], tuple) else len(args[0])
        return len(result) if name == "join" else len(text)


class Instrument(ast.NodeTransformer):
    """Has everything that may take more than a step go through the counter."""

    def _ask(self, name: str, *args: ast.expr, keywords: Iterable[ast.keyword] = ()) -> ast.Call:
        function = ast.Attribute(ast.Name(COUNTER_NAME, ast.Load()), name, ast.Load())
        return ast.Call(function, list(args), list(keywords))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute):
            name = ast.Constant(node.func.attr)
            return self._ask("method", node.func.value, name, *node.args, keywords=node.keywords)
        if isinstance(node.func, ast.Name) and node.func.id == "super":
            return node
        return self._ask("call", node.func, *node.args, keywords=node.keywords)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        is_copy = isinstance(node.slice, ast.Slice) and isinstance(node.ctx, ast.Load)
        return self._ask("made", node) if is_copy else node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        return self._ask("made", node) if isinstance(node.op, (ast.Add, ast.Mod, ast.Mult)) else node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        self.generic_visit(node)
        if isinstance(node.op, ast.Add) and isinstance(node.target, ast.Name):
            return ast.Assign([node.target], self._ask("added", ast.Name(node.target.id, ast.Load()), node.value))
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        if len(node.ops) > 1:
            return node
        names = {ast.In: "within", ast.NotIn: "within", ast.Eq: "equal", ast.NotEq: "equal"}
        name = names.get(type(node.ops[0]))
        if name is None:
            return node
        asked = self._ask(name, node.left, node.comparators[0])
        return ast.UnaryOp(ast.Not(), asked) if isinstance(node.ops[0], (ast.NotIn, ast.NotEq)) else asked

    def visit_List(self, node: ast.List) -> ast.expr:
        self.generic_visit(node)
        has_starred = any(isinstance(element, ast.Starred) for element in node.elts)
        return self._ask("made", node) if has_starred and isinstance(node.ctx, ast.Load) else node

    def visit_For(self, node: ast.For) -> ast.stmt:
        self.generic_visit(node)
        node.iter = self._ask("each", node.iter)
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.comprehension:
        self.generic_visit(node)
        node.iter = self._ask("each", node.iter)
        return node

    def visit_While(self, node: ast.While) -> ast.stmt:
        self.generic_visit(node)
        node.body.insert(0, ast.Expr(self._ask("one")))
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        if node.value is not None:
            node.value = self.visit(node.value)
        return node


class CountedPattern:
    """A compiled pattern that counts, and finds what `re` finds."""

    def __init__(self, steps: Steps, pattern: re.Pattern[Any]) -> None:
        self.steps = steps
        self.pattern = pattern
        self.tree = list(parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG))
        self.used = False

    def match(self, text: Any, at: int = 0) -> Any:
        return self._checked(self.pattern.match(text, at), next(self._ends(text, at), -1))

    def fullmatch(self, text: Any, at: int = 0) -> Any:
        found = any(end == len(text) for end in self._ends(text, at))
        return self._checked(self.pattern.fullmatch(text, at), len(text) if found else -1)

    def findall(self, text: Any) -> Any:
        self._search(text)
        return self.pattern.findall(text)

    def sub(self, replacement: Any, text: Any) -> Any:
        self._search(text)
        return self.pattern.sub(replacement, text)

    def _search(self, text: Any) -> None:
        at = 0
        while at <= len(text):
            end = next(self._ends(text, at), -1)
            at = end if end > at else at + 1

    def _checked(self, match: Any, end: int) -> Any:
        assert (match.end() if match else -1) == end, "the counting matcher and re disagree"
        return match

    def _ends(self, text: Any, at: int) -> Iterator[int]:
        self.used = True
        codes = list(text if isinstance(text, bytes) else map(ord, text))
        return self._sequence(self.tree, 0, codes, at)

    def _sequence(self, items: Any, index: int, codes: list[int], at: int) -> Iterator[int]:
        if index == len(items):
            yield at
            return
        for end in self._item(*items[index], codes, at):
            yield from self._sequence(items, index + 1, codes, end)

    def _item(self, op: Any, av: Any, codes: list[int], at: int) -> Iterator[int]:
        self.steps.count += 1
        if op in ONE_CHARACTER:
            if at < len(codes) and fits(op, av, codes[at]):
                yield at + 1
        elif op is ops.AT:
            assert av is ops.AT_END_STRING, av
            if at == len(codes):
                yield at
        elif op is ops.SUBPATTERN:
            yield from self._sequence(av[3], 0, codes, at)
        elif op is ops.BRANCH:
            for branch in av[1]:
                yield from self._sequence(branch, 0, codes, at)
        elif op in (ops.MAX_REPEAT, ops.POSSESSIVE_REPEAT):
            least, most, inner = av
            ends = self._repeat(least, most, inner, codes, at, 0)
            if op is ops.MAX_REPEAT:
                yield from ends
            else:
                yield from [end for end in [next(ends, -1)] if end >= 0]
        else:
            raise NotImplementedError(op)

    def _repeat(self, least: int, most: Any, inner: Any, codes: list[int], at: int, done: int) -> Iterator[int]:
        if len(inner) == 1 and inner[0][0] in ONE_CHARACTER:
            start = at
            while (most is ops.MAXREPEAT or at - start < most) and at < len(codes) and fits(*inner[0], codes[at]):
                self.steps.count += 1
                at += 1
            for end in range(at, start + least - 1, -1):
                self.steps.count += 1
                yield end
            return
        if most is ops.MAXREPEAT or done < most:
            for end in self._sequence(inner, 0, codes, at):
                if end > at:
                    yield from self._repeat(least, most, inner, codes, end, done + 1)
        if done >= least:
            yield at


def fits(op: Any, av: Any, code: int) -> bool:
    """Whether a character is what one item of a pattern takes."""
    if op is ops.ANY:
        return True  # all patterns here that have a dot have DOTALL
    if op is ops.LITERAL:
        return bool(code == av)
    if op is ops.NOT_LITERAL:
        return bool(code != av)
    if op is ops.RANGE:
        return bool(av[0] <= code <= av[1])
    assert op is ops.IN, op
    negated = av[0][0] is ops.NEGATE
    return any(fits(*item, code) for item in av[negated:]) is not negated
