"""Sends the points of a run that MLflow still lacks, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from monitor.domain import SeriesInfo
from monitor.mlflow_store.content import metric_names
from monitor.mlflow_store.rest import ENTITIES, Metric, MlflowServer
from monitor.store.mirrors import Arrived

TARGET: Final = "mlflow"
"""The store's name for this mirror."""
SLICE: Final = 10 * ENTITIES
"""Points that are read of one run before it is the others' turn."""


class Arrivals(Protocol):
    """What is needed from the store."""

    def arrived(self, run_id: str, target: str, most: int) -> Sequence[Arrived]:
        """Points that the mirror still lacks, about `most` over all series."""

    def series(self, run_id: str) -> tuple[SeriesInfo, ...]:
        """The run's series."""

    def mirrored(self, run_id: str, target: str, far: Sequence[tuple[Arrived, int]]) -> None:
        """Record how many points the mirror now has of each result of `arrived`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The result of sending points.

    Attributes:
        whole: True if MLflow now has all points of the run.
        refused: what MLflow refused, such as "metric loss".
    """

    whole: bool
    refused: tuple[str, ...]


def send(
    store: Arrivals,
    server: MlflowServer,
    run_id: str,
    external: str,
    *,
    metrics: Sequence[Metric] = (),
    tags: Mapping[str, str] | None = None,
    more: Callable[[], bool] = lambda: True,
) -> Sent:
    """Send the next points of a run, and record the progress after each batch.

    Args:
        external: the run's id in MLflow.
        metrics: additional ones, sent with the first batch.
        tags: sent with the first batch.
        more: called after each batch; returns whether there is time for another.
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
            return Sent(whole=False, refused=tuple(refused))
    if metrics or tags:
        refused += server.log(external, metrics=metrics, tags=tags)
    return Sent(whole=whole, refused=tuple(refused))


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
