"""Schemathesis over the whole OpenAPI document: no request fails the server, and what it answers is documented."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings

from monitor.api import create_api
from monitor.domain import Access, Caller
from monitor.ingest.engines import Engines
from monitor.settings import Settings
from monitor.store import Store

from ..conftest import Feed
from .conftest import served

schemathesis = pytest.importorskip("schemathesis")
checks = pytest.importorskip("schemathesis.specs.openapi.checks")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
EXAMPLES = 60
"""Requests of each operation."""


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, dict[str, str]]]:
    made = Settings(dir=tmp_path_factory.mktemp("schemathesis"), rate_limit=0)
    with Store.open(made.store_url) as store, served(create_api(store, Engines(), made)) as url:
        by = Caller(name="test", access=Access.ADMIN)
        token = store.create_token("t", Access.ADMIN, project=None, expires_ms=None, now_ms=1, by=by)[1]
        feed = Feed(store)
        feed.start(name="x", config={"lr": 0.1})
        feed.log("train/loss", range(100), [1 / (1 + i) for i in range(100)])
        feed.event("finish", status="finished")
        headers = {"Authorization": f"Bearer {token}"}
        yield schemathesis.openapi.from_url(f"{url}/openapi.json", headers=headers), headers


def operations() -> list[str]:
    store: Any = SimpleNamespace(versions=None)  # never asked
    made = create_api(store, Engines(), Settings(dir="/nowhere")).openapi()
    methods = ("get", "post", "put", "delete", "patch")
    return [f"{m.upper()} {path}" for path, found in made["paths"].items() for m in methods if m in found]


@pytest.mark.parametrize("label", operations())
def test_an_operation_answers_every_request_as_the_document_says(
    schema: tuple[Any, dict[str, str]], label: str
) -> None:
    found, headers = schema
    method, path = label.split(" ")
    operation = found[path][method]
    wanted = [
        schemathesis.checks.not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
        checks.response_headers_conformance,
    ]

    @settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=True)
    @given(case=operation.as_strategy())
    def holds(case: Any) -> None:
        if "wait" in (case.query or {}):
            case.query["wait"] = 0  # nothing happens in this store that could be waited for
        assert case.call_and_validate(headers=headers, checks=wanted, timeout=30).status_code < 500

    holds()
