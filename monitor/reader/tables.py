"""Runs as a table, and curves as a figure, for notebooks. pandas, pyarrow and Plotly are imported on use."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from monitor.domain.formats import plain
from monitor.domain.notebook import run_html
from monitor.domain.plain import leaves
from monitor.roles import Role

if TYPE_CHECKING:
    from monitor.domain import RunInfo
    from monitor.reader.run_view import RunView
    from monitor.settings import Settings

SHOWN: Final = 20
"""Runs that a notebook shows of a list."""
_WIDTH: Final = 210
"""Width of the curves in a notebook, in pixels."""


class RunList(list["RunView"]):
    """The result of `Api.runs`: a list that is also a table."""

    def to_dicts(self) -> list[dict[str, object]]:
        """One row per run: the columns of the run list, `config.NAME` and `tags.NAME`."""
        return [row_of(view.info) for view in self]

    def to_pandas(self) -> Any:
        """The rows as a `pandas.DataFrame`."""
        return importlib.import_module("pandas").DataFrame(self.to_dicts())

    def to_arrow(self) -> Any:
        """The rows as a `pyarrow.Table`; a column of mixed types becomes text."""
        arrow = importlib.import_module("pyarrow")
        rows = self.to_dicts()
        names = dict.fromkeys(name for row in rows for name in row)
        return arrow.table({name: _column(arrow, [row.get(name) for row in rows]) for name in names})

    def _repr_html_(self) -> str:
        more = f"<p>and {len(self) - SHOWN:,} more</p>" if len(self) > SHOWN else ""
        return "".join(view_html(view) for view in self[:SHOWN]) + more


def row_of(run: RunInfo) -> dict[str, object]:
    """A run as a flat row."""
    rec = run.recommendation
    row: dict[str, object] = {
        "run_id": run.id, "project": run.project, "name": run.name, "group": run.group, "status": str(run.status),
        "verdict": run.verdict, "action": str(rec.action), "last_step": run.last_step, "best_loss": rec.best_val_loss,
        "best_step": rec.best_step, "best_goal": run.goal_best, "best_goal_step": run.goal_best_step,
        "created_ms": run.created_ms, "finished_ms": run.finished_ms,
    }  # fmt: skip
    row |= {f"config.{name}": _cell(value) for name, value in leaves(run.config)}
    return row | {f"tags.{name}": value for name, value in run.tags.items()}


def _cell(value: object) -> object:
    return value if isinstance(value, str | int | float | bool | None) else plain(value)


def _column(arrow: Any, values: Sequence[object]) -> Any:
    try:
        return arrow.array(values)
    except (arrow.ArrowInvalid, arrow.ArrowTypeError, OverflowError):
        return arrow.array([None if value is None else str(value) for value in values])


def view_html(view: RunView) -> str:
    """A run as HTML for a notebook; without the curve if it cannot be read."""
    from monitor.errors import MonitorError

    info = view.info
    curves: dict[str, list[tuple[float, float]]] = {}
    try:
        for role, key in judged(view):
            curve = view.curve(key, width=_WIDTH)
            curves[role] = list(zip(curve.x.tolist(), curve.y.tolist(), strict=True))
    except MonitorError:
        curves = {}
    return run_html(f"{info.project}/{info.name}", str(info.status), info.verdict, info.headline, curves)


def stored_html(settings: Settings, run_id: str, name: str) -> str:
    """An active run as HTML for a notebook: what is stored so far, or its name and the error."""
    from monitor.errors import MonitorError
    from monitor.reader.api import Api

    try:
        with Api(settings=settings) as api:
            return view_html(api.run(run_id))
    except MonitorError as error:
        return run_html(name, "not stored yet", "", str(error), {})


def judged(view: RunView) -> list[tuple[str, str]]:
    """Role and key of the training and validation loss; of a run without them, its goal, else its first series."""
    found: dict[str, str] = {}
    series = view.series()
    for each in series:
        if str(each.role) in ("train", "val"):
            found.setdefault(str(each.role), each.key)
    if found:
        return list(found.items())
    others = [each for each in series if each.role is not Role.SYSTEM]
    goals = [each for each in others if each.role is Role.GOAL]
    return [(each.key, each.key) for each in (goals or others)[:1]]


def figure_of(view: RunView, keys: Iterable[str] | None, smoothing: float) -> Any:
    """A run's curves as a Plotly figure.

    Args:
        keys: the series; None: what is judged; see `judged`.
        smoothing: weight of the moving average, in [0, 1).
    """
    graphs = importlib.import_module("plotly.graph_objects")
    figure, least = graphs.Figure(), math.inf
    for key in keys if keys is not None else [key for _, key in judged(view)]:
        curve = view.curve(key, smoothing=smoothing)
        values = curve.y if curve.smoothed is None else curve.smoothed
        least = min([least, *(float(value) for value in values if math.isfinite(value))])
        figure.add_scatter(x=curve.x, y=values, mode="lines", name=_plotly_text(key))
    title = f"{view.info.project}/{view.info.name}: {view.info.verdict.replace('_', ' ')}"
    figure.update_layout(title=_plotly_text(title), xaxis_title="step", hovermode="x unified")
    if 0 <= least < math.inf:
        figure.update_yaxes(rangemode="nonnegative")  # no axis below zero for values that never are
    return figure


def _plotly_text(text: str) -> str:
    from html import escape

    from monitor.domain import inert

    return escape(inert(text), quote=False)
