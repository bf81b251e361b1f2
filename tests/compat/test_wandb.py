from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.compat import _wandb
from monitor.compat import wandb as compat
from monitor.errors import SettingsError
from monitor.reader.api import Api
from monitor.run.start import init
from monitor.settings import load
from monitor.shipping.sinks import MemorySink
from tests.sdk import _alone  # noqa: F401

wandb: Any = compat
"""As a script sees it: what W&B has besides is answered when it is asked for."""

SCRIPT = """
import argparse, math, random
import monitor.compat.wandb as wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
args = parser.parse_args([])
run = wandb.init(project="demo", name="first", entity="team", config=args, tags=["baseline"], notes="try",
                 group="seeds", job_type="train")
config = wandb.config
config.epochs = 4
config.update({"optimizer": {"name": "sgd", "momentum": 0.9}})
model = object()
wandb.watch(model, log="all")
wandb.define_metric("val/acc", summary="max")
best = 0.0
for epoch in range(wandb.config.epochs):
    for batch in range(5):
        wandb.log({"train/loss": math.exp(-(epoch * 5 + batch) / 10), "epoch": epoch}, commit=batch < 4)
    accuracy = [0.5, 0.8, 0.7, 0.6][epoch]
    wandb.log({"val/loss": 1 / (epoch + 1), "val/acc": accuracy,
               "examples": [wandb.Image([[0]], caption="x")], "table": wandb.Table(columns=["a"], data=[[1]])})
    if accuracy > best:
        best = accuracy
        wandb.run.summary["best_accuracy"] = best
wandb.alert(title="done", text="all of it", level=wandb.AlertLevel.WARN)
assert wandb.summary["val/acc"]["max"] == 0.8 and run.summary.get("best_accuracy") == 0.8
assert wandb.run is run and run.config["lr"] == 0.1
wandb.finish()
assert wandb.run is None
"""


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[MemorySink]:
    made = MemorySink()
    monkeypatch.setattr(compat, "_init", partial(init, settings=load(dir=tmp_path, capture=False), sink=made))
    monkeypatch.setattr(compat._once, "_said", set())
    monkeypatch.setattr(_wandb._once, "_said", set())
    yield made
    wandb.finish()


def test_a_script_moves_by_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITOR_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("MONITOR_CAPTURE", "false")
    monkeypatch.setenv("MONITOR_SHIPPER", "thread")
    exec(SCRIPT, {})
    with Api() as api:
        view = api.run("first")
        info = view.info
        assert (info.project, info.status, info.group) == ("demo", "finished", "seeds")
        assert info.config == {"lr": 0.1, "epochs": 4, "optimizer": {"name": "sgd", "momentum": 0.9}}
        assert info.tags == {
            "entity": "team", "notes": "try", "job_type": "train", "baseline": "", "summary/best_accuracy": "0.8"
        }  # fmt: skip
        assert view.history("train/loss").steps.tolist() == list(range(20))
        assert view.history("val/loss").steps.tolist() == [
            4,
            9,
            14,
            19,
        ]  # logged with the last batch, as it was not committed
        assert view.history("val/acc").values.tolist() == [0.5, 0.8, 0.7, 0.6]
        alerts = [event.data for event in view.events() if event.kind == "alert"]
        assert alerts == [{"title": "done", "body": "all of it", "severity": "warning"}]
        assert {series.key for series in view.series()} == {"train/loss", "val/loss", "val/acc"}


def test_steps_go_as_in_wandb(sink: MemorySink, caplog: pytest.LogCaptureFixture) -> None:
    run = wandb.init(project="p")
    seen = []
    for data, options in (
        ({"a": 1}, {}), ({"a": 2}, {"commit": False}), ({"b": 3}, {}), ({"a": 5}, {"step": 10}),
        ({"b": 6}, {"step": 10}), ({"c": 1}, {"step": 5}), ({"c": 2}, {}), ({"c": 3}, {"step": 20, "commit": True}),
    ):  # fmt: skip
        with caplog.at_level(logging.WARNING, "monitor"):
            wandb.log(data, **options)
        seen.append(run.step)
    wandb.finish()
    assert seen == [1, 1, 2, 10, 10, 10, 11, 21]
    points = {key: sink.points(run.monitor_run.id, key) for key in "abc"}
    assert points == {"a": [(0, 1), (1, 2), (10, 5)], "b": [(1, 3), (10, 6)], "c": [(10, 2), (20, 3)]}
    assert len([record for record in caplog.records if "step 5" in record.getMessage()]) == 1


def test_the_configuration_is_wandbs(sink: MemorySink) -> None:
    run = wandb.init(project="p", config={"lr": 0.1, "skip": 1}, config_exclude_keys=["skip"])
    wandb.config["x"] = 1
    wandb.config.setdefaults({"x": 2, "y": 3})
    with pytest.raises(SettingsError, match="allow_val_change"):
        wandb.config.lr = 0.5
    wandb.config.update({"lr": 0.5}, allow_val_change=True)
    assert dict(wandb.config) == wandb.config.as_dict() == {"lr": 0.5, "x": 1, "y": 3}
    assert wandb.config.get("none", 7) == 7
    with pytest.raises(AttributeError, match="none"):
        _ = wandb.config.none
    wandb.finish()
    told = [event.data["config"] for event in sink.events(run.monitor_run.id, "config")]
    assert told == [{"x": 1}, {"y": 3}, {"lr": 0.5}]


def test_a_run_ends_as_its_script_says(sink: MemorySink) -> None:
    with pytest.raises(RuntimeError), wandb.init(project="p") as first:
        raise RuntimeError("boom")
    second = wandb.init(project="p")
    assert wandb.init(project="p") is second
    third = wandb.init(project="p", reinit=True)
    third.finish(exit_code=3)
    ends = [sink.events(run.monitor_run.id, "finish")[0].data for run in (first, second, third)]
    assert ends == [
        {"status": "failed", "error": "RuntimeError: boom"},
        {"status": "finished", "error": None},
        {"status": "failed", "error": "exit code 3"},
    ]
    with pytest.raises(SettingsError, match=r"wandb.init\(\)"):
        wandb.log({"a": 1})
    with pytest.raises(SettingsError, match=r"wandb.init\(\)"):
        _ = wandb.config
    wandb.finish()


def test_an_id_of_any_form_is_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = load(dir=tmp_path, capture=False, shipper="thread")
    monkeypatch.setattr(compat, "_init", partial(init, settings=place))
    for _ in range(2):
        run = wandb.init(project="p", id="my-run_1", resume="allow")
        for _ in range(3):
            run.log({"train/loss": 1.0})
        run.finish()
    with Api(settings=place) as api:
        view = api.run(run.monitor_run.id)
        assert view.info.attempt == 2
        assert view.history("train/loss").steps.tolist() == list(range(6))


def test_what_is_wandbs_own_is_refused_or_named_once(sink: MemorySink, caplog: pytest.LogCaptureFixture) -> None:
    for call in (
        lambda: wandb.sweep({}), lambda: wandb.agent("x"), lambda: wandb.Api,
        lambda: wandb.init(project="p", settings=5), lambda: wandb.init(project="p", mode="no such mode"),
        lambda: wandb.init(project="p", resume="must"), lambda: wandb.init(project="p", id="x", resume="no such"),
    ):  # fmt: skip
        with pytest.raises(SettingsError):
            call()
    with pytest.raises(AttributeError, match="no_such_verb"):
        wandb.no_such_verb()
    with caplog.at_level(logging.WARNING, "monitor"):
        run = wandb.init(project="p", save_code=True)
        for _ in range(3):
            wandb.save("x.pt")
            wandb.log({"roc": wandb.plot.roc_curve([1], [0.5]), "pictures": [wandb.Image(0)], "word": "x", "a": 1})
            run.log_artifact(wandb.Artifact("x", type="model"))
    with pytest.raises(TypeError, match="dictionary"):
        wandb.log(5)
    assert len(caplog.records) == 6
    assert [value for _, value in sink_points(sink, run)] == [1, 1, 1]


def test_images_tables_and_histograms_are_kept(sink: MemorySink) -> None:
    run = wandb.init(project="p")
    table = wandb.Table(columns=["a", "b"])
    table.add_data(1, "x")
    wandb.log({
        "loss": 1.0, "one": [wandb.Image([[0]], caption="c")], "many": [wandb.Image(np.zeros((2, 2)))] * 2,
        "nested": {"t": table}, "h": wandb.Histogram([1, 2, 3], num_bins=2),
        "ready": wandb.Histogram(np_histogram=np.histogram([1, 2])),
    }, step=7)  # fmt: skip
    run.monitor_run.flush(60)
    found = {str(event.data["key"]): event.data for event in sink.events(run.monitor_run.id, "media")}
    assert list(found) == ["one", "many/0", "many/1", "nested.t", "h", "ready"]
    assert {data["step"] for data in found.values()} == {7}
    assert found["one"]["caption"] == "c"
    assert json.loads(base64.b64decode(str(found["nested.t"]["content"]))) == {
        "columns": ["a", "b"],
        "rows": [[1, "x"]],
    }


def sink_points(sink: MemorySink, run: Any) -> list[tuple[int, float]]:
    run.monitor_run.flush(60)
    return sink.points(run.monitor_run.id, "a")


def test_a_script_may_ask_what_there_is() -> None:
    assert hasattr(wandb, "Image")
    assert not any(hasattr(wandb, name) for name in ("sweep", "Api", "nothing_of_it"))


class Pydantic:
    """As W&B's own settings are: an object with a default for everything, which knows what was set."""

    project, run_name, mode, console, reinit = "of settings", "named", "online", "auto", None
    model_fields_set = frozenset({"project", "run_name", "console"})


@pytest.mark.parametrize(
    "make",
    [
        lambda: wandb.Settings(project="of settings", run_name="named", console="off"),
        lambda: {"project": "of settings", "run_name": "named", "console": "off"},
        Pydantic,
    ],
)
def test_settings_say_what_arguments_do_not(sink: MemorySink, caplog: pytest.LogCaptureFixture, make: Any) -> None:
    with caplog.at_level(logging.WARNING, "monitor"):
        run = wandb.init(settings=make(), group="g")
    assert (run.project, run.name, run.group) == ("of settings", "named", "g")
    run.finish()
    assert wandb.init(project="an argument", settings=make()).project == "an argument"
    assert [record.message for record in caplog.records] == ["wandb: Settings(console=...) has no effect"]


def test_settings_can_disable_a_run(sink: MemorySink) -> None:
    wandb.init(project="p", settings=wandb.Settings(mode="disabled")).log({"a": 1})
    assert sink.batches == []
