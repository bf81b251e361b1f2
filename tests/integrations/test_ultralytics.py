from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

ultralytics = pytest.importorskip("ultralytics", exc_type=(ImportError, RuntimeError))
pytest.importorskip("torchvision", exc_type=(ImportError, RuntimeError))

from PIL import Image  # noqa: E402

from monitor.domain import Action, Recommendation  # noqa: E402
from monitor.integrations import ultralytics as integration  # noqa: E402
from monitor.run.start import Run  # noqa: E402
from monitor.shipping.sinks import MemorySink  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for part in ("train", "val"):
        (folder / "images" / part).mkdir(parents=True)
        (folder / "labels" / part).mkdir(parents=True)
        for i in range(4):
            Image.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8)).save(folder / "images" / part / f"{i}.png")
            (folder / "labels" / part / f"{i}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (folder / "data.yaml").write_text(f"path: {folder}\ntrain: images/train\nval: images/val\nnames: {{0: thing}}\n")
    return folder


def train(pictures: Path, folder: Path, model: object, epochs: int = 3) -> None:
    model.train(  # type: ignore[attr-defined]
        data=str(pictures / "data.yaml"), epochs=epochs, imgsz=32, batch=2, device="cpu", workers=0, plots=False,
        verbose=False, project=str(folder), name="first", exist_ok=True, amp=False,
    )  # fmt: skip


def test_logs_a_real_training_and_its_checkpoints(
    runs: list[Run], sink: MemorySink, pictures: Path, tmp_path: Path
) -> None:
    model = ultralytics.YOLO("yolov8n.yaml")
    integration.attach(model, project="mine")
    train(pictures, tmp_path, model)
    (run,) = runs
    assert (run.project, run.name) == ("mine", "first")
    assert [event.data["status"] for event in sink.events(run.id, "finish")] == ["finished"]
    parts = [dict(sink.points(run.id, f"train/{part}_loss")) for part in ("box", "cls", "dfl")]
    whole = sink.points(run.id, "train/loss")
    assert [step for step, _ in whole] == [0, 1, 2]
    assert [value for _, value in whole] == pytest.approx([sum(part[i] for part in parts) for i in range(3)], rel=1e-4)
    assert len(sink.points(run.id, "val/loss")) == 3
    assert sink.points(run.id, "lr/pg0")
    config = sink.events(run.id, "run")[0].data["config"]
    assert (config["epochs"], config["imgsz"]) == (3, 32)  # type: ignore[index]
    saved = {Path(str(event.data["path"])).name for event in sink.events(run.id, "checkpoint")}
    assert saved == {"last.pt", "best.pt"}


def test_ends_where_the_run_says_so_and_fails_with_the_training(
    runs: list[Run], sink: MemorySink, pictures: Path, tmp_path: Path
) -> None:
    sink.recommendation = Recommendation(action=Action.STOP, stop_step=1, reason="enough")
    model = ultralytics.YOLO("yolov8n.yaml")
    integration.attach(model)
    train(pictures, tmp_path, model, epochs=30)
    assert len(sink.points(runs[0].id, "train/loss")) < 10
    assert sink.events(runs[0].id, "finish")[0].data["status"] == "stopped"

    def fail(trainer: object) -> None:
        raise RuntimeError("boom")

    broken = ultralytics.YOLO("yolov8n.yaml")
    integration.attach(broken)
    broken.add_callback("on_fit_epoch_end", fail)
    with pytest.raises(RuntimeError, match="boom"):
        train(pictures, tmp_path, broken)
    assert sink.events(runs[1].id, "finish")[0].data == {"status": "failed", "error": "RuntimeError: boom"}
