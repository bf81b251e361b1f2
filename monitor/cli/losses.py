"""`monitor losses`: measure, check, compare, search for and choose loss functions."""

from __future__ import annotations

import ast
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markdown import Markdown
from rich.table import Table

from monitor.cli.options import JSON
from monitor.cli.tables import UserData, read_table
from monitor.domain.formats import number
from monitor.errors import LossError
from monitor.screen import emit, escape, sparkline

if TYPE_CHECKING:
    from monitor.losses.profiles.report import LossProfile


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group = typer.Typer(no_args_is_help=True, help="Measure, check, compare and choose loss functions.")
    extra = {"allow_extra_args": True, "ignore_unknown_options": True}
    group.command("profile", context_settings=extra)(profile)
    group.command("check", context_settings=extra)(check)
    group.command("compare")(compare)
    group.command("search")(search)
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
    kind: str = typer.Option(
        None, help="How it is called: regression, classification, margin, pairwise, ...; default: detected."
    ),
    classes: int = typer.Option(5, min=2, help="Number of classes, for a loss of class scores."),
    json: bool = JSON,
) -> None:
    """Measure the properties of a loss function. Further options are its own parameters, such as --delta 1."""
    from monitor import losses

    sys.path.append(str(Path.cwd()))  # so that modules in the current folder are found, as with `python -m`
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
    kind: str = typer.Option(None, help="How it is called, as for profile; default: detected."),
    classes: int = typer.Option(5, min=2, help="Number of classes, for a loss of class scores."),
    json: bool = JSON,
) -> None:
    """Find mistakes in a loss function, each with evidence and a fix; exit status 1 if there are any."""
    from monitor import losses

    sys.path.append(str(Path.cwd()))
    found = losses.check(losses.load(name, **_settings(context.args, name)), kind, classes=classes, name=name)
    emit(found.to_dict(), Markdown(found.to_markdown()), json)
    if not found.ok:
        raise typer.Exit(1)


def _pictures(found: LossProfile) -> Table:
    """Each slice of the loss as one line, with errors and losses at its ends."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, line in found.curve.items():
        errors, values = line["error"], [value for value in line["loss"] if math.isfinite(value)]
        if values:
            table.add_row(
                f"[dim]{escape(name)}[/]", f"{errors[0]:g}", sparkline(line["loss"]), f"{errors[-1]:g}",
                f"[dim]loss {number(min(values), 3)} to {number(max(values), 3)}[/]",
            )  # fmt: skip
    return table


def compare(
    names: list[str] = typer.Argument(
        ..., metavar="LOSS…", help="Losses by name, such as mse huber, or ./file.py:my_loss.", show_default=False
    ),
    data: str = typer.Option("digits", help="A CSV or Parquet file, or digits, iris, wine, breast_cancer, diabetes."),
    target: str = typer.Option(None, help="Column of the file to predict; several of numbers with commas between."),
    task: str = typer.Option(None, help="regression, classification, binary, counts, ranking or metric."),
    seeds: int = typer.Option(5, min=2, help="Number of trainings per loss."),
    metric: str = typer.Option(None, help="Metric to rank by; default: accuracy, or mae for regression."),
    label_noise: float = typer.Option(
        0.0, min=0, max=1, help="Share of training labels to replace with wrong ones, 0 to 1."
    ),
    outliers: float = typer.Option(0.0, min=0, max=1, help="Share of training targets to turn into outliers, 0 to 1."),
    cost: str = typer.Option(None, help="Cost of a false alarm and of a miss, such as 1:10; ranks by total cost."),
    attack: str = typer.Option(
        None, help="fgsm or pgd: rank on attacked inputs; the losses trades(6) and adversarial train for that."
    ),
    eps: float = typer.Option(None, help="Largest change of an input by the attack, in standard deviations."),
    epochs: int = typer.Option(30, min=1, help="Passes over the training data."),
    json: bool = JSON,
) -> None:
    """Train the same small network with several losses and rank them, with confidence intervals over seeds."""
    from monitor import losses

    sys.path.append(str(Path.cwd()))
    wanted = [losses.load(name) if ":" in name or name.endswith(".py") else name for name in names]
    table = _table(data, target)
    found = losses.compare(
        wanted, data if table is None else (table.inputs, table.targets), seeds, task=task, metric=metric,
        label_noise=label_noise, outliers=outliers, costs=_pair(cost), epochs=epochs, attack=attack,
        eps=eps,
    )  # fmt: skip
    said = [] if table is None else [str(losses.describe(table.inputs, table.targets)), *table.said]
    emit({**found.to_dict(), "data": said}, Markdown("\n".join([found.to_markdown(), *_listed(said)])), json)


def search(
    data: str = typer.Argument(
        ..., help="A CSV or Parquet file, or digits, iris, wine, breast_cancer, diabetes.", show_default=False
    ),
    target: str = typer.Option(None, help="Column of the file to predict; several of numbers with commas between."),
    task: str = typer.Option(None, help="As for compare; default: detected from the data."),
    metric: str = typer.Option(None, help="Metric to rank by; default: accuracy, or mae for regression."),
    seeds: int = typer.Option(16, min=3, help="Number of new splits for the final comparison with the usual loss."),
    epochs: int = typer.Option(30, min=1, help="Passes over the training data."),
    write: Path = typer.Option(None, help="Write the loss as a torch module to this file.", show_default=False),
    json: bool = JSON,
) -> None:
    """Search families of losses and their parameters for one that clearly beats the usual loss."""
    from monitor import losses

    table = _table(data, target)
    used = data if table is None else (table.inputs, table.targets)
    found = losses.search(used, task=task, metric=metric, seeds=seeds, epochs=epochs)
    said = [] if table is None else [str(losses.describe(table.inputs, table.targets)), *table.said]
    if write is not None:
        try:
            write.write_text(found.source(), encoding="utf-8")
        except OSError as error:
            raise LossError(str(write), f"it cannot be written: {error.strerror}", "name a file in a folder") from error
        said.append(f"The loss is the class Loss in {write}.")
    emit({**found.to_dict(), "data": said}, Markdown("\n".join([found.to_markdown(), *_listed(said)])), json)


def advise(
    task: str = typer.Option(
        None,
        help="regression, quantile, classification, binary, cost, segmentation, detection, metric, ranking, language "
        "or counts; default: detected from --data.",
    ),
    data: str = typer.Option(
        None, help="A CSV or Parquet file; imbalance, label noise and outliers are measured in it."
    ),
    target: str = typer.Option(None, help="Column of the file to predict; several of numbers with commas between."),
    cost: str = typer.Option(None, help="Cost of a false alarm and of a miss, such as 1:10."),
    classes: int = typer.Option(None, min=2, help="Number of classes."),
    imbalance: str = typer.Option("1:1", help="Ratio of the most frequent class to the rarest, such as 100:1."),
    outliers: bool = typer.Option(False, "--outliers", help="The data contains outliers."),
    label_noise: float = typer.Option(0.0, min=0, max=1, help="Share of wrong labels, 0 to 1."),
    half_precision: bool = typer.Option(False, "--half-precision", help="The loss is computed in float16."),
    json: bool = JSON,
) -> None:
    """Suggest losses for a task, best first, with reasons from measured profiles."""
    from monitor import losses

    ratio, said = _ratio(imbalance), list[str]()
    many: int | None = classes
    if data is not None:
        table = read_table(data, target)
        seen = losses.describe(table.inputs, table.targets)
        said = [str(seen), *table.said]
        task, many = task or seen.task, classes or seen.classes
        ratio, label_noise = max(ratio, seen.imbalance), max(label_noise, seen.label_noise)
        outliers = outliers or seen.outliers > OUTLIERS
    if not (task or cost):
        raise LossError("advise", "neither a task nor data are given", "write --task regression, or --data FILE")
    found = losses.advise(
        task or "cost", many, imbalance=ratio, outliers=outliers, label_noise=label_noise,
        half_precision=half_precision, costs=_pair(cost),
    )  # fmt: skip
    emit({**found.to_dict(), "data": said}, Markdown("\n".join([*_listed(said), "", found.to_markdown()])), json)


OUTLIERS = 0.005
"""Share of outliers in a file from which robust losses are preferred."""


def _table(data: str, target: str | None) -> UserData | None:
    """The user's file; None for the name of a data set."""
    return read_table(data, target) if target is not None or "." in data or "/" in data else None


def _listed(said: list[str]) -> list[str]:
    return [f"- {item}" for item in said]


def _pair(text: str | None) -> tuple[float, float] | None:
    """Parse `1:10` into two costs."""
    if text is None:
        return None
    first, _, second = text.partition(":")
    try:
        found = float(first), float(second)
    except ValueError:
        found = (0.0, 0.0)
    if not all(0 < value < math.inf for value in found):
        raise LossError("cost", f"{text!r} is not two costs", "write a false alarm and a miss as 1:10")
    return found


def _ratio(text: str) -> float:
    most, _, least = text.partition(":")
    try:
        return float(most) / float(least or 1)
    except (ValueError, ZeroDivisionError):
        raise LossError("imbalance", f"{text!r} is not a ratio", "write it as 100:1") from None


def _settings(words: list[str], loss: str) -> dict[str, object]:
    """Parse `--delta 1 --reduction sum` into keyword arguments. Values are Python literals if possible, else text."""
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
