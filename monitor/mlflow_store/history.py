"""The points of a run on their way to MLflow: what it has not got yet, batch by batch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from monitor.mlflow_store.rest import ENTITIES, Metric, MlflowServer
from monitor.store.runs.mirror import Arrived

TARGET: Final = "mlflow"
"""What the store calls this copy."""
SLICE: Final = 10 * ENTITIES
"""Points that are sent of one run before the others get their turn."""


class Arrivals(Protocol):
    """What is needed of the store."""

    def arrived(self, run_id: str, target: str, most: int) -> Sequence[Arrived]:
        """Points that the mirror has not got yet, about `most` of all series together."""
        ...

    def mirrored(self, run_id: str, target: str, far: Sequence[tuple[Arrived, int]]) -> None:
        """Note how many points the mirror has of each of what `arrived` gave."""
        ...


def send(
    store: Arrivals, server: MlflowServer, run_id: str, external: str, names: Mapping[str, str]
) -> tuple[bool, list[str]]:
    """Send the next points of a run, and note after each batch how far they are.

    Args:
        external: the run's id in MLflow.
        names: name in MLflow of each series.

    Returns:
        Whether all points are there now, and what MLflow refused.
    """
    parts = store.arrived(run_id, TARGET, SLICE)
    refused: list[str] = []
    batch: dict[tuple[object, ...], Metric] = {}
    far: dict[int, tuple[Arrived, int]] = {}
    total = 0

    def flush() -> None:
        if batch:
            refused.extend(server.log(external, metrics=list(batch.values())))
        store.mirrored(run_id, TARGET, list(far.values()))
        batch.clear()
        far.clear()

    for at, part in enumerate(parts):
        far[at] = (part, 0)
        columns = (part.points.steps.tolist(), part.points.values.tolist(), part.points.times.tolist())
        for sent, (step, value, time_ms) in enumerate(zip(*columns, strict=True), start=1):
            metric = Metric(names[part.key], value, time_ms, step)
            batch[_identity(metric)] = metric
            far[at] = (part, sent)
            if len(batch) == ENTITIES:
                flush()
        total += len(part.points)
    if far:
        flush()
    return total < SLICE and all(part.next_seq for part in parts), refused


def _identity(metric: Metric) -> tuple[object, ...]:
    """What MLflow takes for the same point; it fails on a batch that holds one twice if the value is NaN."""
    value: object = "NaN" if math.isnan(metric.value) else metric.value
    return metric.key, metric.time_ms, metric.step, value
