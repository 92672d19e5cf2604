"""Files that an application names as content (ASGI extension http.response.pathsend).

Opening is checked before anything leaves: what is missing or no regular file raises in the application, which can still
answer otherwise.
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
        ValueError: the path is not absolute, or what it names is no regular file.
        OSError: it cannot be opened.
    """
    if not os.path.isabs(path):
        raise ValueError(f"http.response.pathsend wants an absolute path, not {path!r}")
    descriptor = os.open(path, READ_ONLY)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"http.response.pathsend wants a regular file, and {path!r} is none")
    except BaseException:
        os.close(descriptor)
        raise
    return open(descriptor, "rb", buffering=0), status.st_size
