"""The command `whorl`: serve an application, check a configuration, list the event loops.

    whorl APP [options]      whorl --check-config [APP]      whorl loops [--bench]      whorl --version

What is heavy (the server, the loops) is imported when it is asked for, so that `whorl --help` answers at once.
Exit status: 0, or 2 for a command line that cannot be understood, or that of the `WhorlError`: 3.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from whorl.cli.options import ServeCommand, setting_parameters, written_settings
from whorl.cli.table import settings_table
from whorl.compiled import compiled_modules
from whorl.config.sources import assemble
from whorl.errors import ConfigError, WhorlError
from whorl.version import __version__

__all__ = ["main"]

USAGE_STATUS: Final = 2
CONTEXT: Final = {"max_content_width": 100}

HELP: Final = """\
Serve the ASGI application APP, given as <module>:<attribute>, on the event loop of your choice.

\b
  whorl main:app                      serve it on http://127.0.0.1:8000
  whorl main:app --check-config       print every setting and where its value came from
  whorl loops [--bench]               list, or measure, the event loops of this machine

A setting's value comes from the command line, else from the environment, else from whorl.toml or [tool.whorl] in
pyproject.toml, else it is the default.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: what follows the program's name; those of the process by default.

    Returns:
        The exit status.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words[:1] == ["loops"]:  # an application has a colon in its name
            return int(loops_command.main(words[1:], prog_name="whorl loops", standalone_mode=False) or 0)
        return int(serve_command.main(words, prog_name="whorl", standalone_mode=False) or 0)
    except click.ClickException as error:
        complain(error.format_message())
    except click.Abort:  # Ctrl+C before the server took over the signal
        return 130
    except WhorlError as error:
        complain(*(error.problems if isinstance(error, ConfigError) else (str(error),)))
        return error.exit_status
    return USAGE_STATUS


def complain(*problems: str) -> None:
    """Tell the user, one line for each problem."""
    for problem in problems:
        click.echo(f"whorl: error: {problem}", err=True)


def serve(context: click.Context) -> int:
    """`whorl APP`: assemble the configuration, then serve it or print it."""
    if context.params["version"]:
        click.echo(version())
        return 0
    file = "" if context.params["no_config"] else context.params["config"]
    assembled = assemble(written_settings(context), os.environ, Path.cwd(), file)
    if context.params["check_config"]:
        for note in assembled.config.notes:
            click.echo(f"whorl: note: {note}", err=True)
        click.echo(settings_table(assembled))
        return 0
    if assembled.config.app is None:
        raise click.UsageError(
            "no application: write whorl <module>:<attribute>, or set WHORL_APP, or app in whorl.toml"
        )
    gc.disable()  # what is imported stays, and to look for garbage in it costs a start 5 ms
    from whorl.entry import run_config

    if hasattr(gc, "freeze"):  # PyPy has no such thing
        gc.freeze()
    gc.enable()
    return run_config(assembled.config)


def loops(context: click.Context) -> int:
    """`whorl loops`: say what there is, or measure it."""
    if context.params["bench"]:
        from whorl.loops import bench

        click.echo(bench.run())
    else:
        from whorl.loops import report

        click.echo(report.table())
    return 0


def version() -> str:
    """Whorl's version, and what it runs on."""
    import platform

    python = f"{platform.python_implementation()} {platform.python_version()}"
    compiled = ", ".join(name.removeprefix("whorl.") for name in compiled_modules())
    how = f"compiled: {compiled}" if compiled else "pure Python"
    return f"whorl {__version__}, {python}, {platform.platform()}\n{how}"


serve_command: Final = ServeCommand(
    "whorl",
    callback=click.pass_context(lambda context, **_: serve(context)),
    help=HELP,
    context_settings=CONTEXT,
    params=[
        *setting_parameters(),
        click.Option(["--config"], metavar="FILE", help="Read settings from this TOML file; empty reads none."),
        click.Option(["--no-config"], is_flag=True, help="Read settings from no file."),
        click.Option(
            ["--check-config"], is_flag=True, help="Print every setting and where its value came from; do not serve."
        ),
        click.Option(["--version"], is_flag=True, is_eager=True, help="Print the version of Whorl and of Python."),
    ],
)

loops_command: Final = click.Command(
    "loops",
    callback=click.pass_context(lambda context, **_: loops(context)),
    help="List the event loops that Whorl knows: which are available here, and which one `auto` takes.",
    context_settings=CONTEXT,
    params=[click.Option(["--bench"], is_flag=True, help="Measure each available loop instead, in under 20 seconds.")],
)
