"""Several runs next to each other: which metrics they share, how they differ, how they ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from dashboard import markup, skill, words
from dashboard.data import Snapshot
from dashboard.markup import text
from monitor.domain import RunInfo, SeriesInfo
from monitor.roles import Role

TRAIN_LOSS: Final = "training loss"
VAL_LOSS: Final = "validation loss"
DIFFERENCES: Final = 200
"""Rows of the table of differences, at most."""
MANY: Final = 12
"""Runs that stand beside each other; more stand below each other."""
COLUMNS: Final = 20
"""Keys of the configuration that are shown where runs stand below each other, at most."""


def metrics(seen: Sequence[Snapshot]) -> tuple[str, ...]:
    """What can be overlaid: the two losses, whatever each run calls them, then the keys that most runs have."""
    found = [
        name for name, role in ((VAL_LOSS, Role.VAL), (TRAIN_LOSS, Role.TRAIN)) if any(s.judged(role) for s in seen)
    ]
    keys = Counter(s.key for snapshot in seen for s in snapshot.series)
    return (*found, *(key for key, _ in sorted(keys.items(), key=lambda kn: (-kn[1], kn[0]))))


def series_for(snapshot: Snapshot, metric: str) -> SeriesInfo | None:
    """The run's series for a metric of `metrics`, None where it has none."""
    roles = {TRAIN_LOSS: Role.TRAIN, VAL_LOSS: Role.VAL}
    if metric in roles:
        return snapshot.judged(roles[metric])
    return next((s for s in snapshot.series if s.key == metric), None)


def labels(runs: Sequence[RunInfo]) -> tuple[str, ...]:
    """A label for each run: its name, with the start of its id where names repeat."""
    names = Counter(run.name for run in runs)
    return tuple(run.name if names[run.name] == 1 else f"{run.name} {run.id[:6]}" for run in runs)


def results(seen: Sequence[Snapshot], now_ms: int, lines: Mapping[str, tuple[str, str]] | None = None) -> str:
    """How each run stands: verdict, last and best values; the best of them is marked.

    Args:
        seen: the runs.
        now_ms: milliseconds since the epoch.
        lines: by run id the colour and the dash of its line in the chart, which is drawn before its name.
    """
    leader = _leader(seen)
    scored = any(skill.comparable(s.info) for s in seen)
    rows = []
    for label, snapshot in zip(labels([s.info for s in seen]), seen, strict=True):
        run, train, val = snapshot.info, snapshot.judged(Role.TRAIN), snapshot.judged(Role.VAL)
        star = ' <span class="lm-chip lm-good">★ best</span>' if run.id == leader else ""
        end = run.finished_ms or (now_ms if run.status.live else run.last_point_ms) or run.created_ms
        rows.append(
            (f"{_line((lines or {}).get(run.id))}{markup.run_link(run.id, text(label))}",
             markup.status(run.status), markup.chip(run.verdict),
             words.step(run.last_step), words.number(train.last if train else None),
             words.number(val.last if val else None), words.number(run.recommendation.best_val_loss) + star,
             words.step(run.recommendation.best_step), *([skill.figure(run)] if scored else []),
             words.duration(end - run.created_ms))
        )  # fmt: skip
    heads = ("Run", "Status", "Verdict", "Last step", "Train", "Validation", "Best loss",
             "at step", *(["Skill"] if scored else []), "Took")  # fmt: skip
    return "<h2>Results</h2>" + markup.table(heads, rows, numeric=range(3, len(heads)))


def _line(look: tuple[str, str] | None) -> str:
    """A piece of the run's line, as the chart draws it."""
    if look is None:
        return ""
    colour, dash = look
    return (
        '<svg class="lm-swatch" aria-hidden="true" width="26" height="8" viewBox="0 0 26 8"><path d="M0 4H26" '
        f'stroke="{text(colour)}" stroke-width="2.4" stroke-dasharray="{_PATTERNS.get(dash, "")}"/></svg> '
    )


_PATTERNS: Final = {"dash": "7 4", "dot": "2 3", "dashdot": "7 3 2 3", "longdash": "11 4", "longdashdot": "11 3 2 3"}


def _leader(seen: Sequence[Snapshot]) -> str | None:
    """The id of the best run: by skill where losses of different kinds are compared, by its loss otherwise.

    None where there is nothing to compare: a single run, or different losses of which one has no skill score.
    """
    kinds = {repr(s.info.loss) for s in seen}
    scores: dict[str, float] = {}
    for s in seen:
        best, score = s.info.recommendation.best_val_loss, skill.of_run(s.info)
        if len(kinds) == 1 and best is not None:
            scores[s.info.id] = -best
        elif len(kinds) > 1 and not skill.comparable(s.info):
            return None
        elif score is not None:
            scores[s.info.id] = score
    return max(scores, key=scores.__getitem__) if scores and len(seen) > 1 else None


def differences(runs: Sequence[RunInfo]) -> str:
    """A row for each configuration key whose value is not the same in all runs."""
    flat = [markup.flat(run.config) for run in runs]
    keys = sorted({key for config in flat for key in config})
    odd = [key for key in keys if len({repr(config.get(key, _Absent)) for config in flat}) > 1]
    if not odd:
        same = f"All {len(keys)} keys are the same." if keys else "No configuration was logged."
        return f'<h2>Configuration</h2><p class="lm-dim">{same}</p>'
    if len(runs) > MANY:
        return _by_run(runs, flat, odd, len(keys))
    rows = [
        (
            f"<code>{text(key)}</code>",
            *(markup.shown(c[key]) if key in c else '<span class="lm-dim">not set</span>' for c in flat),
        )
        for key in odd[:DIFFERENCES]
    ]
    said = f"{len(odd)} of {len(keys)} keys differ" + (
        f"; the first {DIFFERENCES} are shown" if len(odd) > DIFFERENCES else ""
    )
    table = markup.table(("", *labels(runs)), rows, css="lm-wrap", matrix=True)
    return f'<h2>Configuration</h2><p class="lm-dim">{said}.</p>{table}'


def _by_run(runs: Sequence[RunInfo], flat: Sequence[Mapping[str, object]], odd: Sequence[str], keys: int) -> str:
    """The same with a row for each run, where there are more runs than a screen has room for beside each other."""
    kept = odd[:COLUMNS]
    rows = [
        (
            text(label),
            *(markup.shown(c[key], limit=40) if key in c else '<span class="lm-dim">not set</span>' for key in kept),
        )
        for label, c in zip(labels(runs), flat, strict=True)
    ]
    said = f"{len(odd)} of {keys} keys differ" + (f"; the first {COLUMNS} are shown" if len(odd) > COLUMNS else "")
    table = markup.table(("", *kept), rows, css="lm-wrap", matrix=True)
    return f'<h2>Configuration</h2><p class="lm-dim">{said}.</p>{table}'


class _Absent:
    """Stands for a key that a run does not have, which is not the same as None."""
