from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("transformers")
pytest.importorskip("accelerate")
torch = pytest.importorskip("torch")

import transformers  # noqa: E402  # after the libraries that may be missing

from monitor.client.integrations.huggingface import MonitorCallback, register  # noqa: E402
from monitor.client.run import Run  # noqa: E402
from monitor.client.sinks import MemorySink  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


class Tiny(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(2, 1)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        out = self.linear(x)
        return {"loss": (out[:, 0] - labels).square().mean(), "logits": out}


def trainer(folder: Path, callbacks: list[object], report_to: str = "none", steps: int = 40) -> transformers.Trainer:
    torch.manual_seed(0)
    rows = [{"x": x, "labels": x.sum()} for x in torch.randn(64, 2)]
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), max_steps=steps, per_device_train_batch_size=8, logging_steps=1, eval_strategy="steps",
        eval_steps=10, save_steps=20, report_to=report_to, disable_tqdm=True, use_cpu=True, learning_rate=0.05,
    )  # fmt: skip
    return transformers.Trainer(Tiny(), arguments, train_dataset=rows, eval_dataset=rows, callbacks=callbacks)


def test_logs_a_real_training(run: Run, sink: MemorySink, tmp_path: Path) -> None:
    made = trainer(tmp_path, [MonitorCallback(run)])
    made.train()
    run.finish()
    logged = {row["step"]: row["loss"] for row in made.state.log_history if "loss" in row}
    assert sink.points(run.id, "train/loss") == list(logged.items())
    assert [step for step, _ in sink.points(run.id, "val/loss")] == [10, 20, 30, 40]
    assert len(sink.points(run.id, "lr")) == 40
    assert len(sink.points(run.id, "grad_norm")) == 40
    saved = [e.data for e in sink.events(run.id, "checkpoint")]
    assert [row["step"] for row in saved] == [20, 40]
    assert all(Path(str(row["path"])).is_dir() for row in saved)


def test_stops_where_the_run_says_so(run: Run, tmp_path: Path, stop: Callable[[], None]) -> None:
    stop()
    made = trainer(tmp_path, [MonitorCallback(run)], steps=500)
    made.train()
    run.finish()
    assert made.state.global_step < 100


def test_is_known_to_report_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import monitor

    monkeypatch.setenv("MONITOR_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("MONITOR_CAPTURE", "false")
    register()
    trainer(tmp_path / "out", [], report_to="monitor").train()
    with monitor.Api() as api:
        (view,) = api.runs(project="huggingface")
        assert view.info.status == "finished"
        assert view.info.config["max_steps"] == 40
        assert {s.key: s.count for s in view.series()}["train/loss"] == 40
