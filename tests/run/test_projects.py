"""A loop of each project is told what that project's rules say, from the embedded store and from a server."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from monitor import init
from monitor.reader.api import Api
from monitor.settings import Settings

from .test_embedded import Served

PROJECTS = {
    "patient": {"rules": {"overfitting": {"enabled": False}}},
    "mild": {"rules": {"overfitting": {"severity": "info"}}},
}


@pytest.fixture(params=["embedded", "server"])
def place(request: pytest.FixtureRequest, settings: Settings, sqlite_url: str) -> Iterator[Settings]:
    """Settings of two projects with rules of their own, in the process that stores."""
    own = settings.model_copy(update={"database_url": sqlite_url, "projects": PROJECTS})
    if request.param == "embedded":
        yield own
        return
    served = Served(sqlite_url, own)
    yield settings.model_copy(update={"server_url": served.address})  # the client knows nothing of the rules
    served.close()


def told(place: Settings, project: str) -> tuple[bool, dict[str, tuple[str, str]]]:
    """Whether the loop of a run that overfits is stopped, and its findings' severity and hash."""
    with init(project, name=project, settings=place) as run:
        for step in range(120):
            run.log(
                {"train/loss": 2 * 0.95**step, "val/loss": 0.5 + 2 * 0.9**step + 0.02 * max(0, step - 40)}, step=step
            )
        stopped = run.should_stop(wait_s=60)
    with Api(settings=place) as api:
        view = api.run(run.id)
        return stopped, {f.rule: (str(f.severity), f.rules_hash) for f in view.findings()}


def test_a_loop_is_told_what_the_rules_of_its_project_say(place: Settings) -> None:
    found = {project: told(place, project) for project in ("patient", "mild", "other")}
    assert {project: stopped for project, (stopped, _) in found.items()} == {
        "patient": False, "mild": True, "other": True,
    }  # fmt: skip
    assert "overfitting" not in found["patient"][1]
    assert found["mild"][1]["overfitting"][0] == "info" and found["other"][1]["overfitting"][0] == "critical"
    assert found["mild"][1]["overfitting"][1] != found["other"][1]["overfitting"][1]


def test_the_server_tells_the_hash_of_every_projects_rules(settings: Settings, sqlite_url: str) -> None:
    served = Served(sqlite_url, settings.model_copy(update={"projects": PROJECTS}))
    try:
        info = httpx.get(f"{served.address}/api/v1/info").json()
    finally:
        served.close()
    assert set(info["project_rules"]) == set(PROJECTS)
    assert len({info["rules_hash"], *info["project_rules"].values()}) == 3
