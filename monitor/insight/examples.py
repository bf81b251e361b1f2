"""A run's examples and slices: which ones make the loss, and which slice gets worse while the mean does not."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from monitor.domain import RunSnapshot, SeriesInfo
from monitor.domain.formats import number, step
from monitor.limits import MAX_EXAMPLES
from monitor.losses.examples import sentences
from monitor.roles import Role, role_of
from monitor.rules.describe.features import Features
from monitor.rules.rules.overfitting import Overfitting
from monitor.rules.sketch.curve import Curve
from monitor.rules.sketch.state import SHAPES, TRAIN, VAL
from monitor.store import Store

_SLICE: Final = re.compile(r"(?P<base>.+)\{(?P<slice>[^{}]+)\}")
_JUDGED: Final = 4
"""Slices that are diagnosed on their own, at most: those furthest above their best."""
_RULE: Final = Overfitting()
_LIMITS: Final = {name: limit.default for name, limit in Overfitting.spec.thresholds.items()}


def examples(store: Store, seen: RunSnapshot) -> dict[str, Any]:
    """The latest summary of each data set's examples, the slices of the validation loss, and sentences about both.

    Costs nothing for a run without them, because `run.log_example_losses` also logs series that reveal it.
    """
    newest: dict[str, dict[str, object]] = {}
    if any(series.key.startswith("examples/") for series in seen.series):
        for event in store.newest_events(seen.info.id, "examples", MAX_EXAMPLES):
            newest.setdefault(str(event.data["split"]), dict(event.data))
    slices = list(_slices(store, seen))
    said = [sentence for found in newest.values() for sentence in sentences(found)]
    return {"summaries": list(newest.values()), "slices": slices, "text": [*said, *_words(seen, slices)]}


def _slices(store: Store, seen: RunSnapshot) -> Iterator[dict[str, Any]]:
    """The slices of the validation loss, worst first, each with its best value and verdict."""
    found = [each for each in _of_validation(seen) if each[0].last is not None]
    risen = sorted((series for series, _ in found if _rise(series) > _LIMITS["rise"]), key=_rise, reverse=True)
    loss = seen.judged(Role.TRAIN)
    judged = {series.key for series in risen[:_JUDGED]}
    found.sort(key=lambda each: -(each[0].last or 0.0))
    for series, name in found:
        since = None
        if loss is not None and series.key in judged:
            since = _overfits(store, seen.info.id, series.key, series.count)
        yield {"key": series.key, "slice": name, "last": series.last, "best": series.min, "best_step": series.min_step,
               "verdict": "overfitting" if since is not None else None, "since_step": since}  # fmt: skip


def _of_validation(seen: RunSnapshot) -> Iterator[tuple[SeriesInfo, str]]:
    """The series that are slices of a validation loss, with the slice's name."""
    for series in seen.series:
        match = _SLICE.fullmatch(series.key)
        if match is not None and role_of(match["base"]) is Role.VAL:
            yield series, match["slice"]


def _rise(series: SeriesInfo) -> float:
    """How far a slice is above its best, relative to it."""
    last, best = series.last or 0.0, series.min or 0.0
    return (last - best) / max(abs(best), 1e-300)


@lru_cache(maxsize=256)
def _overfits(store: Store, run_id: str, key: str, count: int) -> float | None:  # noqa: ARG001  # a new count invalidates the cache
    """The step since which a slice overfits, treated as the validation loss; None if it does not.

    Uses the engine's own sketch of the training loss; only the slice's evaluations are read. A page asks every second,
    so the answer is cached until the slice has another value.
    """
    known = store.engine_state(run_id)
    if known is None:
        return None
    state = known.fork()
    state.curves = (state.curves[TRAIN], Curve(*SHAPES[VAL]), *state.curves[VAL + 1 :])
    points, curve = store.history(run_id, key), state.curves[VAL]
    for at, value in zip(points.steps.tolist(), points.values.tolist(), strict=True):
        if math.isfinite(value):
            curve.push(value, at)
    reading = _RULE.check(Features(state, state.last_step), _LIMITS, False)
    return None if reading is None else reading.onset


def _words(seen: RunSnapshot, slices: list[dict[str, Any]]) -> Iterator[str]:
    mean = seen.judged(Role.VAL)
    if mean is not None and _SLICE.fullmatch(mean.key):
        mean = None
    if len(slices) > 1:
        worst = slices[0]
        over = (
            f", {number(worst['last'] / mean.last, 2)} times {mean.key}" if mean and mean.last and mean.last > 0 else ""
        )
        yield f"Worst of {len(slices)} slices: {worst['slice']} with {number(worst['last'])}{over}."
    broken = [name for series, name in _of_validation(seen) if series.nan_count or series.inf_count]
    if broken:
        yield f"Slices with values that are not finite: {', '.join(broken[:5])}{' ...' if len(broken) > 5 else ''}."
    for found in slices:
        if found["verdict"] is None:
            continue
        later = mean is not None and mean.min_step is not None and mean.min_step > found["best_step"]
        still = f", while {mean.key} still improved until step {step(mean.min_step)}" if mean and later else ""
        yield (
            f"{found['slice']} overfits: {number(found['last'])}, {found['last'] / found['best'] - 1:.0%} above its "
            f"best of {number(found['best'])} at step {step(found['best_step'])}{still}."
            if found["best"] > 0
            else f"{found['slice']} overfits: {number(found['last'])}, best {number(found['best'])}{still}."
        )
