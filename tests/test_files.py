"""What a user may name instead of a file is refused in one line, or read to its end."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor import files
from monitor.cli.tables import read_table as read_losses
from monitor.documents import read_data
from monitor.errors import FileUnreadable, MonitorError
from monitor.files import content
from monitor.importers.sources import Found, read_runs
from monitor.importers.text_log import LogParser
from monitor.settings import load

CSV = "step,loss\n0,2\n1,1\n"


def named(place: str | Path) -> list[Found]:
    return list(read_runs(place))


@contextlib.contextmanager
def processor_time(times: list[float]) -> Iterator[None]:
    gc.disable()  # one collection looks at all objects of all tests, which takes longer than what is measured
    begun = time.thread_time()
    try:
        yield
    finally:
        times.append(time.thread_time() - begun)
        gc.enable()


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/null", "/dev/full", "/dev/tty"])
def test_a_device_is_not_read(device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    linked = tmp_path / "loss.csv"
    linked.symlink_to(device)
    for place in (device, linked):
        (found,) = named(place)
        assert isinstance(found, FileUnreadable)
        assert str(found) == f"{place}: is a device, not a file"
    for name in ("events.out.tfevents.1.host", "run-a.wandb", "rules.toml", "loss.parquet"):
        (tmp_path / name).symlink_to(device)
    with pytest.raises(FileUnreadable, match="is a device, not a file"):
        read_data(tmp_path / "rules.toml")
    for name in ("loss.csv", "loss.parquet"):
        with pytest.raises(MonitorError, match="is a device, not a file"):
            read_losses(str(tmp_path / name), "loss")
    for name in ("events.out.tfevents.1.host", "run-a.wandb"):
        (found,) = named(tmp_path / name)
        assert isinstance(found, FileUnreadable) and found.problem == "is a device, not a file"
    monkeypatch.setenv("MONITOR_CONFIG", device)
    with pytest.raises(MonitorError, match="no file"):
        load()


def test_a_socket_a_folder_and_a_loop_of_links_are_not_read(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket.csv"))
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    problems = [str(found).rpartition(": ")[2] for n in ("socket.csv", "loop.csv") for found in named(tmp_path / n)]
    assert problems == ["is a socket, not a file", "Too many levels of symbolic links"]
    with pytest.raises(FileUnreadable, match="is a folder"):
        content(tmp_path)


def test_a_pipe_is_read_to_its_end_where_that_is_asked_for(tmp_path: Path) -> None:
    pipe = tmp_path / "loss.csv"
    os.mkfifo(pipe)
    with pytest.raises(FileUnreadable, match="is a pipe, not a file"):
        content(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(CSV,))
    writer.start()
    (found,) = named(pipe)
    writer.join()
    assert not isinstance(found, Exception) and len(found.points) == 2  # type: ignore[union-attr]


def test_a_sparse_file_and_an_endless_stream_are_refused_before_the_memory_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sparse = tmp_path / "loss.csv"
    with sparse.open("wb") as file:
        file.truncate(100 * 10**9)
    (found,) = named(sparse)
    assert isinstance(found, FileUnreadable) and found.problem.startswith("is 100 GB; the free memory is enough for ")
    monkeypatch.setattr(files, "_free", lambda: 90_000_000)
    endless = subprocess.Popen([sys.executable, "-c", "while True: print('1,2\\n' * 10_000)"], stdout=subprocess.PIPE)
    with endless:
        assert endless.stdout is not None
        (found,) = named(f"/dev/fd/{endless.stdout.fileno()}")
        endless.kill()
    assert isinstance(found, FileUnreadable)
    assert found.problem == "holds more than 3.0 MB; the free memory is enough for 3.0 MB; read it in parts"


def test_standard_input_may_be_a_file_a_pipe_or_a_terminal_but_not_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/zero") as zero:  # noqa: PTH123  # as a shell does
        monkeypatch.setattr("sys.stdin", zero)
        (found,) = named("-")
    assert isinstance(found, FileUnreadable) and str(found) == "standard input: is a device, not a file"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(CSV.encode())))
    (found,) = named("-")
    assert not isinstance(found, Exception)
    ours, theirs = os.openpty()
    os.write(ours, CSV.encode() + b"\x04")
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        (found,) = named("-")
    os.close(ours)
    assert not isinstance(found, Exception)


@pytest.mark.parametrize(
    "words",
    ["step 1 loss 0.5 ", "Epoch 1 ", "loss: ", "1,", '"x', "[", '{"a":', "a,", "0", "\x1b[0m", "1/9 [>.] loss: 1\r"],
)
@pytest.mark.parametrize("name", ["one-line.log", "one-line.jsonl"])
def test_a_file_of_one_huge_line_is_read_or_refused_in_time_that_grows_with_its_size(
    tmp_path: Path, name: str, words: str
) -> None:
    file = tmp_path / name
    times = list[float]()
    for size in (12_500, 100_000):
        file.write_text(words * (size // len(words)))
        with processor_time(times):
            found = named(file)
        assert len(found) == 1
    assert times[1] < 32 * times[0] + 1  # eight times as long; 64 if every part looks at all others


def test_an_output_without_line_ends_takes_time_that_grows_with_it_and_no_more_memory_than_its_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parser, times = LogParser(), list[float]()
    for pieces in (500, 4_000):
        with processor_time(times):
            for _ in range(pieces):
                parser.feed("\r 1/900 [>.......] loss: 0.5" + " " * 80)
    assert times[1] < 16 * times[0] + 0.5
    monkeypatch.setattr("monitor.importers.text_log._LONGEST", 2**20)
    parser = LogParser()
    for _ in range(3 * 2**4):
        parser.feed("x" * 2**16)
    assert sum(map(len, parser._tail)) <= 2**20
