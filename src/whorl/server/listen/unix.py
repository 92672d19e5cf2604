"""Binding a Unix socket (unix(7)): its mode, and what may stand in its way."""

from __future__ import annotations

import os
import socket
import stat

from whorl.errors import StartError
from whorl.server.listen.listen_socket import ListenSocket

__all__ = ["bind_unix"]


def bind_unix(path: str, mode: int) -> ListenSocket:
    """Bind a Unix socket.

    Args:
        path: where; a socket there that nobody listens on is replaced, anything else is left alone.
        mode: its permission bits.
    """
    path = os.path.abspath(path)
    remove_stale(path)
    handle = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        handle.setblocking(False)
        handle.bind(path)
    except OSError as error:
        handle.close()
        if "too long" in str(error):
            raise StartError(f"the path of the Unix socket is too long for the system: {path}") from None
        raise StartError(f"the Unix socket {path} cannot be made: {error.strerror or error}") from None
    status = os.stat(path)
    bound = ListenSocket(handle, f"unix:{path}", inode=(status.st_dev, status.st_ino))
    # Nobody can connect before it listens, so there is no moment with the wrong mode.
    os.chmod(path, mode)
    return bound


def remove_stale(path: str) -> None:
    """Remove a Unix socket that nobody listens on. Raises StartError for anything else that stands in the way."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StartError(f"the Unix socket {path} cannot be made: {error.strerror}") from None
    if not stat.S_ISSOCK(status.st_mode):
        raise StartError(f"{path} exists and is no socket: remove it, or give another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except OSError as error:
            raise StartError(f"{path} cannot be taken over: {error.strerror or error}") from None
    raise StartError(f"another program listens on {path}: stop it, or give another path")
