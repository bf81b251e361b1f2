"""`monitor run` around real processes, with a real store."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from monitor.reader.api import Api
from monitor.settings import Settings


class Place:
    """A folder to run scripts in, and its store."""

    def __init__(self, path):
        self.path = path
        self.settings = Settings(dir=path / "store")
        self.environment = {**os.environ, "MONITOR_DIR": str(path / "store"), "PYTHONPATH": os.pathsep.join(sys.path)}
        for name in ("MONITOR_RUN_ID", "MONITOR_OUTER_RUN"):
            self.environment.pop(name, None)

    def command(self, script, *options):
        (self.path / "train.py").write_text(textwrap.dedent(script))
        return [sys.executable, "-m", "monitor", "run", *options, "--", sys.executable, "train.py"]

    def run(self, script, *options):
        done = subprocess.run(
            self.command(script, *options), cwd=self.path, env=self.environment, capture_output=True, timeout=180
        )
        return done, self.only()

    def start(self, script, *options):
        return subprocess.Popen(
            self.command(script, *options), cwd=self.path, env=self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def only(self):
        with Api(settings=self.settings) as api:
            (run,) = api.runs()
            points = {s.key: run.history(s.key) for s in run.series()}
            curves = {key: list(zip(p.steps.tolist(), p.values.tolist(), strict=True)) for key, p in points.items()}
            return run.info, curves, run.output(), run.events()


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_output_is_passed_on_unchanged_and_kept_and_its_losses_are_found(place):
    done, (info, curves, output, events) = place.run(
        r"""
        import sys
        for i in range(5):
            print(f"step {i} loss {1 / (i + 1)}")
        sys.stderr.write("a bar 1\ra bar 2\n")
        sys.stdout.buffer.write(b"\xff\xfe odd bytes, no end")
        """,
        "--name",
        "mine",
    )
    assert done.returncode == 0
    assert (
        done.stdout
        == b"".join(f"step {i} loss {1 / (i + 1)}\n".encode() for i in range(5)) + b"\xff\xfe odd bytes, no end"
    )
    assert done.stderr == b"a bar 1\ra bar 2\n"
    assert (info.name, info.project, str(info.status)) == ("mine", place.path.name, "finished")
    assert curves == {"loss": [(i, 1 / (i + 1)) for i in range(5)]}
    kept = {
        stream: "".join(piece.text for piece in output if piece.stream == stream) for stream in ("stdout", "stderr")
    }
    assert kept["stderr"] == "a bar 2\n" and kept["stdout"].endswith("step 4 loss 0.2\n\\xff\\xfe odd bytes, no end\n")
    assert next(event for event in events if event.kind == "finish").data["exit_code"] == 0


@pytest.mark.slow
def test_the_folds_of_a_command_are_kept_apart_and_it_is_judged_by_the_first(place):
    _, (_, curves, *_) = place.run(
        """
        for fold in (1, 2):
            print(f"Fold {fold}/2")
            for epoch in range(3):
                print(f"Epoch {epoch} loss {fold + epoch}.5")
        """
    )
    assert curves == {"loss": [(0, 1.5), (1, 2.5), (2, 3.5)], "fold-2/loss": [(0, 2.5), (1, 3.5), (2, 4.5)]}


@pytest.mark.slow
def test_rows_count_where_the_output_says_only_fractions_of_epochs(place):
    _, (_, curves, *_) = place.run(
        """
        for i in range(1, 9):
            print({"loss": 1 / i, "epoch": i / 4})
            if i % 4 == 0:
                print({"eval_loss": 2 / i, "epoch": i / 4})
        """
    )
    assert curves == {"loss": [(i - 1, 1 / i) for i in range(1, 9)], "eval_loss": [(3, 0.5), (7, 0.25)]}


def test_a_failure_is_recorded_with_the_last_lines(place):
    done, (info, *_) = place.run("print('epoch 1 loss 0.5')\nraise ValueError('no data')")
    assert done.returncode == 1
    assert str(info.status) == "failed" and info.error.splitlines()[0] == "exit status 1"
    assert info.error.endswith("ValueError: no data")


@pytest.mark.slow
def test_a_command_that_is_killed_is_failed(place):
    done, (info, *_) = place.run("import os; os.kill(os.getpid(), 9)")
    assert done.returncode == 137 and str(info.status) == "failed" and info.error == "killed by SIGKILL"


def test_a_training_that_logs_for_itself_takes_the_run_over(place):
    done, (info, curves, output, _) = place.run(
        """
        import monitor
        with monitor.init("own", "named", config={"lr": 0.1}) as run:
            for i in range(5):
                run.log({"loss": 1 / (i + 1)}, step=i)
                print("step", i, "loss", 7.0)
            run.log_text("a sample", step=3)
        """
    )
    assert done.returncode == 0
    assert (info.project, info.name, dict(info.config), str(info.status)) == ("own", "named", {"lr": 0.1}, "finished")
    assert curves == {"loss": [(i, 1 / (i + 1)) for i in range(5)]}
    assert {(piece.stream, piece.step) for piece in output} == {("stdout", None), ("text", 3)}


@pytest.mark.slow
def test_a_training_that_logs_for_itself_and_is_killed_is_failed_and_loses_nothing(place):
    _, (info, curves, *_) = place.run(
        """
        import os, monitor
        run = monitor.init("own", "killed")
        for i in range(50):
            run.log({"loss": 1 / (i + 1)}, step=i)
        os.kill(os.getpid(), 9)
        """
    )
    assert str(info.status) == "failed" and info.error == "killed by SIGKILL"
    assert [step for step, _ in curves["loss"]] == list(range(50))


@pytest.mark.slow
def test_signals_are_passed_on(place):
    process = place.start(
        """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
        print("ready")
        time.sleep(60)
        """
    )
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=180)
    assert process.returncode == 7 and str(place.only()[0].status) == "stopped"


DIVERGES = """
import signal, sys, time
def stop(*_):
    print("asked to stop"); sys.exit(0)
signal.signal(signal.SIGINT, {handler})
for i in range(100000):
    loss = 1 / (1 + i / 10) if i < 60 else 10.0 ** min(i - 60, 200)
    print(f"step {{i}} loss {{loss:.4e}}")
    time.sleep(0.005)
"""


@pytest.mark.slow
def test_where_a_stop_stands_the_command_is_interrupted(place):
    done, (info, *_) = place.run(DIVERGES.format(handler="stop"), "--stop", "signal", "--stands", "0.5")
    assert b"sent SIGINT" in done.stderr and b"asked to stop" in done.stdout
    assert str(info.status) == "stopped"


@pytest.mark.slow
def test_a_command_that_goes_on_is_terminated_after_its_grace(place):
    done, (info, *_) = place.run(
        DIVERGES.format(handler="signal.SIG_IGN"), "--stop", "signal", "--stands", "0.5", "--grace", "1"
    )
    assert b"sent SIGTERM" in done.stderr and done.returncode == 128 + signal.SIGTERM
    assert str(info.status) == "stopped"


@pytest.mark.slow
def test_asking_only_says_it(place):
    process = place.start(DIVERGES.format(handler="stop"), "--stands", "0.5")
    lines = []
    for line in process.stderr:
        lines.append(line)
        if b"a stop is advised" in line:
            break
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=180)
    assert str(place.only()[0].status) == "stopped"


def test_a_command_that_does_not_exist_makes_no_run(place):
    done = subprocess.run(
        [sys.executable, "-m", "monitor", "run", "--", "no-such-command"], env=place.environment, capture_output=True
    )
    assert done.returncode == 127 and b"no such command" in done.stderr
    with Api(settings=place.settings) as api:
        assert api.runs() == []
