"""Sends the points of a run that MLflow still lacks, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from monitor.mlflow_store.content import metric_names
from monitor.mlflow_store.rest import ENTITIES, Metric, MlflowServer
from monitor.store import Store
from monitor.store.mirrors import Arrived

TARGET: Final = "mlflow"
"""The store's name for this mirror."""
SLICE: Final = 10 * ENTITIES
"""Points that are read of one run before it is the others' turn."""


def send(
    store: Store,
    server: MlflowServer,
    run_id: str,
    external: str,
    *,
    metrics: Sequence[Metric] = (),
    tags: Mapping[str, str] | None = None,
    more: Callable[[], bool] = lambda: True,
) -> tuple[bool, list[str]]:
    """Send the next points of a run, and record the progress after each batch.

    Args:
        external: the run's id in MLflow.
        metrics: additional ones, sent with the first batch.
        tags: sent with the first batch.
        more: called after each batch; returns whether there is time for another.

    Returns:
        Whether MLflow now has all points of the run, and what it refused, such as "metric loss".
    """
    parts = store.arrived(run_id, TARGET, SLICE)
    # read after the points, so that no series is missing
    names = metric_names([series.key for series in store.series(run_id)])
    left = sum(len(part.points) for part in parts)
    whole = left < SLICE and all(part.next_seq for part in parts)
    refused: list[str] = []
    for batch, far in _batches(parts, names):
        refused += server.log(external, metrics=(*metrics, *batch), tags=tags)
        metrics, tags = (), None
        store.mirrored(run_id, TARGET, far)
        left -= len(batch)
        if left > 0 and not more():
            return False, refused
    if metrics or tags:
        refused += server.log(external, metrics=metrics, tags=tags)
    return whole, refused


def _batches(
    parts: Sequence[Arrived], names: Mapping[str, str]
) -> Iterator[tuple[list[Metric], list[tuple[Arrived, int]]]]:
    """Batches within MLflow's limits, each with the progress of every part once it is stored."""
    batch: list[Metric] = []
    far: dict[int, tuple[Arrived, int]] = {}
    for at, part in enumerate(parts):
        far[at] = (part, 0)
        columns = (part.points.steps.tolist(), part.points.values.tolist(), part.points.times.tolist())
        for sent, (step, value, time_ms) in enumerate(zip(*columns, strict=True), start=1):
            batch.append(Metric(names[part.key], value, time_ms, step))
            far[at] = (part, sent)
            if len(batch) == ENTITIES:
                yield batch, list(far.values())
                batch, far = [], {}
    if far:
        yield batch, list(far.values())
