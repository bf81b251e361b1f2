"""`Run`: the API that the training process uses.

Nothing here raises (except `StopTraining`, on request), waits for a network or waits for a database. `log()` writes to
the journal and returns. Two background threads of the writer do the rest.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Final

from monitor import limits
from monitor.domain import Action, Recommendation, Reply
from monitor.errors import StopTraining
from monitor.journal.notices import LOGGER, Notices
from monitor.limits import shown, text
from monitor.run import lifetime, lines
from monitor.run.about import About
from monitor.run.endings import ending, error_line, obeyed, stop_reason
from monitor.run.output import Tee
from monitor.run.secrets import hidden
from monitor.run.values import SeriesTaken, article, flatten, nanoseconds, number, plain, weights_of
from monitor.run.writer import Writer
from monitor.settings import Settings
from monitor.stop_modes import is_off, mode_for

if TYPE_CHECKING:
    from monitor.shipping.sinks import Sink

Number = float | int
Loggable = Mapping[str, object]
"""Metric names to numbers: Python or numpy scalars, 0-d arrays and tensors on any device. Mappings may be nested."""
# How long `finish()` waits for the capture thread.
_CAPTURE_S: Final = 2.0
_NOTHING: Final = object()
_ENDED: Final = ("finished", "stopped", "failed")


class Run(About):
    """A run, as seen by the process that trains it. Created by `init`.

    Attributes:
        id: 32 hex digits.
        name: the run's name.
        project: the project it belongs to.
        url: the run's page on the dashboard, once the server has sent the address; None with the embedded store.
    """

    url: str | None = None
    _reply: Reply | None = None
    _stop = _finished = False
    _modes: Mapping[str, str] = MappingProxyType({})
    _weights: Mapping[str, float] = MappingProxyType({})
    _told_at: int | None = None
    _unanswered: object = _NOTHING
    _writer: Writer | None = None
    _capture: threading.Thread | None = None
    _ending: tuple[str, str | None] | None = None
    _exit_code: int | None = None
    _tees: tuple[Tee, ...] = ()

    def __init__(
        self,
        *,
        settings: Settings,
        run_id: str,
        name: str,
        start: Mapping[str, object],
        open_sink: Callable[[], Sink] | None,
        server: str | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.id = run_id
        self.project = str(start["project"])
        self.name = name
        self._settings = settings
        self._notices = Notices(self.name)
        self._start: Mapping[str, object] = self._valid("run", start) or {}
        self._open_sink = open_sink
        self._server = server
        self._rng = rng or random.Random()  # a name is not a secret, so a fast generator will do
        if isinstance(modes := start.get("stop"), dict):
            self._modes = modes
        self._loss_known = start.get("loss") is not None
        self._example_losses = {}
        self._lock = threading.RLock()
        self._series = SeriesTaken()
        self._writer = self._write(self._start)
        self._journal = self._writer.journal
        lifetime.begin(self)

    def log(
        self,
        data: Loggable,
        step: int | None = None,
        epoch: float | None = None,
        time: float | None = None,
        *,
        weights: Loggable | None = None,
    ) -> None:
        """Log metrics. Once this returns, they survive the death of the process.

        Never raises, and never waits for a network or a database. Values that are not numbers are dropped, counted,
        and reported once as a warning; the rest of the call is kept.

        Args:
            data: metric names to numbers; the keys of nested mappings are joined by `/`.
            step: the step; None: counted automatically, a new step each time a metric repeats.
            epoch: the epoch, may be fractional.
            time: seconds since the Unix epoch; None: now.
            weights: the factor of each part of a composite loss (`loss/<name>`) in the total, by the part's name.
                Recorded when it changes.
        """
        if weights is not None:
            self._log_weights(weights, step)
        try:
            if epoch is None and time is None:
                append = self._journal.append
                if append(data, step) or self._journal.try_points(data, step):
                    return
        except Exception:  # the slow path below finds the cause and reports it
            pass
        try:
            self._log(data, step, epoch, time)
        except Exception as error:  # log() must never break the loop
            self._notices.count("dropped", "log()", f"{type(error).__name__}: {text(error)}")

    def log_many(
        self, steps: Iterable[int], values: Mapping[str, Sequence[Number]], *, epochs: Sequence[float] | None = None
    ) -> None:
        """Log whole series at once, such as an array of losses."""
        try:
            from monitor.journal.write.block import log_many

            writer = None if self._finished else self._own_writer()
            log_many(self.log, None if writer is None else writer.journal, steps, values, epochs, self._series.admit)
        except Exception as error:  # as in log()
            self._notices.count("dropped", "log_many()", f"{type(error).__name__}: {text(error)}")

    def should_stop(self, wait_s: float = 0.0, *, raise_: bool = False) -> bool:
        """True if the loop should stop: a rule whose mode allows it advises so, or a person asked for it.

        Costs nothing: it reads the latest reply, which is about half a second old.

        Args:
            raise_: raise `StopTraining` instead of returning True, so that any function of the loop can end it.
            wait_s: seconds to wait for the reply to everything logged so far; for loops with few steps. After a failure
                or a timeout it does not wait again until a reply has arrived.

        Raises:
            StopTraining: `raise_` is True and the loop should stop. A run ended by it has the status "stopped".
        """
        waits = not (type(wait_s) in (int, float) and wait_s <= 0)
        if waits and self._unanswered is not self._reply:
            answered = self._flushed("should_stop()", wait_s, patient=False)
            self._unanswered = _NOTHING if answered else self._reply
        if not self._stop:
            self._told_at = None
        elif self._told_at is None and self._writer is not None:
            self._told_at = self._writer.journal.count
            self._acknowledge(self._reply)
        if self._stop and raise_:
            raise StopTraining(self.stop_reason or "a stop is advised")
        return self._stop

    @property
    def recommendation(self) -> Recommendation:
        """The latest recommendation; `continue` before the first reply."""
        return self._reply.recommendation if self._reply is not None else Recommendation()

    @property
    def stop_reason(self) -> str | None:
        """Why `should_stop` is True, in one sentence; None if it is False."""
        return None if self._reply is None or not self._stop else stop_reason(self._reply)

    def flush(self, timeout_s: float = 30.0) -> bool:
        """Wait until everything logged so far is stored and diagnosed; False on a timeout."""
        return self._flushed("flush()", timeout_s)

    def finish(self, status: str = "finished", error: object = None) -> None:
        """End the run.

        Waits up to `finish_timeout_s` for unsent points. What is still unsent then stays in the journal for `monitor
        sync`. If called from a signal handler that interrupted `log()`, the run is finished at the next `finish()` or
        at exit.

        Args:
            status: "finished", "stopped" or "failed". "finished" becomes "stopped" if the run ends soon after
                `should_stop()` returned True.
            error: for a failed run, what went wrong: one line, or the exception.
        """
        error = error_line(error)
        if self._writer is not None and self._writer.journal.interrupted():
            self._ending = self._ending or (status, error)  # in a signal handler, in mid-write: end later
            return
        if self._ending is not None:
            status, error = self._ending
        self._keep_output(False)
        if self._capture is not None:  # a short run still records its environment
            self._capture.join(_CAPTURE_S)
        with self._lock:
            if self._finished:
                return
            self._finished = True
        lifetime.end(self)
        if not isinstance(status, str) or status not in _ENDED:
            self._notices.count("status", shown(status), "is not a valid final status; using 'finished'")
            status = "finished"
        writer, joined = self._writer, bool(self._start.get("join"))
        self._journal.retire()
        if writer is None:
            return
        if status == "finished" and obeyed(self._told_at, writer.journal.count):
            status = "stopped"
        last: dict[str, object] = {"status": status, "error": error}
        if status == "stopped" and self.stop_reason:
            last["reason"] = self.stop_reason
        if self._exit_code is not None:
            last["exit_code"] = self._exit_code
        try:
            writer.finish(
                None if joined and self._exit_code is None else self._valid("finish", last),
                self._settings.finish_timeout_s,
            )
        except Exception as problem:  # training is over; the data is still in the journal
            LOGGER.warning("run %s: could not be closed: %s", self.name, problem)
        if not joined:
            lines.ended(self.name, status, None if self._reply is None else self.recommendation, self.url)

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish(*ending(error))

    def __repr__(self) -> str:
        return f"<Run {self.project}/{self.name} {self.id[:8]}{' finished' if self._finished else ''}>"

    def _repr_html_(self) -> str:
        """The HTML that a notebook shows: a summary from the store, or the name if the store cannot be read."""
        from monitor.reader.tables import stored_html

        return stored_html(self._settings, self.id, f"{self.project}/{self.name}")

    def _write(self, start: Mapping[str, object]) -> Writer:
        return Writer(
            self._settings,
            self.id,
            start,
            self._notices,
            open_sink=self._open_sink,
            server=self._server,
            on_reply=self._on_reply,
            on_links=self._on_links,
            rng=self._rng,
        )

    def _on_reply(self, reply: Reply) -> None:
        # `_reply` first: `should_stop()` may run in between, and must not acknowledge an older request.
        self._reply = reply
        self._stop = not is_off(self._modes) and self._says_stop(reply)

    def _says_stop(self, reply: Reply) -> bool:
        if reply.stop is not None:
            return reply.stop
        told = mode_for(self._modes, reply.recommendation.rule) == "advise"  # for servers older than stop modes
        return reply.stop_requested is not None or (told and reply.recommendation.action is Action.STOP)

    def _acknowledge(self, reply: Reply | None) -> None:
        """Tell the receiver that the loop has been told to stop."""
        assert self._writer is not None
        request = None if reply is None else reply.stop_request
        self._event("stop", {"request": request, "step": self._writer.journal.step})

    def _on_links(self, links: Mapping[str, str]) -> None:
        if "dashboard" in links:
            quiet = self.url is not None or bool(self._start.get("join"))
            self.url = lines.address(f"{links['dashboard'].rstrip('/')}/run?id={self.id}", quiet=quiet)

    def _log(self, data: object, step: object, epoch: object, time: object) -> None:
        if self._finished:
            self._notices.count("after_finish", "log()", self.id[:8])
            return
        if not isinstance(data, Mapping):
            self._notices.count("dropped", "log()", f"{article(data)}, not a mapping of names to numbers")
            return
        writer = self._own_writer()
        if writer is None:
            return
        found = {key: number(key, value, self._notices) for key, value in flatten(data, self._notices).items()}
        kept = self._series.within({key: value for key, value in found.items() if value is not None}, self._notices)
        if not kept:
            return
        waiting = any(not isinstance(value, float) for value in kept.values())
        slot = writer.journal.points(
            tuple(kept),
            [value if isinstance(value, float) else 0.0 for value in kept.values()],
            step=None if step is None else limits.step(step, self._notices.count),
            epoch=None if epoch is None else plain("epoch", epoch, self._notices),
            at_ns=None if time is None else nanoseconds(time, self._notices),
            pending=waiting,
        )
        if waiting and slot is not None:
            writer.devices.add(slot, list(kept.values()))
            writer.keeper.hurry()

    def _keep_output(self, wanted: bool) -> None:
        """Start or stop copying the output of this process."""
        tees, self._tees = self._tees, ()
        for tee in tees:
            tee.restore()
        if wanted:
            self._tees = tuple(Tee(stream, self._output) for stream in ("stdout", "stderr"))

    def _output(self, stream: str, text: str) -> None:
        self._event("output", {"stream": stream, "step": None, "text": text})

    def _log_weights(self, weights: object, step: int | None) -> None:
        def write() -> None:
            kept = weights_of(weights, self._notices)
            if kept is None or kept == self._weights:
                return
            self._weights = kept
            at = None if step is None else limits.step(step, limits.silent)  # `log()` reports what is wrong with it
            self._event("weights", {"step": self._step() if at is None else at, "weights": kept})

        self._quietly("weights", write)

    def _event(self, kind: str, data: Mapping[str, object]) -> None:
        def write() -> None:
            writer = None if self._finished else self._own_writer()
            if writer is None:
                self._notices.count("after_finish", kind, self.id[:8])
                return
            found = self._valid(kind, data)
            if found is not None and not writer.journal.event(kind, found):
                self._notices.count("disk_full", kind, shown(found))

        self._quietly(kind, write)

    def _valid(self, kind: str, data: Mapping[str, object]) -> dict[str, object] | None:
        """The event's data as the store accepts it, with secrets in a configuration hidden."""
        found = limits.valid(kind, data, self._notices.count)
        config = None if found is None else found.get("config")
        if found is not None and isinstance(config, dict):
            found["config"] = hidden(config)
        return found

    def _flushed(self, what: str, timeout_s: float, *, patient: bool = True) -> bool:
        try:
            return self._writer is not None and self._writer.flush(timeout_s, patient=patient)
        except Exception as error:  # as in log()
            self._notices.count("dropped", what, text(error))
            return False

    def _rejoin(self) -> None:
        """Reopen a finished run for what comes after its end, such as test metrics. The new writer joins the run."""
        if self._finished:
            self._finished, self._writer, self._capture, self._ending = False, None, None, None

    def _own_writer(self) -> Writer | None:
        """This process's writer. A forked child creates its own when it first logs, and joins the run."""
        if self._writer is not None or self._finished:
            return self._writer
        with self._lock:
            if self._writer is None:
                self._start = {**self._start, "join": True}
                self._writer = self._write(self._start)
                self._journal = self._writer.journal
                lifetime.begin(self)
        return self._writer

    def _forked(self) -> None:
        """Called in a forked child, which must leave the parent's threads and files alone."""
        lifetime.leak(self._writer)
        self._writer = self._capture = None
        # A child does not start a courier process.
        self._settings = self._settings.model_copy(update={"shipper": "thread"})
        self._journal.retire()
        self._lock = threading.RLock()  # another thread may have held the old one at the fork
        self._notices = Notices(self.name)
        self._told_at = None
