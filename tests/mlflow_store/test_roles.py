"""The role that each of MLflow's routes needs: all routes of the installed version, with hostile names in them."""

from __future__ import annotations

import re
import warnings

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from monitor.api.mlflow_roles import needed
from monitor.domain import Access
from monitor.mlflow_store.app import Beside
from tests import loops

POSTED_READS = re.compile(
    r"(search|search-datasets|get-latest-versions|presigned-download-url|batchGetInfos|metrics"
    r"|calculate-filter-correlation)$|^/graphql$"
)
ACTS = ("assistant", "webhooks", "gateway", "jobs", "scorer", "genai", "demo", "workspaces", "invoke", "mcp-servers")


@pytest.fixture(scope="module")
def routes() -> list[tuple[str, str]]:
    """Method and pattern of every route, with `{}` for each part that a client chooses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.server import app as flask
        from mlflow.server.fastapi_app import app

        paths = app.openapi()["paths"]
    found = {(verb.upper(), re.sub(r"{[^}]*}", "{}", path)) for path, verbs in paths.items() for verb in verbs}
    for rule in flask.url_map.iter_rules():
        found |= {(method, re.sub(r"<[^>]*>", "{}", rule.rule)) for method in rule.methods or ()}
    return sorted(found)


@pytest.mark.parametrize("chosen", ["x", "search", "get-me.txt", "list/of", "graphql", "search/metrics", "traces"])
def test_what_changes_something_needs_more_than_a_viewer_whatever_is_named_in_its_path(
    routes: list[tuple[str, str]], chosen: str
) -> None:
    assert len(routes) > 200
    for method, pattern in routes:
        if method not in ("GET", "HEAD", "OPTIONS") and not POSTED_READS.search(pattern):
            role = needed(method, pattern.replace("{}", chosen))
            assert role is not Access.VIEWER, (method, pattern)
            assert method != "DELETE" or role.covers(Access.EDITOR), (method, pattern)


def test_what_makes_the_server_act_and_what_is_not_known_needs_an_admin(routes: list[tuple[str, str]]) -> None:
    acting = [(m, p) for m, p in routes if m not in ("GET", "HEAD", "OPTIONS") and any(a in p for a in ACTS)]
    assert len(acting) > 40
    assert {(m, p): needed(m, p) for m, p in acting if needed(m, p) is not Access.ADMIN} == {}
    for area in ("assistant/config", "webhooks"):
        assert needed("GET", f"/ajax-api/3.0/mlflow/{area}") is Access.ADMIN
    for path in ("/api/4.0/mlflow/tomorrow/search", "/api/2.0/mlflow//runs/search", "/run"):
        assert needed("POST", path) is Access.ADMIN


def test_a_viewer_reads_and_a_logger_logs(routes: list[tuple[str, str]]) -> None:
    reads = [(m, p) for m, p in routes if m == "GET" and "assistant" not in p and "webhooks" not in p]
    assert all(needed(m, p.replace("{}", "delete")) is Access.VIEWER for m, p in reads)
    for verb in ("experiments/search", "runs/search", "traces/search", "registered-models/get-latest-versions"):
        assert needed("POST", f"/api/2.0/mlflow/{verb}") is Access.VIEWER
    for method, path in (
        ("POST", "runs/create"), ("POST", "runs/log-batch"), ("PATCH", "logged-models/delete-me"),
        ("POST", "logged-models/delete-me/params"), ("POST", "registered-models/create"),
    ):  # fmt: skip
        assert needed(method, f"/api/2.0/mlflow/{path}") is Access.LOGGER, path
    assert needed("PUT", "/api/2.0/mlflow-artifacts/artifacts/1/delete.txt") is Access.LOGGER
    assert needed("POST", "/api/2.0/mlflow-artifacts/mpu/create/restore.bin") is Access.LOGGER
    assert needed("POST", "/v1/traces") is Access.LOGGER


def test_a_websocket_reaches_mlflow_only_where_nobody_is_asked_for_a_token() -> None:
    reached: list[str] = []

    async def ours(_: Scope, __: Receive, ___: Send) -> None:
        reached.append("ours")

    async def mlflows(_: Scope, __: Receive, ___: Send) -> None:
        reached.append("MLflow's")

    async def nobody(_: Scope) -> Response:
        return Response(status_code=401)

    async def unused() -> None:
        raise AssertionError

    async def ask() -> None:
        for refusal in (nobody, None):
            await Beside(ours, mlflows, refusal)({"type": "websocket", "path": "/tomorrow"}, unused, unused)  # type: ignore[arg-type]  # never called

    loops.run(ask)
    assert reached == ["ours", "MLflow's"]
