"""A process that starts others to be killed: it has everything imported, and forks for each order it reads.

Orders are JSON lines on standard input: `{"do": name, ...}`; the answer is one line, the child's process id. The child
does what it was told, then leaves without cleaning up unless the order says otherwise.
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import signal
import struct
import sys
from pathlib import Path
from typing import Any

import apprise  # noqa: F401  # loaded before the fork, as are those below
import uvicorn

import monitor.cli.running
import monitor.cli.watching
import monitor.importers.watching
import monitor.ingest
import monitor.reader.api
import monitor.run.around  # noqa: F401  # as above
from monitor.alerts import AppriseChannel
from monitor.api import create_api
from monitor.cli import main as cli
from monitor.ingest.engines import Engines
from monitor.jobs import Jobs
from monitor.run.start import init
from monitor.settings import Settings, load
from monitor.shipping.sync import own_destination, sync
from monitor.store import Store, outbox


def settings_of(order: dict[str, Any]) -> Settings:
    return load(capture=False, ship_interval_s=0.01, heartbeat_s=1.0, **order.get("settings", {}))


def log(order: dict[str, Any]) -> None:
    """Log steps until killed, or as many as asked; each that returned is counted in a shared file."""
    settings = settings_of(order)
    with Path(order["progress"]).open("r+b") as file:
        progress = mmap.mmap(file.fileno(), 16)
    limit = order.get("limit_bytes")
    options = order.get("init", {})
    if order.get("rank"):
        os.environ["RANK"] = str(order["rank"])
    run = init("faults", settings=settings, **options)
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    progress[8:16] = b"\1" * 8
    step, key, every = 0, order.get("key", "train/loss"), order.get("val_every", 0)
    while step < order.get("steps", 1 << 60):
        run.log({key: float(step)}, step=step)
        if every and step % every == 0:
            run.log({"val/loss": float(step)}, step=step, epoch=step / 10)
        step += 1
        struct.pack_into("<q", progress, 0, step)
    run.finish()


def send(order: dict[str, Any]) -> None:
    """Send the journals of dead processes to the embedded store."""
    settings = settings_of(order)
    sync(settings.journal_dir, own_destination(settings))


def serve(order: dict[str, Any]) -> None:
    """Serve the API on a port until killed."""
    settings = settings_of(order)
    app = create_api(Store.open(settings.store_url), Engines(), settings)
    uvicorn.run(app, port=order["port"], log_config=None)


def deliver(order: dict[str, Any]) -> None:
    """Send alerts to a webhook until killed."""
    outbox.LEASE_MS = 100  # else each kill costs seconds
    settings = settings_of(order)
    channels = [AppriseChannel(url) for url in settings.alert_urls]
    Jobs(Store.open(settings.store_url), settings, channels=channels).start()
    signal.pause()


def command(order: dict[str, Any]) -> None:
    """Be the command `monitor`, with its output in a file."""
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    os.dup2(os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
    sys.argv = ["monitor", *order["arguments"]]
    cli()


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are buried at once
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.close(0)
            try:
                {"log": log, "serve": serve, "sync": send, "deliver": deliver, "command": command}[order["do"]](order)
            except BaseException as error:  # it has nobody to raise to
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
