"""Converts images, tables and histograms to what a run stores.

Nothing here imports pandas, torch or matplotlib, and Pillow only for an image file or WebP: their objects bring the
package along.
"""

from __future__ import annotations

import base64
import io
import json
import math
import os
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from monitor.domain.media import JSON
from monitor.limits import MAX_MEDIA, Note, cut, text

MAX_ROWS: Final = 1000
MAX_COLUMNS: Final = 100
MAX_CELL: Final = 1000
"""Characters per cell."""
MAX_SIDE: Final = 2048
"""Pixels on the longer side of an image."""
MAX_BINS: Final = 512
_WEBP_QUALITY: Final = 90
_SCALES: Final = {1: 0, 3: 2, 4: 6}
"""PNG's colour type for each number of channels."""


def image(value: object, note: Note) -> tuple[str, str]:
    """The MIME type and the base64 content of an image.

    Args:
        value: an array or tensor of shape (h, w), (h, w, c) or (c, h, w) with c = 1, 3 or 4; a Pillow image; a
            matplotlib figure; the path or the bytes of an image file, which needs Pillow.
    """
    pixels = _pixels(value, note)
    while True:
        found = _png(pixels)
        if len(found) > MAX_MEDIA and (small := _webp(pixels)) is not None and len(small) <= MAX_MEDIA:
            return "image/webp", base64.b64encode(small).decode()
        if len(found) <= MAX_MEDIA:
            return "image/png", base64.b64encode(found).decode()
        note("media", "image", f"{pixels.shape[1]} x {pixels.shape[0]} pixels are too many; halved", 1)
        pixels = pixels[::2, ::2]


def table(value: object, columns: Sequence[object] | None, note: Note) -> tuple[str, str]:
    """The MIME type and the base64 content of a table.

    Args:
        value: a data frame, a mapping of columns, a list of mappings, or a list of rows.
        columns: column names, for a list of rows; None: the columns are numbered.
    """
    names, rows = _table(value, columns)
    if len(names) > MAX_COLUMNS:
        note("media", "table", f"{len(names)} columns, {MAX_COLUMNS} are kept", len(names) - MAX_COLUMNS)
    found = [[_cell(cell) for cell in islice(row, MAX_COLUMNS)] for row in islice(rows, MAX_ROWS + 1)]
    if len(found) > MAX_ROWS:
        found.pop()
        note("media", "table", f"more than {MAX_ROWS} rows; the first are kept", 1)
    heads = [cut(text(name), MAX_CELL) for name in names[:MAX_COLUMNS]]
    if any(len(row) != len(heads) for row in found):
        raise ValueError(f"each row of a table needs one cell per column, here {len(heads)}")
    while len(content := _json({"columns": heads, "rows": found})) > MAX_MEDIA and found:
        note("media", "table", f"{len(content):,} bytes are too many; the first half of its rows is kept", 1)
        found = found[: len(found) // 2]
    return JSON, base64.b64encode(content).decode()


def histogram(value: object, bins: int, note: Note) -> tuple[str, str]:
    """The MIME type and the base64 content of a histogram.

    Args:
        value: numbers of any shape; or a pair of n counts and n + 1 edges, as `numpy.histogram` returns it.
        bins: number of bins of equal width, 1 to 512.
        note: called if values are not finite.

    Raises:
        ValueError: it holds no finite number, or is not numeric.
    """
    import numpy as np

    if isinstance(value, tuple) and len(value) == 2 and len(value[1]) == len(value[0]) + 1:
        counts, edges = (np.asarray(_array(part), np.float64) for part in value)
        found = {"edges": edges.tolist(), "counts": counts.tolist(), "n": float(counts.sum())}
        return JSON, base64.b64encode(_json(found)).decode()
    numbers = np.asarray(_array(value)).astype(np.float64).ravel()
    finite = numbers[np.isfinite(numbers)]
    if not finite.size:
        raise ValueError(f"a histogram needs a finite number; there is none among {numbers.size}")
    odd = int(numbers.size - finite.size)
    if odd:
        note("media", "histogram", f"{odd:,} of {numbers.size:,} values are not finite", odd)
    counts, edges = np.histogram(finite, min(max(int(bins), 1), MAX_BINS))
    about = {
        "n": int(finite.size), "not_finite": odd, "min": float(finite.min()), "max": float(finite.max()),
        "mean": float(finite.mean()), "std": float(finite.std()),
    }  # fmt: skip
    return JSON, base64.b64encode(_json({"edges": edges.tolist(), "counts": counts.tolist(), **about})).decode()


def _array(value: object) -> Any:
    """A value as a numpy array; tensors are detached and moved to the CPU."""
    import numpy as np

    for name in ("detach", "cpu"):
        step = getattr(value, name, None)
        value = step() if callable(step) else value
    # numpy has no bfloat16.
    if "bfloat16" in str(getattr(value, "dtype", "")) and callable(widen := getattr(value, "float", None)):
        value = widen()
    return np.asarray(value)


def _pixels(value: Any, note: Note) -> Any:
    """An image as bytes of shape (h, w, c)."""
    if callable(getattr(value, "savefig", None)):
        drawn = io.BytesIO()
        value.savefig(drawn, format="png", bbox_inches="tight")
        value = drawn.getvalue()
    if isinstance(value, bytes | str | os.PathLike):
        value = _opened(value)
    if hasattr(value, "convert") and hasattr(value, "mode"):  # a Pillow image
        if value.mode not in ("L", "RGB", "RGBA"):
            value = value.convert("RGBA" if value.mode in ("LA", "PA") or "transparency" in value.info else "RGB")
        if (every := -(-max(value.size) // MAX_SIDE)) > 1:
            note("media", "image", f"{value.size[0]} x {value.size[1]} pixels; reduced by {every}", 1)
            value = value.reduce(every)
    return _fitted(_oriented(_array(value), channels_first=hasattr(value, "detach")), note)


def _opened(value: bytes | str | os.PathLike[str]) -> Any:
    from PIL import Image

    with Image.open(io.BytesIO(value) if isinstance(value, bytes) else value) as found:
        found.load()
        return found


def _oriented(found: Any, *, channels_first: bool) -> Any:
    """An array as (h, w, c). If (c, h, w) is possible as well, torch tensors are read that way."""
    while found.ndim > 3 and found.shape[0] == 1:
        found = found[0]
    if found.ndim == 2 and found.size:
        return found[..., None]
    if found.ndim != 3 or not found.size:
        raise ValueError(f"an image has the shape (h, w), (h, w, c) or (c, h, w), not {found.shape}; log one at a time")
    if found.shape[0] in _SCALES and (channels_first or found.shape[2] not in _SCALES):
        found = found.transpose(1, 2, 0)
    if found.shape[2] not in _SCALES:
        raise ValueError(f"an image has 1, 3 or 4 channels; the shape is {found.shape}")
    return found


def _fitted(found: Any, note: Note) -> Any:
    """An array as bytes, at most `MAX_SIDE` wide and high.

    Floats within 0 to 1 and integers within 0 to 255 keep their scale; other values are stretched to it.
    """
    import numpy as np

    every = -(-max(found.shape[:2]) // MAX_SIDE)
    if every > 1:
        note("media", "image", f"{found.shape[1]} x {found.shape[0]} pixels; every {every}th is kept", 1)
        found = found[::every, ::every]
    if found.dtype == np.uint8:
        return found
    if found.dtype == np.bool_:
        return found.astype(np.uint8) * 255
    values = found.astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    top = 1.0 if found.dtype.kind == "f" else 255.0
    if low < 0 or high > top:
        note("media", "image", f"values from {low:g} to {high:g} are stretched to 0 to 255", 1)
        values = (values - low) / ((high - low) or 1.0)
    else:
        values = values / top
    return np.rint(np.clip(np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=0.0), 0, 1) * 255).astype(np.uint8)


def _png(pixels: Any) -> bytes:
    """Bytes of shape (h, w, c) as a PNG file."""
    import numpy as np

    height, width, channels = pixels.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # each row starts with its filter type: 0, none
    rows[:, 1:] = pixels.reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, _SCALES[channels], 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts
    )


def _webp(pixels: Any) -> bytes | None:
    """The image as a lossy WebP; None if Pillow is not installed."""
    try:
        from PIL import Image
    except ImportError:
        return None
    out = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(out, "WEBP", quality=_WEBP_QUALITY)
    return out.getvalue()


def _table(value: Any, columns: Sequence[object] | None) -> tuple[list[object], Iterable[Iterable[object]]]:
    """The column names and the rows."""
    if hasattr(value, "itertuples") and hasattr(value, "columns"):  # pandas
        return list(value.columns), value.itertuples(index=False, name=None)
    if hasattr(value, "iter_rows") and hasattr(value, "columns"):  # polars
        return list(value.columns), value.iter_rows()
    if callable(getattr(value, "to_pydict", None)):  # pyarrow
        value = value.to_pydict()
    if isinstance(value, Mapping):
        heads = list(value) if columns is None else list(columns)
        return heads, zip(*(_list(value[name]) for name in heads), strict=True)
    rows = _list(value)
    if rows and all(isinstance(row, Mapping) for row in rows):
        heads = list(dict.fromkeys(name for row in rows for name in row)) if columns is None else list(columns)
        return heads, ([row.get(name) for name in heads] for row in rows)
    cells = [_list(row) if hasattr(row, "__iter__") and not isinstance(row, str | bytes) else [row] for row in rows]
    return list(columns or range(max(map(len, cells), default=0))), cells


def _list(value: Any) -> list[Any]:
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        raise ValueError(f"a table is made of rows or columns, not of {type(value).__name__}")
    return list(value) if isinstance(value, Sequence) else list(_array(value)) if hasattr(value, "dtype") else [*value]


def _cell(value: Any) -> object:
    """A cell as JSON: numbers stay numbers, what is not finite becomes text."""
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "size", 1) == 1:
        value = item()
    if value is None or isinstance(value, bool):
        return value
    # JavaScript loses digits of larger integers.
    if isinstance(value, int) and abs(value) < 2**53:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    return cut(text(value), MAX_CELL)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
