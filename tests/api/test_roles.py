"""Every route declares the role that it needs, and refuses whoever lacks it: the OpenAPI document is walked."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest

from monitor.api import create_api, keys
from monitor.api.security import ROLE
from monitor.domain import Access, Caller
from monitor.errors import StoreError
from monitor.ingest.engines import Engines
from monitor.settings import Settings
from monitor.store import Store
from monitor.wire import MEDIA_TYPE, Batch, Columns, encode_batch

from .conftest import NOW_MS, Clock, a_batch, served

ROOT = Caller(name="test", access=Access.ADMIN)
METHODS = ("get", "put", "post", "delete", "patch", "options", "head", "trace")


@dataclass
class House:
    """A server with two projects, and tokens of every role for each of them and for both."""

    http: httpx.Client
    store: Store
    clock: Clock
    paths: dict[str, Any]
    tokens: dict[tuple[str, str | None], str] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, token: str | None, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        return self.http.request(method, path, headers={**headers, **more.pop("headers", {})}, **more)

    def post(self, batch: Batch, token: str) -> httpx.Response:
        return self.ask(
            "POST", "/api/v1/batches", token, content=encode_batch(batch), headers={"Content-Type": MEDIA_TYPE}
        )

    def routes(self) -> Iterator[tuple[str, str, Access]]:
        """Every operation below /api/v1: method, path of the run "alpha" of project a, the role that it needs."""
        for path, operations in self.paths.items():
            for method in METHODS:
                if method in operations and path.startswith("/api/v1/"):
                    filled = (
                        path.replace("{ref}", "alpha").replace("{run_id}", self.runs["a"]).replace("{media_id}", "1")
                    )
                    yield method.upper(), re.sub(r"\{[^}]*\}", "x", filled), Access(operations[method][ROLE])


@pytest.fixture(scope="module", autouse=True)
def hurried() -> Iterator[None]:
    """A server that looks for new tokens often, so that no test waits for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "UNKNOWN_S", 0.01)
        patch.setattr(keys, "FRESH_S", 0.3)
        patch.setattr(keys, "NOTED_S", 86_400.0)
        yield


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.slow])]
)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    url = None
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        url = server.create(server.template)
    settings, clock = Settings(dir=tmp_path_factory.mktemp("roles"), database_url=url, rate_limit=0), Clock()
    with (
        Store.open(settings.store_url) as store,
        served(create_api(store, Engines(), settings, clock=clock)) as address,
        httpx.Client(base_url=address, timeout=60) as http,
    ):
        found = House(http, store, clock, http.get("/openapi.json").json()["paths"])
        for access in Access:
            for project in ("a", "b", None):
                found.tokens[access, project] = token_of(store, access, project)
        for project, name in (("a", "alpha"), ("b", "beta")):
            batch = a_batch([2.0, 1.0, 0.5], project=project, name=name)
            assert found.post(batch, found.tokens[Access.LOGGER, project]).status_code == 200
            found.runs[project] = batch.run_id
        yield found
    if url is not None:
        server.drop(url)


def token_of(store: Store, access: Access, project: str | None = None, **more: Any) -> str:
    made = store.create_token(
        f"{access} {project}", access, project=project, **{"expires_ms": None, "now_ms": NOW_MS, "by": ROOT, **more}
    )
    return made[1]


def kind(answer: httpx.Response) -> str:
    return str(answer.json()["type"]).rpartition(":")[2]


SENT = {"POST": {"who": "x"}, "PATCH": {"note": "x"}}
"""What a change of a run may hold, by method."""
BODIES: dict[str, Any] = {"/api/v1/tokens": {"name": "n", "role": "viewer"}}


def test_the_document_names_a_role_for_every_operation_and_some_for_each_role(house: House) -> None:
    roles = {role for _, _, role in house.routes()}

    assert roles == set(Access)


def test_every_operation_refuses_no_token_and_tokens_that_are_not_known(house: House) -> None:
    good = house.tokens[Access.ADMIN, None]
    wrong = [
        None,
        "wrong",
        good[:-1],
        good + "x",
        good[:20] + good[20:].swapcase(),
        "lm_",
        "lm_x_y",
        "lm__",
        "x" * 5000,
    ]

    for method, path, _ in house.routes():
        for token in wrong:
            answer = house.ask(method, path, token)
            assert (answer.status_code, kind(answer)) == (401, "unauthorized"), (method, path, token)
            assert answer.headers["www-authenticate"] == "Bearer"


def test_every_operation_refuses_a_weaker_role_and_says_which_it_needs(house: House) -> None:
    for method, path, needed in house.routes():
        for access in Access:
            if not access.covers(needed):
                body = BODIES.get(path, {"who": "x"})
                for project in (None, "a"):
                    answer = house.ask(method, path, house.tokens[access, project], json=body)
                    assert (answer.status_code, kind(answer)) == (403, "forbidden"), (method, path, access)
                    assert f"needs the role {needed}" in answer.json()["detail"]


def test_a_token_of_a_project_sees_and_changes_the_views_of_its_project_alone(house: House) -> None:
    both, a, b = (house.tokens[Access.EDITOR, project] for project in (None, "a", "b"))
    at = "/api/v1/views/runs"
    for token, query in ((both, "q=1"), (a, "q=secret"), (b, "q=3")):
        assert house.ask("PUT", f"{at}/mine", token, json={"query": query}).status_code == 200
    assert house.ask("DELETE", f"{at}/mine", b).json()["views"] == []
    assert [view["query"] for view in house.ask("GET", at, a).json()["views"]] == ["q=secret"]
    assert [view["query"] for view in house.ask("GET", at, both).json()["views"]] == ["q=1"]


def test_every_operation_on_a_run_says_404_to_a_token_of_another_project(house: House) -> None:
    other = house.tokens[Access.ADMIN, "b"]
    series = f"{house.runs['a']}/train/loss"
    query = {"key": "train/loss", "step": 1, "x": "step", "series": series, "run": "alpha"}
    seen = 0
    for method, path, _ in house.routes():
        of_a_run = "alpha" in path or house.runs["a"] in path or path.endswith(("/curves", "/alerts", "/wait"))
        if of_a_run:
            answer = house.ask(method, path, other, params=query, json=SENT.get(method))
            assert answer.status_code == 404, (method, path, answer.text)
            assert house.runs["a"] not in answer.text or house.runs["a"] in path + series
            seen += 1
    assert seen > 10
    assert house.store.run("alpha").stop_requested is None


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"project": "a"},
        {"query": 'project = "a"'},
        {"query": 'name != "x" or project = "a"'},
        {"search": "alpha"},
        {"search": "a", "order": "name", "sparkline": 10},
    ],
)
def test_a_list_holds_only_runs_of_the_token_s_project(house: House, query: dict[str, Any]) -> None:
    found = house.ask("GET", "/api/v1/runs", house.tokens[Access.VIEWER, "b"], params=query).json()

    assert {run["project"] for run in found["runs"]} <= {"b"}
    assert found["total"] == len(found["runs"])
    assert set(found["sparklines"]) <= {house.runs["b"]}


def test_projects_alerts_deleted_runs_tokens_and_audit_are_those_of_the_token_s_project(house: House) -> None:
    both, mine = house.tokens[Access.ADMIN, None], house.tokens[Access.ADMIN, "b"]
    doomed = a_batch([1.0], project="a", name="doomed")
    house.post(doomed, both)
    failed = a_batch([1.0], project="a", name="failed")
    house.post(failed, both)
    assert house.ask("DELETE", f"/api/v1/runs/{doomed.run_id}", both).status_code == 200

    def seen(path: str, token: str) -> Any:
        return house.ask("GET", path, token).json()

    assert [row["name"] for row in seen("/api/v1/projects", mine)["projects"]] == ["b"]
    assert seen("/api/v1/deleted", mine)["deleted"] == []
    assert [row["name"] for row in seen("/api/v1/deleted", both)["deleted"]] == ["doomed"]
    assert house.ask("POST", "/api/v1/deleted/doomed/restore", mine).status_code == 404
    assert {item["run"]["project"] for item in seen("/api/v1/attention", mine)["items"]} <= {"b"}
    assert {entry["project"] for entry in seen("/api/v1/ledger", mine)["entries"]} <= {"b"}
    assert {row["project"] for row in seen("/api/v1/tokens", mine)["tokens"]} == {"b"}
    assert {row["project"] for row in seen("/api/v1/audit", mine)["entries"]} == {"b"}
    assert seen("/api/v1/audit", both)["total"] > seen("/api/v1/audit", mine)["total"]
    assert house.ask("POST", "/api/v1/deleted/doomed/restore", both).status_code == 200


def test_a_token_logs_to_its_own_project_alone(house: House) -> None:
    mine = house.tokens[Access.LOGGER, "b"]
    more = Batch(
        run_id=house.runs["a"], writer="w1", first=4, count=1, keys=("train/loss",),
        points=Columns(np.zeros(1, "u2"), np.array([9]), np.array([0.1]), np.array([NOW_MS])),
    )  # fmt: skip
    new = a_batch([1.0], project="a", name="intruder")
    joining = a_batch([1.0], run_id=house.runs["a"], project="b", join=True)

    for batch in (more, new, joining):
        answer = house.post(batch, mine)
        assert (answer.status_code, kind(answer)) == (403, "forbidden")
        assert "project 'b' alone" in answer.json()["detail"]
    assert house.store.run("alpha").last_step == 3
    names = {run.name for run in house.store.runs(limit=1000).items}
    assert "intruder" not in names


def test_an_admin_of_a_project_makes_and_revokes_tokens_of_it_alone(house: House) -> None:
    mine, both = house.tokens[Access.ADMIN, "b"], house.tokens[Access.ADMIN, None]

    def create(token: str, **more: Any) -> httpx.Response:
        return house.ask("POST", "/api/v1/tokens", token, json={"name": uuid.uuid4().hex, "role": "viewer", **more})

    assert create(mine, project="a").status_code == 403
    assert create(mine).json()["project"] == "b"
    other = create(both, project="a").json()
    answer = house.ask("DELETE", f"/api/v1/tokens/{other['id']}", mine)
    assert (answer.status_code, kind(answer)) == (404, "token-not-found")
    assert house.ask("GET", "/api/v1/runs", other["token"]).status_code == 200


def test_guesses_cost_no_reads(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "FRESH_S", 60.0)
    monkeypatch.setattr(keys, "UNKNOWN_S", 0.5)
    settings = Settings(dir=tmp_path)
    with Store.open(settings.store_url) as store, served(create_api(store, Engines(), settings)) as url:
        token_of(store, Access.VIEWER)
        reads: list[int] = []
        real = store.digests
        monkeypatch.setattr(store, "digests", lambda now_ms: reads.append(now_ms) or real(now_ms))
        with ThreadPoolExecutor(20) as pool:
            guesses = [f"lm_{uuid.uuid4().hex[:16]}_{'A' * 43}" for _ in range(40)]
            guesses += ["wrong", "lm_", "Bearer"] * 10
            begun = time.perf_counter()
            found = list(pool.map(lambda guess: status(url, guess), guesses))
            took_s = time.perf_counter() - begun
        assert set(found) == {401}
        assert len(reads) <= 2 + took_s / keys.UNKNOWN_S


def status(url: str, token: str) -> int:
    return httpx.get(f"{url}/api/v1/me", headers={"Authorization": f"Bearer {token}"}, timeout=60).status_code


def test_a_new_token_works_at_once_and_a_revoked_one_no_longer(house: House) -> None:
    admin = house.tokens[Access.ADMIN, None]
    made = house.ask("POST", "/api/v1/tokens", admin, json={"name": "brief", "role": "viewer", "project": "a"}).json()

    assert house.ask("GET", "/api/v1/me", made["token"]).json() == {
        "name": "brief", "role": "viewer", "project": "a", "asked": True,
    }  # fmt: skip
    revoked = house.ask("DELETE", "/api/v1/tokens/brief", admin).json()
    assert revoked["revoked_ms"] is not None
    assert house.ask("GET", "/api/v1/me", made["token"]).status_code == 401


def test_a_token_that_another_process_revoked_is_refused_within_seconds(house: House) -> None:
    token = token_of(house.store, Access.VIEWER)
    assert house.ask("GET", "/api/v1/me", token).status_code == 200
    house.store.revoke_token(token.split("_")[1], now_ms=NOW_MS, by=ROOT)

    end = time.monotonic() + 60
    while house.ask("GET", "/api/v1/me", token).status_code == 200:
        assert time.monotonic() < end
        threading.Event().wait(0.05)


def test_an_expired_token_is_refused_from_its_very_millisecond_on(house: House) -> None:
    token = token_of(house.store, Access.VIEWER, expires_ms=NOW_MS + 1000)
    house.clock.now_ms = NOW_MS + 999
    assert house.ask("GET", "/api/v1/me", token).status_code == 200
    house.clock.now_ms = NOW_MS + 1000
    assert house.ask("GET", "/api/v1/me", token).status_code == 401
    house.clock.now_ms = NOW_MS


def test_a_token_is_stored_as_a_hash_alone_and_shown_once(house: House) -> None:
    admin = house.tokens[Access.ADMIN, None]
    made = house.ask("POST", "/api/v1/tokens", admin, json={"name": "once", "role": "viewer"}).json()
    secret = made["token"].split("_", 2)[2]

    assert len(secret) == 43  # 256 bits
    assert secret not in house.ask("GET", "/api/v1/tokens", admin).text
    assert secret not in house.ask("GET", "/api/v1/audit", admin).text
    known = house.store.digests(NOW_MS)
    assert all(secret not in f"{token}{digest}" for token, digest in known.values())


def test_the_last_use_of_a_token_is_recorded_without_a_write_for_each(house: House) -> None:
    token = token_of(house.store, Access.VIEWER)
    token_id = token.split("_")[1]
    for _ in range(3):
        assert house.ask("GET", "/api/v1/me", token).status_code == 200
    before = {found.id: found.used_ms for found in house.store.tokens()}
    rows = house.ask("GET", "/api/v1/tokens", house.tokens[Access.ADMIN, None]).json()["tokens"]

    assert before[token_id] is None
    assert {row["id"]: row["used_ms"] for row in rows}[token_id] == NOW_MS


def test_the_rules_of_another_project_are_not_read(house: House) -> None:
    mine, both = house.tokens[Access.VIEWER, "b"], house.tokens[Access.ADMIN, None]
    assert house.ask("GET", "/api/v1/rules", mine).json()["project"] == "b"
    assert house.ask("GET", "/api/v1/rules?project=a", mine).status_code == 403
    assert house.ask("GET", "/api/v1/rules?project=a", both).json()["overrides"] == {}


def test_what_was_changed_is_in_the_audit_log_with_who_when_and_from_where(house: House) -> None:
    editor, admin = house.tokens[Access.EDITOR, "a"], house.tokens[Access.ADMIN, None]
    run = a_batch([1.0], project="a", name="audited")
    house.post(run, editor)
    house.ask("POST", f"/api/v1/runs/{run.run_id}/stop", editor, json={"who": "ada"})
    house.ask("DELETE", f"/api/v1/runs/{run.run_id}", editor)
    house.ask("POST", f"/api/v1/deleted/{run.run_id}/restore", editor)
    made = house.ask("POST", "/api/v1/tokens", admin, json={"name": "n", "role": "viewer"}).json()
    house.ask("DELETE", f"/api/v1/tokens/{made['id']}", admin)

    entries = house.ask("GET", "/api/v1/audit", admin, params={"limit": 1000}).json()["entries"]
    mine = [entry for entry in entries if entry["target"] == run.run_id]

    assert [entry["action"] for entry in mine] == ["run.restore", "run.delete", "run.stop"]
    assert {(e["who"], e["project"], e["address"], e["time_ms"]) for e in mine} == {
        ("editor a", "a", "127.0.0.1", NOW_MS)
    }
    assert mine[2]["detail"] == "audited: asked as ada"
    assert {"token.create", "token.revoke"} <= {entry["action"] for entry in entries}


def test_an_action_that_is_refused_leaves_no_entry(house: House) -> None:
    before, _ = house.store.audit()
    house.ask("POST", "/api/v1/runs/nowhere/stop", house.tokens[Access.EDITOR, None], json={"who": "x"})

    assert house.store.audit()[0] == before


@pytest.mark.parametrize("name", ["", " x", "a\x1b[31m", "a\u202eb", "x" * 251, "a\nb"])
def test_a_name_that_could_pose_as_another_is_refused(house: House, name: str) -> None:
    answer = house.ask(
        "POST", "/api/v1/tokens", house.tokens[Access.ADMIN, None], json={"name": name, "role": "viewer"}
    )

    assert answer.status_code == 422
    assert answer.json()["field"] == "name"


def test_a_server_that_ever_had_a_token_never_opens_again(tmp_path: Any) -> None:
    settings = Settings(dir=tmp_path)
    with Store.open(settings.store_url) as store, served(create_api(store, Engines(), settings)) as url:
        assert httpx.get(f"{url}/api/v1/runs").status_code == 200
        made, _ = store.create_token("t", Access.ADMIN, project=None, expires_ms=None, now_ms=1, by=ROOT)
        store.revoke_token(made.id, now_ms=2, by=ROOT)
        end = time.monotonic() + 60
        while httpx.get(f"{url}/api/v1/runs").status_code == 200:
            assert time.monotonic() < end
            threading.Event().wait(0.05)
        assert httpx.get(f"{url}/api/v1/runs").status_code == 401
    with Store.open(settings.store_url) as store, served(create_api(store, Engines(), settings)) as url:
        assert httpx.get(f"{url}/api/v1/runs").status_code == 401


def test_a_server_whose_tokens_cannot_be_read_lets_nobody_in(tmp_path: Any) -> None:
    settings = Settings(dir=tmp_path)
    with Store.open(settings.store_url) as store, served(create_api(store, Engines(), settings)) as url:
        store.close()
        settings.store_file.write_bytes(b"no database")
        answer = httpx.get(f"{url}/api/v1/me")

    assert (answer.status_code, kind(answer)) == (503, "store-error")


def test_a_token_that_asks_too_often_is_told_when_to_come_again(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(keys, "time", SimpleNamespace(monotonic=lambda: now[0]))
    settings = Settings(dir=tmp_path, token="correct-horse-battery-staple", rate_limit=5)
    with Store.open(settings.store_url) as store, served(create_api(store, Engines(), settings)) as url:
        headers = {"Authorization": f"Bearer {settings.token}"}
        with httpx.Client(base_url=url, headers=headers) as client:
            answers = [client.get("/api/v1/me") for _ in range(12)]
            refused = answers[-1]
            assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 7
            assert (kind(refused), refused.headers["retry-after"]) == ("rate-limited", "1")
            assert "rate_limit" in refused.json()["detail"]
            now[0] += float(refused.headers["retry-after"])
            assert client.get("/api/v1/me").status_code == 200
            assert httpx.get(f"{url}/healthz").status_code == 200


def test_a_token_makes_a_seconds_worth_of_requests_at_once_and_then_so_many_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(keys, "time", SimpleNamespace(monotonic=lambda: now[0]))
    ring = keys.Keys(None, "correct-horse-battery-staple", lambda: NOW_MS, rate=4.0)  # type: ignore[arg-type]  # not read

    def made(seconds: float) -> int:
        now[0] += seconds
        return next(n for n in range(100) if ring.wait_s("a token"))

    assert [made(seconds) for seconds in (0.0, 0.0, 0.25, 0.5, 3600.0)] == [4, 0, 1, 2, 4]
    assert ring.wait_s("a token") == 0.25


def test_a_database_that_is_slow_holds_up_nobody_whose_token_is_known(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "PATIENCE_S", 0.05)
    monkeypatch.setattr(keys, "FRESH_S", 0.0)
    monkeypatch.setattr(keys, "LATE_S", 86_400.0)
    settings, slow, go = Settings(dir=tmp_path), threading.Event(), threading.Event()
    with Store.open(settings.store_url) as store, served(create_api(store, Engines(), settings)) as url:
        token = token_of(store, Access.VIEWER)
        assert status(url, token) == 200
        real = store.digests

        def digests(now_ms: int) -> Any:
            slow.set()
            assert go.wait(60)
            return real(now_ms)

        monkeypatch.setattr(store, "digests", digests)
        assert [status(url, token) for _ in range(3)] == [200] * 3
        assert slow.is_set()
        go.set()


def test_a_token_that_was_revoked_here_is_refused_though_the_database_then_fails(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(dir=tmp_path, token="correct-horse-battery-staple")
    with Store.open(settings.store_url) as store, served(create_api(store, Engines(), settings)) as url:
        token = token_of(store, Access.VIEWER)
        assert status(url, token) == 200

        def fail(_: int) -> Any:
            raise StoreError("gone")

        headers = {"Authorization": f"Bearer {settings.token}"}
        assert httpx.delete(f"{url}/api/v1/tokens/{token.split('_')[1]}", headers=headers).status_code == 200
        monkeypatch.setattr(store, "digests", fail)
        assert status(url, token) == 401
