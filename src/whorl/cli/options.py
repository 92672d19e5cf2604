"""The settings as options of the command line, and their help text, grouped as in the documentation.

Options carry text only: `whorl.config` reads and checks it, so that a wrong value is worded alike wherever it was
written, and all are reported at once. `main` calls this. To add an option, add a field to a section of
`whorl.config.sections`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby, zip_longest

import click
from click.core import ParameterSource

from whorl.config import SETTINGS, Setting
from whorl.config.sources import CONFIG_VARIABLE

__all__ = ["ServeCommand", "setting_parameters", "written_settings"]


def setting_parameters() -> list[click.Parameter]:
    """One parameter for each setting; none has a default, because the command line is not the only place."""
    return [option(setting) if setting.option else argument(setting) for setting in SETTINGS.values()]


def argument(setting: Setting) -> click.Argument:
    return click.Argument([setting.name], required=False, metavar=f"[{setting.kind.metavar}]")


def option(setting: Setting) -> click.Option:
    names = [setting.option, setting.name] if not setting.short else [setting.short, setting.option, setting.name]
    return click.Option(names, type=str, multiple=setting.kind.is_list, help=setting.help)


def with_values(words: Sequence[str]) -> list[str]:
    """The command line with a value after each switch: `--reload main:app` becomes `--reload=true main:app`.

    A value that the user wrote stays: `--ws-per-message-deflate false`, as Uvicorn has it.
    """
    switches: dict[str, tuple[Setting, str]] = {}
    for setting in SETTINGS.values():
        if setting.kind.switch is not None:
            on, off = setting.kind.switch
            switches |= {setting.option: (setting, on), f"--no-{setting.option[2:]}": (setting, off)}
    written: list[str] = []
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        if word not in switches or (word == switches[word][0].option and is_value(switches[word][0], following)):
            written.append(word)
        else:
            setting, value = switches[word]
            written.append(f"{setting.option}={value}")
    return written


def is_value(setting: Setting, word: str) -> bool:
    """Whether the word after a switch is its value, and not the application or another option."""
    if ":" in word or word.startswith("-"):
        return False
    try:
        setting.kind.read(word)
    except ValueError:
        return False
    return True


def written_settings(context: click.Context) -> dict[str, object]:
    """Setting name -> what was written, for those that the command line gave."""
    given = ParameterSource.COMMANDLINE
    return {name: context.params[name] for name in SETTINGS if context.get_parameter_source(name) is given}


class ServeCommand(click.Command):
    """The command whose options are the settings. Its help text has a heading for each group of them."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(context, with_values(args))

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        for group, members in groupby(SETTINGS.values(), key=lambda setting: setting.group):
            self.write_group(formatter, group, [entry(setting) for setting in members])
        others = [parameter for parameter in self.get_params(context) if parameter.name not in SETTINGS]
        records = [record for parameter in others if (record := parameter.get_help_record(context)) is not None]
        variables = {"--config FILE": CONFIG_VARIABLE}
        self.write_group(formatter, "Whorl", [(term, "", variables.get(term, ""), help) for term, help in records])

    def write_group(
        self, formatter: click.HelpFormatter, heading: str, entries: Iterable[tuple[str, str, str, str]]
    ) -> None:
        """One heading; below it, for each entry, the option, the default and the variable in columns, then the help."""
        formatter.write(f"\n{heading:<38} default    environment\n")
        for term, default, variable, help in entries:
            formatter.write(f"  {term:<36} {default:<9}  {variable}".rstrip() + "\n")
            formatter.write(click.wrap_text(help, formatter.width, " " * 6, " " * 6) + "\n")


def entry(setting: Setting) -> tuple[str, str, str, str]:
    """What the help text says about a setting: how to write it, its default, its variable, what it does."""
    kind = setting.kind
    term = f"--[no-]{setting.option[2:]}" if kind.switch else f"{setting.option} {kind.metavar}".strip()
    term = f"{setting.short}, {term}" if setting.short else term
    return term, setting.shown_default, setting.variable, setting.help
