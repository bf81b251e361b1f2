"""What `log()` costs, beside the floors of the same run: `python benchmarks/bench_log.py`.

Each measurement runs in a process of its own, interleaved; medians of several repeats are printed. The work is that of
other trackers' benchmarks: two metrics a step, full-mantissa floats, the row made before the clock starts.

    floor-binary   struct.pack and a buffered write per metric, one file a metric, as `log(step, row)` of a class
    floor-list     list.append
    floor-nothing  an empty call: what the machine itself does to the tail
    journal        our `log()` with the journal alone (offline)
    embedded       our `log()` while the courier, a process beside this one, stores and judges; its CPU time is counted
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

        self.run = monitor.init("bench", mode=mode)  # type: ignore[arg-type]
        if mode == "embedded":
            self.run.log({"warm/up": 0.0})
            self.run.flush(30)

    def log(self, step: int, row: Row) -> None:
        self.run.log(row, step=step)

    def finish(self) -> None:
        from monitor.client import courier

        self.run.finish()
        courier.close(30)  # waited for, so that its CPU time is known


MAKE: dict[str, Callable[[Path], object]] = {
    "floor-binary": FloorBinary,
    "floor-list": FloorList,
    "floor-nothing": FloorNothing,
    "journal": lambda folder: Ours(folder, "offline"),
    "embedded": lambda folder: Ours(folder, "embedded"),
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=200_000, help="steps of the loops without a pause")
    parser.add_argument("--paced", type=int, default=5000, help="steps of the paced loops")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "log.json")
    parser.add_argument("--child")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.child, options.n, options.folder)))
        return
    names = [*MAKE, *(f"paced-{name}" for name in MAKE)]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(options.repeats):  # interleaved, so that a busy minute hits all alike
        for name in names:
            found[name].append(child(name, options.paced if name.startswith("paced-") else options.n))
    medians = {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for name, runs in found.items()
    }
    print(
        f"{'':16} {'p50 µs':>8} {'x floor':>8} {'p99 µs':>8} {'p99.9':>8} {'max ms':>8} {'CPU s/M':>8} {'points/s':>11}"
    )
    for name, m in medians.items():
        floor = medians["paced-floor-binary" if name.startswith("paced-") else "floor-binary"]["p50_us"]
        print(
            f"{name:16} {m['p50_us']:8.2f} {m['p50_us'] / floor:8.2f} {m['p99_us']:8.2f} {m['p999_us']:8.1f} "
            f"{m['max_ms']:8.2f} {m['cpu_s_per_million']:8.2f} {m['points_per_s']:11,.0f}"
        )
    imported = import_ms()
    print(f"import monitor   {imported:.1f} ms")
    result = {
        "machine": {"python": platform.python_version(), "cpus": os.cpu_count(), "platform": platform.platform()},
        "n": options.n, "paced": options.paced, "repeats": options.repeats, "import_ms": imported,
        "ratio_to_floor": {
            "journal": medians["journal"]["p50_us"] / medians["floor-binary"]["p50_us"],
            "embedded": medians["embedded"]["p50_us"] / medians["floor-binary"]["p50_us"],
            "paced": medians["paced-embedded"]["p50_us"] / medians["paced-floor-binary"]["p50_us"],
        },
        "medians": medians, "runs": found,
    }  # fmt: skip
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
