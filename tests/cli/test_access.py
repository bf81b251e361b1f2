"""`monitor tokens` and `monitor audit`, over the embedded store and over a server that asks for tokens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from monitor.api import create_api
from monitor.ingest.engines import Engines
from monitor.settings import load
from monitor.store import Store

from ..api.conftest import served
from .conftest import Call


def created(call: Call, *arguments: object) -> dict[str, str]:
    done = call("tokens", "create", *arguments, "--json")
    assert done.status == 0, done.err
    found: dict[str, str] = json.loads(done.out)
    return found


@pytest.fixture
def server(called: Call, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server over the embedded store, which has an admin's token; the settings name both."""
    admin = created(called, "root", "--role", "admin")["token"]
    settings = load()
    with Store.open(settings.store_url) as store, served(create_api(store, Engines(), settings)) as url:
        monkeypatch.setenv("MONITOR_SERVER_URL", url)
        monkeypatch.setenv("MONITOR_TOKEN", admin)
        yield url


def test_a_new_machine_gets_its_first_token_before_a_server_starts(called: Call) -> None:
    before_ms = time.time_ns() // 1_000_000
    made = created(called, "trainbox", "--role", "logger", "--project", "vision", "--days", 1)
    listed = json.loads(called("tokens", "ls", "--json").out)["tokens"]

    assert made["token"].startswith("lm_")
    assert [(row["name"], row["role"], row["project"]) for row in listed] == [("trainbox", "logger", "vision")]
    assert before_ms <= listed[0]["expires_ms"] - 86_400_000 <= listed[0]["created_ms"]
    assert made["token"] not in called("tokens", "ls").out


def test_tokens_are_managed_and_the_log_is_read_over_a_server(called: Call, server: str) -> None:
    made = created(called, "ci", "--role", "logger")
    headers = {"Authorization": f"Bearer {made['token']}"}
    assert httpx.get(f"{server}/api/v1/me", headers=headers).json()["name"] == "ci"

    assert called("tokens", "revoke", "ci").status == 0
    assert httpx.get(f"{server}/api/v1/me", headers=headers).status_code == 401
    entries = json.loads(called("audit", "--json").out)["entries"]

    assert [(entry["action"], entry["who"]) for entry in entries[:2]] == [
        ("token.revoke", "root"),
        ("token.create", "root"),
    ]
    assert entries[-1]["detail"] == "root: admin of all projects"


def test_a_weaker_token_is_told_what_it_lacks(called: Call, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITOR_TOKEN", created(called, "v", "--role", "viewer")["token"])

    for verb in (("tokens", "ls"), ("audit",), ("tokens", "create", "x", "--role", "admin")):
        done = called(*verb)
        assert done.status == 2
        assert "needs the role admin" in done.err
    assert called("runs", "ls").status == 0


def test_what_cannot_be_is_one_line(called: Call, server: str) -> None:
    assert "no token 'nobody'" in called("tokens", "revoke", "nobody").err
    assert "several tokens are called 'twin'" in twice(called)
    assert "project: must have" in called("tokens", "create", "x", "--role", "viewer", "--project", " ").err


def twice(call: Call) -> str:
    for _ in range(2):
        created(call, "twin", "--role", "viewer")
    return call("tokens", "revoke", "twin").err


def test_a_deletion_by_hand_is_written_down_with_the_user_of_the_machine(
    called: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    file = tmp_path / "log.csv"
    file.write_text("step,loss\n1,2.0\n2,1.0\n")
    assert called("import", file, "--store").status == 0 or called("import", file).status == 0
    run = json.loads(called("runs", "ls", "--json").out)["runs"][0]
    assert called("runs", "rm", run["id"]).status == 0

    entry = json.loads(called("audit", "--json").out)["entries"][0]
    assert (entry["who"], entry["action"], entry["target"], entry["address"]) == ("ada", "run.delete", run["id"], "")
