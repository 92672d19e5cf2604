"""The certificates of a server, which may be renewed while it runs.

Whoever accepts a connection takes `contexts` of that moment; connections that are open go on with those that they
began with. The server's sweep calls `look` now and then; a signal calls `reload`. Files that are not right change
nothing: one line says so, and the old ones stay. There is no thread, and no watch on a directory.
"""

from __future__ import annotations

import logging
import os

from whorl.config import Config
from whorl.errors import StartError
from whorl.tls.contexts import Contexts, make_contexts

__all__ = ["Certificates"]

Fingerprint = tuple[tuple[int, ...] | None, ...]


class Certificates:
    """TLS contexts, made of files.

    Args:
        config: what the user asked for.
        logger: where to say that the files have changed.

    Attributes:
        contexts: the ones for the next connection.

    Raises:
        StartError: a file is not right.
    """

    __slots__ = ("_config", "_files", "_loaded", "_logger", "_seen", "contexts")

    def __init__(self, config: Config, logger: logging.Logger) -> None:
        self._config = config
        self._logger = logger
        files = [config.ssl_certfile, config.ssl_keyfile, config.ssl_ca_certs]
        for table in config.tls:
            files += [table.certfile, table.keyfile]
        self._files = tuple(file for file in files if file is not None)
        self._loaded = self._seen = self._fingerprint()
        self.contexts: Contexts = make_contexts(config)

    def reload_if_changed(self) -> None:
        """Load the files anew if they have changed, and have stopped changing: a certificate and its key are two files,
        and nobody renews both in one moment."""
        found = self._fingerprint()
        if found != self._loaded and found == self._seen:
            self.reload()
        self._seen = found

    def reload(self) -> None:
        """Load the files anew."""
        self._loaded = self._fingerprint()
        try:
            self.contexts = make_contexts(self._config)
        except StartError as error:
            self._logger.error("TLS certificates stay as they were: %s", error)
        else:
            self._logger.info("TLS certificates were loaded anew")

    def _fingerprint(self) -> Fingerprint:
        """What changes when a file does; links are followed."""
        return tuple(map(fingerprint, self._files))


def fingerprint(path: str) -> tuple[int, ...] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev
