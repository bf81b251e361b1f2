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
from monitor.settings import Settings


@contextlib.contextmanager
def logging_as(settings: Settings) -> Iterator[None]:
    """Set up logging according to the settings; restore it at the end.

    Warnings and errors go to standard error. For JSON, requests are logged too.
    """
    handler = logging.StreamHandler(sys.stderr)
    if settings.log_format == "text":
        handler.setFormatter(Lines())
        handler.setLevel(logging.WARNING)
        logging.getLogger("monitor").addHandler(handler)
        try:
            yield
        finally:
            logging.getLogger("monitor").removeHandler(handler)
        return
    handler.setFormatter(JsonLines())
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
