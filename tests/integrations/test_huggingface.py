from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from monitor.server.ports import free_port

pytest.importorskip("transformers")
pytest.importorskip("accelerate")
torch = pytest.importorskip("torch")

import transformers  # noqa: E402  # after the libraries that may be missing

from monitor.integrations.huggingface import MonitorCallback, register  # noqa: E402
from monitor.run.start import Run  # noqa: E402
from monitor.shipping.sinks import MemorySink  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


class Tiny(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(2, 1)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        out = self.linear(x)
        return {"loss": (out[:, 0] - labels).square().mean(), "logits": out}


def trainer(
    folder: Path,
    callbacks: list[object],
    report_to: str = "none",
    steps: int = 40,
    sets: tuple[str, ...] = (),
    **more: object,
) -> transformers.Trainer:
    torch.manual_seed(0)
    rows = [{"x": x, "labels": x.sum()} for x in torch.randn(64, 2)]
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), max_steps=steps, per_device_train_batch_size=8, logging_steps=1, eval_strategy="steps",
        eval_steps=10, save_steps=20, report_to=report_to, disable_tqdm=True, use_cpu=True, learning_rate=0.05,
        **more,
    )  # fmt: skip
    held_out = dict.fromkeys(sets, rows) if sets else rows
    return transformers.Trainer(Tiny(), arguments, train_dataset=rows, eval_dataset=held_out, callbacks=callbacks)


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


@pytest.mark.parametrize(("named", "judged", "stored"), [(None, "news", "wiki"), ("wiki", "wiki", "news")])
def test_of_several_evaluation_sets_one_is_judged(
    run: Run, sink: MemorySink, tmp_path: Path, named: str | None, judged: str, stored: str
) -> None:
    made = trainer(tmp_path, [MonitorCallback(run, val_name=named)], sets=("news", "wiki"))
    made.train()
    run.finish()
    for key, name in (("val/loss", judged), (f"val/{stored}/loss", stored)):
        logged = [row[f"eval_{name}_loss"] for row in made.state.log_history if f"eval_{name}_loss" in row]
        assert len(logged) == 4
        assert [v for _, v in sink.points(run.id, key)] == logged


def test_the_arguments_name_the_run_and_an_evaluation_after_it_belongs_to_it(
    runs: list[Run], sink: MemorySink, tmp_path: Path
) -> None:
    made = trainer(tmp_path, [MonitorCallback()], steps=4, run_name="mine", project="ours")
    made.train()
    (run,) = runs
    assert (run.name, run.project) == ("mine", "ours")
    assert [event.data["status"] for event in sink.events(run.id, "finish")] == ["finished"]
    before = len(sink.points(run.id, "val/loss"))
    made.evaluate()
    run.flush()
    assert len(sink.points(run.id, "val/loss")) == before + 1
    made.train()
    assert [event.data["status"] for event in sink.events(run.id, "finish")] == ["finished"]
    assert len(runs) == 2
    given = trainer(tmp_path, [MonitorCallback(project="given", name="too")], steps=2, run_name="mine", project="ours")
    given.train()
    assert (runs[-1].name, runs[-1].project) == ("too", "given")


def test_a_stop_that_is_withdrawn_is_taken_back(tmp_path: Path) -> None:
    class Advice:
        loss_known, asked, _writer = True, 0, None

        def log(self, *_: object, **__: object) -> None: ...

        update_config = checkpoint = log

        def should_stop(self, wait_s: float = 0.0) -> bool:
            self.asked += 1
            return self.asked == 11  # at the tenth step, after an epoch of eight; its evaluation withdraws it

    made = trainer(tmp_path, [MonitorCallback(Advice())], steps=20)  # type: ignore[arg-type]
    made.train()
    assert made.state.global_step == 20


RANKS = """
import sys, torch, transformers, monitor
from pathlib import Path
from monitor.integrations.huggingface import MonitorCallback
from monitor.shipping.sinks import MemorySink
from monitor.domain import Action, Recommendation
from monitor.settings import load

class Tiny(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(2, 1)
    def forward(self, x, labels):
        out = self.linear(x)
        return {"loss": (out[:, 0] - labels).square().mean(), "logits": out}

sink = MemorySink()
sink.recommendation = Recommendation(action=Action.STOP, stop_step=1, reason="enough")
folder = Path(sys.argv[1])
run = monitor.init("p", sink=sink, settings=load(dir=folder / "store", capture=False, ship_interval_s=0.005))
rows = [{"x": x, "labels": x.sum()} for x in torch.randn(640, 2)]
arguments = transformers.TrainingArguments(
    output_dir=str(folder / "out"), max_steps=400, per_device_train_batch_size=4, logging_steps=3,
    eval_strategy="steps", eval_steps=int(sys.argv[2]), save_strategy="no", report_to="none", disable_tqdm=True,
    use_cpu=True,
)
trainer = transformers.Trainer(Tiny(), arguments, train_dataset=rows, eval_dataset=rows[:16],
                               callbacks=[MonitorCallback(run)])
trainer.train()
steps = trainer.state.global_step
trainer.evaluate()
(folder / f"rank{arguments.process_index}").write_text(str(steps))
torch.distributed.destroy_process_group()
run.finish()
"""


@pytest.mark.parametrize("eval_steps", [7, 1000])
def test_all_ranks_stop_together(tmp_path: Path, eval_steps: int) -> None:
    script = tmp_path / "train.py"
    script.write_text(RANKS)
    port = free_port("127.0.0.1", 0, "port")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]
    done = subprocess.run(
        [*command, str(script), str(tmp_path), str(eval_steps)], timeout=240, capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    steps = {(tmp_path / f"rank{rank}").read_text() for rank in (0, 1)}
    assert len(steps) == 1
    assert int(steps.pop()) < 400
