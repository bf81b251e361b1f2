"""Files that grow, are cut, renamed and written anew, followed into a real store."""

import json

import numpy as np
import pytest

from monitor.importers.watching import Watch
from monitor.reader.api import Api
from monitor.roles import said_of
from monitor.settings import Settings
from monitor.shipping.sinks import EmbeddedSink


class World:
    """A store, a watch over a folder, and a clock."""

    def __init__(self, tmp_path):
        self.settings = Settings(dir=tmp_path / "store")
        self.folder = tmp_path / "logs"
        self.folder.mkdir()
        self.now = 1e9
        self.sink = EmbeddedSink(self.settings, lambda: int(self.now * 1000))
        self.restart()

    def restart(self):
        self.watch = Watch([str(self.folder)], self.settings.dir / "watch", "here", self.sink.send)

    def look(self, times=3):
        for _ in range(times):
            self.now += 60
            self.watch.step(self.now)

    def runs(self):
        with Api(settings=self.settings) as api:
            return [
                (run.info, {s.key: list(zip(*_points(run, s.key), strict=True)) for s in run.series()})
                for run in api.runs(order="created")
            ]


def _points(run, key):
    points = run.history(key)
    return points.steps.tolist(), np.asarray(points.values).tolist()


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.sink.close()


def lines(first, last):
    return "".join(f"step {i} loss {1 / (i + 1):.4f}\n" for i in range(first, last))


def values(first, last):
    return [(i, float(f"{1 / (i + 1):.4f}")) for i in range(first, last)]


def test_a_log_that_grows_is_one_run_that_grows(world):
    log = world.folder / "train.log"
    log.write_text(lines(0, 5))
    world.look()
    log.write_text(lines(0, 9))
    world.look()
    ((info, series),) = world.runs()
    assert series == {"loss": values(0, 9)}
    assert (info.project, info.name, str(info.status), info.attempt) == ("watched", "train", "running", 1)


def test_the_folds_of_a_log_are_runs_from_the_first_on(world):
    log, text = world.folder / "train.log", ""
    for fold in (1, 2, 3):
        for begin in (0, 3):
            text += f"Fold {fold}/3\n" * (begin == 0) + lines(begin, begin + 3)
            log.write_text(text)
            world.look()
    found = {info.name: (series, info.attempt) for info, series in world.runs()}
    assert found == {f"train/fold-{fold}": ({"loss": values(0, 6)}, 1) for fold in (1, 2, 3)}


def test_a_bar_that_is_drawn_again_behind_the_validation_is_followed_without_old_values(world):
    log, text = world.folder / "train.log", ""
    for epoch in range(4):
        before = "" if epoch == 0 else f", val_loss={1 / epoch:.3f}"
        text += f"\rEpoch {epoch}: 100%|██| 25/25 [00:01<00:00, 13.7it/s, loss={2 / (epoch + 1):.3f}{before}]\n"
        log.write_text(text)
        world.look()
        text += (
            "\rValidation: 100%|██| 9/9 [00:00<00:00]\x1b[A\n"
            f"\rEpoch {epoch}: 100%|██| 25/25 [00:02<00:00, 12.4it/s, "
            f"loss={2 / (epoch + 1):.3f}, val_loss={1 / (epoch + 1):.3f}]\n"
        )
        log.write_text(text)
        world.look()
    ((info, series),) = world.runs()
    assert info.attempt == 1
    assert series["val_loss"] == [(epoch, float(f"{1 / (epoch + 1):.3f}")) for epoch in range(4)]
    assert series["loss"] == [(epoch, float(f"{2 / (epoch + 1):.3f}")) for epoch in range(4)]


def test_a_line_that_is_not_ended_waits(world):
    log = world.folder / "train.log"
    log.write_text(lines(0, 5) + "step 5 loss 0.1")
    world.look()
    log.write_text(lines(0, 6))
    world.look()
    assert world.runs()[0][1] == {"loss": values(0, 6)}


@pytest.mark.parametrize("note", [True, False])
def test_a_watch_that_is_started_again_goes_on_where_it_was(world, note):
    log = world.folder / "train.log"
    log.write_text(lines(0, 5))
    world.look()
    if not note:
        for path in (world.settings.dir / "watch").iterdir():
            path.unlink()
    log.write_text(lines(0, 9))
    world.restart()
    world.look()
    ((info, series),) = world.runs()
    assert series == {"loss": values(0, 9)} and info.attempt == 1


@pytest.mark.parametrize("restarted", [True, False])
def test_a_log_that_is_renamed_goes_on_in_its_next_file(world, restarted):
    log = world.folder / "train.log"
    log.write_text(lines(0, 5))
    world.look()
    with log.open("a") as file:
        file.write(lines(5, 7))
    log.rename(world.folder / "train.log.1")
    log.write_text(lines(7, 9))
    if restarted:
        world.restart()
    world.look()
    ((info, series),) = world.runs()
    assert series == {"loss": values(0, 9)} and info.attempt == 1


def test_a_watch_that_is_started_again_shows_what_has_not_changed(world):
    (world.folder / "train.log").write_text(lines(0, 5))
    world.look()
    assert not world.watch.step(world.now + 1)
    world.restart()
    assert world.watch.step(world.now + 1)


@pytest.mark.parametrize("restarted", [True, False])
@pytest.mark.parametrize("copied", [True, False])
@pytest.mark.parametrize("names", [("train.log.2", "train.log.1"), ("train.log-20240101", "train.log-20240102")])
def test_a_log_that_is_rotated_twice_between_two_looks_loses_nothing(world, restarted, copied, names):
    log = world.folder / "train.log"
    log.write_text(lines(0, 5))
    world.look()
    for name, first, last in zip(names, (5, 7), (7, 9), strict=True):
        with log.open("a") as file:
            file.write(lines(first, last))
        if copied:
            (world.folder / name).write_text(log.read_text())
            log.write_text("")
        else:
            log.rename(world.folder / name)
    (world.folder / "train.log.bak").write_text(lines(100, 110))
    log.write_text(lines(9, 11))
    if restarted:
        world.restart()
    world.look()
    ((info, series),) = world.runs()
    assert series == {"loss": values(0, 11)} and info.attempt == 1


@pytest.mark.parametrize("created", [True, False])
def test_a_log_that_is_renamed_while_the_training_holds_it_open_is_followed_there(world, created):
    log = world.folder / "train.log"
    with log.open("w") as file:
        file.write(lines(0, 5))
        file.flush()
        world.look()
        log.rename(world.folder / "train.log.1")
        if created:
            log.touch()
        for step in range(5, 8):
            file.write(lines(step, step + 1))
            file.flush()
            world.look()
            assert world.runs()[0][1] == {"loss": values(0, step + 1)}
    log.write_text(lines(8, 9))
    world.look()
    ((info, series),) = world.runs()
    assert series == {"loss": values(0, 9)} and info.attempt == 1


@pytest.mark.parametrize("restarted", [True, False])
def test_a_log_that_is_cut_goes_on_in_the_same_file(world, restarted):
    log = world.folder / "train.log"
    log.write_text(lines(0, 5))
    world.look()
    log.write_text(lines(5, 7))
    if restarted:
        world.restart()
    world.look()
    ((info, series),) = world.runs()
    assert series == {"loss": values(0, 7)} and info.attempt == 1


def test_a_training_that_overwrites_its_log_is_another_attempt(world):
    log = world.folder / "train.log"
    log.write_text(lines(0, 9))
    world.look()
    log.write_text(lines(0, 3))
    world.look()
    log.write_text(lines(0, 5))
    world.look()
    ((info, series),) = world.runs()
    assert info.attempt == 2 and series == {"loss": values(0, 5)}


def test_another_training_in_the_same_file_is_another_run(world):
    log = world.folder / "train.log"
    log.write_text(lines(0, 9))
    world.look()
    log.write_text("step 0 loss 7.5\nstep 1 loss 7.0\n")
    world.look()
    (old, one), (new, other) = world.runs()
    assert one == {"loss": values(0, 9)} and other == {"loss": [(0, 7.5), (1, 7.0)]}
    assert str(old.status) == "finished" and str(new.status) == "running"


def test_a_training_that_is_appended_is_another_attempt(world):
    log = world.folder / "train.log"
    log.write_text(lines(0, 9))
    world.look()
    log.write_text(lines(0, 9) + lines(0, 9)[:-1] + "\n")
    world.look()
    ((info, series),) = world.runs()
    assert info.attempt == 2 and series == {"loss": values(0, 9)}


def state(last):
    log = [{"step": i, "epoch": i / 10, "loss": 1 / (i + 1)} for i in range(last)]
    return json.dumps({"log_history": log, "max_steps": 20}, indent=1)


def test_a_trainer_state_that_is_rewritten_is_followed_and_may_be_seen_half_written(world):
    path = world.folder / "trainer_state.json"
    for text in (state(5), state(9)[:150], state(9), state(12)[:-30], state(12)):
        path.write_text(text)
        world.look()
    ((info, series),) = world.runs()
    assert [step for step, _ in series["loss"]] == list(range(12)) and info.attempt == 1


def test_a_table_that_is_rewritten_with_more_columns_is_the_same_run(world):
    path = world.folder / "metrics.csv"
    path.write_text("step,loss\n0,1.0\n1,0.5\n")
    world.look()
    path.write_text("step,loss,val_loss\n0,1.0,\n1,0.5,0.6\n2,0.4,\n")
    world.look()
    ((_, series),) = world.runs()
    assert series == {"loss": [(0, 1.0), (1, 0.5), (2, 0.4)], "val_loss": [(1, 0.6)]}


def test_event_files_that_grow_side_by_side_are_one_run(world):
    tb = pytest.importorskip("tensorboard.summary.writer.event_file_writer")
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    writers = {}
    for part in ("train", "validation"):
        (world.folder / part).mkdir()
        writers[part] = tb.EventFileWriter(str(world.folder / part))
    for step in range(6):
        for writer in writers.values():
            value = Summary.Value(tag="epoch_loss", simple_value=1.0 + step)
            writer.add_event(Event(wall_time=1e9 + step, step=step, summary=Summary(value=[value])))
            writer.flush()
        world.look(1)
    for writer in writers.values():
        writer.close()
    world.look()
    ((info, series),) = world.runs()
    assert {key: [step for step, _ in found] for key, found in series.items()} == {
        "train/loss": list(range(6)),
        "validation/loss": list(range(6)),
    }
    assert info.attempt == 1


def test_a_file_that_nobody_writes_to_any_more_is_a_finished_run(world):
    import os

    log = world.folder / "train.log"
    log.write_text(lines(0, 9))
    os.utime(log, (5e8, 5e8))
    world.look()
    ((info, _),) = world.runs()
    assert str(info.status) == "finished"
    log.write_text(lines(0, 12))
    world.look()
    ((info, series),) = world.runs()
    assert str(info.status) == "running" and series == {"loss": values(0, 12)}


def test_what_cannot_be_sent_is_sent_later(world):
    from monitor.errors import ServerUnreachable

    log = world.folder / "train.log"
    log.write_text(lines(0, 5))
    failing = [True]

    def send(batch):
        reply = world.sink.send(batch)
        if failing[0] and batch.count:
            raise ServerUnreachable("here", "the answer is lost")
        return reply

    world.watch = Watch([str(world.folder)], world.settings.dir / "watch", "here", send)
    world.look(1)
    assert "answer is lost" in world.watch.watched[0].problem
    failing[0] = False
    log.write_text(lines(0, 9))
    world.look()
    ((info, series),) = world.runs()
    assert series == {"loss": values(0, 9)} and info.attempt == 1
    assert world.watch.watched[0].problem == ""


@pytest.mark.parametrize("content", [None, bytes(range(256)) * 40])
def test_what_is_waited_for_and_what_cannot_be_read_is_said(world, content):
    path = world.folder / "train.log"
    world.watch = Watch([str(path)], world.settings.dir / "watch", "here", world.sink.send)
    if content is not None:
        path.write_bytes(content)
    world.look()
    (watched,) = world.watch.watched
    assert watched.problem.startswith(str(path))
    assert ("is not there yet" in watched.problem) is (content is None)
    path.write_text(lines(0, 3))
    world.look()
    assert not watched.problem
    assert len(world.runs()) == 1


@pytest.mark.parametrize("name", ["train.1.log", "train-1.log", "train_2024-05-01.log"])
@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_log_whose_earlier_part_keeps_its_ending_is_read_once(world, name, copied, restarted):
    log, part = world.folder / "train.log", world.folder / name
    log.write_text(lines(0, 5))
    world.look()
    if copied:
        part.write_text(lines(0, 7))
    else:
        log.write_text(lines(0, 7))
        log.rename(part)
    log.write_text(lines(7, 12))
    world.look()
    if restarted:
        world.restart()
    log.write_text(lines(7, 15))
    world.look()
    ((info, series),) = world.runs()
    assert series == {"loss": values(0, 15)}
    assert info.name == "train"


def test_logs_of_several_trainings_with_numbers_are_several_runs(world):
    for name, first in (("train.log", 0), ("train_2.log", 100), ("train_3.log", 200)):
        (world.folder / name).write_text("".join(f"step {i} loss {first + i}.5\n" for i in range(9)))
        world.look()
    assert sorted(info.name for info, _ in world.runs()) == ["train", "train_2", "train_3"]


def test_a_watch_is_told_what_the_columns_are(world):
    path = world.folder / "log.csv"
    path.write_text("t,a,b,score\n10,1.5,2.5,3\n20,1.25,2.25,2\n")
    said = said_of({"train": "a", "val": "b", "goal": "score:min", "step": "t"}, strict=True)
    world.watch = Watch([str(path)], world.settings.dir / "watch", "here", world.sink.send, said=said)
    world.look()
    with Api(settings=world.settings) as api:
        (run,) = api.runs()
        assert {s.key: str(s.role) for s in run.series()} == {"a": "train", "b": "val", "score": "goal"}
        assert run.history("a").steps.tolist() == [10, 20]


def test_a_clock_that_is_set_back_holds_up_nothing(world):
    log = world.folder / "train.log"
    log.write_text(lines(0, 20))
    world.look()
    world.now -= 3600
    log.write_text(lines(0, 40))
    world.look()
    ((_, series),) = world.runs()
    assert series["loss"] == values(0, 40)
