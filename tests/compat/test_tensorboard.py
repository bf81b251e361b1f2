from __future__ import annotations

import base64
import io
import logging
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from monitor.compat import SummaryWriter
from monitor.reader.api import Api
from monitor.run.start import init
from monitor.settings import load
from monitor.shipping.sinks import MemorySink
from tests.sdk import _alone  # noqa: F401

torch = pytest.importorskip("torch")

SCRIPT = """
{line}
import torch, numpy as np

torch.manual_seed(0)
writer = SummaryWriter("{folder}/mnist/first")
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
x = torch.randn(64, 4)
writer.add_graph(model, x)
for epoch in range(3):
    for i in range(0, 64, 16):
        loss = (model(x[i : i + 16])[:, 0] - x[i : i + 16].sum(1)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        writer.add_scalar("Loss/train", loss, epoch * 4 + i // 16)
    with torch.no_grad():
        writer.add_scalar("Loss/val", (model(x)[:, 0] - x.sum(1)).square().mean().item(), global_step=epoch * 4 + 3)
    writer.add_histogram("weights", model.weight, epoch)
    writer.add_scalars("accuracy", {{"a": 0.5 + epoch / 10, "b": np.float32(0.25)}}, epoch)
writer.add_scalar("plain", 1.5)
writer.add_text("notes", "it works")
writer.add_hparams({{"lr": 0.05, "bn": True, "name": "sgd"}}, {{"hparam/loss": loss.item()}})
writer.flush()
writer.close()
"""


@pytest.mark.filterwarnings("ignore")  # of the real writer's own
def test_a_script_moves_by_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITOR_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("MONITOR_CAPTURE", "false")
    monkeypatch.setenv("MONITOR_SHIPPER", "thread")
    exec(SCRIPT.format(line="from monitor.compat import SummaryWriter", folder="runs"), {})
    with Api() as api:
        view = api.run("first")
        assert (view.info.project, view.info.status) == ("mnist", "finished")
        assert view.info.config == {"lr": 0.05, "bn": True, "name": "sgd", "text/notes": "it works"}
        found = {
            series.key: list(zip(*map(list, (h.steps, h.values)), strict=True))
            for series in view.series()
            for h in [view.history(series.key)]
        }
    assert [step for step, _ in found["Loss/train"]] == list(range(12))
    assert [step for step, _ in found["Loss/val"]] == [3, 7, 11]
    assert [value for _, value in found["accuracy/a"]] == [0.5, 0.6, 0.7]
    assert found["plain"] == [(0, 1.5)]
    if find_spec("tensorboard") is None:
        return  # there is nothing to compare with
    exec(SCRIPT.format(line="from torch.utils.tensorboard import SummaryWriter", folder=tmp_path), {})
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    theirs = EventAccumulator(str(tmp_path / "mnist" / "first"))
    theirs.Reload()
    for tag in ("Loss/train", "Loss/val"):
        expected = [(event.step, event.value) for event in theirs.Scalars(tag)]
        assert [step for step, _ in found[tag]] == [step for step, _ in expected]
        assert [value for _, value in found[tag]] == pytest.approx([value for _, value in expected])


def test_what_is_not_kept_is_named_once_and_what_is_unknown_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = init("p", settings=load(dir=tmp_path, capture=False), sink=MemorySink())
    with SummaryWriter(run=run, purge_step=3) as writer, caplog.at_level(logging.WARNING, "monitor"):
        for step in range(3):
            writer.add_video("x", torch.zeros(3, 2, 2), step)
            writer.add_graph("h")
        with pytest.raises(AttributeError, match="add_scalar"):
            writer.add_nothing()
    assert [record.getMessage().split(": ")[1].split()[0] for record in caplog.records] == [
        "purge_step",
        "add_video",
        "add_graph",
    ]
    assert not run._finished  # it was given
    run.finish()


def test_images_figures_and_histograms_are_kept(tmp_path: Path) -> None:
    sink = MemorySink()
    pixels = torch.arange(24, dtype=torch.uint8).reshape(3, 2, 4)
    with SummaryWriter("runs/media", settings=load(dir=tmp_path, capture=False), sink=sink) as writer:
        writer.add_image("chw", pixels, 3)
        writer.add_image("hwc", pixels.permute(1, 2, 0).numpy(), 3, dataformats="HWC")
        writer.add_image("hw", pixels[0], 3, dataformats="HW")
        writer.add_images("many", pixels[None].expand(20, 3, 2, 4), 4)
        writer.add_figure("figure", Figure(figsize=(1, 1)), 5)
        writer.add_histogram("h", torch.ones(5), 6, bins="auto")
    found = {str(event.data["key"]): event.data for event in sink.events(writer.run.id, "media")}
    assert list(found) == ["chw", "hwc", "hw", *(f"many/{i}" for i in range(16)), "figure", "h"]
    assert [found[key]["step"] for key in ("chw", "many/0", "figure", "h")] == [3, 4, 5, 6]
    assert found["chw"]["content"] == found["hwc"]["content"] == found["many/0"]["content"]
    grey = Image.open(io.BytesIO(base64.b64decode(str(found["hw"]["content"]))))
    assert np.array_equal(np.asarray(grey), pixels[0])


def test_steps_follow_each_other_where_none_is_given_and_an_error_fails_the_run(tmp_path: Path) -> None:
    sink = MemorySink()
    options = {"settings": load(dir=tmp_path, capture=False), "sink": sink}
    writer = SummaryWriter(tmp_path / "mine" / "second", **options)
    for value in (1.0, 2.0):
        writer.add_scalar("a", value)
    writer.add_scalar("a", torch.tensor(3.0), 7, walltime=1e9)
    writer.add_scalar("a", 4.0)
    writer.add_scalar("a", "no number", "no step")
    with pytest.raises(ValueError, match="bad"), writer:
        raise ValueError("bad")
    assert sink.points(writer.run.id, "a") == [(0, 1.0), (1, 2.0), (7, 3.0), (8, 4.0)]
    (end,) = sink.events(writer.run.id, "finish")
    assert end.data == {"status": "failed", "error": "ValueError: bad"}
    assert (writer.run.project, writer.run.name) == ("mine", "second")


@pytest.mark.parametrize("given", ["", "logs/mine/first"])
def test_the_folder_for_the_scripts_own_files_exists_once_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with SummaryWriter(given or None, settings=load(dir=tmp_path, capture=False), sink=MemorySink()) as writer:
        assert not Path("runs").exists() and not Path("logs").exists()
        Path(writer.log_dir, "model.pt").write_bytes(b"")
        assert writer.log_dir == (given or f"runs/{writer.run.name}") == writer.get_logdir()
