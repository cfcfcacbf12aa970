"""Which server a command talks to, and `pointillist serve`."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from app.client import Client
from app.errors import NotAllowed, Unavailable
from app.i18n import gettext as _
from app.settings import Settings
from app.supervisor import Supervisor, run, running

if TYPE_CHECKING:
    from app.cli import Common


def serve(settings: Settings) -> int:
    """Serve until Ctrl-C; the exit status. Raises NotAllowed off loopback without a token."""
    if not settings.loopback and not settings.token:
        raise NotAllowed(
            _(
                "Others could reach {host}, so a token is needed. Make one and start again, for example:"
                " POINTILLIST_TOKEN={token} pointillist serve --host {host}"
            ).format(host=settings.host, token=secrets.token_urlsafe(24))
        )
    return run(settings)


@contextmanager
def connected(common: Common) -> Iterator[Client]:
    """The server of --server; else the one on the data folder; else one for the time of the context.

    Raises Unavailable when a server holds the folder but does not say where it listens.
    """
    if common.server:
        with Client(common.server, common.token or "") as client:
            client.call("GET", "/health")
            yield client
        return
    settings = common.settings()
    found = running(settings.data)
    if found is not None:
        if not found.url:
            raise Unavailable(
                _("A server (process {pid}) is starting on this folder; try again.").format(pid=found.pid)
            )
        with Client(found.url, settings.token) as client:
            yield client
        return
    with embedded(common) as url, Client(url, settings.token) as client:
        yield client


@contextmanager
def embedded(common: Common) -> Iterator[str]:
    """A server on a free port of this machine, ended with the context."""
    settings = common.settings(host="127.0.0.1", port=0, open_browser=False)
    supervisor = Supervisor(settings)
    url = supervisor.start()
    try:
        yield url
    finally:
        supervisor.stop()
