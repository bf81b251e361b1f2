"""The server's log: text for people, or JSON lines for log collectors."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

from monitor.api.requests import request_id
from monitor.domain import inert
from monitor.server.stderr import Unblocked, unblocked
from monitor.settings import Settings


@contextlib.contextmanager
def logging_as(settings: Settings) -> Iterator[Unblocked | None]:
    """Set up logging according to the settings; restore it at the end.

    Warnings and errors go to standard error, which never holds up the thread that logs. For JSON, requests are logged
    too.

    Yields:
        The stream that they go to, if it is one that can be held up.
    """
    text = settings.log_format == "text"
    form = Lines() if text else JsonLines()

    def notice(lost: int) -> str:
        message = f"{lost:,} lines of this log were lost, because standard error was not read in time"
        fields = {"name": __name__, "levelno": logging.WARNING, "levelname": "WARNING", "msg": message}
        return form.format(logging.makeLogRecord(fields)) + "\n"

    with unblocked(notice) as stream:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(form)
        with _text_to(handler) if text else _json_to(handler):
            yield stream


@contextlib.contextmanager
def _text_to(handler: logging.Handler) -> Iterator[None]:
    handler.setLevel(logging.WARNING)
    logging.getLogger("monitor").addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger("monitor").removeHandler(handler)


@contextlib.contextmanager
def _json_to(handler: logging.Handler) -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("monitor")
    level = ours.level
    root.addHandler(handler)
    ours.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        ours.setLevel(level)
        root.removeHandler(handler)


class Lines(logging.Formatter):
    """One line per message, with control characters escaped: a client's path or name must not look like a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The message, and the traceback below it."""
        line = inert(record.getMessage())
        return f"{line}\n{inert(self.formatException(record.exc_info), lines=True)}" if record.exc_info else line


class JsonLines(logging.Formatter):
    """One JSON object per record, in ASCII: `time`, `level`, `logger`, `message`, and facts about its request."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id():
            line["request_id"] = request_id()
        facts = getattr(record, "request", None)
        if isinstance(facts, dict):
            line |= {name: value for name, value in facts.items() if value is not None}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
