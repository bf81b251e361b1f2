"""Every operation of the API, from the routers themselves: who changed what is written down; projects stay apart."""

from __future__ import annotations

import getpass
import importlib
import math
import pkgutil
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import select

import monitor.api
from monitor.api import create_api
from monitor.domain import Access, AlertQuery, JobHealth
from monitor.domain.rules_version import RulesVersion
from monitor.ingest.engines import Engines
from monitor.reader.api import Api
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.outbox import NEVER_MS
from monitor.store.sql.schema import AUDIT, METADATA, TOKENS
from monitor.wire import MEDIA_TYPE, encode_batch
from tests.alerts.conftest import Webhook, webhook  # noqa: F401  # a fixture

from .conftest import NOW_MS, Clock, a_batch, served
from .test_roles import ROOT, token_of

KEY = "ttlV4dVWQAdkPQRBRNBkpPnlmHVg069u9mU277le3aY="
V1 = "/api/v1"
SAFE = {"GET", "HEAD", "OPTIONS"}
Operation = tuple[str, str]
"""Method and path, with the names of its parameters."""


def operations() -> set[Operation]:
    """What the routers of `monitor.api` serve, whether the document shows it or not."""
    routers: dict[int, APIRouter] = {}
    for module in pkgutil.iter_modules(monitor.api.__path__):
        for value in vars(importlib.import_module(f"monitor.api.{module.name}")).values():
            if isinstance(value, APIRouter):
                routers[id(value)] = value
    found = set()
    for router in routers.values():
        for route in router.routes:
            assert isinstance(route, APIRoute), route
            open_ = {path for path in ("/healthz", "/readyz", "/metrics", "/signin") if route.path == path}
            path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)
            found |= {(method, path if open_ else V1 + path) for method in route.methods}
    return found


OPERATIONS = operations()
CHANGES = sorted(found for found in OPERATIONS if found[0] not in SAFE)
WITHOUT_A_RUN = sorted(
    found
    for found in OPERATIONS
    if not re.search(r"\{(ref|run_id)\}", found[1]) or found[1].startswith((f"{V1}/tokens", f"{V1}/deleted"))
)


@dataclass
class Project:
    """What one project has; every name and text in it holds the project's mark, which nothing else holds."""

    name: str
    mark: str
    """A word that is in no request or answer but by knowing the project."""
    tokens: dict[Access, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    def words(self, text: str) -> set[str]:
        """What a text holds of the project: words with its mark, and its ids."""
        marked: list[str] = re.findall(rf"[\w-]*{self.mark}[\w-]*", text)
        return {*marked, *(found for found in self.ids.values() if found in text)}


@dataclass
class House:
    http: httpx.Client
    store: Store
    app: FastAPI
    root: str
    hook: Webhook
    projects: dict[str, Project] = field(default_factory=dict)

    def ask(self, method: str, path: str, token: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
        return self.http.request(method, path, headers=headers, **more)

    def done(self, method: str, path: str, token: str, **more: Any) -> Any:
        answer = self.ask(method, path, token, **more)
        assert answer.is_success, (method, path, answer.text)
        return answer.json()

    def log(self, token: str, losses: list[float], **more: Any) -> str:
        batch = a_batch(losses, **more)
        self.done("POST", f"{V1}/batches", token, content=encode_batch(batch), headers={"Content-Type": MEDIA_TYPE})
        return batch.run_id

    def rows(self, project: Project) -> dict[str, list[str]]:
        """All rows of the database that hold something of a project, by table."""
        found: dict[str, list[str]] = {}
        with self.store._read() as connection:
            for table in METADATA.sorted_tables:
                columns = [column for column in table.c if column is not TOKENS.c.used_ms]
                rows = [dict(row) for row in connection.execute(select(*columns)).mappings()]
                plain = [{k: bytes(v) if isinstance(v, memoryview) else v for k, v in row.items()} for row in rows]
                # What another project keeps under the same name is not this one's.
                mine = [str(row) for row in plain if row.get("project") in (None, "", project.name)]
                found[table.name] = sorted(text for text in mine if project.name in text or project.words(text))
        return found

    def audited(self) -> list[dict[str, Any]]:
        return [entry.to_dict() for entry in self.store.audit(limit=1000)[1]]


def furnish(house: House, project: Project) -> None:
    """Give a project one of everything."""
    mark, of = project.mark, {"project": project.name}
    for access in Access:
        project.tokens[access] = token_of(house.store, access, project.name)
    editor = project.tokens[Access.EDITOR]
    project.ids["run"] = house.log(editor, [1.0, math.nan, math.nan], name=f"{mark}-run", tags={"t": mark}, **of)
    gone = house.log(editor, [1.0], name=f"{mark}-gone", **of)
    house.done("DELETE", f"{V1}/runs/{gone}", editor)
    project.ids["deleted"] = gone
    for number in ("1", "2"):
        who = f"{project.mark}-machine"
        house.store.note_rules(RulesVersion(time_ms=NOW_MS, who=who, project=project.name, hash=number))
    (alert,) = house.store.alert_page(AlertQuery(project=project.name, rule="nan"), NOW_MS).items
    project.ids["alert"] = alert.id
    house.done("POST", f"{V1}/alerts/{alert.id}/mark", editor, json={"mark": "helpful", "by": mark})
    wanted = {"run": f"{mark}-*", "reason": mark, "by": mark, "for_s": 3600}
    project.ids["silence"] = house.done("POST", f"{V1}/silences", editor, json=wanted)["id"]
    house.done("PUT", f"{V1}/views/runs/{mark}-view", editor, json={"query": mark})
    wanted = {"name": f"{mark}-token", "role": "viewer", "project": project.name}
    project.ids["token"] = house.done("POST", f"{V1}/tokens", house.root, json=wanted)["id"]
    table = {"url": house.hook.url.replace("/alerts", f"/{mark}"), "projects": [project.name]}
    house.done("PUT", f"{V1}/channels/{mark}-channel", house.root, json=table)
    (row, *_) = house.store.alerts(project.ids["run"])
    house.store.failed("memory", [(project.ids["run"], row.id)], NEVER_MS, "is down")
    project.ids["message"] = f"{project.ids['run']}-{row.id}"
    house.done("POST", f"{V1}/runs/{project.ids['run']}/stop", editor, json={"who": mark})


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.slow])])
def house(
    request: pytest.FixtureRequest,
    tmp_path: Any,
    webhook: Webhook,  # noqa: F811  # the fixture
) -> Iterator[House]:
    """A server with two projects; "alfa" is the newer in everything, so that "bravo" stands behind it in each list."""
    with ExitStack() as stack:
        url = None
        if request.param == "postgres":
            server = request.getfixturevalue("postgres")
            url = server.create(server.template)
            stack.callback(server.drop, url)
        own = {"alfa": {"cost_per_hour": {"zebra": 1.0}}}
        settings = Settings(dir=tmp_path, database_url=url, rate_limit=0, secret_key=KEY, projects=own)
        store = stack.enter_context(Store.open(settings.store_url))
        health = JobHealth(runs=1, failures=1, failing=True, last_error="run zebra-run cannot be copied")
        clock = Clock()
        app = create_api(store, Engines(), settings, clock=clock, jobs=lambda: {"mirror": health})
        http = stack.enter_context(httpx.Client(base_url=stack.enter_context(served(app)), timeout=30))
        root = token_of(store, Access.ADMIN)
        store.register_channels(["memory"], NOW_MS - 1)
        found = House(http, store, app, root, webhook)
        for name, mark in (("bravo", "yak"), ("alfa", "zebra")):
            found.projects[name] = Project(name, mark)
            furnish(found, found.projects[name])
            clock.now_ms += 1000
        yield found


# --- who changed what -------------------------------------------------------------------------------------------------

Change = Callable[[House, Project], tuple[str, Any, str]]
"""Makes what is to be changed; returns the path, the body, and what the audit log has to name."""


def _run(rest: str, body: Any = None) -> Change:
    return lambda _, project: (f"{V1}/runs/{project.ids['run']}{rest}", body, project.ids["run"])


def _alert(verb: str, body: Any) -> Change:
    return lambda _, project: (f"{V1}/alerts/{project.ids['alert'][:12]}/{verb}", body, project.ids["alert"])


AUDITED: dict[Operation, tuple[str, Change]] = {
    ("DELETE", f"{V1}/runs/{{ref}}/stop"): ("run.withdraw_stop", _run("/stop")),
    ("POST", f"{V1}/runs/{{ref}}/stop"): ("run.stop", _run("/stop", {"who": "ada"})),
    ("PATCH", f"{V1}/runs/{{run_id}}"): ("run.edit", _run("", {"note": "x"})),
    ("POST", f"{V1}/deleted/{{ref}}/restore"): (
        "run.restore",
        lambda _, project: (f"{V1}/deleted/{project.mark}-gone/restore", None, project.ids["deleted"]),
    ),
    ("POST", f"{V1}/alerts/{{alert_id}}/acknowledge"): (
        "alert.acknowledge",
        _alert("acknowledge", {"by": "mallory", "note": "x"}),
    ),
    ("POST", f"{V1}/alerts/{{alert_id}}/mark"): ("alert.mark", _alert("mark", {"mark": None, "by": "mallory"})),
    ("POST", f"{V1}/silences"): (
        "silence.create",
        lambda *_: (f"{V1}/silences", {"rule": "spike", "reason": "x", "by": "mallory", "for_s": 60}, ""),
    ),
    ("DELETE", f"{V1}/silences/{{silence_id}}"): (
        "silence.end",
        lambda _, project: (f"{V1}/silences/{project.ids['silence']}", None, project.ids["silence"]),
    ),
    ("POST", f"{V1}/deliveries/retry"): (
        "delivery.retry",
        lambda _, project: (f"{V1}/deliveries/retry", {"message": project.ids["message"]}, project.ids["message"]),
    ),
    ("PUT", f"{V1}/channels/{{name}}"): (
        "channel.save",
        lambda house, _: (f"{V1}/channels/new", {"url": house.hook.url}, "new"),
    ),
    ("POST", f"{V1}/channels/{{name}}/test"): (
        "channel.test",
        lambda _, project: (f"{V1}/channels/{project.mark}-channel/test", None, f"{project.mark}-channel"),
    ),
    ("DELETE", f"{V1}/channels/{{name}}"): (
        "channel.remove",
        lambda _, project: (f"{V1}/channels/{project.mark}-channel", None, f"{project.mark}-channel"),
    ),
    ("PUT", f"{V1}/views/{{page}}/{{name}}"): (
        "view.save",
        lambda *_: (f"{V1}/views/runs/new", {"query": "x"}, "runs/new"),
    ),
    ("DELETE", f"{V1}/views/{{page}}/{{name}}"): (
        "view.delete",
        lambda _, project: (f"{V1}/views/runs/{project.mark}-view", None, f"runs/{project.mark}-view"),
    ),
    ("PUT", f"{V1}/rules/{{rule}}"): (
        "rules.set",
        lambda _, project: (f"{V1}/rules/spike?project={project.name}", {"settings": {"enabled": False}}, project.name),
    ),
    ("DELETE", f"{V1}/rules/{{rule}}"): (
        "rules.set",
        lambda _, project: (f"{V1}/rules/spike?project={project.name}", None, project.name),
    ),
    ("POST", f"{V1}/tokens"): ("token.create", lambda *_: (f"{V1}/tokens", {"name": "new", "role": "viewer"}, "")),
    ("DELETE", f"{V1}/tokens/{{ref}}"): (
        "token.revoke",
        lambda _, project: (f"{V1}/tokens/{project.mark}-token", None, project.ids["token"]),
    ),
    ("DELETE", f"{V1}/runs/{{run_id}}"): ("run.delete", _run("")),
}
"""Every operation that changes something, in an order in which each can be done: the action in the log, and how."""
OF_ALL_PROJECTS = {"delivery.retry", "channel.save", "channel.remove", "channel.test"}
NOT_AUDITED = {("POST", f"{V1}/batches"), ("POST", "/signin")}
"""Points name their writer themselves, and a run says who sent them; signing in is for those who have no token."""


def test_the_document_shows_every_operation_that_is_served(house: House) -> None:
    paths = house.app.openapi()["paths"]

    assert {(method.upper(), path) for path, found in paths.items() for method in found} == OPERATIONS


def test_every_operation_that_changes_something_is_known_here() -> None:
    assert set(CHANGES) == AUDITED.keys() | NOT_AUDITED
    assert all(len(action) <= AUDIT.c.action.type.length for action, _ in AUDITED.values())  # type: ignore[attr-defined]


def test_every_change_leaves_one_entry_that_names_the_caller_and_no_read_leaves_any(house: House) -> None:
    alfa = house.projects["alfa"]
    for number, (operation, (action, change)) in enumerate(AUDITED.items()):
        scope, name = None if action in OF_ALL_PROJECTS else "alfa", f"caller {number}"
        _, token = house.store.create_token(name, Access.ADMIN, project=scope, expires_ms=None, now_ms=NOW_MS, by=ROOT)
        path, body, target = change(house, alfa)
        before = house.audited()
        answer = house.ask(operation[0], path, token, json=body)
        assert answer.is_success, (operation, answer.text)
        (entry, *rest) = house.audited()
        assert rest == before, operation
        assert (entry["action"], entry["who"], entry["address"]) == (action, name, "127.0.0.1"), operation
        assert entry["project"] == scope, operation
        assert entry["target"] == (target or answer.json()["id"]), operation

    before = house.audited()
    for method, path in sorted(OPERATIONS - set(CHANGES)):
        house.ask(method, fill(path, alfa), house.root, params=QUERY | {"wait": 0})
    assert house.audited() == before


def test_a_change_that_did_not_happen_leaves_no_entry(house: House) -> None:
    alfa, bravo = (house.projects[name] for name in ("alfa", "bravo"))
    before = house.audited()
    admin = bravo.tokens[Access.ADMIN]
    for operation, (action, change) in AUDITED.items():
        path, body, target = change(house, alfa)
        if target and action not in ("view.save", "channel.save"):  # what is new is no one else's
            answer = house.ask(operation[0], path, admin, json=body)
            assert answer.status_code in (403, 404) or action == "view.delete", (operation, answer.text)
    assert house.ask("DELETE", f"{V1}/silences/nosuch", house.root).status_code == 404
    house.done("POST", f"{V1}/deliveries/retry", house.root, json={"message": "nosuch-1"})
    assert house.audited() == before


def test_a_failed_test_of_a_channel_is_written_down_as_it_may_have_arrived(house: House) -> None:
    house.hook.statuses[:] = [500] * 20
    answer = house.ask("POST", f"{V1}/channels/zebra-channel/test", house.root)

    assert answer.status_code == 502
    assert house.audited()[0]["action"] == "channel.test"


def test_a_channel_can_be_tested_on_this_machine_before_the_first_run_has_made_a_store(
    tmp_path: Any,
    webhook: Webhook,  # noqa: F811  # the fixture
) -> None:
    settings = Settings(dir=tmp_path / "new", alert_urls=(webhook.url,))
    with Api(settings=settings) as api:
        (channel,) = api.channels()
        api.test_channel(str(channel["name"]))
        total, (entry,) = api.audit()

    assert len(webhook.bodies) == total == 1
    assert (entry.action, entry.who, entry.target) == ("channel.test", getpass.getuser(), channel["name"])


# --- projects stay apart ----------------------------------------------------------------------------------------------

QUERY = {"key": "train/loss", "step": 1, "x": "step"}
OTHERS: dict[str, Callable[[Project], dict[str, Any]]] = {
    f"{V1}/curves": lambda p: {"series": f"{p.ids['run']}/train/loss"},
    f"{V1}/outlines": lambda p: {"run": p.ids["run"]},
    f"{V1}/wait": lambda p: {"run": p.ids["run"], "wait": 0},
}
"""Parameters without which an operation answers nothing, for the things of a project."""
SHOWS = (
    "/alerts", "/alerts/{alert_id}", "/attention", "/audit", "/channels", "/deleted", "/deliveries", "/deliveries/dead",
    "/outlines", "/rules/history", "/runs", "/silences", "/tokens", "/views/{page}",
)  # fmt: skip
"""Below /api/v1: what shows names or ids of a project's things to those whom they belong to."""
SHOWS_LESS = ("/alerts/marks", "/change-mark", "/curves", "/info", "/ledger", "/me", "/projects", "/rules", "/wait")
"""What answers with numbers, settings, or what was asked for."""
FREE = ("project", "run", "search", "query", "rule", "name", "tag", "state", "order")
"""Parameters that a caller may set to what they know of another project."""


def fill(path: str, project: Project) -> str:
    """The path with a project's things in it."""
    named = {
        "page": "runs",
        "rule": "spike",
        "alert_id": project.ids["alert"],
        "silence_id": project.ids["silence"],
        "media_id": "1",
    }
    named["run_id"] = named["ref"] = project.ids["run"]
    if path.startswith(f"{V1}/tokens"):
        named["ref"] = project.ids["token"]
    if path.startswith(f"{V1}/deleted"):
        named["ref"] = project.ids["deleted"]
    named["name"] = f"{project.mark}-{'channel' if '/channels' in path else 'view'}"
    return re.sub(r"\{(\w+)\}", lambda found: named[found[1]], path)


def tries(house: House, operation: Operation, other: Project) -> Iterator[dict[str, Any]]:
    """Ways to ask for the things of another project: with what is required alone, and with each parameter there is."""
    method, path = operation
    required = OTHERS.get(path, lambda _: {})(other)
    body = AUDITED[operation][1](house, other)[1] if operation in AUDITED else None
    yield {"params": required, "json": body}
    for given in house.app.openapi()["paths"][path][method.lower()].get("parameters", ()):
        value = {"project": other.name, "query": f'project = "{other.name}"', "run": other.ids["run"]}
        if given["in"] == "query" and given["name"] in FREE and given["name"] not in required:
            yield {"params": {**required, given["name"]: value.get(given["name"], other.mark)}, "json": body}
    if isinstance(body, dict) and method == "POST":
        yield {"params": required, "json": {**body, "project": other.name}}


def test_no_operation_shows_or_changes_anything_of_another_project(house: House) -> None:
    alfa, bravo = (house.projects[name] for name in ("alfa", "bravo"))
    before, shown = house.rows(alfa), set[str]()
    for method, path in sorted(set(WITHOUT_A_RUN) - NOT_AUDITED):
        at = fill(path, alfa)
        for token in (bravo.tokens[Access.VIEWER], bravo.tokens[Access.ADMIN]):
            for given in tries(house, (method, path), alfa):
                answer = house.ask(method, at, token, **given)
                assert answer.status_code in (200, 201, 403, 404, 422), (method, at, answer.text)
                new = alfa.words(answer.text) - alfa.words(f"{at} {given}")
                assert not new, (method, at, given, answer.text)
        assert house.rows(alfa) == before, (method, at)
        if method == "GET":  # the same operation does show it to whom it belongs
            given = next(tries(house, (method, path), alfa))
            shown |= {path for _ in alfa.words(house.ask(method, at, alfa.tokens[Access.ADMIN], **given).text)}

    assert shown >= {V1 + path for path in SHOWS}
    reads = {path.removeprefix(V1) for method, path in WITHOUT_A_RUN if method == "GET"}
    assert reads == {*SHOWS, *SHOWS_LESS, "/healthz", "/readyz", "/metrics", "/signin"}


def test_a_page_of_a_project_is_as_long_as_was_asked_whatever_others_have(house: House) -> None:
    bravo = house.projects["bravo"]
    limited = 0
    for method, path in WITHOUT_A_RUN:
        parameters = house.app.openapi()["paths"][path][method.lower()].get("parameters", ())
        if not any(given["name"] == "limit" for given in parameters):
            continue
        answers = [
            house.done(method, fill(path, bravo), bravo.tokens[Access.ADMIN], params={"limit": limit})
            for limit in (100, 1)
        ]
        rows = [next(v for v in (a.values() if isinstance(a, dict) else [a]) if isinstance(v, list)) for a in answers]
        assert rows[0] and rows[1] == rows[0][:1], path
        limited += 1
    assert limited >= 6


def test_a_project_s_views_leave_room_for_those_of_others(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from monitor.store import saved

    monkeypatch.setattr(saved, "MAX_VIEWS", 2)
    alfa, bravo = (house.projects[name].tokens[Access.EDITOR] for name in ("alfa", "bravo"))
    house.done("PUT", f"{V1}/views/runs/second", alfa, json={"query": "x"})
    assert house.ask("PUT", f"{V1}/views/runs/third", alfa, json={"query": "x"}).status_code == 422
    house.done("PUT", f"{V1}/views/runs/second", bravo, json={"query": "x"})
