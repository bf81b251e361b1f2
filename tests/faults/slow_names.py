"""A loop that logs to a server whose name a slow name server knows; run in namespaces of its own, see `test_names.py`.

`slow_names.py FOLDER DELAY_S FINISH_TIMEOUT_S`: this process's network has nothing but a loopback device, on which a
name server answers each question after so many seconds (never, for a negative number) and a real monitor server
listens. Prints what was measured as JSON.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import uvicorn

import monitor
from monitor.api import create_api
from monitor.ingest.engines import Engines
from monitor.settings import load
from monitor.store import Store

STEPS = 3000
TOKEN = "without-one-a-server-answers-to-the-names-of-this-machine-alone"


def loopback_up() -> None:
    """A new network namespace has its loopback device down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, 0x8914, struct.pack("16sH14x", b"lo", 1 | 64))  # SIOCSIFFLAGS, IFF_UP | IFF_RUNNING


def name_server(folder: Path, delay_s: float) -> list[bytes]:
    """Serve names; the questions that were asked so far."""
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:30 attempts:2\n")
    subprocess.run(["mount", "--bind", str(folder / "resolv.conf"), "/etc/resolv.conf"], check=True)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 53))
    asked: list[bytes] = []

    def answer(data: bytes, peer: tuple[str, int]) -> None:
        end = data.index(b"\0", 12) + 5
        address = data[end - 4 : end - 2] == b"\0\1"  # type A
        head = data[:2] + b"\x81\x80" + struct.pack(">4H", 1, int(address), 0, 0) + data[12:end]
        record = b"\xc0\x0c" + struct.pack(">2HIH", 1, 1, 1, 4) + socket.inet_aton("127.0.0.1") if address else b""
        sock.sendto(head + record, peer)

    def serve() -> None:
        while True:
            data, peer = sock.recvfrom(512)
            asked.append(data)
            if delay_s >= 0:
                threading.Timer(delay_s, answer, (data, peer)).start()

    threading.Thread(target=serve, daemon=True).start()
    return asked


def api(folder: Path) -> int:
    """Serve the API in a process of its own; the port."""
    settings = load(dir=folder / "server", capture=False, token=TOKEN)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = int(sock.getsockname()[1])
    if os.fork() == 0:
        settings.dir.mkdir(parents=True, exist_ok=True)
        uvicorn.run(create_api(Store.open(settings.store_url), Engines(), settings), port=port, log_config=None)
        os._exit(0)
    return port


def loop(run: monitor.Run) -> list[float]:
    """Seconds that each `log()` took, in a loop that pauses as training does."""
    times = []
    for step in range(STEPS):
        before = time.perf_counter()
        run.log({"train/loss": float(step), "lr": 0.1}, step=step)
        times.append(time.perf_counter() - before)
        if step % 100 == 0:
            time.sleep(0.002)
    return sorted(times)


def main(folder: Path, delay_s: float, finish_timeout_s: float) -> None:
    loopback_up()
    port = api(folder)
    asked = name_server(folder, delay_s)
    settings = load(dir=folder, capture=False, ship_interval_s=0.01, finish_timeout_s=finish_timeout_s)
    alone = monitor.init("p", mode="offline", settings=settings)
    floor = loop(alone)
    alone.finish()
    there = settings.model_copy(update={"server_url": f"http://slow.test:{port}", "token": TOKEN})
    begun = time.perf_counter()
    run = monitor.init("p", settings=there)
    started = time.perf_counter()
    while not asked and time.perf_counter() < started + 20:
        time.sleep(0.01)  # the courier is another process
    times = loop(run)
    ended = time.perf_counter()
    run.finish()
    found = {
        "run_id": run.id, "asked": len(asked), "init_s": started - begun, "finish_s": time.perf_counter() - ended,
        "ratio": statistics.median(times) / statistics.median(floor), "max_s": times[-1],
    }  # fmt: skip
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
    os.killpg(0, 9)  # the API and whoever still waits for a name
