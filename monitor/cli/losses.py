"""`monitor losses`: measure a loss function, compare several by training, and get advice on which to choose."""

from __future__ import annotations

import ast
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markdown import Markdown
from rich.table import Table

from monitor.errors import LossError
from monitor.screen import emit, escape, sparkline

if TYPE_CHECKING:
    from monitor.losses.profiles.report import LossProfile

_JSON = typer.Option(False, "--json", help="Print as JSON.")


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group = typer.Typer(no_args_is_help=True, help="Measure, compare and choose loss functions.")
    extra = {"allow_extra_args": True, "ignore_unknown_options": True}
    group.command("profile", context_settings=extra)(profile)
    group.command("check", context_settings=extra)(check)
    group.command("compare")(compare)
    group.command("advise")(advise)
    app.add_typer(group, name="losses", rich_help_panel="Choose a loss")


def profile(
    context: typer.Context,
    name: str = typer.Argument(
        ...,
        metavar="LOSS",
        help="Such as torch.nn.HuberLoss, mymodule.my_loss, ./file.py:my_loss or huber.",
        show_default=False,
    ),
    kind: str = typer.Option(None, help="How it is called: regression, classification, margin, pairwise …"),
    classes: int = typer.Option(5, min=2, help="Classes, for a loss over scores."),
    json: bool = _JSON,
) -> None:
    """Measure the properties of a loss function; further options are its own parameters, such as --delta 1."""
    from monitor import losses

    sys.path.append(str(Path.cwd()))  # a module of the current folder, as `python -m` finds it too
    found = losses.profile(losses.load(name, **_settings(context.args, name)), kind, classes=classes, name=name)
    table = Table(box=None, show_header=False, pad_edge=False, title=f"[bold]{escape(name)}[/]", title_justify="left")
    for label, value in found.rows():
        table.add_row(f"[dim]{escape(label)}[/]", escape(value))
    if json:
        emit(found.to_dict(), "", True)
        return
    emit(None, table, False)
    emit(None, _pictures(found), False)
    emit(None, "\n" + "\n".join(f"• {escape(sentence)}" for sentence in found.findings), False)
    if found.problems:
        emit(None, "\n[bold]Problems[/]\n" + "\n".join(f"• {escape(str(item))}" for item in found.problems), False)


def check(
    context: typer.Context,
    name: str = typer.Argument(
        ...,
        metavar="LOSS",
        help="Such as mymodule.my_loss, ./file.py:my_loss, torch.nn.HuberLoss or huber.",
        show_default=False,
    ),
    kind: str = typer.Option(None, help="How it is called; told from the function otherwise."),
    classes: int = typer.Option(5, min=2, help="Classes, for a loss over scores."),
    json: bool = _JSON,
) -> None:
    """Say what is wrong with a loss function, with the evidence and the mend; exit 1 where something is."""
    from monitor import losses

    sys.path.append(str(Path.cwd()))
    found = losses.check(losses.load(name, **_settings(context.args, name)), kind, classes=classes, name=name)
    emit(found.to_dict(), Markdown(found.to_markdown()), json)
    if not found.ok:
        raise typer.Exit(1)


def _pictures(found: LossProfile) -> Table:
    """Every slice of the loss in one line, with the errors and the losses at its ends."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, line in found.curve.items():
        errors, values = line["error"], [value for value in line["loss"] if math.isfinite(value)]
        if values:
            table.add_row(
                f"[dim]{escape(name)}[/]", f"{errors[0]:g}", sparkline(line["loss"]), f"{errors[-1]:g}",
                f"[dim]loss {min(values):.3g} to {max(values):.3g}[/]",
            )  # fmt: skip
    return table


def compare(
    names: list[str] = typer.Argument(
        ..., metavar="LOSS…", help="Losses by name, such as mse huber, or ./file.py:my_loss.", show_default=False
    ),
    data: str = typer.Option("digits", help="Data set of scikit-learn: digits, iris, wine, breast_cancer, diabetes."),
    seeds: int = typer.Option(5, min=2, help="Trainings of each loss."),
    metric: str = typer.Option(None, help="What to rank by; default accuracy, or mae for regression."),
    label_noise: float = typer.Option(0.0, min=0, max=1, help="Share of training labels to replace by wrong ones."),
    outliers: float = typer.Option(0.0, min=0, max=1, help="Share of training targets to move far away."),
    epochs: int = typer.Option(30, min=1, help="Passes over the training data."),
    json: bool = _JSON,
) -> None:
    """Train the same small network under several losses and rank them, with intervals over seeds."""
    from monitor import losses

    sys.path.append(str(Path.cwd()))
    wanted = [losses.load(name) if ":" in name or name.endswith(".py") else name for name in names]
    found = losses.compare(
        wanted, data, seeds, metric=metric, label_noise=label_noise, outliers=outliers, epochs=epochs
    )
    emit(found.to_dict(), Markdown(found.to_markdown()), json)


def advise(
    task: str = typer.Option(..., help="regression, classification, binary, segmentation, metric or counts."),
    classes: int = typer.Option(None, min=2, help="Number of classes."),
    imbalance: str = typer.Option("1:1", help="Ratio of the most frequent class to the rarest, such as 100:1."),
    outliers: bool = typer.Option(False, "--outliers", help="Some targets or examples are outliers."),
    label_noise: float = typer.Option(0.0, min=0, max=1, help="Share of labels that are wrong."),
    half_precision: bool = typer.Option(False, "--half-precision", help="The loss is computed in float16."),
    json: bool = _JSON,
) -> None:
    """Suggest losses for a task, best first, with reasons from measured profiles."""
    from monitor import losses

    found = losses.advise(
        task, classes, imbalance=_ratio(imbalance), outliers=outliers, label_noise=label_noise,
        half_precision=half_precision,
    )  # fmt: skip
    emit(found.to_dict(), Markdown(found.to_markdown()), json)


def _ratio(text: str) -> float:
    most, _, least = text.partition(":")
    try:
        return float(most) / float(least or 1)
    except (ValueError, ZeroDivisionError):
        raise LossError("imbalance", f"{text!r} is not a ratio", "write it as 100:1") from None


def _settings(words: list[str], loss: str) -> dict[str, object]:
    """`--delta 1 --reduction sum` as keyword arguments; values are read as Python's literals where they are some."""
    settings: dict[str, object] = {}
    rest = [part for word in words for part in (word.split("=", 1) if word.startswith("--") else [word])]
    while rest:
        name = rest.pop(0)
        if not name.startswith("--"):
            raise LossError(loss, f"{name!r} has no value", "write parameters as --name value")
        text = rest.pop(0) if rest and not rest[0].startswith("--") else "True"
        try:
            settings[name[2:].replace("-", "_")] = ast.literal_eval(text)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            settings[name[2:].replace("-", "_")] = text
    return settings
