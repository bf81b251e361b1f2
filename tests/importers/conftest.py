"""Writers of the formats that are read: TensorBoard events, W&B logs, and a real MLflow server."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from monitor.importers import ImportedRun
from monitor.server.ports import free_port

BLOCK = 32_768


def series_of(run: ImportedRun) -> dict[str, list[tuple[int, float]]]:
    """The series that stood in what was read, by name, without those that were derived from them."""
    found = {}
    for index, name in enumerate(run.keys[: len(run.keys) - len(run.derived)]):
        at = run.points.key == index
        found[name] = list(zip(run.points.step[at].tolist(), run.points.value[at].tolist(), strict=True))
    return found


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while True:
        out.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(out)


def field(number: int, data: bytes | str) -> bytes:
    content = data.encode() if isinstance(data, str) else data
    return varint(number << 3 | 2) + varint(len(content)) + content


class Formats:
    """What the tests write by hand, so that every byte of a case is theirs."""

    def events(self, folder: Path, tag: str, values: Sequence[float], *, name: str = "1", time_s: float = 1e9) -> Path:
        """A TensorBoard event file with one point a step and a second."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"events.out.tfevents.{name}.host"
        with path.open("ab") as file:
            for step, value in enumerate(values):
                summary = field(1, field(1, tag) + b"\x15" + struct.pack("<f", value))
                body = b"\x09" + struct.pack("<d", time_s + step) + b"\x10" + varint(step) + field(5, summary)
                file.write(struct.pack("<QI", len(body), 0) + body + struct.pack("<I", 0))
        return path

    def item(self, name: str, value_json: str, *, nested: tuple[str, ...] = ()) -> bytes:
        """An item of a W&B history or configuration."""
        names = b"".join(field(2, part) for part in nested) if nested else field(1, name)
        return names + field(16, value_json)

    def history(self, step: int, **cells: str) -> bytes:
        """A W&B record of one step; the cells are JSON."""
        items = b"".join(field(1, self.item(name, cell)) for name, cell in cells.items())
        return field(2, items + field(2, b"\x08" + varint(step)))

    def run(
        self,
        ident: str = "abc",
        project: str = "digits",
        *,
        config: bytes = b"",
        started: tuple[int, int] | None = None,
    ) -> bytes:
        """The W&B record that begins a run, perhaps at a time in seconds and nanoseconds."""
        when = b"" if started is None else field(17, b"\x08" + varint(started[0]) + b"\x10" + varint(started[1]))
        return field(17, field(1, ident) + field(3, project) + field(8, "warm") + field(4, config) + when)

    def exit(self, code: int) -> bytes:
        """The W&B record that ends a run."""
        return field(18, b"\x08" + varint(code))

    def wandb(self, path: Path, records: Sequence[bytes]) -> Path:
        """A W&B file, its records framed as LevelDB frames them."""
        path.parent.mkdir(parents=True, exist_ok=True)
        data = bytearray(struct.pack("<4sHB", b":W&B", 0xBEE1, 0))
        for record in records:
            at, kind = 0, 1
            while True:
                room = BLOCK - len(data) % BLOCK
                if room < 7:
                    data += bytes(room)
                    room = BLOCK
                piece = record[at : at + room - 7]
                last = at + len(piece) == len(record)
                kind = (1 if last else 2) if at == 0 else (4 if last else 3)
                checksum = zlib.crc32(piece, zlib.crc32(bytes([kind])))
                data += struct.pack("<IHB", checksum, len(piece), kind) + piece
                at += len(piece)
                if last:
                    break
        path.write_bytes(data)
        return path


@pytest.fixture
def formats() -> Formats:
    return Formats()


@pytest.fixture(scope="session")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server."""
    folder = tmp_path_factory.mktemp("tracking")
    port = str(free_port("127.0.0.1", 0, "port"))
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", port, "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "art")]
    quiet = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "PYTHONWARNINGS": "ignore",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(
            command, env={**os.environ, **quiet}, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _wait(f"http://127.0.0.1:{port}", child, folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(child.pid, signal.SIGTERM)
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()


def _wait(uri: str, child: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end and child.poll() is None:
        try:
            if httpx.get(f"{uri}/health", timeout=2).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    pytest.fail(f"MLflow did not start: {log.read_text()[-2000:]}")
