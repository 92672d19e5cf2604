"""Arguments: library, URL, bytes of the body, how many requests, x-script. Prints the status of each response, or what
failed."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Callable

BODY = bytes(int(sys.argv[3]))
FIELDS = {"x-script": sys.argv[5], "content-type": "application/octet-stream"}


def with_urllib(url: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, BODY, FIELDS)) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.read()
        return error.code


def with_urllib_in_chunks(url: str) -> int:
    pieces = (BODY[start : start + 65536] for start in range(0, len(BODY), 65536))
    try:
        urllib.request.urlopen(urllib.request.Request(url, pieces, FIELDS))
    except urllib.error.HTTPError as error:
        error.read()
        return error.code
    return 0


def with_requests(url: str) -> int:
    import requests

    return requests.post(url, BODY, headers=FIELDS).status_code


def with_httpx(url: str) -> int:
    import httpx

    return httpx.post(url, content=BODY, headers=FIELDS).status_code


post: Callable[[str], int] = globals()[f"with_{sys.argv[1]}"]
for _ in range(int(sys.argv[4])):
    try:
        print(post(sys.argv[2]))
    except OSError as error:
        print(type(error), error)
    except Exception as error:
        print(type(error), error)
