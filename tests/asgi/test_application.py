"""Loading an application: import strings, factories, interfaces, and every mistake."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from whorl.asgi.application import Application, load
from whorl.errors import StartError

Channel = Callable[..., Awaitable[Any]]
Scope = dict[str, Any]

MAIN = """
from nothing_but_names import *

async def app(scope, receive, send): ...
class inside:
    class deeper:
        app = app
number = 3
def create_app(): return app
async def create_app_async(): return app
def needs_settings(settings, more): ...
def returns_nothing(): ...
def returns_factory(): return create_app
def fails(): raise LookupError("no settings")
def __getattr__(name):
    if name == "explodes": raise LookupError("looked up")
    raise AttributeError(name)
"""


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A directory of modules to import, and an interpreter that forgets them afterwards."""
    (tmp_path / "nothing_but_names.py").write_text("")
    (tmp_path / "whorl_main.py").write_text(MAIN)
    (tmp_path / "whorl_package").mkdir()
    (tmp_path / "whorl_package" / "__init__.py").write_text("")
    (tmp_path / "whorl_package" / "service.py").write_text("async def app(scope, receive, send): ...\n")
    modules, path = set(sys.modules), sys.path[:]
    yield tmp_path
    for name in set(sys.modules) - modules:
        if name.startswith(("whorl_", "nothing_but")) or name in ("broken", "itself"):
            del sys.modules[name]
    sys.path[:] = path


def find(target: object, directory: Path | str = "", factory: bool = False, interface: Any = "auto") -> Application:
    return asyncio.run(load(target, factory=factory, app_dir=str(directory), interface=interface))


def refusal(target: object, directory: Path | str = "", factory: bool = False, interface: Any = "auto") -> str:
    with pytest.raises(StartError) as caught:
        find(target, directory, factory, interface)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestImportString:
    @pytest.mark.parametrize("target", ["whorl_main:app", "whorl_main:inside.deeper.app", "whorl_package.service:app"])
    def test_it_is_found(self, directory: Path, target: str) -> None:
        found = find(target, directory)
        assert found.interface == "asgi3"
        assert found.name == target
        assert found.app.__name__ == "app"

    def test_the_directory_is_first_and_once_on_the_path(self, directory: Path) -> None:
        sys.path.append(str(directory))
        find("whorl_main:app", directory)
        find("whorl_main:app", directory)
        assert sys.path[0] == str(directory)
        assert sys.path.count(str(directory)) == 1

    def test_no_directory_is_the_current_one(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(directory)
        find("whorl_main:app")
        assert sys.path[0] == str(directory)

    def test_a_relative_directory(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(directory)
        find("service:app", "whorl_package")
        del sys.modules["service"]
        assert sys.path[0] == str(directory / "whorl_package")

    def test_an_object_leaves_the_path_alone(self) -> None:
        before = sys.path[:]
        find(asgi3)
        assert sys.path == before

    @pytest.mark.parametrize(
        ("target", "expected"),
        [
            ("whorl_main", 'does not name an application: write <module>:<attribute>, such as "main:app"'),
            ("whorl_main:", "does not name an application"),
            (":app", "does not name an application"),
            ("whorl_mian:app", 'there is no module "whorl_mian" in {}: did you mean "whorl_main:app"?'),
            ("quite_else:app", 'there is no module "quite_else" in {}: --app-dir says where to look'),
            (
                "whorl_package.sevrice:app",
                'in {}/whorl_package: did you mean "whorl_package.service:app"?',
            ),
            ("whorl_packages.service:app", 'in {}: did you mean "whorl_package.service:app"?'),
            ("whorl_main.app:app", 'there is no module "whorl_main.app": "whorl_main" is no package'),
            ("whorl_main:ap", '"whorl_main" has no attribute "ap": did you mean "app"?'),
            ("whorl_main:server", '"whorl_main" has no attribute "server": did you mean "app"?'),
            ("whorl_main:inside.deepr.app", '"whorl_main.inside" has no attribute "deepr": did you mean "deeper"?'),
            ("whorl_package.service:number.x", '"whorl_package.service" has no attribute "number"'),
            ("whorl_main:number", '"whorl_main:number" is no application: an int cannot be called'),
            (
                "whorl_main:create_app",
                '"whorl_main:create_app" looks like a factory, because it takes no arguments: add --factory',
            ),
            ("whorl_main:create_app_async", "looks like a factory, because it takes no arguments: add --factory"),
        ],
    )
    def test_a_mistake_is_one_line_with_the_remedy(
        self, directory: Path, target: str, expected: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert expected.format(directory) in refusal(target, directory)
        assert not caplog.records

    def test_a_directory_that_is_not_there(self, directory: Path) -> None:
        assert "--app-dir: there is no directory" in refusal("whorl_main:app", directory / "nowhere")


class TestApplicationErrors:
    @pytest.mark.parametrize(
        ("text", "error"),
        [
            ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
            ("import broken.part", "ModuleNotFoundError: No module named 'broken.part'; 'broken' is not a package"),
            ("from sys import nowhere_at_all", "ImportError: cannot import name"),
            ("1 / 0", "ZeroDivisionError: division by zero"),
            ("def (", "SyntaxError: "),
            ("raise LookupError('one\\ntwo')", "LookupError: one"),
        ],
    )
    def test_a_module_that_raises(
        self, directory: Path, text: str, error: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        (directory / "broken.py").write_text(text)
        message = refusal("broken:app", directory)
        assert message.startswith(f'"broken:app" raised while it was imported: {error}')
        assert len(caplog.records) == 1
        assert str(directory / "broken.py") in caplog.text
        assert "importlib" not in caplog.text
        assert "application.py" not in caplog.text.partition("Traceback")[2]

    def test_a_package_that_lacks_what_it_imports_of_itself(
        self, directory: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The module that was named is the one that is missing, and still it is the package's own code that failed."""
        (directory / "itself").mkdir()
        (directory / "itself" / "__init__.py").write_text("import itself.part")
        assert refusal("itself.part:app", directory).startswith('"itself.part:app" raised while it was imported')
        assert "import itself.part" in caplog.text

    def test_a_lookup_that_raises(self, directory: Path, caplog: pytest.LogCaptureFixture) -> None:
        message = refusal("whorl_main:explodes", directory)
        assert message == '"whorl_main:explodes" raised when it was looked up: LookupError: looked up'
        assert len(caplog.records) == 1

    def test_a_factory_that_raises(self, directory: Path, caplog: pytest.LogCaptureFixture) -> None:
        message = refusal("whorl_main:fails", directory, factory=True)
        assert message == 'the factory "whorl_main:fails" raised: LookupError: no settings'
        assert len(caplog.records) == 1
        assert "def fails(): raise" in caplog.text


class TestFactory:
    @pytest.mark.parametrize("name", ["create_app", "create_app_async"])
    def test_it_is_called_and_awaited(self, directory: Path, name: str) -> None:
        found = find(f"whorl_main:{name}", directory, factory=True)
        assert found.app.__name__ == "app"
        assert found.name == f"whorl_main:{name}"

    def test_an_object(self) -> None:
        assert find(lambda: asgi3, factory=True).app is asgi3

    def test_a_class_makes_an_instance(self) -> None:
        assert isinstance(find(Callable3, factory=True).app, Callable3)

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("app", '"whorl_main:app" is no factory, it cannot be called without arguments: drop --factory'),
            ("needs_settings", "cannot be called without arguments: give its parameters defaults"),
            ("number", '"whorl_main:number" is no factory: it cannot be called'),
            ("returns_nothing", "returned None: it must return the application"),
            ("returns_factory", "returned something to call again: it must return the application"),
        ],
    )
    def test_a_mistake(self, directory: Path, name: str, expected: str) -> None:
        assert expected in refusal(f"whorl_main:{name}", directory, factory=True)

    def test_it_is_never_called_to_find_out(self) -> None:
        def create() -> None:
            raise AssertionError("called")

        assert "looks like a factory" in refusal(create)


async def asgi3(scope: Scope, receive: Channel, send: Channel) -> None: ...


def returns_awaitable(scope: Scope, receive: Channel, send: Channel) -> Awaitable[None]:
    return asgi3(scope, receive, send)


def anything(*args: Any, **kwargs: Any) -> Any: ...


@functools.wraps(asgi3)
def decorated(*args: Any, **kwargs: Any) -> Any: ...


def with_more(settings: str, scope: Scope, receive: Channel, send: Channel) -> Awaitable[None]:
    return asgi3(scope, receive, send)


async def with_more_async(settings: str, scope: Scope, receive: Channel, send: Channel) -> None: ...


async def with_defaults(scope: Any = None, receive: Any = None, send: Any = None) -> None: ...


class Callable3:
    async def __call__(self, scope: Scope, receive: Channel, send: Channel) -> None: ...

    def method(self, scope: Scope, receive: Channel, send: Channel) -> Awaitable[None]:
        return asgi3(scope, receive, send)


class Awaited:
    """One instance per request, which is awaited: Starlette's HTTPEndpoint is such a class."""

    def __init__(self, scope: Scope, receive: Channel, send: Channel) -> None: ...

    def __await__(self) -> Iterator[None]:
        return iter(())


class NeverAwaited:
    def __init__(self, scope: Scope, receive: Channel, send: Channel) -> None: ...


async def one_async(scope: Scope) -> None: ...


def asgi2(scope: Scope) -> Any:
    async def instance(receive: Channel, send: Channel) -> None:
        await send({"version": scope["asgi"]["version"], "path": scope["path"], "got": await receive()})

    return instance


class Class2:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, receive: Channel, send: Channel) -> None:
        await asgi2(self.scope)(receive, send)


class Callable2:
    def __call__(self, scope: Scope) -> Any:
        return Class2(scope)


class NoSignature(Callable3):
    """As compiled code may be."""

    __signature__ = "unknown"


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]


class Wsgi:
    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return wsgi(environ, start_response)


class TestInterface:
    @pytest.mark.parametrize(
        "app",
        [
            asgi3,
            returns_awaitable,
            anything,
            decorated,
            with_defaults,
            functools.partial(with_more, "settings"),
            functools.partial(with_more_async, "settings"),
            functools.partial(Callable3()),
            Callable3(),
            Callable3().method,
            Awaited,
            NoSignature(),
        ],
    )
    def test_asgi3(self, app: Any) -> None:
        found = find(app)
        assert found.interface == "asgi3"
        assert found.app is app

    @pytest.mark.parametrize("app", [asgi2, Class2, Callable2(), functools.partial(Class2)])
    def test_asgi2_is_adapted(self, app: Any) -> None:
        found = find(app)
        assert found.interface == "asgi2"
        sent = []

        async def receive() -> Any:
            return "message"

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "path": "/", "asgi": {"version": "3.0", "spec_version": "2.5"}}
        asyncio.run(call(found, scope, receive, send))
        assert sent == [{"version": "2.0", "path": "/", "got": "message"}]
        assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}

    @pytest.mark.parametrize("app", [wsgi, Wsgi()])
    def test_wsgi_is_never_assumed(self, app: Any) -> None:
        assert "takes two arguments, as a WSGI application does: add --interface wsgi if it is one" in refusal(app)

    @pytest.mark.parametrize("app", [wsgi, Wsgi()])
    def test_wsgi_is_adapted(self, app: Any) -> None:
        found = find(app, interface="wsgi")
        assert found.interface == "wsgi"
        sent = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/path",
            "root_path": "",
            "query_string": b"",
            "headers": [],
            "server": ("127.0.0.1", 8000),
            "client": None,
        }
        asyncio.run(call(found, scope, receive, send))
        assert sent[0]["status"] == 200
        assert b"".join(message.get("body", b"") for message in sent) == b"/path"

    def test_wsgi_without_its_package_names_the_remedy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "a2wsgi", None)
        assert refusal(wsgi, interface="wsgi") == "--interface wsgi needs the package a2wsgi: pip install 'whorl[wsgi]'"

    @pytest.mark.parametrize(
        ("app", "expected"),
        [
            (3, "is no application: an int cannot be called"),
            (Callable3, "is a class and no application: name an instance of it, or add --factory to have one made"),
            (NeverAwaited, "is a class and no application: name an instance of it"),
            (one_async, "cannot be called with (scope, receive, send)"),
            (functools.partial(wsgi, {}, None), "looks like a factory"),
            (with_more, "cannot be called with (scope, receive, send)"),
            (with_more_async, "cannot be called with (scope, receive, send)"),
        ],
    )
    def test_what_is_none_of_them(self, app: Any, expected: str) -> None:
        assert expected in refusal(app)

    @pytest.mark.parametrize(
        ("app", "interface", "expected"),
        [
            (asgi2, "asgi3", "cannot be called as asgi3 with (scope, receive, send)"),
            (asgi3, "asgi2", "cannot be called as asgi2 with (scope)"),
            (asgi3, "wsgi", "cannot be called as wsgi with (environ, start_response)"),
            (lambda: asgi3, "asgi3", "cannot be called as asgi3 with (scope, receive, send): it looks like a factory"),
            (3, "asgi3", "cannot be called as asgi3"),
        ],
    )
    def test_another_interface_than_configured(self, app: Any, interface: str, expected: str) -> None:
        assert expected in refusal(app, interface=interface)

    def test_the_configured_interface_is_used(self) -> None:
        assert find(anything, interface="asgi2").interface == "asgi2"

    def test_an_object_is_named_by_where_it_is_from(self) -> None:
        assert find(asgi3).name == f"{__name__}:asgi3"
        assert find(Callable3()).name == f"{__name__}:Callable3"


async def call(application: Application, *arguments: Any) -> None:
    await application.app(*arguments)


def test_types_only_a_checker_imports_do_not_matter() -> None:
    """Python 3.14 evaluates annotations when `inspect.signature` is called (PEP 649)."""
    namespace: dict[str, Any] = {}
    future = "" if sys.version_info >= (3, 14) else "from __future__ import annotations\n"
    exec(f"{future}def app(scope: Scope, receive: Receive, send: Send) -> None: ...", namespace)
    assert find(namespace["app"]).interface == "asgi3"
    exec(f"{future}def create_app(settings: Settings = None) -> None: ...", namespace)
    assert "looks like a factory" in refusal(namespace["create_app"])
