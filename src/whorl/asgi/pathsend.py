"""Opens the files of http.response.pathsend (ASGI extension).

A file is opened before the head is sent: if that fails, the application gets the error and can still answer.
"""

from __future__ import annotations

import os
import stat
from typing import BinaryIO

from whorl.platform import READ_ONLY

__all__ = ["open_file"]


def open_file(path: str) -> tuple[BinaryIO, int]:
    """Open a regular file for sending.

    Args:
        path: its absolute path.

    Returns:
        The open file, unbuffered, and its size in bytes.

    Raises:
        ValueError: the path is not absolute, or the file is not regular.
        OSError: it cannot be opened.
    """
    if not os.path.isabs(path):
        raise ValueError(f"http.response.pathsend needs an absolute path, not {path!r}")
    fd = os.open(path, READ_ONLY)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"http.response.pathsend needs a regular file, and {path!r} is not")
    except BaseException:
        os.close(fd)
        raise
    return open(fd, "rb", buffering=0), status.st_size
