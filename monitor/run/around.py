"""A run around a command that does not log itself: records its output, its losses and how it ended.

Output is stored before it is passed on, so nothing that was shown is lost even if this process is killed. Losses are
read from the lines as `monitor import` reads them from a log. If a process of the command starts a run itself, it
takes this one over, and only the output comes from here.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

from monitor.importers.table import Row
from monitor.importers.text_log import LogParser
from monitor.importers.text_parts import PARTS
from monitor.importers.text_rows import ASIDE, COUNTED, SEEN
from monitor.run import outer
from monitor.run.output import Lines, decoder
from monitor.run.run import Run

_PIECE: Final = 65_536  # bytes; the capacity of a pipe on Linux
_TICK_S: Final = 0.5  # between checks for a stop and for the command's end
_LINGER_S: Final = 2.0
"""Seconds to wait for output after the command has ended, if a process that it started still holds the pipe."""
PASSED_ON: Final = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGCONT", "SIGWINCH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """What to do when a stop is advised.

    Attributes:
        signals: send SIGINT, then SIGTERM if the command still runs after `grace_s` seconds. False: only print it.
        stands_s: seconds for which the advice must persist first.
    """

    signals: bool
    grace_s: float
    stands_s: float


class Around:
    """Runs a command.

    Args:
        run: receives the output and losses.
        offers: folder for the offer that a process of the command may take.
        stopping: what to do when a stop is advised.
        pattern: for its lines, instead of the known formats.
        say: prints a line for the user on standard error.
    """

    def __init__(
        self, run: Run, command: Sequence[str], offers: Path, stopping: Stopping, pattern: re.Pattern[str] | None,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._run, self._command, self._stopping, self._say = run, list(command), stopping, say
        self._offer = outer.offer(offers, run.id)
        self._pipes = {name: _Pipe(name, run, LogParser(pattern)) for name in ("stdout", "stderr")}
        self._advised: float | None = None
        self._sent: list[tuple[signal.Signals, float]] = []
        self._told = False
        self._interrupted = False
        self._offered = True

    def __call__(self) -> int:
        """Run the command to its end and return its exit status (128 + signal number if it was killed)."""
        # Unbuffered, so that a line arrives when it is printed, not when Python's buffer is full.
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", outer.VARIABLE: str(self._offer)}
        try:
            child = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
            self._pass_signals(child)
            self._read(child)
            return self._end(child.wait())
        finally:
            outer.withdraw(self._offer)

    @property
    def series(self) -> list[str] | None:
        """The series read from the output; None if a process of the command started a run itself."""
        if not self._offered:
            return None
        return list(dict.fromkeys(name for pipe in self._pipes.values() for name in pipe.parser.understood.names))

    def _pass_signals(self, child: subprocess.Popen[bytes]) -> None:
        def pass_on(number: int, _: object) -> None:
            self._interrupted = self._interrupted or number in (signal.SIGINT, signal.SIGTERM)
            if number != signal.SIGINT or not _in_foreground():  # the terminal sends Ctrl-C to the child as well
                child.send_signal(number)

        for name in ("SIGINT", *PASSED_ON):
            number = getattr(signal, name, None)
            if number is not None:
                signal.signal(number, pass_on)

    def _read(self, child: subprocess.Popen[bytes]) -> None:
        ended: float | None = None
        with selectors.DefaultSelector() as waiting:
            for name, stream in (("stdout", child.stdout), ("stderr", child.stderr)):
                assert stream is not None
                waiting.register(stream, selectors.EVENT_READ, self._pipes[name])
            while waiting.get_map():
                for key, _ in waiting.select(_TICK_S):
                    data = os.read(key.fd, _PIECE)
                    if not data:
                        waiting.unregister(key.fileobj)
                        continue
                    pipe: _Pipe = key.data
                    # Once the offer is taken, the command logs its own losses.
                    pipe.take(data, parse=self._offer.exists())
                if child.poll() is None:
                    self._stop(child)
                else:
                    ended = monotonic() if ended is None else ended
                    if monotonic() - ended > _LINGER_S:
                        break
        self._offered = self._offer.exists()
        for pipe in self._pipes.values():
            pipe.close(parse=self._offered)

    def _stop(self, child: subprocess.Popen[bytes]) -> None:
        """Act on advice to stop once it has persisted long enough."""
        now = monotonic()
        if self._sent:
            last, at = self._sent[-1]
            if last is signal.SIGINT and now - at >= self._stopping.grace_s:
                self._signal(child, signal.SIGTERM, f"the command still runs {self._stopping.grace_s:g} s after SIGINT")
            return
        # `should_stop()` acknowledges the stop, so call it only to obey.
        if not (self._run.should_stop() if self._stopping.signals else self._run._stop):
            self._advised = None
            return
        self._advised = now if self._advised is None else self._advised
        if now - self._advised < self._stopping.stands_s:
            return
        reason = self._run.stop_reason or "a stop is advised"
        if self._stopping.signals:
            self._signal(child, signal.SIGINT, reason)
        elif not self._told:
            self._told = True
            self._say(f"a stop is advised: {reason} Press Ctrl-C to stop the command, or start it with --stop signal.")

    def _signal(self, child: subprocess.Popen[bytes], number: signal.Signals, why: str) -> None:
        self._sent.append((number, monotonic()))
        self._say(f"sent {number.name}: {why}")
        child.send_signal(number)

    def _end(self, code: int) -> int:
        run = self._run
        run._exit_code = code
        if self._sent or self._interrupted:
            run.finish("stopped", None if code == 0 else self._why(code))
        elif code == 0:
            run.finish("finished")
        else:
            run.finish("failed", self._why(code))
        return code if code >= 0 else 128 - code

    def _why(self, code: int) -> str:
        last = self._pipes["stderr"].lines.last or self._pipes["stdout"].lines.last
        how = f"exit status {code}" if code >= 0 else f"killed by {_name(-code)}"
        return "\n".join([how, *last])[-2000:] if last else how


class _Pipe:
    """One stream of the command: stored, parsed and passed on."""

    def __init__(self, name: str, run: Run, parser: LogParser) -> None:
        self.lines = Lines(name, run._output)
        self.parser = parser
        self._run, self._decoder = run, decoder()
        self._to = sys.stdout.fileno() if name == "stdout" else sys.stderr.fileno()
        self._open = True
        self._unit_known = False
        self._first: str | None = None
        self._places: dict[str, _Places] = {}

    def take(self, data: bytes, *, parse: bool) -> None:
        text = self._decoder.decode(data)
        if text:
            self.lines.write(text)
            self.parser.feed(text)
            self._log(parse)
        self._pass_on(data)

    def close(self, *, parse: bool) -> None:
        self.lines.write(self._decoder.decode(b"", final=True))
        self.lines.close()
        self.parser.close()
        self._log(parse)

    def _pass_on(self, data: bytes) -> None:
        while data and self._open:
            try:
                data = data[os.write(self._to, data) :]
            except BrokenPipeError:  # the reader (such as `head`) is gone; training continues
                self._open = False

    def _log(self, parse: bool) -> None:
        rows, self.parser.rows = self.parser.rows, []
        for row in rows if parse else ():
            part = _part(row)
            self._first = part if self._first is None else self._first
            before = "" if part == self._first else part  # the run is judged by its first fold
            step, epoch = self._places.setdefault(before, _Places()).of(row)
            if not self._unit_known:
                self._unit_known = True
                counted = any(name in row.cells for name in ("step", COUNTED, SEEN))
                unit = "step" if counted or epoch is None or not epoch.is_integer() else "epoch"
                self._run._event("capture", {"watched": {"source": "its output", "kind": "text", "unit": unit}})
            values = {f"{before}{name}": cell for name, cell in row.cells.items() if name not in ASIDE}
            self._run.log({name: _number(cell) for name, cell in values.items()}, step=step, epoch=epoch)


def _part(row: Row) -> str:
    """The fold, seed or trial of a row; "" if it has none."""
    return next((f"{kind}-{row.cells[kind]}/" for kind in PARTS if kind in row.cells), "")


class _Places:
    """Steps and epochs of rows.

    Without a step, a whole epoch is the step. Once an epoch is fractional, steps are counted, one for each new epoch
    value.
    """

    def __init__(self) -> None:
        self._fractions = False
        self._last: tuple[int, float | None] = (-1, None)

    def of(self, row: Row) -> tuple[int | None, float | None]:
        """The step and epoch of a row. Rows with the same fractional epoch share a step."""
        epoch = _float(row.cells.get("epoch"))
        step = _float(row.cells.get("step", row.cells.get(COUNTED, row.cells.get(SEEN))))
        if step is None and epoch is not None:
            self._fractions = self._fractions or not epoch.is_integer()
            count, before = self._last
            step = count + (epoch != before) if self._fractions else epoch
            self._last = int(step), epoch
        return None if step is None else int(step), epoch


def _float(cell: object) -> float | None:
    found = _number(cell)
    return found if isinstance(found, float) else None


def _number(cell: object) -> object:
    """A cell as a number. Anything else is returned as it is: `log()` counts it as dropped."""
    try:
        return float(cell)  # type: ignore[arg-type]  # anything else raises
    except (TypeError, ValueError):
        return cell


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _in_foreground() -> bool:
    """True if Ctrl-C in the terminal also reaches the command."""
    try:
        return os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False
