"""Saved settings of rules: over the settings file, at once, by whoever may, on both databases and over both readers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import monitor
from monitor.api import create_api
from monitor.domain import Access
from monitor.domain.rules_version import SavedRule
from monitor.errors import Forbidden, RulesChanged, RulesError
from monitor.ingest import engines as engines_
from monitor.ingest.engines import Engines
from monitor.ingest.saved_rules import save_rule
from monitor.reader.api import Api
from monitor.rules import RulesConfig
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.copy import copy
from tests.api.conftest import served
from tests.conftest import LOCAL, NOW_MS, Feed

FILE = {"overfitting": {"rise": 0.2, "patience": 7}}
PROJECTS = {"vision": {"rules": {"overfitting": {"rise": 0.3}}}}


def saved(project: str | None, rule: str = "overfitting", **settings: object) -> SavedRule:
    return SavedRule(project=project, rule=rule, settings=settings, saved_ms=1, who="ann")


def test_the_project_goes_before_all_and_what_is_saved_before_the_file() -> None:
    found = Engines(FILE, PROJECTS, saved=[
        saved(None, rise=0.4, severity="warning"), saved("vision", unit="evals"), saved("text", patience=9),
    ])  # fmt: skip
    every, vision, text = (found.of(name).config.settings["overfitting"] for name in ("other", "vision", "text"))
    assert (every.limits["rise"], every.patience, every.severity) == (0.4, 7, "warning")
    assert (vision.limits["rise"], vision.patience, vision.unit, vision.severity) == (0.3, 7, "evals", "warning")
    assert (text.limits["rise"], text.patience) == (0.4, 9)
    assert found.hashes.keys() == {"vision", "text"}


@given(st.lists(st.tuples(st.sampled_from([None, "vision", "text"]), st.floats(0, 1), st.booleans()), max_size=6))
def test_without_what_is_saved_the_rules_are_those_of_the_file(rows: list[tuple[str | None, float, bool]]) -> None:
    plain = Engines(FILE, PROJECTS)
    laid = plain.under([saved(project, rise=rise, enabled=on) for project, rise, on in rows]).under([])
    assert (laid.default.config.hash, laid.hashes) == (plain.default.config.hash, plain.hashes)


def test_what_this_release_cannot_use_is_left_out_and_named() -> None:
    rows = [saved(None, "gone", x=1), saved(None, rise="high"), saved(None, "spike", enabled=False)]
    found = Engines(FILE, saved=rows)
    assert [(row.rule, problem.partition(";")[0]) for row, problem in found.unusable] == [
        ("gone", "is not a rule"), ("overfitting", "is 'high'"),
    ]  # fmt: skip
    assert not found.default.config.settings["spike"].enabled
    assert found.default.config.settings["overfitting"].limits["rise"] == 0.2


def test_the_next_batch_is_judged_by_what_is_saved_by_another_process(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines_, "LOOK_S", 0.0)
    here, there = Engines(), Engines()
    here.follow(store.saved_rules)
    there.follow(store.saved_rules)
    feed = Feed(store, engines=here)
    feed.start(project="p")
    feed.log("loss", range(10), [float("nan")] * 10)
    assert {f.rule: f.state for f in store.findings(feed.run_id)}["nan"] == "firing"
    save_rule(store, there, "nan", {"enabled": False}, project="p", basis=None, by=LOCAL, now_ms=NOW_MS)
    feed.log("loss", range(10, 20), [float("nan")] * 10)
    assert {f.rule: f.state for f in store.findings(feed.run_id)}["nan"] == "resolved"
    assert here.hashes == there.hashes != {}


@pytest.fixture(params=["embedded", "http"])
def api(request: pytest.FixtureRequest, store: Store, tmp_path: Path) -> Iterator[Api]:
    url = store._engine.url.render_as_string(hide_password=False)
    settings = Settings(dir=tmp_path, database_url=url, rules=FILE, projects=PROJECTS)
    engines = Engines(FILE, PROJECTS)
    engines.follow(store.saved_rules)
    over_http = request.param == "http"
    app = create_api(store, engines, settings, clock=lambda: NOW_MS)
    with served(app) if over_http else nullcontext() as server, Api(server, settings=settings) as found:
        yield found


def test_a_change_is_saved_shown_written_down_and_reset(api: Api) -> None:
    before = api.rules("vision")
    api.save_rule("overfitting", {"rise": 0.5, "patience": None}, "vision", basis=before.hash)
    after = api.rules("vision")
    assert (after.settings["overfitting"].limits["rise"], after.settings["overfitting"].patience) == (0.5, None)
    assert api.rules().settings["overfitting"].limits["rise"] == 0.2
    (row,) = api.saved_rules("vision")
    assert (row.project, row.settings, api.saved_rules("text")) == ("vision", {"rise": 0.5, "patience": None}, ())
    newest = api.rules_history("vision")[0]
    assert (newest.project, newest.hash, newest.who) == ("vision", after.hash, api.me().name)
    assert api.audit()[0] == 1

    with pytest.raises(RulesChanged, match=after.hash):
        api.save_rule("overfitting", {"rise": 0.6}, "vision", basis=before.hash)
    api.save_rule("overfitting", {}, "vision")
    assert api.rules("vision") == before and api.saved_rules("vision") == ()
    assert api.rules_history("vision")[0].hash == before.hash
    assert [entry.action for entry in api.audit()[1]] == ["rules.set", "rules.set"]


@pytest.mark.parametrize(
    ("rule", "settings", "named"),
    [
        ("overfiting", {"rise": 1}, "did you mean 'overfitting'"),
        ("overfitting", {"ries": 0.1}, "did you mean 'rise'"),
        ("overfitting", {"rise": -5}, "write a number from"),
        ("overfitting", {"unit": "weeks"}, "unit"),
        ("overfiting", {}, "did you mean 'overfitting'"),
    ],
)
def test_what_is_not_valid_is_refused_and_nothing_is_saved(
    api: Api, rule: str, settings: dict[str, object], named: str
) -> None:
    with pytest.raises(RulesError, match=named):
        api.save_rule(rule, settings, "vision")
    assert api.saved_rules("vision") == ()


def test_a_project_needs_an_editor_and_all_projects_an_admin(store: Store, tmp_path: Path) -> None:
    tokens = {
        (role, project): store.create_token(
            f"{role}-{project}", role, project=project, expires_ms=None, now_ms=1, by=LOCAL
        )[1]
        for role in Access
        for project in (None, "vision")
    }
    engines = Engines()
    engines.follow(store.saved_rules)
    with served(create_api(store, engines, Settings(dir=tmp_path), clock=lambda: NOW_MS)) as server:

        def may(role: Access, of: str | None, project: str | None) -> bool:
            with Api(server, settings=Settings(dir=tmp_path, token=tokens[role, of])) as api:
                try:
                    api.save_rule("spike", {"enabled": False}, project)
                except Forbidden:
                    return False
                return True

        assert {who for who in tokens if may(*who, "vision")} == {
            (Access.EDITOR, None), (Access.EDITOR, "vision"), (Access.ADMIN, None), (Access.ADMIN, "vision"),
        }  # fmt: skip
        assert {who for who in tokens if may(*who, "text")} == {(Access.EDITOR, None), (Access.ADMIN, None)}
        # A token of one project names it by itself.
        assert {who for who in tokens if may(*who, None)} == {
            (Access.EDITOR, "vision"), (Access.ADMIN, "vision"), (Access.ADMIN, None),
        }  # fmt: skip
    assert {row.who for row in store.saved_rules() if row.project is None} == {"admin-None"}


def test_a_copy_of_the_database_judges_alike(store: Store, tmp_path: Path) -> None:
    engines = Engines()
    engines.follow(store.saved_rules)
    save_rule(store, engines, "spike", {"enabled": False}, project="p", basis=None, by=LOCAL, now_ms=NOW_MS)
    other = f"sqlite:///{tmp_path / 'other.db'}"
    copy(store._engine.url.render_as_string(hide_password=False), other)
    with Store.open(other) as copied:
        assert copied.saved_rules() == store.saved_rules() != ()


def test_a_run_without_a_server_is_judged_by_what_is_saved(tmp_path: Path) -> None:
    settings = Settings(dir=tmp_path, capture=())
    with Api(settings=settings) as api:
        api.save_rule("nan", {"enabled": False})
        with monitor.init(project="p", name="one", settings=settings) as run:
            for step in range(10):
                run.log({"loss": float("nan")}, step=step)
        assert "nan" not in {finding.rule for finding in api.run("one").findings()}
        assert api.rules().hash == RulesConfig.from_mapping({"nan": False}).hash
