"""The JSON encoding, for people with curl, and reduced curves on the way to a reader."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.domain import Curve
from monitor.errors import WireError
from monitor.limits import MAX_POINTS, MAX_STEP, MIN_STEP, number_to_json, shown, text
from monitor.wire.batch import Batch, Columns
from monitor.wire.checks import checked, integer, time


def batch_from_json(data: object) -> Batch:
    """Parse the JSON encoding: `points` is a list of `{"key", "step", "value", "time_ms", "epoch"?}`.

    Raises:
        WireError: the data does not follow the format; `field` names the place, such as `points[3].value`.
    """
    if not isinstance(data, Mapping):
        raise WireError("body", f"must be a JSON object, got {type(data).__name__}")
    rows = data.get("points", [])
    if not isinstance(rows, list):
        raise WireError("points", "must be a list of objects")
    if len(rows) > MAX_POINTS:
        raise WireError("points", f"holds {len(rows)} points, at most {MAX_POINTS} are taken at once")
    keys: dict[str, int] = {}
    columns: list[tuple[int, int, float, int, float]] = []
    for i, row in enumerate(rows):
        place = f"points[{i}]"
        if not isinstance(row, Mapping):
            raise WireError(place, "must be an object")
        name = row.get("key")
        if not isinstance(name, str):
            raise WireError(f"{place}.key", f"must be a string, got {shown(name)}")
        epoch = row.get("epoch")
        columns.append(
            (
                keys.setdefault(name, len(keys)),
                integer(row, "step", MIN_STEP, MAX_STEP, place),
                number_from_json(row.get("value"), f"{place}.value"),
                time(row, place),
                math.nan if epoch is None else number_from_json(epoch, f"{place}.epoch"),
            )
        )
    if len(keys) > 65_536:
        raise WireError("points", f"hold {len(keys)} different keys, at most 65536 fit a batch")
    key, step, value, time_ms, epochs = zip(*columns, strict=True) if columns else ((), (), (), (), ())
    points = Columns(
        np.array(key, "u2"),
        np.array(step, "i8"),
        np.array(value, "f8"),
        np.array(time_ms, "i8"),
        np.array(epochs, "f8") if not all(math.isnan(e) for e in epochs) else None,
    )
    return checked({**data, "keys": list(keys)}, points)


def batch_to_json(batch: Batch) -> dict[str, object]:
    """The JSON encoding of a batch; see `batch_from_json`."""
    p = batch.points
    epochs: Sequence[float] = p.epoch.tolist() if p.epoch is not None else [math.nan] * len(p)
    rows = [
        {
            "key": batch.keys[k],
            "step": s,
            "value": number_to_json(v),
            "time_ms": t,
            **({} if math.isnan(e) else {"epoch": number_to_json(e)}),
        }
        for k, s, v, t, e in zip(
            p.key.tolist(), p.step.tolist(), p.value.tolist(), p.time_ms.tolist(), epochs, strict=True
        )
    ]
    return {
        "run_id": batch.run_id,
        "writer": batch.writer,
        "first": batch.first,
        "count": batch.count,
        "points": rows,
        "events": [event.to_dict() for event in batch.events],
    }


def curve_to_json(curve: Curve) -> dict[str, object]:
    """A reduced curve as strict JSON data."""
    return {
        "key": curve.key,
        "x_axis": curve.x_axis,
        "x": [number_to_json(v) for v in curve.x.tolist()],
        "y": [number_to_json(v) for v in curve.y.tolist()],
        "shown": curve.shown,
        "total": curve.total,
        "smoothed": None if curve.smoothed is None else [number_to_json(v) for v in curve.smoothed.tolist()],
    }


def curve_from_json(data: Mapping[str, object]) -> Curve:
    """The inverse of `curve_to_json`.

    Raises:
        WireError: the data does not follow the format; `field` names the place.
    """

    def column(name: str) -> NDArray[np.float64]:
        values = data.get(name)
        if not isinstance(values, list):
            raise WireError(name, f"must be a list of numbers, got {shown(values)}")
        return np.array([number_from_json(v, name) for v in values], "f8")

    return Curve(
        str(data.get("key", "")),
        str(data.get("x_axis", "")),
        column("x"),
        column("y"),
        integer(data, "shown", 0, MAX_STEP),
        integer(data, "total", 0, MAX_STEP),
        None if data.get("smoothed") is None else column("smoothed"),
    )


__all__ = ["jsonable", "number_from_json", "number_to_json"]

_SPECIAL: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_DEEP: Final = 100
"""Deepest nesting of mappings and lists. Deeper values are dropped, so that `json` can write the result."""


def jsonable(value: object, *, depth: int = 0) -> object:
    """Convert a value to strict JSON data: non-finite floats become strings, unknown types their `str`.

    Only the nesting is limited here; `limits.document` also limits the size, for what a run stores.

    >>> jsonable({"lr": float("nan"), "shape": (3, 4), 5: None})
    {'lr': 'NaN', 'shape': [3, 4], '5': None}
    """
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return number_to_json(value)
    if isinstance(value, Mapping):
        return {text(k): jsonable(v, depth=depth + 1) for k, v in value.items()} if depth < _DEEP else "…"
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(v, depth=depth + 1) for v in value] if depth < _DEEP else "…"
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", None) == 0 and depth < 2 * _DEEP:
        return jsonable(item(), depth=depth + 1)
    return text(value)


def number_from_json(value: object, place: str) -> float:
    """The inverse of `number_to_json`.

    Raises:
        WireError: neither a number nor one of the three strings.
    """
    if isinstance(value, str) and value in _SPECIAL:
        return _SPECIAL[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WireError(place, f'must be a number, "NaN", "Infinity" or "-Infinity", got {shown(value)}')
    try:
        return float(value)
    except OverflowError:
        raise WireError(place, "does not fit a float64") from None
