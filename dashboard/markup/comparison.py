"""HTML of the comparison: shared metrics, differences, results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from markupsafe import Markup

from dashboard import fields, skill
from dashboard.importance import LEAST, Importance
from dashboard.markup import pieces
from dashboard.markup.pieces import code
from dashboard.markup.templates import fill
from monitor.domain import RunInfo, RunSnapshot, SeriesInfo, inert, repeats
from monitor.domain.formats import NOTHING, duration, number, step
from monitor.insight.standing import standing
from monitor.roles import Role

TRAIN_LOSS: Final = "training loss"
VAL_LOSS: Final = "validation loss"
LOSSES: Final = frozenset({TRAIN_LOSS, VAL_LOSS})
DIFFERENCES: Final = 200
"""Rows of the table of differences, at most."""
MANY: Final = 12
"""Runs that stand side by side; more stand below each other."""
_PAGE: Final = "comparison"
COLUMNS: Final = 20
"""Keys of the configuration that are shown where runs stand below each other, at most."""


def metrics(seen: Sequence[RunSnapshot]) -> tuple[str, ...]:
    """What can be overlaid: the two losses, whatever each run calls them, then the keys that most runs have."""
    found = [
        name for name, role in ((VAL_LOSS, Role.VAL), (TRAIN_LOSS, Role.TRAIN)) if any(s.judged(role) for s in seen)
    ]
    keys = Counter(s.key for snapshot in seen for s in snapshot.series)
    return (*found, *(key for key, _ in sorted(keys.items(), key=lambda kn: (-kn[1], kn[0]))))


def series_for(snapshot: RunSnapshot, metric: str) -> SeriesInfo | None:
    """The run's series for a metric of `metrics`, None where it has none."""
    roles = {TRAIN_LOSS: Role.TRAIN, VAL_LOSS: Role.VAL}
    if metric in roles:
        return snapshot.judged(roles[metric])
    return next((s for s in snapshot.series if s.key == metric), None)


def labels(runs: Sequence[RunInfo]) -> tuple[str, ...]:
    """A label for each run: its name, with the start of its id where names repeat."""
    names = Counter(run.name for run in runs)
    return tuple(run.name if names[run.name] == 1 else f"{run.name} {run.id[:6]}" for run in runs)


def results(seen: Sequence[RunSnapshot], now_ms: int, lines: Mapping[str, tuple[str, str]] | None = None,
    order: str = "",
) -> Markup:  # fmt: skip
    """How each run stands: verdict, last and best values; the best of them is marked, or it says why none is.

    Args:
        lines: by run id the colour and the dash of its line in the chart, which is drawn before its name.
    """
    found = standing(seen)
    scored = any(skill.comparable(s.info) for s in seen)
    rows: list[tuple[pieces.Cell, ...]] = []
    values: list[tuple[object, ...]] = []
    for label, snapshot in zip(labels([s.info for s in seen]), seen, strict=True):
        run, train, val = snapshot.info, snapshot.judged(Role.TRAIN), snapshot.judged(Role.VAL)
        best = run.recommendation.best_val_loss
        values.append(
            (label, str(run.status), run.verdict, run.last_step, train and train.last, val and val.last, best,
             run.recommendation.best_step, *([skill.of_run(run)] if scored else []), run.took_ms(now_ms))
        )  # fmt: skip
        rows.append(
            (_name(run, label, (lines or {}).get(run.id)), pieces.status(run.status), pieces.verdict(run),
             step(run.last_step), number(train.last if train else None), number(val.last if val else None),
             fill(_PAGE, "best", value=best, leads=run.id == found.best),
             step(run.recommendation.best_step), *([pieces.score(run)] if scored else []),
             duration(run.took_ms(now_ms)))
        )  # fmt: skip
    heads = ("Run", "Status", "Verdict", "Last step", "Train", "Validation", "Best loss",
             "at step", *(["Skill"] if scored else []), "Took")  # fmt: skip
    said = pieces.quiet(_named(found.why, seen), testid="standing") if found.why else Markup("")
    runs = [s.info for s in seen]
    noise = repeats.sentences(runs, dict(zip([run.id for run in runs], labels(runs), strict=True)))
    said += pieces.listed(noise, testid="seeds")
    table = pieces.table(heads, rows, numeric=range(3, len(heads)), values=values, order=order)
    return pieces.heading("Results") + table + said


def _named(why: str, seen: Sequence[RunSnapshot]) -> str:
    """A sentence with the runs' labels where it has their ids, as one of a person's own begins."""
    for label, snapshot in zip(labels([s.info for s in seen]), seen, strict=True):
        why = why.replace(snapshot.info.id, label)
    return why[:1].upper() + why[1:]


def _name(run: RunInfo, label: str, line: tuple[str, str] | None) -> Markup:
    """A run's name, after a piece of its line."""
    drawn = None if line is None else (line[0], PATTERNS.get(line[1], ""))
    return fill(_PAGE, "name", run=run, label=label, line=drawn)


PATTERNS: Final[Mapping[str, str]] = {
    "dash": "7 4",
    "dot": "2 3",
    "dashdot": "7 3 2 3",
    "longdash": "11 4",
    "longdashdot": "11 3 2 3",
}


def differences(runs: Sequence[RunInfo]) -> Markup:
    """A row for each configuration key whose value is not the same in all runs."""
    flat = [pieces.flat(run.config) for run in runs]
    odd, all_keys = pieces.odd_keys(flat)
    if not odd:
        same = f"All {all_keys} keys are the same." if all_keys else "No configuration was logged."
        return fill(_PAGE, "differences", said=same, table="")
    many = len(runs) > MANY
    kept = odd[: COLUMNS if many else DIFFERENCES]
    table = _by_run(runs, flat, kept) if many else pieces.by_key(labels(runs), flat, kept)
    first = f"; the first {len(kept)} are shown" if len(odd) > len(kept) else ""
    return fill(_PAGE, "differences", said=f"{len(odd)} of {all_keys} keys differ{first}.", table=table)


def _by_run(runs: Sequence[RunInfo], flat: Sequence[Mapping[str, object]], kept: Sequence[str]) -> Markup:
    """A row for each run, where there are more runs than a screen has room for side by side."""
    rows = [
        (label, *(pieces.value_of(c, key, 40) for key in kept)) for label, c in zip(labels(runs), flat, strict=True)
    ]
    return pieces.table(("", *kept), rows, css="lm-wrap", matrix=True)


def title_of(field: str) -> str:
    """A field as a choice names it.

    >>> title_of("val.best"), title_of("config.lr"), title_of("goal")
    ('best loss', 'lr', 'best goal')
    """
    known = {"val.best": "best loss", "goal": "best goal", "last_step": "last step"}
    return known.get(field) or inert(fields.label(field))


def legend(names: Sequence[str], lines: Sequence[tuple[str, str]]) -> Markup:
    """A piece of each line with its name."""
    drawn = [(name, colour, PATTERNS.get(dash, "")) for name, (colour, dash) in zip(names, lines, strict=True)]
    return fill(_PAGE, "legend", drawn=drawn)


def importance(found: Sequence[Importance], result: str, runs: int) -> Markup:
    """A bar for each field, the strongest first, with how many runs it rests on."""
    if not found:
        least = f"At least {LEAST} runs with a value of it, and with {result}, are needed."
        return pieces.notice("info", "Nothing can be said.", f"No value of the configuration varies enough. {least}")
    rows = [
        (code(title_of(each.field)), fill(_PAGE, "bar", strength=each.strength, chance=each.chance), _direction(each),
         "beyond chance" if each.strength > each.chance else "within chance", f"{each.count:,}")
        for each in found
    ]  # fmt: skip
    said = (
        f"How closely {result} goes with each value, over {runs:,} runs: the correlation ratio of its ranks, from 0 "
        "(not at all) to 1 (entirely). The mark is what chance alone reaches in one of twenty cases. "
        "This does not prove a cause."
    )
    heads = ("", f"strength for {result}", "direction", "", "n")
    return pieces.quiet(said) + pieces.table(heads, rows, numeric=(4,))


def _direction(found: Importance) -> str:
    """Whether the result rises or falls with a number, or is best in between."""
    if found.direction is None:
        return NOTHING
    if abs(found.direction) < 0.5 * found.strength:
        return f"neither up nor down ({found.direction:+.2f})"
    return f"{'rises' if found.direction > 0 else 'falls'} with it ({found.direction:+.2f})"


def environments(runs: Sequence[RunInfo], captured: Sequence[Mapping[str, object]], said: str) -> Markup:
    """A row for each thing that was captured and is not the same in all runs."""
    odd, keys = pieces.odd_keys(captured)
    told = f"{len(odd)} of {keys} entries differ." if odd or not keys else f"All {keys} entries are the same."
    head = pieces.quiet(f"{said}{told}")
    return head + (pieces.by_key(labels(runs), captured, odd[:DIFFERENCES]) if odd else Markup(""))
