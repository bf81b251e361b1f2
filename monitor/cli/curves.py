"""`monitor diagnose`: diagnose the losses in a file, without a server or a store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import typer

from monitor.cli.runs import ALL
from monitor.errors import LossError
from monitor.screen import diagnosis_text, emit, err, escape

PATTERN = typer.Option(
    None,
    "--pattern",
    metavar="REGEX",
    help="Regular expression for a text log: its named groups are series; step, epoch and time are special.",
    show_default=False,
)

TRAIN = typer.Option(None, "--train", help="Column or series of the training loss; default: found by name.")
VAL = typer.Option(None, "--val", help="Column or series of the validation loss; default: found by name.")
GOAL = typer.Option(None, "--goal", help='The metric to improve, with ":max" or ":min", such as "val/acc:max".')
STEP = typer.Option(None, "--step", help="Column with the steps; default: found by name.", show_default=False)
EPOCH = typer.Option(None, "--epoch", help="Column with the epochs; default: found by name.", show_default=False)


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(rich_help_panel="Watch")(diagnose)


def diagnose(
    file: str = typer.Argument(
        ...,
        metavar="SOURCE",
        help="CSV, JSONL, Keras history, trainer_state.json, a text log, TensorBoard events, an offline W&B run, a "
        "folder with one of them, the URL of an MLflow run, or - for standard input.",
        show_default=False,
    ),
    train: str = TRAIN,
    val: str = VAL,
    goal: str = GOAL,
    step: str = STEP,
    epoch: str = EPOCH,
    pattern: str = PATTERN,
    run: str = typer.Option(
        None, "--run", help="Name of the run if there are several, such as fold-1.", show_default=False
    ),
    unit: str = typer.Option(None, help='Unit of the steps, "step" or "epoch"; default: from the column name.'),
    loss: str = typer.Option(None, help='The loss function, such as "cross_entropy(classes=10)".'),
    weight: list[str] = typer.Option(
        [], help="Weight of a part of the loss, such as kl=0.1; repeat it for each part.", show_default=False
    ),
    rules: Path = typer.Option(None, "--rules", help="YAML or TOML file of rules; default: the rules in the settings."),
    project: str = typer.Option(None, help="Use the rules of this project in the settings."),
    every: bool = ALL,
    json: bool = typer.Option(False, "--json", help="Print the diagnosis as JSON."),
) -> None:
    """Diagnose the losses of one run, without a server or a store.

    Columns are recognised by name: step, epoch or iteration; train_loss, loss, val_loss, eval_loss, grad_norm, lr and
    the like; loss/<part> for the parts of a composite loss. Columns that are not recognised are listed.
    """
    from monitor.cli.rule_files import effective_rules, said_for
    from monitor.importers import judge, read_curves

    config = effective_rules(rules, project)
    named = {"train": train, "val": val, "goal": goal, "step": step, "epoch": epoch}
    curves = read_curves(file, said_for(named), pattern, run)
    found = judge(
        curves.run,
        config=config,
        loss=_loss(loss) if loss else None,
        unit=unit,
        weights=dict(_weight(text, curves.parts) for text in weight),
    )
    again = f"; {len(curves.run.attempts) + 1} attempts, the newest is judged" if curves.run.attempts else ""
    if curves.run.steps or again:
        err.print(f"[dim]steps: {escape(curves.run.steps or 'as logged')}{again}[/]")
    for what in curves.left_out:
        err.print(f"[yellow]note: {escape(what)}[/]")
    err.print(f"[dim]{escape(curves.reading.line())}[/]")
    emit(found.to_dict(), diagnosis_text(found, every=every), json)


def _weight(text: str, parts: Mapping[str, object]) -> tuple[str, float]:
    """Parse `kl=0.1` into a part and its weight."""
    name, _, number = text.rpartition("=")
    name = name.removeprefix("loss/")
    if name not in parts:
        known = f"the file has loss/{', loss/'.join(parts)}" if parts else "the file has no column loss/<part>"
        raise LossError(f"--weight {text}", "names no part of the file", known)
    try:
        return name, float(number)
    except ValueError:
        raise LossError(f"--weight {text}", f"{number!r} is not a number", "write it as kl=0.1") from None


def _loss(text: str) -> dict[str, object]:
    from monitor import losses

    return dict(losses.parse(text).to_dict())
