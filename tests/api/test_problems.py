from __future__ import annotations

import inspect
import json
import re

import httpx
import pytest
from fastapi import FastAPI

from monitor import errors
from monitor._resources import ROOT
from monitor.api import problems
from monitor.domain import JobHealth
from monitor.errors import MonitorError
from monitor.http.answers import error_of

from .conftest import served

_EXAMPLES: dict[type[MonitorError], MonitorError] = {
    errors.SettingsError: errors.SettingsError("port", "is odd", "use another"),
    errors.RulesError: errors.RulesError("a.toml", "is odd", "use another"),
    errors.RulesChanged: errors.RulesChanged("p", "ab12"),
    errors.LossError: errors.LossError("mse", "is odd", "use another"),
    errors.WireError: errors.WireError("points[3].value", "must be a number"),
    errors.QueryError: errors.QueryError("val.best <", 10, "a value is missing"),
    errors.BatchTooLarge: errors.BatchTooLarge("http://x", "HTTP 413"),
    errors.OffsetGap: errors.OffsetGap("ab" * 16, "w", expected=3, got=7),
    errors.FileUnreadable: errors.FileUnreadable("a.csv", "row 3", "is odd"),
    errors.NoHistory: errors.NoHistory("a.json"),
    errors.RunExists: errors.RunExists("ab" * 16),
    errors.MlflowRefused: errors.MlflowRefused("http://x", "runs/create", "INVALID_PARAMETER_VALUE", "is odd"),
    errors.StopRefused: errors.StopRefused("ab" * 16, "it is finished", "there is nothing to stop"),
    errors.StopTraining: errors.StopTraining("it overfits"),
    errors.RunNotFound: errors.RunNotFound("ab" * 16),
    errors.SeriesNotFound: errors.SeriesNotFound("ab" * 16, "loss", ("a",)),
    errors.MediaNotFound: errors.MediaNotFound("a" * 32, 5),
    errors.AlertNotFound: errors.AlertNotFound("1234"),
    errors.Unauthorized: errors.Unauthorized("http://x"),
    errors.Forbidden: errors.Forbidden("POST /x needs the role editor"),
    errors.TokenNotFound: errors.TokenNotFound("x"),
    errors.ServerUnreachable: errors.ServerUnreachable("http://x", "is down"),
    errors.ServerFailed: errors.ServerFailed("http://x", "HTTP 500"),
    errors.DeliveryFailed: errors.DeliveryFailed("json://x", "is down"),
    errors.StoreError: errors.StoreError("disk full"),
    errors.SchemaMismatch: errors.SchemaMismatch("sqlite://", found="1", wanted="2", command="monitor db upgrade"),
    errors.StoreBusy: errors.StoreBusy("sqlite://", 5),
    errors.MonitorError: errors.MonitorError("odd"),
}


def _doc(page: str) -> str:
    return (ROOT / "docs" / page).read_text(encoding="utf-8")


def test_every_error_of_the_package_becomes_a_problem_with_its_message() -> None:
    tree = {c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, MonitorError)}

    # Whoever adds an error decides here how HTTP tells it.
    assert tree == _EXAMPLES.keys()
    for error in _EXAMPLES.values():
        response = problems.of_error(error)
        body = json.loads(bytes(response.body))
        assert body["detail"] == str(error)
        assert body["status"] == response.status_code
        assert 400 <= response.status_code < 600


@pytest.mark.parametrize(
    "kind",
    [
        errors.OffsetGap, errors.RunExists, errors.RulesChanged, errors.RulesError, errors.StopRefused,
        errors.RunNotFound, errors.SeriesNotFound, errors.MediaNotFound, errors.AlertNotFound, errors.SettingsError,
        errors.DeliveryFailed, errors.TokenNotFound, errors.Forbidden, errors.StoreError,
    ],
)  # fmt: skip
def test_a_client_raises_the_same_error_in_the_same_words(kind: type[MonitorError]) -> None:
    response = problems.of_error(_EXAMPLES[kind])

    found = error_of("http://x", response.status_code, bytes(response.body))

    assert (type(found), str(found)) == (kind, str(_EXAMPLES[kind]))
    assert all(hasattr(found, name) for name in vars(_EXAMPLES[kind]))


@pytest.mark.parametrize(
    ("kind", "status", "members", "headers"),
    [
        (errors.WireError, 422, {"field": "points[3].value"}, {}),
        (errors.QueryError, 422, {"field": "query", "position": 10}, {}),
        (errors.OffsetGap, 409, {"expected": 3, "got": 7}, {}),
        (errors.RunExists, 409, {"run_id": "ab" * 16}, {}),
        (errors.StopRefused, 409, {"run_id": "ab" * 16}, {}),
        (errors.RunNotFound, 404, {"run_id": "ab" * 16}, {}),
        (errors.SeriesNotFound, 404, {"key": "loss"}, {}),
        (errors.Unauthorized, 401, {}, {"www-authenticate": "Bearer"}),
        (errors.StoreBusy, 503, {}, {"retry-after": "1"}),
        (errors.SchemaMismatch, 503, {"found": "1", "wanted": "2"}, {"retry-after": "30"}),
    ],
)
def test_the_members_and_headers_that_a_client_acts_on_are_there(
    kind: type[MonitorError], status: int, members: dict[str, object], headers: dict[str, str]
) -> None:
    response = problems.of_error(_EXAMPLES[kind])

    body = json.loads(bytes(response.body))
    assert response.status_code == status
    assert members.items() <= body.items()
    assert headers.items() <= dict(response.headers).items()


def test_the_docs_have_every_error_with_its_status_and_members() -> None:
    rows: dict[str, tuple[int, set[str]]] = {}
    table = re.findall(r"^\| (`[^|]+) \| ([\d, ]+)[^|]*\| ([^|]*)\|$", _doc("api.md"), re.M)
    for kinds, statuses, members in table:
        names, codes = re.findall(r"`([\w-]+)`", kinds), [int(code) for code in re.findall(r"\d+", statuses)]
        rows |= {
            name: (code, set(re.findall(r"`(\w+)`", members)))
            for name, code in zip(names, codes * (len(names) if len(codes) == 1 else 1), strict=True)
        }
    for kind in problems._TITLES:
        response = problems.of_error(_EXAMPLES[kind])
        body = json.loads(bytes(response.body))
        status, members = rows[body["type"].rpartition(":")[2]]
        assert (status, members - set(body)) == (response.status_code, set())
        section = re.search(rf"^### `{kind.__name__}`\n(.*?)(?=^#|\Z)", _doc("errors.md"), re.M | re.S)
        assert section is not None
        assert re.findall(r"HTTP (\d+)", section[1]) in ([], [str(response.status_code)])


@pytest.mark.parametrize(
    ("kind", "seconds"), [(errors.StoreBusy, (1, 2)), (errors.StoreError, (1, 10)), (errors.SchemaMismatch, (10, 60))]
)
def test_a_client_comes_again_soon_where_it_may_be_served_soon(
    kind: type[MonitorError], seconds: tuple[int, int]
) -> None:
    least, most = seconds
    assert least <= int(problems.of_error(_EXAMPLES[kind]).headers["retry-after"]) <= most


@pytest.mark.parametrize(
    "told",
    [
        "postgresql://monitor:hunter2@db.example/monitor: connection refused",
        "postgresql://db.example/monitor?password=hunter2&sslmode=require: no such host",
        "postgresql://db.example/monitor?sslpassword=hunter2: no such host",
        'invalid connection option in "user=monitor password=hunter2 host=db"',
    ],
)
def test_what_a_database_says_is_told_without_its_secrets(told: str) -> None:
    detail = json.loads(bytes(problems.of_error(errors.StoreError(f"database {told}")).body))["detail"]

    assert "hunter2" not in detail
    assert "***" in detail
    assert "db" in detail


def test_a_bug_is_a_500_problem_that_tells_no_internals_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    problems.install(app)

    @app.get("/bug")
    def bug() -> None:
        raise KeyError("the secret of the database")

    with served(app) as url:
        response = httpx.get(f"{url}/bug")

    assert (response.status_code, response.json()["type"]) == (500, "urn:lossmonitor:problem:internal")
    assert "secret" not in response.text
    assert "the secret of the database" in caplog.text


def test_the_health_of_jobs_is_plain_data() -> None:
    assert json.loads(json.dumps(JobHealth(runs=3).to_dict()))["runs"] == 3


def test_what_a_refusal_quotes_may_be_no_text_in_any_encoding() -> None:
    response = problems.of_error(errors.WireError("\ud800", "is \udfff odd"))

    assert response.status_code == 422
    assert json.loads(bytes(response.body))["detail"] == "?: is ? odd"
