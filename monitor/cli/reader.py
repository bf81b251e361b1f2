"""Opens what commands read from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.screen import fail, refuse_typo

if TYPE_CHECKING:
    from monitor.reader.api import Api


def open_api(server: str | None, url: str | None = None) -> Api:
    """A reader of the given database, else of the server, else of the embedded store. Creates none of them."""
    from monitor.reader.api import Api

    if url is None:
        return Api(server)
    if server is not None:
        fail("--url names a database and --server a server; give only one of them")
    from monitor.settings import load
    from monitor.store import Store

    Store.open(url, create=False).close()
    return Api(settings=load().model_copy(update={"database_url": url, "server_url": None}))


def refuse_project(api: Api, project: str | None) -> None:
    """Refuse a project that is almost one that there is; one may be meant that has no run yet."""
    refuse_typo("project", project, [name for name, _ in api.projects()] if project else [])
