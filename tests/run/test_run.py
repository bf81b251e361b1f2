from __future__ import annotations

import decimal
import logging
import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

import monitor
from monitor.domain import Action, Recommendation, Reply
from monitor.errors import LossError, RunExists, ServerUnreachable, SettingsError
from monitor.run import device, lifetime
from monitor.run.naming import run_name, writer_name
from monitor.run.options import rank_of
from monitor.run.start import DisabledRun, Run, ending, init
from monitor.settings import Settings
from monitor.shipping.sinks import MemorySink
from monitor.shipping.sync import unsent
from monitor.wire import Batch

Start = Callable[..., Run]


class TestLogging:
    def test_every_point_arrives_in_order(self, start: Start, sink: MemorySink) -> None:
        with start() as run:
            for step in range(1000):
                run.log({"train/loss": 1 / (step + 1), "lr": 0.1}, step=step)
        assert sink.points(run.id, "train/loss") == [(step, 1 / (step + 1)) for step in range(1000)]
        assert sink.points(run.id, "lr") == [(step, 0.1) for step in range(1000)]

    def test_nothing_is_dropped_while_segments_come_and_go(
        self, start: Start, sink: MemorySink, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        run = start(settings=settings.model_copy(update={"ship_interval_s": 0.001}))
        assert run._writer is not None
        run._writer.journal._supply.next_bytes = 16 * 1024
        for step in range(150_000):
            run.log({"x": float(step)}, step=step)
            run._writer.journal._supply.next_bytes = 16 * 1024
            if step % 5000 == 0:
                assert [item.live for item in unsent(settings.journal_dir)] == [True]
        run.finish()
        assert [step for step, _ in sink.points(run.id, "x")] == list(range(150_000))
        assert caplog.messages == []

    def test_weights_of_parts_are_recorded_when_they_change_and_never_raise(
        self, start: Start, sink: MemorySink
    ) -> None:
        with start() as run:
            for step in range(6):
                weight = np.float32(0.5) if step < 3 else 0.25
                run.log({"loss": 1.0, "loss/l2": 2.0}, step=step, weights={"l2": weight, "seg": math.nan, "x": "much"})
        found = [event.data for event in sink.events(run.id, "weights")]
        assert found == [{"step": 0, "weights": {"l2": 0.5}}, {"step": 3, "weights": {"l2": 0.25}}]
        assert len(sink.points(run.id, "loss")) == 6

    def test_nested_mappings_are_joined(self, start: Start, sink: MemorySink) -> None:
        with start() as run:
            run.log({"loss": {"l1": 1.0, "deep": {"l2": 2}}, 5: 3.0}, step=1)  # type: ignore[dict-item]
        assert [sink.points(run.id, key) for key in ("loss/l1", "loss/deep/l2", "5")] == [
            [(1, 1.0)],
            [(1, 2.0)],
            [(1, 3.0)],
        ]

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (1, 1.0),
            (True, 1.0),
            (np.float32(0.5), 0.5),
            (np.float64(0.25), 0.25),
            (np.int64(7), 7.0),
            (np.bool_(True), 1.0),
            (np.array(1.5), 1.5),
            (np.array([2.5]), 2.5),
            (decimal.Decimal("0.125"), 0.125),
            (Fraction(1, 4), 0.25),
            (math.inf, math.inf),
            (-math.inf, -math.inf),
            (10**400, math.inf),
            (-(10**400), -math.inf),
        ],
    )
    def test_a_number_of_any_kind_is_a_number(
        self, start: Start, sink: MemorySink, value: object, expected: float
    ) -> None:
        with start() as run:
            for step in range(3):  # the first takes the slow way, the others may take the fast one
                run.log({"x": value}, step=step)
        assert sink.points(run.id, "x") == [(step, expected) for step in range(3)]

    def test_a_tensor_is_a_number(self, start: Start, sink: MemorySink) -> None:
        torch = pytest.importorskip("torch")
        with start() as run:
            run.log({"x": torch.tensor(1.5, requires_grad=True), "y": torch.tensor([2], dtype=torch.int64)}, step=0)
            run.log({"x": torch.nn.Parameter(torch.tensor(2.5)), "y": torch.tensor(3.0, dtype=torch.bfloat16)}, step=1)
        assert sink.points(run.id, "x") == [(0, 1.5), (1, 2.5)]
        assert sink.points(run.id, "y") == [(0, 2.0), (1, 3.0)]

    def test_nan_is_a_point(self, start: Start, sink: MemorySink) -> None:
        with start() as run:
            run.log({"x": math.nan}, step=0)
            run.log({"x": np.float32("nan")}, step=1)
        assert [math.isnan(v) for _, v in sink.points(run.id, "x")] == [True, True]

    @pytest.mark.parametrize(
        "value",
        [None, "0.5", b"1", [1.0, 2.0], np.zeros(3), object(), 1 + 2j, print, {1, 2}],
        ids=lambda v: type(v).__name__,
    )
    def test_what_is_no_number_is_named_once_and_the_rest_is_kept(
        self, start: Start, sink: MemorySink, caplog: pytest.LogCaptureFixture, value: object
    ) -> None:
        with caplog.at_level(logging.WARNING, "monitor"), start() as run:
            for step in range(5):
                run.log({"bad/key": value, "good": 1.0}, step=step)
        assert len(sink.points(run.id, "good")) == 5
        assert sink.points(run.id, "bad/key") == []
        assert sum("bad/key" in message for message in caplog.messages) == 1
        warnings = [e.data for e in sink.events(run.id, "warning")]
        assert sum(int(str(w["count"])) for w in warnings if w["key"] == "bad/key") == 5
        assert {w["name"] for w in warnings} == {"dropped"}

    def test_nothing_that_is_given_to_log_raises(self, start: Start, sink: MemorySink) -> None:
        class Evil:
            def __float__(self) -> float:
                raise RuntimeError("no")

            def __getattr__(self, name: str) -> object:
                raise RuntimeError("no")

        class EvilMapping(dict[str, object]):
            def __iter__(self):  # type: ignore[no-untyped-def]
                raise RuntimeError("no")

            def items(self):  # type: ignore[no-untyped-def]
                raise RuntimeError("no")

        with start() as run:
            for data in (None, 5, "x", [1], Evil(), {"x": Evil()}, EvilMapping(a=1), {}, {(1, 2): 1.0}, {None: 1.0}):
                run.log(data)  # type: ignore[arg-type]
            for step in ("x", 1.5, math.nan, math.inf, 10**30, None, object(), np.float32(3), True):
                run.log({"ok": 1.0}, step=step)  # type: ignore[arg-type]
            for epoch in ("x", math.nan, object(), 10**400):
                run.log({"ok": 1.0}, epoch=epoch)  # type: ignore[arg-type]
            for at in ("x", -1.0, math.nan, 1e300):
                run.log({"ok": 1.0}, time=at)  # type: ignore[arg-type]
            run.log({"k" * 10_000: 1.0, "": 2.0, "  ": 3.0, "a\0b": 4.0}, step=0)
            run.checkpoint("x", 5)  # type: ignore[arg-type]
            run.alert(5, 6, 7)  # type: ignore[arg-type]
            run.update_config(5)
            run.update_tags(5)
            run.log_many([1, 2], {"a": [1.0]})
            run.log_many(5, 6)  # type: ignore[arg-type]
            run.finish("nonsense")
        assert len(sink.points(run.id, "ok")) == 9 + 4 + 4
        assert sink.events(run.id, "finish")[0].data["status"] == "finished"

    def test_a_whole_array_is_logged_at_once(self, start: Start, sink: MemorySink) -> None:
        steps = np.arange(0, 500, 5)
        with start() as run:
            run.log_many(steps, {"loss": np.exp(-steps / 100), "acc": list(range(100))}, epochs=steps / 50)
        assert sink.points(run.id, "loss") == list(zip(steps.tolist(), np.exp(-steps / 100).tolist(), strict=True))
        epochs = np.concatenate([b.points.epoch for b in sink.batches if b.points.epoch is not None])
        assert epochs.tolist() == np.repeat(steps / 50, 2).tolist()

    def test_the_time_may_be_given(self, start: Start, sink: MemorySink) -> None:
        with start() as run:
            run.log({"x": 1.0}, step=0, time=1_700_000_000.5)
        assert sink.batches[-1].points.time_ms.tolist() + sink.batches[0].points.time_ms.tolist() != []
        times = [t for b in sink.batches for t in b.points.time_ms.tolist()]
        assert times == [1_700_000_000_500]

    def test_logging_after_the_end_is_counted_and_does_not_raise(
        self, start: Start, sink: MemorySink, caplog: pytest.LogCaptureFixture
    ) -> None:
        run = start()
        run.finish()
        for _ in range(3):
            run.log({"x": 1.0})
        run.checkpoint(1, "a")
        run.finish()
        assert sink.points(run.id, "x") == []
        assert sum("finished" in message for message in caplog.messages) == 2


class TestADeviceValue:
    def test_is_filled_in_when_it_is_there_and_order_is_kept(
        self, start: Start, sink: MemorySink, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class OnDevice:
            def __init__(self, result: float) -> None:
                self.result, self.done = result, False

        class Copy:
            def __init__(self, tensor: OnDevice) -> None:
                self.tensor = tensor

            def ready(self) -> bool:
                return self.tensor.done

            def value(self) -> float:
                return self.tensor.result

        def fetch(value: object) -> Copy | None:
            return Copy(value) if isinstance(value, OnDevice) else None

        monkeypatch.setattr(device, "COPIERS", [fetch])
        run = start()
        first = OnDevice(0.5)
        run.log({"a": 1.0}, step=0)
        run.log({"a": first, "b": 2.0}, step=1)
        run.log({"a": 3.0}, step=2)
        assert sink.wait_for(lambda: sink.points(run.id, "a") == [(0, 1.0)], 60)
        first.done = True
        assert sink.wait_for(lambda: len(sink.points(run.id, "a")) == 3, 60)
        assert sink.points(run.id, "a") == [(0, 1.0), (1, 0.5), (2, 3.0)]
        assert sink.points(run.id, "b") == [(1, 2.0)]
        late = OnDevice(9.0)
        run.log({"a": late}, step=3)
        run.finish()
        assert sink.points(run.id, "a")[-1] == (3, 9.0)


class TestStopping:
    def test_is_told_by_the_recommendation(self, start: Start, sink: MemorySink) -> None:
        run = start()
        run.log({"loss": 1.0})
        assert not run.should_stop(wait_s=60)
        assert run.stop_reason is None
        sink.recommendation = Recommendation(action=Action.STOP, stop_step=1, reason="It overfits.")
        run.log({"loss": 1.0})
        assert run.should_stop(wait_s=60)
        assert run.stop_reason == "It overfits."
        assert run.recommendation.action is Action.STOP
        run.finish()
        last = sink.events(run.id, "finish")[0].data
        assert last["status"] == "stopped"
        assert last["reason"] == "It overfits."

    def test_one_that_is_withdrawn_makes_no_stopped_run(self, start: Start, sink: MemorySink) -> None:
        run = start()
        sink.recommendation = Recommendation(action=Action.STOP, stop_step=1, reason="It overfits.")
        run.log({"loss": 1.0})
        assert run.should_stop(wait_s=60)
        sink.recommendation = Recommendation()
        run.log({"loss": 1.0})
        assert not run.should_stop(wait_s=60)
        run.finish()
        assert sink.events(run.id, "finish")[0].data["status"] == "finished"

    def test_waits_only_while_answers_come(
        self, settings: Settings, sink: MemorySink, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        quiet = settings.model_copy(update={"heartbeat_s": 3600.0})  # the answer to a heartbeat would be one more
        run = init("p", settings=quiet, sink=sink)
        assert run.flush(60)
        assert run._writer is not None
        waited: list[bool] = []

        def flush(timeout_s: float, *, patient: bool = True) -> bool:
            waited.append(patient)
            return False

        with monkeypatch.context() as patched:
            patched.setattr(run._writer, "flush", flush)
            for _ in range(20):
                run.should_stop(wait_s=1.0)
            assert waited == [False]
            run._on_reply(Reply(acked=1, recommendation=Recommendation()))
            for _ in range(20):
                run.should_stop(wait_s=1.0)
            assert waited == [False, False]
        run.finish()

    def test_a_receiver_that_fails_is_not_waited_for(self, settings: Settings) -> None:
        def down(batch: Batch) -> None:
            raise ServerUnreachable("here", "nobody answers")

        quick = settings.model_copy(update={"finish_timeout_s": 0.1})
        run = init("p", settings=quick, sink=MemorySink(before=down))
        shipper = run._writer.shipper  # type: ignore[union-attr]
        assert shipper is not None
        shipper.first_answer(60)
        assert shipper.trouble is not None
        before = time.monotonic()
        run.log({"loss": 1.0})
        assert not run.should_stop(wait_s=600)
        assert time.monotonic() - before < 300
        run.finish()

    def test_is_told_by_a_person_within_a_heartbeat(self, start: Start, sink: MemorySink) -> None:
        run = start()
        assert run.flush(60)
        sink.stop_requested = "ada"
        deadline = time.monotonic() + 60
        while not run.should_stop() and time.monotonic() < deadline:
            sink.wait_for(lambda: False, 0.02)
        assert run.should_stop()
        assert run.stop_reason == "ada asked the run to stop."

    def test_a_loop_that_goes_on_all_the_same_is_finished_not_stopped(self, start: Start, sink: MemorySink) -> None:
        sink.recommendation = Recommendation(action=Action.STOP, reason="stop")
        run = start()
        for _ in range(200):
            run.log({"loss": 1.0})
        assert run.should_stop(wait_s=60)
        for _ in range(200):
            run.log({"loss": 1.0})
        run.finish()
        assert sink.events(run.id, "finish")[0].data["status"] == "finished"


class TestTheEnd:
    def test_an_exception_is_a_failure_with_its_last_line(self, start: Start, sink: MemorySink) -> None:
        run = start()
        with pytest.raises(ZeroDivisionError), run:
            _ = 1 / 0
        assert sink.events(run.id, "finish")[0].data == {
            "status": "failed",
            "error": "ZeroDivisionError: division by zero",
        }

    def test_an_interrupt_is_the_user(self, start: Start, sink: MemorySink) -> None:
        with pytest.raises(KeyboardInterrupt), start() as run:
            raise KeyboardInterrupt
        assert sink.events(run.id, "finish")[0].data == {"status": "failed", "error": "stopped by user"}

    @pytest.mark.parametrize(
        ("error", "status"),
        [(SystemExit(), "finished"), (SystemExit(0), "finished"), (SystemExit(3), "failed"), (None, "finished")],
    )
    def test_an_exit_is_a_failure_only_with_a_code(self, error: BaseException | None, status: str) -> None:
        assert ending(error)[0] == status

    def test_in_a_handler_that_interrupts_a_write_is_kept_for_the_next_finish(
        self, start: Start, sink: MemorySink, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = start()
        assert run._writer is not None
        journal = run._writer.journal
        monkeypatch.setattr(journal, "_write_held", lambda: run.finish("failed", "told to go"))
        run.log({"x": 1.0}, step=0)
        monkeypatch.undo()
        assert sink.events(run.id, "finish") == []
        run.finish()
        assert sink.points(run.id, "x") == [(0, 1.0)]
        assert sink.events(run.id, "finish")[0].data == {"status": "failed", "error": "told to go"}

    def test_leaves_nothing_behind_once_all_is_stored(self, start: Start, settings: Settings) -> None:
        with start() as run:
            run.log({"x": 1.0})
        assert list(settings.journal_dir.rglob("*")) == []

    def test_leaves_the_journal_where_the_receiver_is_away(
        self, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        def away(_: Batch) -> None:
            raise ServerUnreachable("http://nowhere", "refused")

        quick = settings.model_copy(update={"finish_timeout_s": 0.3})
        run = init("p", settings=quick, sink=MemorySink(before=away))
        for step in range(10):
            run.log({"x": 1.0}, step=step)
        begun = time.monotonic()
        run.finish()
        assert time.monotonic() - begun < Settings.model_fields["finish_timeout_s"].default, "its own limit holds"
        assert list(settings.journal_dir.rglob("*.seg"))
        assert any("monitor sync" in message for message in caplog.messages)

    def test_events_arrive_as_they_were_given(self, start: Start, sink: MemorySink) -> None:
        with start(config={"lr": 0.1, "size": (3, 4)}, tags=["a"], group="g", loss="my_loss") as run:
            run.checkpoint(5, Path("/tmp/model.pt"))
            run.alert("look", "here", "critical")
            run.update_config({"lr": 0.2})
            run.update_tags({"b": 1})
        data = sink.events(run.id, "run")[0].data
        assert (data["project"], data["group"], data["config"]) == ("p", "g", {"lr": 0.1, "size": [3, 4]})
        assert (data["tags"], data["loss"]) == ({"a": ""}, {"name": "my_loss"})
        assert sink.events(run.id, "checkpoint")[0].data == {"step": 5, "path": "/tmp/model.pt"}
        assert sink.events(run.id, "alert")[0].data == {"title": "look", "body": "here", "severity": "critical"}
        assert sink.events(run.id, "config")[0].data == {"config": {"lr": 0.2}}
        assert sink.events(run.id, "tags")[0].data == {"tags": {"b": "1"}}


class TestInit:
    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"project": ""}, "project"),
            ({"project": 5}, "project"),
            ({"name": ""}, "name"),
            ({"name": "x" * 300}, "name"),
            ({"mode": "cloud"}, "mode"),
            ({"mode": "server"}, "MONITOR_SERVER_URL"),
            ({"server": "localhost:8470"}, "http://"),
            ({"run_id": "short"}, "run_id"),
            ({"resume": "must"}, "run_id"),
            ({"resume": "perhaps"}, "resume"),
            ({"config": 5}, "config"),
            ({"tags": 5}, "tags"),
            ({"loss": 5}, "loss"),
        ],
    )
    def test_refuses_at_once_and_in_one_line(self, options: dict[str, object], says: str) -> None:
        with pytest.raises(SettingsError) as caught:
            init(**{"project": "p", **options})  # type: ignore[arg-type]
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_takes_the_loss_itself_and_reads_what_torch_was_told(
        self, start: Callable[..., Run], sink: MemorySink
    ) -> None:
        def mine(prediction: object, target: object) -> float:
            return 0.0

        given = (torch.nn.CrossEntropyLoss(label_smoothing=0.1, reduction="sum"), torch.nn.functional.mse_loss, mine)
        said = []
        for loss in given:
            with start(loss=loss) as run:
                run.log({"x": 1.0})
            said.append(sink.events(run.id, "run")[0].data["loss"])
        assert [loss["kind"] for loss in said] == ["cross_entropy", "mse", "custom"]
        assert said[0]["reduction"] == "sum"
        assert said[2]["name"] == "mine"

    def test_refuses_a_loss_that_is_misspelt_with_parameters(self) -> None:
        with pytest.raises(LossError):
            init("p", loss="cross_entrpy(classes=10)")

    def test_refuses_a_folder_that_cannot_be_written(self, tmp_path: Path, settings: Settings) -> None:
        (tmp_path / "journal").write_text("a file")
        with pytest.raises(SettingsError, match="journal"):
            init("p", settings=settings)

    def test_takes_a_dataclass_and_a_namespace_for_a_configuration(self, start: Start, sink: MemorySink) -> None:
        @dataclass
        class Config:
            lr: float = 0.1

        import argparse

        with start(config=Config()) as first, start(config=argparse.Namespace(lr=0.2)) as second:
            pass
        assert sink.events(first.id, "run")[0].data["config"] == {"lr": 0.1}
        assert sink.events(second.id, "run")[0].data["config"] == {"lr": 0.2}

    def test_a_run_that_exists_is_an_error_at_once(self, settings: Settings) -> None:
        def exists(batch: Batch) -> None:
            raise RunExists(batch.run_id)

        with pytest.raises(RunExists):
            init("p", run_id="a" * 32, settings=settings, sink=MemorySink(before=exists))
        assert list(settings.journal_dir.rglob("*")) == []

    def test_a_server_that_is_down_is_no_error(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("monitor.run.start._FIRST_ANSWER_S", 600.0)
        begun = time.monotonic()
        quick = settings.model_copy(update={"finish_timeout_s": 0.2})
        run = init(
            "p", server="http://127.0.0.1:9", settings=quick.model_copy(update={"server_url": "http://127.0.0.1:9"})
        )
        run.log({"x": 1.0})
        assert time.monotonic() - begun < 300, "a refused connection is an answer"
        assert run.url is None
        run.finish()

    def test_several_runs_at_once_keep_apart(self, start: Start, sink: MemorySink) -> None:
        runs = [start(name=f"r{i}") for i in range(4)]
        for step in range(50):
            for i, run in enumerate(runs):
                run.log({"x": float(i)}, step=step)
        for run in runs:
            run.finish()
        for i, run in enumerate(runs):
            assert sink.points(run.id, "x") == [(step, float(i)) for step in range(50)]

    def test_the_module_speaks_of_the_run_that_was_started_last(self, start: Start, sink: MemorySink) -> None:
        with pytest.raises(SettingsError, match=r"monitor\.init"):
            monitor.log({"x": 1.0})
        first, second = start(), start()
        monitor.log({"x": 2.0})
        monitor.finish()
        monitor.log({"x": 1.0})
        monitor.alert("hello")
        monitor.finish()
        assert sink.points(second.id, "x") == [(0, 2.0)]
        assert sink.points(first.id, "x") == [(0, 1.0)]

    def test_disabled_does_nothing(self, settings: Settings) -> None:
        with init("p", mode="disabled", settings=settings) as run:
            run.log({"x": 1.0})
            run.log_many([1], {"x": [1.0]})
            run.checkpoint(1, "a")
            run.alert("a")
            run.update_config({})
            assert not run.should_stop(wait_s=1)
            assert run.recommendation.action is Action.CONTINUE
            assert run.stop_reason is None
        assert not settings.journal_dir.exists()

    def test_ranks_above_zero_are_silent_or_join(
        self, settings: Settings, sink: MemorySink, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RANK", "1")
        monkeypatch.setenv("WORLD_SIZE", "2")
        assert isinstance(init("p", settings=settings, sink=sink), DisabledRun)
        with pytest.raises(SettingsError, match="run_id"):
            init("p", settings=settings, sink=sink, ranks="all")
        with init("p", settings=settings, sink=sink, ranks="all", run_id="b" * 32) as run:
            run.log({"x": 1.0})
        assert sink.events("b" * 32, "run")[0].data["join"] is True
        assert sink.events("b" * 32, "finish") == []

    def test_offline_keeps_everything_in_the_journal(self, settings: Settings) -> None:
        with init("p", mode="offline", settings=settings) as run:
            run.log({"x": 1.0})
        assert len(list((settings.journal_dir / run.id).rglob("*.seg"))) == 1


def test_importing_the_package_is_instant_and_brings_no_numpy() -> None:
    code = "import sys, monitor; print([m for m in ('numpy', 'httpx', 'pydantic', 'sqlalchemy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert import_s("monitor") < import_s("asyncio")  # about a quarter of it


def test_reading_from_a_server_brings_no_numpy_until_points_are_read() -> None:
    code = "import sys, monitor; monitor.Api; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_run_that_is_only_journalled_brings_no_numpy_either(tmp_path: Path) -> None:
    code = (
        "import sys, monitor; run = monitor.init('p', mode='offline', config={'lr': 1}, tags=['a'], capture=False)\n"
        "run.log({'x': 1.0}); run.alert('a'); run.finish(); print('numpy' in sys.modules)"
    )
    environment = {**os.environ, "MONITOR_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "False"


def import_s(name: str) -> float:
    """Seconds that an import takes in a new process, the best of five."""
    code = f"import time; t = time.perf_counter(); import {name}; print(time.perf_counter() - t)"
    command = [sys.executable, "-c", code]
    return min(float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(5))


def test_names_can_be_said_and_writers_are_told_apart() -> None:
    rng = random.Random(1)
    first, second, number = run_name(rng).split("-")
    assert first.isalpha()
    assert second.isalpha()
    assert number.isdigit()
    names = {writer_name(os.getpid(), rng) for _ in range(1000)}
    assert len(names) == 1000
    assert all(len(name) <= 64 for name in names)


def test_the_rank_is_read_from_the_environment() -> None:
    assert rank_of({}).number == 0
    assert rank_of({"RANK": "3", "WORLD_SIZE": "8"}).number == 3
    assert rank_of({"LOCAL_RANK": "2"}).number == 2
    assert rank_of({"RANK": "x"}).number == 0


def test_a_finished_run_is_forgotten(start: Start) -> None:
    run = start()
    assert run in lifetime._open
    run.finish()
    assert run not in lifetime._open
    assert lifetime.current_run() is None
