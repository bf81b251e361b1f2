"""The process that ships this process's journals, so that the training shares no GIL with the store and the rules.

A thread that decodes batches, judges curves and talks to a database holds the GIL for milliseconds at a time, and
`log()` would wait for it. The journal is a file that any process can read, so a separate one, `deliver.main`, does all
that. The two exchange lines of JSON. One courier serves all runs of its process.

If the courier dies, another is started and continues from the journal. It outlives a killed training process for as
long as it takes to send what was logged.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from time import sleep
from typing import IO, Any, Final

from monitor import errors
from monitor.domain import Reply
from monitor.shipping.shipper import Shipper
from monitor.shipping.sinks import Destination

_START: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from monitor.shipping.deliver import main; main()"
)
_TRIES: Final = 3
"""Couriers that may die without saying anything before threads of this process take over."""
# The courier computes little: keep it to one thread, and off the GPUs.
_ENV: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


class Courier:
    """This process's courier. It is started with the first shipment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shipments: dict[int, CourierShipment] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._next = 0
        self._closed = False

    def ship(self, shipment: CourierShipment) -> int:
        """Take a shipment. Returns its number, which messages refer to."""
        with self._lock:
            self._next += 1
            number = self._next
            self._shipments[number] = shipment
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="monitor-courier", daemon=True)
                self._thread.start()
            else:
                self._tell({"do": "ship", "id": number, **shipment.order()})
        return number

    def tell(self, message: Mapping[str, object]) -> None:
        """Send a message to the courier, if there is one.

        A courier that is started later gets the current orders anyway.
        """
        with self._lock:
            self._tell(message)

    def drop(self, number: int) -> None:
        """Forget a shipment."""
        with self._lock:
            self._shipments.pop(number, None)

    def close(self, timeout_s: float = 2.0) -> None:
        """Let the courier go when this process ends. It exits at once if it has nothing to ship."""
        with self._lock:
            self._closed = True
            process = self._process
        if process is not None:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                _pipe(process.stdin).close()
                process.wait(timeout_s)
            # Popen would warn about a child that still runs.
            process.returncode = process.returncode or 0  # it may still be sending; do not wait for it

    def forget(self) -> None:
        """In a forked child, close its copies of the pipes.

        Otherwise the courier would never see its parent's end close.
        """
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                os.close(_pipe(pipe).fileno())

    def _tell(self, message: Mapping[str, object]) -> None:
        if self._process is None:
            return
        with contextlib.suppress(OSError, ValueError):  # it is dead, which the thread will notice
            pipe = _pipe(self._process.stdin)
            pipe.write(json.dumps(message).encode() + b"\n")
            pipe.flush()

    def _run(self) -> None:
        failures = 0
        while failures < _TRIES:
            heard = False
            try:
                process = self._begin()
                for line in _pipe(process.stdout):
                    heard = True
                    self._heard(json.loads(line))
            except (OSError, ValueError):
                heard = False
            failures = 0 if heard else failures + 1
            with self._lock:
                ended, self._process = self._process, None
                if ended is not None:
                    with contextlib.suppress(OSError):
                        _pipe(ended.stdin).close()
                    _pipe(ended.stdout).close()
                    ended.wait()
                if self._closed or not self._shipments:
                    self._thread = None
                    return
            sleep(0.1 * failures)
        self._give_up()

    def _begin(self) -> subprocess.Popen[bytes]:
        path = [entry or str(Path.cwd()) for entry in sys.path]
        process = subprocess.Popen(
            [sys.executable, "-c", _START, json.dumps(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **_ENV},
            process_group=0 if sys.platform != "win32" else None,  # Ctrl-C is for the training only
        )
        with self._lock:
            self._process = process
            self._tell({"do": "begin", "parent": os.getpid()})
            for number, shipment in self._shipments.items():
                self._tell({"do": "ship", "id": number, **shipment.order()})
        return process

    def _heard(self, message: Mapping[str, Any]) -> None:
        shipment = self._shipments.get(message["id"])
        if shipment is not None:
            shipment.heard(message)

    def _give_up(self) -> None:
        with self._lock:
            left, self._shipments = list(self._shipments.values()), {}
            self._thread = None
        for shipment in left:
            shipment.fall_back()


class CourierShipment(Shipper):
    """One writer's journal, shipped by the courier, or by its own thread if no courier can be started.

    Args:
        destination: where to send it; also says the intervals.
        joins: True for an additional writer, which waits for the run to appear.
        on_reply: called with each reply, in the courier's thread.
        on_links: called once, after the first reply, with the addresses of the server's other parts.
    """

    def __init__(
        self,
        folder: Path,
        run_id: str,
        writer: str,
        destination: Destination,
        *,
        on_reply: Callable[[Reply], None],
        on_links: Callable[[Mapping[str, str]], None] | None = None,
        joins: bool = False,
    ) -> None:
        settings = destination.settings
        super().__init__(
            folder, run_id, writer, destination, interval_s=settings.ship_interval_s, heartbeat_s=settings.heartbeat_s,
            on_reply=on_reply, on_links=on_links, joins=joins,
        )  # fmt: skip
        self._destination = destination
        self._courier = courier()
        self._number = 0
        self._ended = False
        self._alone = False
        """True once its own thread ships."""

    def order(self) -> dict[str, object]:
        """What the courier needs to know to ship it."""
        return {
            "folder": str(self.folder), "run_id": self.run_id, "writer": self.writer, "joins": self._joins,
            "server": self._destination.server, "settings": self._destination.settings.model_dump(mode="json"),
            "draining": self._draining,
        }  # fmt: skip

    def start(self) -> None:
        """Hand the shipment to the courier."""
        self._number = self._courier.ship(self)

    def alive(self) -> bool:
        """True until it has stopped."""
        return super().alive() if self._alone else not self._ended

    def hurry(self, *, draining: bool) -> None:
        """Send what is there; see `Shipper.hurry`."""
        super().hurry(draining=draining)
        if not self._alone:
            self._courier.tell({"do": "hurry", "id": self._number, "draining": draining})

    def stop(self, timeout_s: float = 2.0) -> bool:
        """Stop. False if the courier is still in a call that does not return."""
        if not self._alone:
            self._courier.tell({"do": "stop", "id": self._number})
            with self._changed:
                self._changed.wait_for(lambda: self._ended or self._alone, timeout_s)
            self._courier.drop(self._number)
        return super().stop(timeout_s) if self._alone else self._ended

    def heard(self, message: Mapping[str, Any]) -> None:
        """Handle a message of the courier."""
        if "say" in message:
            self.say(str(message["say"]))
        if "reply" in message:
            self._on_reply(Reply.from_dict(message["reply"]))
        if "links" in message and self._on_links is not None:
            self._on_links(message["links"])
        if "acked" in message:
            self.note(
                acked=int(message["acked"]),
                refused=error_from(message.get("refused")),
                trouble=error_from(message.get("trouble")),
            )
        if message.get("ended"):
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def fall_back(self) -> None:
        """Ship from a thread of this process, because no courier can be started."""
        self.say("the process that ships the journal cannot be started; a thread of this process ships it")
        super().start()
        with self._changed:
            self._alone = True
            self._changed.notify_all()


def error_to(error: Exception | None) -> dict[str, str] | None:
    """An error as plain data."""
    return None if error is None else {"kind": type(error).__name__, "text": str(error)}


def error_from(data: Mapping[str, str] | None) -> Exception | None:
    """The error that `error_to` described: of the same class if it is one of ours, with the same text.

    >>> error_from(error_to(errors.RunNotFound("abc")))
    RunNotFound("no run 'abc'; `monitor runs ls` lists them")
    """
    if data is None:
        return None
    kind = getattr(errors, data["kind"], None)
    if not isinstance(kind, type) or not issubclass(kind, errors.MonitorError):
        return errors.MonitorError(f"{data['kind']}: {data['text']}")
    return kind.remade(data["text"])


def possible() -> bool:
    """True if this process can start another Python process."""
    return bool(sys.executable) and not getattr(sys, "frozen", False) and sys.platform != "emscripten"


_one: list[Courier] = []


def courier() -> Courier:
    """This process's courier."""
    if not _one:
        _one.append(Courier())
    return _one[0]


def close(timeout_s: float = 2.0) -> None:
    """Let this process's courier go when the process ends."""
    if _one:
        _one.pop().close(timeout_s)


def forget() -> Courier | None:
    """Drop the courier in a forked child: it belongs to the parent."""
    if not _one:
        return None
    found = _one.pop()
    found.forget()
    return found


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe
