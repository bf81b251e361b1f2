"""A file as a table, its kind told by its content."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Final

from monitor.errors import FileUnreadable, NoHistory
from monitor.importers.csv import read_csv
from monitor.importers.documents import read_json
from monitor.importers.embedded import read_embedded
from monitor.importers.table import Table

_MAGIC: Final = (
    (b"\x80\x02", "is a pickle"), (b"\x80\x03", "is a pickle"), (b"\x80\x04", "is a pickle"),
    (b"\x80\x05", "is a pickle"), (b"\x89HDF", "is HDF5, of which the weights are no curves"),
    (b"\x93NUMPY", "is an array of NumPy"), (b"PK\x03\x04", "is a zip archive (of PyTorch, NumPy or a spreadsheet)"),
    (b"PAR1", "is Parquet"), (b"\x1f\x8b", "is compressed by gzip"), (b"SQLite format 3", "is a database of SQLite"),
    (b"\x89PNG", "is a picture"), (b"\xff\xd8\xff", "is a picture"), (b"%PDF", "is PDF"),
)  # fmt: skip
"""What binary files begin with, and what they are."""
_INSTEAD: Final = {
    "is a pickle": "which is never opened here, since to load one may run any code; save a Keras history as "
    "json.dump(history.history, file)",
    "is compressed by gzip": "unpack it first",
}


def read_table(path: Path) -> Table:
    """Read a file as a table, by what it begins with.

    Raises:
        FileUnreadable: it cannot be opened, is empty, or is not text.
    """
    name = str(path)
    text = read_text(path)
    if not text.strip():
        raise FileUnreadable(name, "", "is empty")
    if text.lstrip()[0] not in "{[":
        return read_embedded(name, text) or read_csv(name, text)
    return read_json(name, text)


def read_text(path: Path) -> str:
    """The text of a file, in UTF-8 or UTF-16.

    Raises:
        FileUnreadable: it cannot be opened, or is not text; of known binary files, what it is.
    """
    name = str(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise FileUnreadable(name, "", "no such file") from None
    except IsADirectoryError:
        raise FileUnreadable(name, "", "is a folder") from None
    except OSError as error:
        raise FileUnreadable(name, "", error.strerror or str(error)) from None
    for magic, what in _MAGIC:
        if data.startswith(magic):
            raise NoHistory(name, f"{what}, {_INSTEAD.get(what, 'not text; give CSV, JSON or JSONL')}")
    try:
        text = data.decode("utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise FileUnreadable(name, f"row {row}", f"is not text in UTF-8 (byte {error.start})") from None
    if "\0" in text:
        raise FileUnreadable(name, f"row {text[: text.index(chr(0))].count(chr(10)) + 1}", "is not text") from None
    return text
