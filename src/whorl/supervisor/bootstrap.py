"""A worker process: it reads its letter, serves, and says why if it cannot.

The parent starts it with the number of the descriptor that leads back (`worker.start`), or it was forked (`nurse`).
From here on everything is as with one process; `reporter` is the difference.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import socket
from collections.abc import Mapping
from typing import NoReturn

from whorl.config import Config
from whorl.errors import StartError, WhorlError
from whorl.observe.failures import describe
from whorl.observe.logs import ERROR_LOGGER
from whorl.server.run import serve_config
from whorl.supervisor.agent import Line, Reporter
from whorl.supervisor.frozen import VARIABLE
from whorl.supervisor.letter import Letter
from whorl.supervisor.messages import Word

__all__ = ["be_a_worker", "deafen", "main"]

# What an operator sends to the parent, and a terminal to everybody: none of these is meant for a worker.
NOT_OURS = ("SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGTTIN", "SIGTTOU")


def main(descriptor: int) -> NoReturn:
    """Serve as a worker, and end the process.

    Args:
        descriptor: of the socket that leads to the parent.
    """
    os.environ.pop(VARIABLE, None)
    deafen()
    os.set_inheritable(descriptor, False)
    be_a_worker(Line(socket.socket(fileno=descriptor)))


def deafen() -> None:
    """Ignore what is not meant for us, and have Python say where it is when it is made to end."""
    for name in NOT_OURS:
        signal.signal(signal.Signals[name], signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    faulthandler.enable()  # SIGABRT ends a worker that cannot even say what holds it up, and this says it


def be_a_worker(line: Line, numbers: Mapping[int, int] | None = None) -> NoReturn:
    """Read the letter, serve, and end the process.

    Args:
        line: to the parent.
        numbers: the descriptors of sockets by those that the letter has, in a worker that was forked from a process
            that has imported everything already.
    """
    first = line.next()
    if first is None:
        raise SystemExit(0)  # the parent died meanwhile
    letter = Letter.opened(first[1][0])
    if numbers is None:
        letter.program.restore()
    else:
        letter = letter.renumbered(numbers)
    raise SystemExit(serve(letter.config, Reporter(letter, line)))


def serve(config: Config, reporter: Reporter) -> int:
    """Serve until told to leave. Returns the exit status."""
    try:
        return serve_config(config, reporter)
    except WhorlError as error:
        problems: list[str] = list(getattr(error, "problems", (str(error),)))
        reporter.say(Word.LAST_WORDS, problems)
        return error.exit_status
    except BaseException as error:
        logging.getLogger(ERROR_LOGGER).exception("the worker failed")
        reporter.say(Word.LAST_WORDS, [f"the worker failed: {describe(error)}"])
        return StartError.exit_status
