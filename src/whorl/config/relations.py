"""What must hold between settings that are each sound by themselves.

Two literal tables. RELATIONS is checked by `config.check` whenever a configuration is made. A relation is skipped when
one of its settings is not sound, so that one mistake makes one complaint. NOTES only makes lines in the log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from whorl.config.places import DEFAULT_HOST, TcpPlace
from whorl.config.sections.workers import HEALTHCHECK_SECONDS
from whorl.platform import HERE

__all__ = ["NOTES", "RELATIONS", "Relation"]


@dataclass(frozen=True, slots=True)
class Relation:
    """A rule about a few settings.

    Args:
        settings: their names.
        holds: whether the rule is kept; called with the settings' values in that order.
        sentence: what to say when it is not; {0}, {1} are the settings as the user wrote them.
    """

    settings: tuple[str, ...]
    holds: Callable[..., bool]
    sentence: str

    def is_kept(self, values: Mapping[str, Any]) -> bool:
        """Whether the rule is kept by these values: setting name -> value."""
        return self.holds(*(values[name] for name in self.settings))


WITH_WORKERS: Final = (
    ("reuse_port", False),
    ("limit_worker_memory", None),
    ("limit_worker_lifetime", None),
    ("limit_worker_replacements", 1),
)
"""What only a parent can do, and the default of each."""

RELATIONS: Final = (
    *(
        Relation(
            ("bind", other),
            lambda bind, value, default=default: not bind or value == default,
            "{0} says everywhere to listen, so {1} has no place beside it: give one of them",
        )
        for other, default in (("host", DEFAULT_HOST), ("port", 8000), ("uds", None), ("fd", None))
    ),
    Relation(
        ("bind",),
        lambda bind: HERE.has_unix_sockets or all(isinstance(place, TcpPlace) for place in bind),
        "{0} can only name hosts and ports on Windows",
    ),
    Relation(
        ("fd", "uds"),
        lambda fd, uds: fd is None or uds is None,
        "{0} and {1} are two places to listen on: give one of them",
    ),
    Relation(
        ("uds",),
        lambda uds: uds is None or HERE.has_unix_sockets,
        "{0} cannot work, because asyncio has no Unix sockets on this platform: give a host and a port",
    ),
    Relation(
        ("fd",),
        lambda fd: fd is None or HERE.has_inherited_sockets,
        "{0} cannot work, because sockets are not inherited by number on Windows: give a host and a port",
    ),
    Relation(
        ("uds_mode", "uds"),
        lambda uds_mode, uds: uds_mode == 0o666 or uds is not None,
        "{0} sets the permissions of a Unix socket, but there is none: give {1}, or leave it out",
    ),
    Relation(
        ("ssl_keyfile", "ssl_certfile"),
        lambda keyfile, certfile: keyfile is None or certfile is not None,
        "{0} is the key of a certificate that is not there: give {1}, or leave it out",
    ),
    Relation(
        ("ssl_keyfile_password", "ssl_certfile"),
        lambda password, certfile: password is None or certfile is not None,
        "{0} is the password of a key that is not there: give {1}, or leave it out",
    ),
    Relation(
        ("ssl_self_signed", "ssl_certfile", "tls"),
        lambda self_signed, certfile, tables: not self_signed or (certfile is None and not tables),
        "{0} makes up a certificate, but there is one: leave out {0}, or {1} and {2}",
    ),
    Relation(
        ("ssl_cert_reqs", "ssl_ca_certs", "ssl_context_factory"),
        lambda wanted, authorities, factory: wanted == "none" or authorities is not None or factory is not None,
        "{0} asks for clients' certificates, and nobody vouches for them: give {1}",
    ),
    Relation(
        ("ssl_ca_certs", "ssl_cert_reqs", "ssl_context_factory"),
        lambda authorities, wanted, factory: authorities is None or wanted != "none" or factory is not None,
        "{0} does nothing, because clients are not asked for certificates: set {1} to required or optional",
    ),
    Relation(
        ("ssl_keylog", "ssl_certfile", "tls", "ssl_self_signed", "ssl_context_factory"),
        lambda keylog, *ways: keylog is None or any(ways),
        "{0} has no secrets to write without TLS: give {1}, or leave it out",
    ),
    Relation(
        ("ssl_cert_reqs", "ssl_certfile", "tls", "ssl_self_signed", "ssl_context_factory"),
        lambda wanted, *ways: wanted == "none" or any(ways),
        "{0} asks for clients' certificates, but there is no TLS: give {1}",
    ),
    Relation(
        ("redirect_http", "ssl_certfile", "tls", "ssl_self_signed", "ssl_context_factory"),
        lambda port, *ways: port is None or any(ways),
        "{0} leads clients to TLS, and there is none: give {1}, or leave it out",
    ),
    Relation(
        ("workers",),
        lambda workers: workers == 1 or HERE.has_workers,
        "{0} can only be 1 on Windows, where a parent cannot hand its sockets on: leave it out",
    ),
    Relation(
        ("reload",),
        lambda reload: not reload or HERE.has_workers,
        "{0} cannot work on Windows yet: leave it out, and start the server again by hand",
    ),
    Relation(
        ("preload",),
        lambda preload: not preload or HERE.adopts_orphans,
        "{0} needs a kernel that gives forked processes to another parent, which only Linux does: leave it out",
    ),
    Relation(
        ("preload", "reload"),
        lambda preload, reload: not preload or not reload,
        "{0} keeps what was imported, and {1} imports anew: leave one of them out",
    ),
    Relation(
        ("preload", "workers", "reload"),
        lambda preload, workers, reload: not preload or workers != 1 or reload,
        "{0} is about workers that a parent has forked, and one process has none: set {1} to auto, or to 2 or more",
    ),
    Relation(
        ("app", "reload"),
        lambda app, reload: not reload or app is None or isinstance(app, str),
        "{0} has to be an import string, such as main:app, for {1}: a new process cannot be given an object",
    ),
    Relation(
        ("app", "workers"),
        lambda app, workers: workers == 1 or app is None or isinstance(app, str),
        '{1} import the application themselves: give {0} as a string, such as "main:app"',
    ),
    Relation(
        ("reuse_port",),
        lambda reuse_port: not reuse_port or HERE.deals_connections,
        "{0} needs a kernel that deals connections out to several sockets, which only Linux does: leave it out",
    ),
    *(
        Relation(
            (name, "workers"),
            lambda value, workers, default=default: value == default or workers != 1,
            "{0} is about workers that a parent replaces, and one process has none: set {1} to auto, or to 2 or more",
        )
        for name, default in WITH_WORKERS
    ),
    Relation(
        ("buffer_response_low", "buffer_response_high"),
        lambda low, high: low <= high,
        "{0} must not be more than {1}",
    ),
    Relation(
        ("lifespan", "interface"),
        lambda lifespan, interface: lifespan != "on" or interface != "wsgi",
        "{0} cannot be on, because a WSGI application ({1}) has no lifespan: write off or auto",
    ),
)

NOTES: Final = (
    Relation(
        ("workers", "reload"),
        lambda workers, reload: workers == 1 or not reload,
        "{0} has no effect with {1}: one process serves",
    ),
    Relation(
        ("timeout_worker_healthcheck", "workers"),
        lambda seconds, workers: seconds == HEALTHCHECK_SECONDS or workers != 1,
        "{0} has no effect without {1}: one process has no parent that checks it",
    ),
    Relation(
        ("limit_max_requests_jitter", "limit_max_requests"),
        lambda jitter, limit: jitter == 0 or limit is not None,
        "{0} has no effect without {1}",
    ),
)
"""What to tell the user about combinations that are accepted although one setting then has no effect. Uvicorn accepts
them too."""
