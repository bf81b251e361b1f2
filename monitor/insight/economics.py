"""What a stop saves, from stored facts: planned steps, measured pace, and the price of an hour."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from monitor.domain import Checkpoint, RunInfo, RunSnapshot, Saving, best_checkpoint
from monitor.insight.examples import examples
from monitor.insight.remedies import remedies
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.runs.facts import Facts

PLANNED: Final = (
    "max_steps", "total_steps", "num_steps", "n_steps", "train_steps", "num_train_steps", "num_training_steps",
    "max_train_steps", "total_training_steps", "max_iters", "max_iterations", "num_iterations", "n_iterations",
    "iterations", "n_iter", "total_timesteps", "num_boost_round", "n_estimators", "steps",
)  # fmt: skip
"""Configuration entries with the planned number of steps; the first one found is used."""
EPOCHS: Final = ("max_epochs", "num_train_epochs", "num_epochs", "n_epochs", "epochs")
STEPS_PER_EPOCH: Final = ("steps_per_epoch", "batches_per_epoch", "iters_per_epoch")
_DEPTH: Final = 4  # levels of nested configuration to search


def planned_steps(run: RunInfo) -> int | None:
    """The planned number of steps: declared, else from the configuration; None if unknown.

    A configuration with epochs and steps per epoch gives their product.
    """
    if run.planned_steps is not None:
        return run.planned_steps
    entries = dict(reversed([(name.lower(), value) for name, value in _entries(run.config, _DEPTH)]))
    found = next((value for name in PLANNED if (value := _count(entries.get(name)))), None)
    if found is not None:
        return found
    epochs = next((value for name in EPOCHS if (value := _count(entries.get(name)))), None)
    each = next((value for name in STEPS_PER_EPOCH if (value := _count(entries.get(name)))), None)
    return None if epochs is None or each is None else epochs * each


def _entries(config: Mapping[str, object], depth: int) -> Iterator[tuple[str, object]]:
    """The entries of a configuration; those of nested tables come after those of the outer one."""
    yield from config.items()
    for value in config.values():
        if isinstance(value, Mapping) and depth > 1:
            yield from _entries(value, depth - 1)


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 1:
        return None
    return int(value)


def seconds_per_step(run: RunInfo, facts: Facts) -> float | None:
    """Seconds per step of the current attempt, from its start to its last point; None before the second step."""
    end = run.finished_ms if run.status.ended and run.finished_ms is not None else run.last_point_ms
    if end is None or run.last_step is None or facts.first_step is None:
        return None
    steps = run.last_step - facts.first_step + 1
    return None if steps < 2 or end <= facts.begun_ms else (end - facts.begun_ms) / 1000 / steps


@dataclass(frozen=True, slots=True)
class Price:
    """The price of an hour of a run's machine; None if no price is set."""

    hour: float | None
    gpus: int


def price_of(prices: Mapping[str, float], gpus: Sequence[str]) -> Price:
    """The price of an hour of a machine.

    Args:
        prices: price of an hour of one GPU, by a word in its name (the longest match counts); "*": of the machine.
        gpus: names of its GPUs.

    >>> price_of({"A100": 2.5, "*": 1.0}, ["NVIDIA A100-SXM4-80GB"] * 4), price_of({"*": 1.0}, [])
    (Price(hour=10.0, gpus=4), Price(hour=1.0, gpus=0))
    """
    each = []
    for name in gpus:
        fits = [word for word in prices if word != "*" and word.lower() in name.lower()]
        each.append(prices[max(fits, key=len)] if fits else None)
    known = [price for price in each if price is not None]
    if known and len(known) == len(gpus):
        return Price(sum(known), len(gpus))
    return Price(prices.get("*"), len(gpus))


def saving(run: RunInfo, facts: Facts, settings: Settings, checkpoints: Iterable[Checkpoint]) -> Saving:
    """What stopping a run now would save."""
    planned, pace = planned_steps(run), seconds_per_step(run, facts)
    price = price_of(settings.prices_of(run.project), facts.gpus)
    found = Saving(
        planned_steps=planned, last_step=run.last_step, seconds_per_step=pace, gpus=price.gpus,
        price_hour=price.hour, currency=settings.cost_currency, best_step=run.recommendation.best_at,
        resume=f'monitor.init("{run.project}", run_id="{run.id}", resume="allow")',
    )  # fmt: skip
    found = with_checkpoint(found, run, checkpoints)
    if planned is None or run.last_step is None or run.status.ended:
        return found
    left = max(0, planned - run.last_step - 1)
    return replace(found, steps=left, **spent(left, pace, price))  # type: ignore[arg-type]  # fields of a saving


def with_checkpoint(saved: Saving, run: RunInfo, checkpoints: Iterable[Checkpoint]) -> Saving:
    """The saving, with the checkpoint to restore."""
    best = best_checkpoint(run.recommendation, checkpoints)
    return saved if best is None else replace(saved, checkpoint=best.path, checkpoint_step=best.step)


def spent(steps: int | None, pace: float | None, price: Price) -> dict[str, float | None]:
    """Hours, GPU-hours and cost of some steps; None if the steps, the pace or the price is unknown."""
    if steps is None or pace is None:
        return {"hours": None, "gpu_hours": None, "cost": None}
    hours = steps * pace / 3600
    return {
        "hours": hours,
        "gpu_hours": hours * price.gpus if price.gpus else None,
        "cost": None if price.hour is None else hours * price.hour,
    }


def snapshot(store: Store, settings: Settings, ref: str, *, within: str | None = None) -> RunSnapshot:
    """A run with everything but its points and events, what a stop would save, and remedies if it overfits.

    Args:
        within: the only project that the run may belong to; None: any.
    """
    seen = store.snapshot(ref, within=within)
    run = seen.info
    amount = saving(run, store.facts([run.id])[run.id], settings, seen.checkpoints)
    tried = tuple(remedy.to_dict() for remedy in remedies(seen))
    return replace(seen, saving=amount, examples=examples(store, seen), remedies=tried)


def saving_of(store: Store, settings: Settings, run_id: str) -> Saving:
    """What stopping a run now would save."""
    run = store.run(run_id)
    return saving(run, store.facts([run.id])[run.id], settings, store.checkpoints(run.id))
