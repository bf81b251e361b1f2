"""The stop as the loop meets it: its modes, its exception, what it tells the receiver, and one answer for all ranks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import monitor
from monitor import StopTraining
from monitor.domain import Action, Recommendation, StopState
from monitor.errors import SettingsError
from monitor.server.ports import free_port
from monitor.settings import Settings, load
from monitor.shipping.sinks import MemorySink

ADVICE = Recommendation(action=Action.STOP, rule="overfitting", stop_step=1, reason="it overfits")


def stopped(sink: MemorySink, settings: Settings, **more: object) -> bool:
    """What a loop is told under an advice to stop, by a receiver that knows no modes."""
    sink.recommendation = ADVICE
    run = monitor.init("p", sink=sink, settings=settings, **more)
    run.log({"train/loss": 1.0}, step=0)
    found = run.should_stop(wait_s=60)
    run.finish()
    return found


@pytest.mark.parametrize(
    ("stop", "told"),
    [(None, True), ("advise", True), ("alert", False), ("stop", False), ("off", False), ({"overfitting": "off"}, False),
     ({"divergence": "off"}, True)],
)  # fmt: skip
def test_the_mode_says_whether_the_loop_is_told(sink: MemorySink, settings: Settings, stop: object, told: bool) -> None:
    assert stopped(sink, settings, stop=stop) is told


def test_the_setting_off_always_wins(sink: MemorySink, settings: Settings) -> None:
    sink.stop_requested = "ada"
    assert not stopped(sink, settings.model_copy(update={"stop": {"*": "off"}}), stop="advise")


def test_the_environment_and_the_project_say_the_mode(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "monitor.toml").write_text(
        'stop = "alert"\n[projects.vision]\nstop = {divergence = "stop"}\n[projects.text.stop]\n"*" = "advise"\n'
    )
    monkeypatch.chdir(tmp_path)
    loaded = load()
    assert loaded.stop_modes_of("other") == {"*": "alert"}
    assert loaded.stop_modes_of("vision") == {"*": "alert", "divergence": "stop"}
    assert loaded.stop_modes_of("text") == {"*": "advise"}
    monkeypatch.setenv("MONITOR_STOP", "off")
    assert load().stop_modes_of("text") == {"*": "off"}
    monkeypatch.setenv("MONITOR_STOP", "alrt")
    with pytest.raises(SettingsError, match="'alrt' is not a mode of stopping; did you mean 'alert'"):
        load()


@pytest.mark.parametrize("wrong", ["loud", {"overfit": "alert"}, 3])
def test_a_mode_that_is_none_is_refused_at_once(settings: Settings, wrong: object) -> None:
    with pytest.raises(SettingsError, match="setting stop"):
        monitor.init("p", settings=settings, sink=MemorySink(), stop=wrong)


def test_stop_training_ends_the_run_as_stopped(sink: MemorySink, settings: Settings) -> None:
    sink.recommendation = ADVICE

    def train() -> None:
        with monitor.init("p", sink=sink, settings=settings) as run:
            run.log({"train/loss": 1.0}, step=0)
            run.should_stop(wait_s=60, raise_=True)

    with pytest.raises(StopTraining, match="it overfits"):
        train()
    run_id = sink.batches[0].run_id
    (end,) = sink.events(run_id, "finish")
    assert (end.data["status"], end.data["error"], end.data["reason"]) == ("stopped", None, "it overfits")


def test_stop_training_that_leaves_the_script_is_no_failure(tmp_path: Path) -> None:
    script = (
        "import monitor\n"
        "run = monitor.init('p', run_id='a' * 32, name='left')\n"
        "run.log({'train/loss': 1.0}, step=0)\n"
        "monitor.Api().run('left').request_stop('ada', 'enough') if run.flush() else None\n"
        "while True:\n"
        "    run.log({'train/loss': 1.0})\n"
        "    run.should_stop(wait_s=60, raise_=True)\n"
    )
    environment = {**os.environ, "MONITOR_DIR": str(tmp_path / "home"), "MONITOR_CAPTURE": "false"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert "StopTraining: ada asked the run to stop: enough" in done.stderr
    with monitor.Api(settings=load(dir=tmp_path / "home")) as api:
        view = api.run("left")
        assert view.info.status == "stopped"
        (stop,) = view.stops()
    assert stop.state is StopState.FINISHED
    assert stop.requested_ms <= stop.delivered_ms <= stop.acknowledged_ms <= stop.finished_ms
    assert stop.acknowledged_step is not None and stop.stopped_step is not None


def test_the_loop_says_once_that_it_was_told(sink: MemorySink, settings: Settings) -> None:
    sink.recommendation = ADVICE
    with monitor.init("p", sink=sink, settings=settings) as run:
        run.log({"train/loss": 1.0}, step=7)
        for _ in range(3):
            assert run.should_stop(wait_s=60)
    assert [event.data for event in sink.events(run.id, "stop")] == [{"request": None, "step": 7}]


RANKS = """
import sys, monitor, torch.distributed
from pathlib import Path
from monitor.settings import load

torch.distributed.init_process_group("gloo")
rank = torch.distributed.get_rank()
folder = Path(sys.argv[1])
settings = load(dir=folder / "store", capture=False)
run = monitor.init("p", name="ranks", run_id="b" * 32, settings=settings)
how = "nothing"
for step in range(100_000):
    run.log({"train/loss": 1.0}, step=step)
    if step == 5 and rank == 0:
        assert run.flush()
        monitor.Api(settings=settings).run("ranks").request_stop("ada", "enough")
    try:
        if monitor.distributed.should_stop(run, step, 1.0, every=5, raise_=len(sys.argv) > 2):
            how = "told"
            break
    except monitor.StopTraining as stop:
        how = "raised"
        break
(folder / f"rank{rank}").write_text(f"{how} {step}")
torch.distributed.destroy_process_group()
run.finish()
"""


@pytest.mark.slow
@pytest.mark.parametrize("raises", [False, True])
def test_two_ranks_get_one_answer_at_one_step(tmp_path: Path, raises: bool) -> None:
    pytest.importorskip("torch")
    path = tmp_path / "train.py"
    path.write_text(RANKS)
    port = free_port("127.0.0.1", 0, "port")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]
    done = subprocess.run(
        [*command, str(path), str(tmp_path), *(["raise"] if raises else [])], timeout=200, capture_output=True,
        text=True, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = ((tmp_path / f"rank{rank}").read_text() for rank in (0, 1))
    assert first == second
    assert first.split()[0] == ("raised" if raises else "told")
    assert int(first.split()[1]) < 99_999
    with monitor.Api(settings=load(dir=tmp_path / "store")) as api:
        assert api.run("ranks").stops()[0].acknowledged_ms is not None
