"""`monitor demo`: starts the server, trains the scenarios in parallel with progress bars, prints the verdicts."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from monitor.demo import vae
from monitor.demo.scenarios import SCENARIOS, Digits, Scenario, load_digits, train
from monitor.demo.service import Service
from monitor.domain import Diagnosis, RunInfo

PROJECT = "demo"
SHOWN = (*SCENARIOS, vae.SCENARIO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of one scenario."""

    scenario: Scenario
    steps_done: int
    info: RunInfo
    diagnosis: Diagnosis

    def to_dict(self) -> dict[str, object]:
        """The result as JSON data."""
        return {
            "name": self.info.name, "run_id": self.info.id, "status": str(self.info.status),
            "steps_done": self.steps_done, "steps_planned": self.scenario.steps,
            "diagnosis": self.diagnosis.to_dict(),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class DemoResult:
    """All results, and where to look at them."""

    outcomes: tuple[Outcome, ...]
    urls: Mapping[str, str]


def run_demo(console: Console, service: Service) -> DemoResult:
    """Train every scenario against a running service.

    Args:
        console: draws the progress bars.

    Returns:
        The results, in the order of `SHOWN`.

    Raises:
        ExceptionGroup: a training loop failed.
    """
    from monitor.reader.api import Api

    with console.status("Loading torch and the digits"):
        import torch

        data = load_digits()
        torch.set_num_threads(1)  # the loops run in parallel: one thread each
    finished: dict[str, tuple[str, int]] = {}
    errors: list[Exception] = []
    columns = (
        TextColumn("{task.description:<12}"), BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        threads = [
            threading.Thread(
                target=_one, args=(scenario, data, service.urls["api"], progress, finished, errors), daemon=True
            )
            for scenario in SHOWN
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():  # a plain join would swallow Ctrl-C on some platforms
                thread.join(0.2)
    if errors:
        raise ExceptionGroup("training failed", errors)
    api = Api(service.urls["api"])
    outcomes = []
    for scenario in SHOWN:
        run_id, done = finished[scenario.name]
        view = api.run(run_id)
        outcomes.append(Outcome(scenario=scenario, steps_done=done, info=view.info, diagnosis=view.diagnosis()))
    return DemoResult(tuple(outcomes), service.urls)


def _one(
    scenario: Scenario,
    data: Digits,
    server: str,
    progress: Progress,
    finished: dict[str, tuple[str, int]],
    errors: list[Exception],
) -> None:
    from monitor.run.start import init

    task = progress.add_task(scenario.name, total=scenario.steps, note="")
    try:
        with init(
            PROJECT,
            name=scenario.name,
            config=scenario.config(),
            tags={"story": scenario.story},
            loss=scenario.loss,
            server=server,
        ) as run:

            def report(done: int, train_loss: float, val_loss: float) -> None:
                note = f"train {train_loss:.3f}  val {val_loss:.3f}  {run.recommendation.action}"
                progress.update(task, completed=done, note=note)

            loop = vae.train_vae if scenario is vae.SCENARIO else train
            done = loop(scenario, data, run, report)
            finished[scenario.name] = (run.id, done)
            why = f"[cyan]stopped at {done:,}: should_stop()[/]" if done < scenario.steps else "done"
            progress.update(task, completed=done, note=why)
    except Exception as error:  # raised by the main thread
        errors.append(error)


def verdict_panel(outcome: Outcome) -> Panel:
    """One run's verdict with its evidence and the recommendation, as a panel."""
    from monitor.screen import diagnosis_text, escape, out

    title = f"[bold]{escape(outcome.info.name)}[/]: {escape(outcome.scenario.story)}"
    note = ""
    if outcome.steps_done < outcome.scenario.steps:
        saved = 1 - outcome.steps_done / outcome.scenario.steps
        note = (
            f"\n[cyan]The loop asked run.should_stop() and ended at step {outcome.steps_done:,} "
            f"of {outcome.scenario.steps:,}: {saved:.0%} of the steps saved.[/]"
        )
    return Panel(
        diagnosis_text(outcome.diagnosis) + note,
        title=title,
        title_align="left",
        padding=(0, 1),
        width=min(out.width, 140),
    )
