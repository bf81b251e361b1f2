"""Reads a file as a table; its format is detected from its content."""

from __future__ import annotations

import codecs
import math
import re
from pathlib import Path
from typing import Final

from monitor.errors import FileUnreadable, NoHistory
from monitor.files import content
from monitor.importers.csv import is_numeral, read_csv
from monitor.importers.documents import read_json
from monitor.importers.embedded import read_embedded
from monitor.importers.table import Table, number_in
from monitor.importers.text_lines import ANSI
from monitor.importers.text_log import read_log
from monitor.importers.text_words import is_metric

TABLES: Final = frozenset({".csv", ".tsv", ".json", ".jsonl", ".ndjson"})
"""File name suffixes that promise a table."""
STDIN: Final = "standard input"
_MESSAGES: Final = frozenset({"message", "msg", "log", "text", "textpayload", "event", "body", "line", "content"})
"""Fields in which loggers and containers put a log line."""
_JSON: Final = re.compile(r"\s*(?:\{\s*\"|\[\s*[{\[\"])")
"""The start of JSON, as opposed to that of a log line in brackets."""
_LITERALS: Final = {"None": "null", "True": "true", "False": "false", "nan": "NaN", "inf": "Infinity"}
_PRINTED: Final = re.compile(
    r"\b(?:None|True|False)\b|\b(?:np|numpy)\.\w+\((?P<number>[-+.\w]+)\)|\barray\(|,\s*dtype=\w+\)|(?<=\])\)"
)
"""Literals, numbers and arrays as printed by Python and NumPy."""
_NOT_FINITE: Final = re.compile(r"\b(?:nan|inf)\b")
_MAGIC: Final = (
    (b"\x80\x02", "is a pickle"), (b"\x80\x03", "is a pickle"), (b"\x80\x04", "is a pickle"),
    (b"\x80\x05", "is a pickle"), (b"\x89HDF", "is HDF5, which holds weights and not curves"),
    (b"\x93NUMPY", "is an array of NumPy"), (b"PK\x03\x04", "is a zip archive (of PyTorch, NumPy or a spreadsheet)"),
    (b"PAR1", "is Parquet"), (b"\x1f\x8b", "is compressed by gzip"), (b"SQLite format 3", "is a database of SQLite"),
    (b"\x89PNG", "is a picture"), (b"\xff\xd8\xff", "is a picture"), (b"%PDF", "is PDF"),
)  # fmt: skip
"""First bytes of binary files, and what the files are."""
_BINARY: Final = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f]")
"""Bytes that do not occur in text of any encoding with one byte per character."""
_INSTEAD: Final = {
    "is a pickle": "which is never opened, because loading it can run any code; save a Keras history as "
    "json.dump(history.history, file)",
    "is compressed by gzip": "unpack it first",
}


def read_table(path: Path, pattern: str | None = None, *, growing: bool = False) -> Table:
    """Read a file as a table; its format is detected from its content.

    Args:
        path: the file; `-` for standard input.
        pattern: for a text log, a regular expression with named groups, used instead of the known formats.
        growing: True if the file is still being written: an unfinished last line and a moving progress bar are not
            read.

    Raises:
        FileUnreadable: it cannot be opened, is empty, or is not text.
    """
    text = read_text(path, stream=not growing)
    if growing and text.rstrip()[-1:] not in ("}", "]"):
        text = text[: max(text.rfind("\n"), text.rfind("\r")) + 1]
    return table_of_text(_shown(path), text, path.suffix.lower(), pattern, growing=growing)


def table_of_text(
    name: str, text: str, suffix: str = "", pattern: str | None = None, *, growing: bool = False
) -> Table:
    """Read text as a table: JSON, JSONL, CSV, or else a training log.

    Args:
        name: the file as the user named it, for errors.
        suffix: the file's suffix; if it promises a table, the text is not tried as a log.
        pattern, growing: as in `read_table`.
    """
    plain = ANSI.sub("", text) if "\x1b" in text else text  # skorch colours its best values
    if not plain.strip():
        raise FileUnreadable(name, "", "is empty")
    if pattern is not None:
        return read_log(name, text, pattern, growing=growing)
    try:
        read = _json if plain.lstrip()[0] in "{[" else _rows
        table = read(name, plain)
    except FileUnreadable as problem:
        if suffix in TABLES:
            raise
        return _log_or(problem, name, text, growing=growing)
    messages = _messages(table)
    if messages is not None:
        try:
            return read_log(name, messages, growing=growing)
        except NoHistory:
            return table
    if suffix in TABLES or table.kind != "csv" or not _is_prose(table):
        return table
    return _log_or(None, name, text, growing=growing)


def _messages(table: Table) -> str | None:
    """The log lines that a container or logger wrapped in one JSON object each; None if there are none."""
    if table.kind != "jsonl" or any(map(is_metric, table.names)):
        return None
    column = next((name for name in table.names if name.rpartition("/")[2].lower() in _MESSAGES), None)
    if column is None or not all(isinstance(row.cells.get(column), str | None) for row in table.rows):
        return None
    return "".join(str(row.cells.get(column) or "").rstrip("\r\n") + "\n" for row in table.rows)


def _rows(name: str, text: str) -> Table:
    return read_embedded(name, text) or read_csv(name, text)


def _json(name: str, text: str) -> Table:
    """Read JSON, or a dictionary as printed by Python, such as from `print(history.history)`."""
    try:
        return read_json(name, text)
    except NoHistory:
        raise
    except FileUnreadable as problem:
        if text.lstrip()[:2] not in ("{'", "{ ") or not text.rstrip().endswith("}") or "\n{" in text:
            raise
        plain = _PRINTED.sub(lambda found: _LITERALS.get(found[0], found["number"] or ""), text).replace("'", '"')
        plain = _NOT_FINITE.sub(lambda found: _LITERALS[found[0]], plain)
        try:
            return read_json(name, plain)
        except NoHistory:
            raise
        except FileUnreadable:
            raise problem from None


def _log_or(problem: FileUnreadable | None, name: str, text: str, *, growing: bool) -> Table:
    """Read a text log. If no line is understood, raise what is wrong with the table that it may be."""
    try:
        return read_log(name, text, growing=growing)
    except NoHistory:
        if problem is not None and (isinstance(problem, NoHistory) or _JSON.match(text)):
            raise problem from None
        raise


def _is_prose(table: Table) -> bool:
    """True for a log of sentences parsed as CSV: a number among its column names, or no numbers in its columns."""
    if any(is_numeral(name.strip("[]():,;|%").partition("/")[0]) for name in table.names):
        return True
    return not any(math.isfinite(number_in(row.cells.get(name))) for name in table.names for row in table.rows[:100])


def read_text(path: Path, *, stream: bool = False) -> str:
    """The text of a file, in UTF-8 or UTF-16.

    Args:
        path: the file; with `stream`, `-` is standard input.
        stream: also read pipes, to their end.

    Raises:
        FileUnreadable: it cannot be opened, is not a file, too large, or not text; known binary formats are named.
    """
    name = _shown(path)
    data = content(path, name, stream=stream)
    for magic, what in _MAGIC:
        if data.startswith(magic):
            raise NoHistory(name, f"{what}, {_INSTEAD.get(what, 'not text; give CSV, JSON or JSONL')}")
    try:
        text = data.decode("utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig")
    except UnicodeDecodeError as error:
        if _BINARY.search(data):
            row = data[: error.start].count(b"\n") + 1
            raise FileUnreadable(name, f"row {row}", f"is not text in UTF-8 (byte {error.start})") from None
        text = _of_another_encoding(data)
    if "\0" in text:
        raise FileUnreadable(name, f"row {text[: text.index(chr(0))].count(chr(10)) + 1}", "is not text") from None
    return text


def _of_another_encoding(data: bytes) -> str:
    """Decode text that is not valid UTF-8: Windows-1252, or UTF-8 with broken bytes. Numbers are ASCII in both."""
    text = data.decode("utf-8", "replace")
    return text if any("\x7f" < sign != "\ufffd" for sign in text) else data.decode("cp1252", "replace")


def _shown(path: Path) -> str:
    return STDIN if str(path) == "-" else str(path)
