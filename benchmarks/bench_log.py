"""What `log()` costs, beside the floors of the same run: `python benchmarks/bench_log.py`.

Each measurement runs in a process of its own, interleaved; medians of several repeats are printed. The work is that of
other trackers' benchmarks: two metrics a step, full-mantissa floats, the row made before the clock starts.

    floor-binary   struct.pack and a buffered write per metric, one file a metric, as `log(step, row)` of a class
    floor-list     list.append
    floor-nothing  an empty call: what the machine itself does to the tail
    journal        our `log()` with the journal alone (offline)
    embedded       our `log()` while the courier, a process beside this one, stores and judges; its CPU time is counted
    http           the same with a server, a third process, whose CPU time is not counted
    disabled       our `log()` of mode="disabled"
    paced-*        the same at one step a millisecond, when caches are cold
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import resource
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

Row = dict[str, float]
ROOT = Path(__file__).parent.parent


def rows(n: int) -> list[Row]:
    rng = random.Random(0)
    return [
        {"train/loss": 2 * math.exp(-i / n * 3) + 0.1 * rng.random(), "lr": 0.1 * (1 + math.cos(math.pi * i / n)) / 2}
        for i in range(n)
    ]


class FloorBinary:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, object] = {}
        self.pack = struct.Struct("<qd").pack

    def log(self, step: int, row: Row) -> None:
        files = self.files
        for key, value in row.items():
            file = files.get(key)
            if file is None:
                name = self.folder / (key.replace("/", "_") + ".bin")
                file = files[key] = open(name, "ab", buffering=1 << 16)  # noqa: PTH123, SIM115  # as it is measured
            file.write(self.pack(step, value))  # type: ignore[attr-defined]

    def finish(self) -> None:
        for file in self.files.values():
            file.close()  # type: ignore[attr-defined]


class FloorList:
    def __init__(self, _: Path) -> None:
        self.rows: list[tuple[int, Row]] = []

    def log(self, step: int, row: Row) -> None:
        self.rows.append((step, row))

    def finish(self) -> None:
        pass


class FloorNothing:
    def __init__(self, _: Path) -> None:
        pass

    def log(self, step: int, row: Row) -> None:
        pass

    def finish(self) -> None:
        pass


class Ours:
    def __init__(self, folder: Path, mode: str) -> None:
        os.environ["MONITOR_DIR"] = str(folder)
        os.environ["MONITOR_CAPTURE"] = "false"
        import monitor

        self.server = None
        if mode == "server":
            self.server, os.environ["MONITOR_SERVER_URL"] = serve(folder)
        self.run = monitor.init("bench", mode=mode)  # type: ignore[arg-type]
        if mode in ("embedded", "server"):
            self.run.log({"warm/up": 0.0})
            self.run.flush(30)

    def log(self, step: int, row: Row) -> None:
        self.run.log(row, step=step)

    def finish(self) -> None:
        from monitor.shipping import courier

        self.run.finish()
        courier.close(30)  # waited for, so that its CPU time is known

    def close(self) -> None:
        if self.server is not None:
            self.server.kill()
            self.server.wait()


def serve(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A server of its own process; its address once it answers."""
    import httpx

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    command = [sys.executable, "-m", "monitor", "up", "--no-dashboard", "--port", str(port)]
    environment = {**os.environ, "MONITOR_DIR": str(folder / "server")}
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/healthz").is_success:
                return process, url
        except httpx.HTTPError:
            time.sleep(0.1)
    raise SystemExit((folder / "serve.log").read_text())


MAKE: dict[str, Callable[[Path], object]] = {
    "floor-binary": FloorBinary,
    "floor-list": FloorList,
    "floor-nothing": FloorNothing,
    "journal": lambda folder: Ours(folder, "offline"),
    "embedded": lambda folder: Ours(folder, "embedded"),
    "http": lambda folder: Ours(folder, "server"),
    "disabled": lambda folder: Ours(folder, "disabled"),
}


def measure(what: str, n: int, folder: Path) -> dict[str, float]:
    """Log n rows; called in a process of its own."""
    paced = what.startswith("paced-")
    data = rows(n)
    peer = MAKE[what.removeprefix("paced-")](folder)
    log = peer.log if not isinstance(peer, Ours) else None  # type: ignore[attr-defined]
    clock, times = time.perf_counter_ns, [0] * n
    time.sleep(0.3)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    before, begun = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    if isinstance(peer, Ours):
        call = peer.run.log
        for i in range(n):
            row = data[i]
            start = clock()
            call(row, i)
            times[i] = clock() - start
            if paced:
                time.sleep(0.001)
    else:
        assert log is not None
        for i in range(n):
            row = data[i]
            start = clock()
            log(i, row)
            times[i] = clock() - start
            if paced:
                time.sleep(0.001)
    looped = time.perf_counter() - begun
    peer.finish()  # type: ignore[attr-defined]
    total, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF)
    times.sort()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    helped = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu += helped.ru_utime + helped.ru_stime - children.ru_utime - children.ru_stime
    if isinstance(peer, Ours):
        peer.close()
    return {
        "p50_us": times[n // 2] / 1e3,
        "p99_us": times[int(n * 0.99)] / 1e3,
        "p999_us": times[int(n * 0.999)] / 1e3,
        "max_ms": times[-1] / 1e6,
        "loop_s": looped,
        "total_s": total,
        "cpu_s_per_million": cpu / (2 * n) * 1e6,
        "points_per_s": 2 * n / total,
    }


def child(what: str, n: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, __file__, "--child", what, "--n", str(n), "--folder", folder],
            capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def import_ms() -> float:
    code = "import time; t = time.perf_counter(); import monitor; print(time.perf_counter() - t)"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    times = [float(subprocess.check_output([sys.executable, "-c", code], env=env)) for _ in range(7)]
    return statistics.median(times) * 1e3


def floor_of(medians: dict[str, dict[str, float]], name: str) -> dict[str, float]:
    """What a measurement is compared to: the binary files of the same pace."""
    return medians["paced-floor-binary" if name.startswith("paced-") else "floor-binary"]


def show(medians: dict[str, dict[str, float]]) -> None:
    """Print the medians, and p50 and p99 as multiples of the floor's."""
    print(
        f"{'':18} {'p50 µs':>8} {'x floor':>8} {'p99 µs':>8} {'x floor':>8} {'p99.9':>8} {'max ms':>8} {'CPU s/M':>8}"
        f" {'points/s':>11}"
    )
    for name, m in medians.items():
        floor = floor_of(medians, name)
        print(
            f"{name:18} {m['p50_us']:8.2f} {m['p50_us'] / floor['p50_us']:8.2f} {m['p99_us']:8.2f} "
            f"{m['p99_us'] / floor['p99_us']:8.2f} {m['p999_us']:8.1f} {m['max_ms']:8.2f} {m['cpu_s_per_million']:8.2f}"
            f" {m['points_per_s']:11,.0f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=200_000, help="steps of the loops without a pause")
    parser.add_argument("--paced", type=int, default=5000, help="steps of the paced loops")
    parser.add_argument("--only", nargs="+", help="measurements to make, such as floor-binary and embedded")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "log.json")
    parser.add_argument("--child")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.child, options.n, options.folder)))
        return
    names = options.only or [*MAKE, *(f"paced-{name}" for name in MAKE)]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(options.repeats):  # interleaved, so that a busy minute hits all alike
        for name in names:
            found[name].append(child(name, options.paced if name.startswith("paced-") else options.n))
    medians = {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for name, runs in found.items()
    }
    show(medians)
    imported = import_ms()
    print(f"import monitor   {imported:.1f} ms")
    result = {
        "machine": {"python": platform.python_version(), "cpus": os.cpu_count(), "platform": platform.platform()},
        "n": options.n, "paced": options.paced, "repeats": options.repeats, "import_ms": imported,
        "load": os.getloadavg(),
        "ratio_to_floor": {
            name: {key: m[key] / floor_of(medians, name)[key] for key in ("p50_us", "p99_us")}
            for name, m in medians.items()
        },
        "medians": medians, "runs": found,
    }  # fmt: skip
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
