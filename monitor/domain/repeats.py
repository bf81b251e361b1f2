"""Runs that differ only in their seed: how far chance alone separates them, and whether a difference is real.

The difference of two means is compared with `t * s * sqrt(1/n + 1/m)`. Here s is the standard deviation between
repeats, pooled over both settings, and t is Student's quantile for 95% (two-sided). A single run is compared with
repeats of another setting by the spread of those.

Source:
    Student 1908; Bouthillier et al., Accounting for Variance in Machine Learning Benchmarks (MLSys 2021).
"""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from monitor.domain.formats import count, number, plain
from monitor.domain.plain import leaves
from monitor.domain.runs import RunInfo

_SEED: Final = re.compile(r".*seed|randomstate|rng|seedeverything")
_OWN: Final = frozenset({
    "runname", "runid", "outputdir", "outdir", "logdir", "loggingdir", "savedir", "workdir", "ckptdir",
    "checkpointdir", "timestamp",
})  # fmt: skip
"""Configuration entries that differ in every run and are not settings, without case and separators."""
_LOSS: Final = frozenset({"loss", "lossfn", "lossfunction", "lossname", "losstype", "criterion", "objective"})
T95: Final = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""Student's 97.5% quantile for 1 to 30 degrees of freedom."""
_APART: Final = 5.0
"""A run is an outlier beyond this many standard deviations of the other repeats. It takes at least three others."""
_COMPARED: Final = 3
"""How many settings the best one is compared with."""


def loss_of(run: RunInfo) -> str:
    """A run's loss, by its specification, else by its configuration; "" if neither says.

    Runs are compared by loss values only if this is equal.
    """
    return repr(run.loss) if run.loss is not None else named_loss(run)


def named_loss(run: RunInfo) -> str:
    """The loss named in a run's configuration, such as "mse"; "" if there is none."""
    said = (value for key, value in leaves(run.config) if _plain(key) in _LOSS and isinstance(value, str))
    return next(said, "")


def _plain(key: str) -> str:
    return re.sub(r"[^a-z0-9]", "", key.rpartition(".")[2].lower())


def setting_of(run: RunInfo) -> str:
    """A run's configuration without its seed and entries that differ in every run; "" if it has none."""
    found = {key: value for key, value in leaves(run.config) if _plain(key) not in _OWN}
    kept = {key: value for key, value in found.items() if not _SEED.fullmatch(_plain(key))}
    return f"{run.project} {loss_of(run)} {json.dumps(kept, sort_keys=True, default=str)}" if found else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What runs are compared by: their best loss, or the best value of a goal that all of them have."""

    name: str
    rises: bool = False

    def of(self, run: RunInfo) -> float:
        """A run's value."""
        value = run.recommendation.best_val_loss if self.name == "best loss" else run.goal_best
        return math.nan if value is None else value


def measures(runs: Sequence[RunInfo]) -> tuple[Measure, ...]:
    """The measures that all of the given runs have. The best loss counts only if all have the same loss."""
    found = []
    losses = [run.recommendation.best_val_loss for run in runs]
    if all(value is not None and math.isfinite(value) for value in losses) and len({loss_of(run) for run in runs}) == 1:
        found.append(Measure(name="best loss"))
    goals = {((run.reading or {}).get("goal"), (run.reading or {}).get("rises") is True) for run in runs}
    if len(goals) == 1 and all(run.goal_best is not None and math.isfinite(run.goal_best) for run in runs):
        name, rises = goals.pop()
        found.append(Measure(name=f"best {name}", rises=rises))
    return tuple(found)


def settings(runs: Sequence[RunInfo]) -> tuple[tuple[RunInfo, ...], ...]:
    """The runs grouped by setting, in order. A run without a configuration is its own group."""
    found: dict[str, list[RunInfo]] = {}
    for run in runs:
        found.setdefault(setting_of(run) or run.id, []).append(run)
    return tuple(map(tuple, found.values()))


def seed_noise(here: Sequence[float], there: Sequence[float]) -> float | None:
    """How far apart the means of two settings may be by chance; None if neither was repeated.

    >>> round(seed_noise([0.50, 0.52, 0.51], [0.53, 0.51, 0.52]), 4)
    0.0227
    >>> seed_noise([0.5], [0.6]) is None
    True
    """
    freedom = len(here) + len(there) - 2
    if freedom < 1 or not here or not there:
        return None
    squares = sum(statistics.variance(values) * (len(values) - 1) for values in (here, there) if len(values) > 1)
    t = T95[freedom - 1] if freedom <= len(T95) else 1.96 + 2.4 / freedom
    return t * math.sqrt(squares / freedom * (1 / len(here) + 1 / len(there)))


def sentences(runs: Sequence[RunInfo], labels: Mapping[str, str]) -> tuple[str, ...]:
    """Sentences about runs that differ only in their seed, and about differences compared with that.

    Args:
        labels: run id -> label.
    """
    found = settings(runs)
    if not any(len(group) > 1 for group in found):
        return ()
    names = titles(found, labels)
    lines = [
        line
        for name, group in zip(names, found, strict=True)
        if len(group) > 1
        for line in _spread(name, group, labels)
    ]
    return (*lines, *_compared(names, found))


def titles(found: Sequence[Sequence[RunInfo]], labels: Mapping[str, str]) -> list[str]:
    """Names for the settings: by the entries in which they differ, else by their only or first run."""
    flat = [dict(leaves(group[0].config)) for group in found]
    keys = [key for key in dict.fromkeys(k for config in flat for k in config) if not _SEED.fullmatch(_plain(key))]
    odd = [key for key in keys if _plain(key) not in _OWN and len({repr(config.get(key)) for config in flat}) > 1]
    names = []
    for group, config in zip(found, flat, strict=True):
        said = ", ".join(f"{key.rpartition('.')[2]} {plain(config[key])}" for key in odd[:3] if key in config)
        names.append(said if said and len(group) > 1 else labels.get(group[0].id, group[0].name))
    return names


def _spread(name: str, group: Sequence[RunInfo], labels: Mapping[str, str]) -> Iterator[str]:
    for measure in measures(group):
        values = [measure.of(run) for run in group]
        mean, sd = statistics.fmean(values), statistics.stdev(values)
        yield (
            f"{name}: {count(len(group), 'run')} differ only in the seed; {measure.name} {number(mean, 4)} ± "
            f"{number(sd, 2)} ({number(min(values), 4)} to {number(max(values), 4)})."
        )
        sign = -1 if measure.rises else 1
        worst = max(range(len(group)), key=lambda i: sign * values[i])
        others = values[:worst] + values[worst + 1 :]
        if len(others) >= 3 and sign * (values[worst] - statistics.fmean(others)) > _APART * statistics.stdev(others):
            run = group[worst]
            yield (
                f"{labels.get(run.id, run.name)} stands apart with {number(values[worst], 4)}: a bad start "
                "rather than a bad setting, so start it again with another seed."
            )


def _compared(names: Sequence[str], found: Sequence[Sequence[RunInfo]]) -> Iterator[str]:
    """Compare the best setting with the others, by everything that all runs have in common."""
    for measure in measures([run for group in found for run in group]) if len(found) > 1 else ():
        values = [[measure.of(run) for run in group] for group in found]
        order = sorted(range(len(found)), key=lambda i: statistics.fmean(values[i]) * (-1 if measure.rises else 1))
        for other in order[1 : _COMPARED + 1]:
            noise = seed_noise(values[order[0]], values[other])
            if noise is None:
                continue
            apart = abs(statistics.fmean(values[order[0]]) - statistics.fmean(values[other]))
            pair = f"{names[order[0]]} against {names[other]}"
            if not apart:
                yield f"{pair}: the same {measure.name}."
                continue
            what = "smaller" if apart <= noise else "larger"
            yield (
                f"{pair}: {measure.name} {number(apart, 3)} apart, {what} than the seed noise "
                f"({number(noise, 3)} at 95%)."
            )
