"""The tools that an agent can call. Agents read each method's signature and docstring."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

from mcp.server.mcpserver import Image
from mcp.server.mcpserver.exceptions import ToolError

from monitor.domain import AlertInfo, RunInfo, headline
from monitor.domain.plain import leaves
from monitor.errors import AlertNotFound, FileUnreadable, RunNotFound
from monitor.insight.picture import Line, draw
from monitor.insight.standing import standing
from monitor.reader.api import Api
from monitor.reader.questions import WAIT_S
from monitor.reader.run_view import RunView

POINTS: Final = 200
"""Default number of points per curve."""
_MOST_POINTS: Final = 2000  # more would fill an agent's context
_MOST_RUNS: Final = 100
Json = dict[str, Any]
State = Literal["open", "pending", "firing", "acknowledged", "silenced", "resolved", "all"]


class Tools:
    """The tools over one reader.

    Args:
        api: where they read from.
        projects: only runs of these projects; empty: all.
        files: the folder with files that may be diagnosed; None: no files.
        who: the name for stops and alert changes.
    """

    def __init__(self, api: Api, projects: Sequence[str], files: Path | None, who: str) -> None:
        self._api, self._projects, self._who = api, tuple(projects), who
        self._files = None if files is None else files.resolve()

    def list_runs(
        self,
        query: str | None = None,
        project: str | None = None,
        status: str | None = None,
        search: str | None = None,
        limit: int = 20,
    ) -> Json:
        """List or search runs, newest first: one short row each.

        `query` is such as: status = "running" and val.best < 0.3 and config.lr >= 0.001 order by val.best
        """
        limit = max(1, min(limit, _MOST_RUNS))
        project = self._project(project)
        page = self._api.runs_page(query=query, project=project, status=status, search=search, limit=limit)
        rows = [_row(run) for run in page.items if self._mine(run.project)]
        return {"total": page.total if not self._projects or project else len(rows), "runs": rows}

    def explain(self, run: str) -> Json:
        """Explain a run from stored data, and suggest what to try next.

        Returns verdict, evidence, best step and checkpoint, what a stop saves, and how its configuration differs from
        the best run of its group, with what that run reached. `text` is a short summary.
        """
        return dict(self._api.explain(self._view(run).id))

    def attention(self, limit: int = 5, project: str | None = None) -> Json:
        """List open runs that need somebody, most urgent first, with what a stop saves.

        Also returns summary numbers of all runs.
        """
        project = self._project(project)
        found = self._api.attention(1000 if self._projects else max(1, min(limit, _MOST_RUNS)), project=project)
        items = [
            {"run": _row(item.run), "kind": item.kind, "sentence": item.sentence, "score": item.score,
             "saving": item.saving.sentence, "alert": None if item.alert is None else _alert(item.alert)}
            for item in found.items if self._mine(item.run.project)
        ]  # fmt: skip
        fleet = {name: value for name, value in found.to_dict().items() if name != "items"}
        return _plain({**({} if self._projects else fleet), "items": items[:limit]})

    def compare(self, runs: list[str]) -> Json:
        """Compare runs: what each reached, its verdict, and the configuration entries that differ.

        `best` is the best run. Where it is null, `why` says why: values of different losses are not comparable.
        """
        infos = [self._view(run).info for run in runs[:_MOST_RUNS]]
        found = standing([self._api.snapshot(info.id) for info in infos])
        flat = [dict(leaves(info.config)) for info in infos]
        keys = dict.fromkeys(key for each in flat for key in each)
        differing = [key for key in keys if len({repr(each.get(key)) for each in flat}) > 1]
        rows = [
            {**_row(info), "config": {key: each.get(key) for key in differing}}
            for info, each in zip(infos, flat, strict=True)
        ]
        return {"best": found.best, "tied": list(found.tied), "why": found.why, "differing": differing, "runs": rows}

    def curve(self, run: str, key: str | None = None, points: int = POINTS) -> Json:
        """Get a curve as numbers, `steps` and `values`, reduced without losing an extreme.

        Without `key`: the names of the run's series with their last values and extremes.
        """
        view = self._view(run)
        if key is None:
            return {"series": [_plain(series.to_dict()) for series in view.series()]}
        found = view.curve(key, width=max(1, min(points, _MOST_POINTS) // 4))
        data = {"key": key, "total": found.total, "steps": [_whole(x) for x in found.x], "values": found.y.tolist()}
        return _plain(data)

    def curve_picture(self, run: str, keys: list[str] | None = None) -> Image:
        """Draw up to three curves of a run as a small PNG.

        By default its training loss, validation loss and goal. A dashed line marks the onset of the worst finding, a
        green one the best step.
        """
        view = self._view(run)
        judged = [s.key for s in view.series() if str(s.role) in ("train", "val", "goal")]
        wanted = (keys or judged)[:3]
        curves = [(key, view.curve(key, width=400)) for key in wanted]
        onset = next((f.onset_step for f in view.findings() if f.resolved_step is None and f.severity != "info"), None)
        lines = [Line(key, found.x, found.y) for key, found in curves]
        data = draw(view.name, lines, onset=onset, best=view.info.recommendation.best_at)
        if data is None:
            raise ToolError(f"no curve of {', '.join(wanted) or 'the run'} has two finite points to draw")
        return Image(data=data, format="png")

    def wait(
        self, runs: list[str], until: list[str] | None = None, timeout_s: float = WAIT_S, every: bool = False
    ) -> Json:
        """Wait until something happens in one of several runs, or with `every` in all of them.

        `until`: finish (default), stop, alert, verdict=NAME; with several, whichever comes first. Waits ten minutes at
        most; call again while `timeout` is true.
        """
        ids = [self._view(run).id for run in runs]
        most = max(0.0, min(timeout_s, 600.0))
        found = self._api.wait(*ids, until=until or ["finish"], timeout_s=most, every=every)
        done = bool(found) and (not every or len(found) == len(set(ids)))
        return {"timeout": not done, "outcomes": [outcome.to_dict() for outcome in found]}

    def events(self, run: str, since: str = "", wait_s: float = 0.0) -> Json:
        """Get what happened in a run since a cursor, each event once.

        Events are points, findings, advice, stops, alerts and status changes. Waits up to 25 s. Pass the returned
        `cursor` to the next call.
        """
        found = self._api.events(self._view(run).id, since, wait_s=max(0.0, min(wait_s, WAIT_S)))
        return _plain(found.to_dict())

    def ledger(self, project: str | None = None) -> Json:
        """Get what stops saved and lost, by project and month, next to stopping with patience 10 on the same runs."""
        found = self._api.ledger(project)
        months = [m.to_dict() for m in found.months if not self._projects or m.project in self._projects]
        return {"currency": found.currency, "months": months}

    def advise_loss(
        self,
        task: Literal[
            "regression",
            "quantile",
            "classification",
            "binary",
            "segmentation",
            "detection",
            "metric",
            "ranking",
            "language",
            "counts",
        ],
        classes: int | None = None,
        imbalance: float = 1.0,
        outliers: bool = False,
        label_noise: float = 0.0,
    ) -> Json:
        """Suggest loss functions for a task, best first, with reasons.

        `imbalance`: ratio of the most frequent class to the rarest; `label_noise`: share of wrong labels.
        """
        from monitor import losses

        found = losses.advise(task, classes, imbalance=imbalance, outliers=outliers, label_noise=label_noise)
        return _plain(found.to_dict())

    def diagnose_file(self, path: str) -> Json:
        """Diagnose the losses in a file or folder written by other tools: CSV, JSONL, a text log, TensorBoard, W&B."""
        from monitor.importers import judge, read_curves

        assert self._files is not None
        place = (self._files / path).resolve()
        if not place.is_relative_to(self._files):
            raise FileUnreadable(path, "", f"is outside of {self._files}; give a path below it")
        return _plain(judge(read_curves(str(place)).run).to_dict())

    def request_stop(self, run: str, reason: str) -> Json:
        """Ask a run's loop to stop; people will read the reason. `explain` shows the state of the stop."""
        return self._view(run, change=True).request_stop(self._who, reason).to_dict()

    def withdraw_stop(self, run: str) -> Json:
        """Withdraw a stop that the loop has not received yet."""
        return self._view(run, change=True).withdraw_stop(self._who).to_dict()

    def list_alerts(
        self,
        state: State = "open",
        run: str | None = None,
        project: str | None = None,
        rule: str | None = None,
        severity: Literal["critical", "warning", "info"] | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> Json:
        """List alerts, most recently changed first.

        Pass the returned `cursor` for the next page; it is null on the last. `state`: open (default) means not
        resolved. `counts` is the number of alerts by state.
        """
        limit = max(1, min(limit, _MOST_RUNS))
        project = self._project(project)
        of = None if run is None else self._view(run).id
        named = None if state in ("open", "all") else state
        page = self._api.alerts(
            named, open=state == "open", run=of, project=project, rule=rule, severity=severity, limit=limit,
            cursor=cursor,
        )  # fmt: skip
        rows = [_alert(info) for info in page.items if self._mine(info.project)]
        counts = {} if self._projects and not self._mine(project) else {"counts": dict(page.counts)}
        return {"alerts": rows, "cursor": page.cursor, **counts}

    def acknowledge(self, alert: str, note: str = "") -> Json:
        """Acknowledge an alert: people see that you handle it, and reminders stop. `note` says what is being done.

        `list_alerts`, `attention`, `explain` and `events` return the ids of alerts.
        """
        return _alert(self._api.acknowledge(self._alert(alert).id, self._who, note))

    def mark_alert(self, alert: str, mark: Literal["helpful", "false alarm"] | None) -> Json:
        """Mark an alert as helpful or as a false alarm; people tune rules by these marks. Null removes the mark."""
        return _alert(self._api.mark(self._alert(alert).id, mark, self._who))

    def annotate(self, run: str, note: str = "", tags: dict[str, str | None] | None = None) -> Json:
        """Append a paragraph to a run's note, in Markdown, and set tags; null removes a tag."""
        view = self._view(run, change=True)
        said = f"{note.strip()} ({self._who})" if note.strip() else ""
        text = "\n\n".join(part for part in (self._api.snapshot(view.id).note.rstrip(), said) if part) if said else None
        info = view.edit(note=text, tags=tags)
        return {"run": info.id, "note": self._api.snapshot(view.id).note, "tags": dict(info.tags)}

    def silence(self, run: str, reason: str, hours: float, rule: str = "*") -> Json:
        """Silence the alerts of a run, or of one rule on it, for some hours; others see the reason."""
        matcher = {"run": self._view(run, change=True).id, "rule": rule}
        return self._api.silence(matcher, reason=reason, by=self._who, for_s=3600 * hours).to_dict()

    def unsilence(self, run: str) -> Json:
        """End the silences of a run that `silence` created."""
        view = self._view(run, change=True)
        found = [each for each in self._api.silences() if each.run == view.id]
        return {"ended": [self._api.unsilence(each.id).to_dict() for each in found]}

    def _alert(self, ref: str) -> AlertInfo:
        """An alert that the agent may see.

        Raises:
            AlertNotFound: there is no such alert, or it belongs to another project.
        """
        found = self._api.alert(ref)
        if not self._mine(found.project):
            raise AlertNotFound(ref)
        return found

    def _view(self, ref: str, *, change: bool = False) -> RunView:
        """A run that the agent may see.

        Raises:
            RunNotFound: there is no such run, it belongs to another project, or the reference is too short for changing
            it.
        """
        found = self._api.run(ref)
        if not self._mine(found.info.project) or (change and not found.info.is_meant_by(ref)):
            raise RunNotFound(ref)
        return found

    def _project(self, project: str | None) -> str | None:
        """The project to read: the only one that the agent may see, unless it names one."""
        return self._projects[0] if project is None and len(self._projects) == 1 else project

    def _mine(self, project: str | None) -> bool:
        return not self._projects or project in self._projects


def _row(run: RunInfo) -> Json:
    """A short summary of a run."""
    advice = run.recommendation
    return {
        "id": run.id, "project": run.project, "name": run.name, "group": run.group, "status": str(run.status),
        "verdict": run.verdict, "action": None if run.status.ended else str(advice.action), "headline": run.headline,
        "last_step": run.last_step,
        "best_loss": advice.best_val_loss, "best_step": advice.best_step, "goal": advice.goal,
        "best_goal": run.goal_best, "stop_requested": run.stop_requested, "error": run.error,
    }  # fmt: skip


def _alert(info: AlertInfo) -> Json:
    """A short summary of an alert."""
    return {
        "id": info.id, "run": info.run_id, "rule": info.rule, "severity": str(info.severity),
        "state": str(info.state), "title": headline(info), "step": info.step, "count": info.count,
        "fired_ms": info.fired_ms, "acked_by": info.acked_by, "acked_note": info.acked_note,
        "silenced_until_ms": info.silenced_until_ms, "resolution": info.resolution, "mark": info.mark,
    }  # fmt: skip


def _plain(data: Any) -> Json:
    """Strict JSON data; values that are not finite become text."""
    from monitor.wire import jsonable

    found = jsonable(data)
    assert isinstance(found, dict)
    return found


def _whole(step: float) -> int | float:
    return int(step) if float(step).is_integer() else float(step)
