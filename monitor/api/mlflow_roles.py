"""The role that a route of MLflow's needs.

Parts of a path that clients choose, such as the name of an artifact, decide nothing: the method says what reads,
or by the name of one of MLflow's searches at its own place. Routes that make the server itself act (assistants,
webhooks, gateways, jobs), and those that are not known here, need an admin.
"""

from __future__ import annotations

import re
from typing import Final

from monitor.domain import Access

_ROUTE: Final = re.compile(r"/(?:ajax-)?api/\d\.\d/?(?:mlflow/)?([^/]+)(?:/([^/]+))?(/.*)?")
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LOGGING: Final = frozenset({
    "artifacts", "datasets", "experiments", "issues", "label-schemas", "logged-models", "mlflow-artifacts",
    "model-versions", "registered-models", "review-queues", "runs", "traces", "upload-artifact",
})  # fmt: skip
"""Areas in which clients record what they do."""
_SEARCHES: Final = frozenset({
    "search", "search-datasets", "get-latest-versions", "presigned-download-url", "batchGetInfos",
    "calculate-filter-correlation", "metrics",
})  # fmt: skip
"""What of these areas reads although it is posted."""
_SECRETIVE: Final = frozenset({"assistant", "webhooks"})
"""Areas that show paths of the server or addresses that hold secrets, or act when they are read."""


def needed(method: str, path: str) -> Access:
    """The role that a request needs.

    >>> [str(needed("POST", f"/api/2.0/mlflow/runs/{verb}")) for verb in ("search", "log-batch", "delete")]
    ['viewer', 'logger', 'editor']
    >>> str(needed("DELETE", "/api/2.0/mlflow-artifacts/artifacts/1/search")), str(needed("POST", "/gateway/x"))
    ('editor', 'admin')
    """
    found = _ROUTE.fullmatch(path)
    area, verb, more = found.groups() if found is not None else (path, None, None)
    if method in _READING:
        return Access.ADMIN if area in _SECRETIVE else Access.VIEWER
    if area == "/graphql":  # has no mutations
        return Access.VIEWER
    if area not in _LOGGING or verb == "invoke":
        return Access.LOGGER if area in ("/v1/traces", "/v1/metrics") else Access.ADMIN
    own = verb or "" if method == "POST" and more is None else ""  # elsewhere, a client may have chosen it
    if own in _SEARCHES:
        return Access.VIEWER
    return Access.EDITOR if method == "DELETE" or own.startswith(("delete", "restore")) else Access.LOGGER
