"""Converts any configuration to strict JSON data of limited size."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from enum import Enum
from itertools import islice
from math import prod
from types import SimpleNamespace
from typing import Any, Final

from monitor.limits.bounds import MAX_CONFIG, MAX_DEPTH, MAX_ITEMS, MAX_TEXT
from monitor.limits.numbers import number_to_json
from monitor.limits.texts import Note, cut, label, shown, text

Data = Mapping[str, object] | Mapping[object, object]

_BITS: Final = 64
"""Integers with more bits are stored as text: databases and other languages have no such numbers."""
_DIGITS: Final = 4096
"""Integers with more bits are only described: beyond some size, Python itself refuses to write the digits."""
_MOST_LOOKED_AT: Final = 400_000
"""Most values of one document that are visited."""
_BYTES: Final = (bytes, bytearray, memoryview)
_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")
"""The memory address in an object's text. It would differ each time."""
_NOTHING: Final = object()


def document(data: Data, note: Note, what: str = "config") -> dict[str, object]:
    """Convert a mapping to strict JSON data.

    Keys become text, non-finite floats strings, and unknown types text; integers have at most 64 bits. Dataclasses,
    namespaces and objects with `to_dict` become mappings, at any depth. Sets, tuples and arrays become lists, scalars
    of numpy and torch numbers, enumerations of strings their values, classes and functions their names. What exceeds
    the limits is cut or dropped, and counted. Small entries are kept before large ones.

    Args:
        data: any mapping, cyclic ones included.
        note: called with what was cut, dropped or corrected.
        what: what it is, for the note.

    >>> document({"lr": float("nan"), "shape": (3, 4), 5: None, "by": {"x"}}, print)
    {'lr': 'NaN', 'shape': [3, 4], '5': None, 'by': ['x']}
    """
    copy = _Copy()
    try:
        found = copy.mapping(data, 0)
    except Exception as error:  # a user's mapping may raise anything
        note("dropped", what, f"{shown(data)} cannot be read: {text(error)}", 1)
        return {}
    if copy.left_out:
        note("shortened", what, f"entries beyond the limits, the first of them {shown(copy.where)}", copy.left_out)
    if copy.mended:
        note("mended", what, "entries that JSON or a database cannot hold as they are", copy.mended)
    return found


class _Copy:
    """One walk over a document, with a budget of characters."""

    def __init__(self) -> None:
        self.left = MAX_CONFIG - 2
        self.looked_at = self.left_out = self.mended = 0
        self.where = ""
        self.inside: set[int] = set()
        """Ids of the mappings and lists that enclose the current position, to detect cycles."""

    def mapping(self, data: Data, depth: int) -> dict[str, object]:
        items = list(islice(data.items(), MAX_ITEMS + 1))
        if len(items) > MAX_ITEMS:
            self._leave(items.pop()[0], _length(data) - MAX_ITEMS)
        order = sorted(items, key=lambda item: not _small(item[1])) if depth == 0 else items
        kept: dict[str, object] = {}
        for given, value in order:
            if self._spent():
                self._leave(given, 1)
                continue
            name = label(given)
            self.mended += name != given and isinstance(given, str)
            if name in kept:
                self._leave(name, 1)
                continue
            before = self.left
            self.left -= len(name) + 4
            found = self.value(value, depth + 1, name) if self.left >= 0 else self._leave(name, 1)
            if found is _NOTHING:
                self.left = before
            else:
                kept[name] = found
        return (
            kept
            if order is items
            else {name: kept[name] for name in (label(given) for given, _ in items) if name in kept}
        )

    def value(self, value: object, depth: int, name: str) -> object:
        self.looked_at += 1
        kind = type(value)
        if value is None or kind is bool:
            return self._pay(value, 6, name)
        if kind is str:
            return self._text(text(value), name, value)
        try:
            return self._other(value, depth, name)
        except Exception:  # a user's type may raise anything
            self.mended += 1
            return self._text(f"<{kind.__name__}>", name)

    def _other(self, value: object, depth: int, name: str) -> object:
        if isinstance(value, str):
            return self._text(text(str.__str__(value)), name)
        if isinstance(value, int | float):
            return self._number(value, name)
        if isinstance(value, Mapping):
            return self._inside(value, lambda: self.mapping(value, depth), depth, name)
        if isinstance(value, Sequence | Set) and not isinstance(value, _BYTES) and not hasattr(value, "_asdict"):
            return self._inside(value, lambda: self._list(value, depth, name), depth, name)
        return self._object(value, depth, name)

    def _object(self, value: object, depth: int, name: str) -> object:
        found = members(value)
        if isinstance(found, Mapping):
            return self._inside(value, lambda: self.mapping(found, depth), depth, name)
        if found is not None:
            return self._inside(value, lambda: self.value(found, depth + 1, name), depth, name)
        if hasattr(value, "__qualname__") or type(value).__repr__ is object.__repr__:
            return self._text(_named(value), name)
        return self._text(_ADDRESS.sub("", text(value)), name)

    def _inside(self, value: object, walk: Callable[[], object], depth: int, name: str) -> object:
        if depth >= MAX_DEPTH or id(value) in self.inside:
            self._leave(name, 1)
            return self._text("…", name)
        if self.left < 4:
            return self._leave(name, 1)
        self.left -= 4
        self.inside.add(id(value))
        try:
            return walk()
        finally:
            self.inside.discard(id(value))

    def _list(self, values: Iterable[object], depth: int, name: str) -> list[object]:
        kept: list[object] = []
        items = list(islice(values, MAX_ITEMS + 1))
        if len(items) > MAX_ITEMS:
            items.pop()
            self._leave(name, _length(values) - MAX_ITEMS)
        for i, value in enumerate(items):
            if self._spent():
                self._leave(name, len(items) - i)
                break
            found = self.value(value, depth + 1, name)
            if found is not _NOTHING:
                kept.append(found)
        return kept

    def _number(self, value: int | float, name: str) -> object:
        if isinstance(value, float):
            found = number_to_json(float(value))
            return self._pay(found, len(repr(found)) + 2, name)
        whole = int(value)
        if whole.bit_length() <= _BITS:
            return self._pay(whole, len(str(whole)) + 2, name)
        self.mended += 1
        many = whole.bit_length() > _DIGITS
        return self._text(f"an integer of {whole.bit_length()} bits" if many else str(whole), name)

    def _text(self, found: str, name: str, given: object = None) -> object:
        self.mended += isinstance(given, str) and found != given
        kept = cut(found, MAX_TEXT)
        if kept is not found:
            self._leave(name, 1)
        return self._pay(kept, len(kept) + 4, name)

    def _pay(self, value: object, size: int, name: str) -> object:
        if size > self.left:
            return self._leave(name, 1)
        self.left -= size
        return value

    def _spent(self) -> bool:
        return self.left < 4 or self.looked_at > _MOST_LOOKED_AT

    def _leave(self, name: object, n: int) -> object:
        self.where = self.where or label(name)
        self.left_out += n
        return _NOTHING


def members(value: object) -> object:
    """The content of a configuration object as a mapping, a list or a plain value; None if only its text is useful.

    Handles dataclasses, named tuples, namespaces, enumerations of strings, objects with `to_dict` (Transformers, PEFT,
    ml_collections) or `model_dump` (pydantic), attrs classes, and arrays of moderate size.
    """
    found: object = None
    argparse = sys.modules.get("argparse")  # whoever has a Namespace has imported argparse
    if isinstance(value, type):
        pass
    elif is_dataclass(value):
        found = {field.name: getattr(value, field.name, None) for field in fields(value)}
    elif isinstance(value, Enum):
        found = value.value if isinstance(value.value, str) else None
    elif isinstance(value, SimpleNamespace) or (argparse is not None and isinstance(value, argparse.Namespace)):
        found = vars(value)
    elif getattr(value, "shape", None) is not None:
        found = _array(value)
    elif (fields_of_attrs := getattr(type(value), "__attrs_attrs__", None)) is not None:
        found = {field.name: getattr(value, field.name, None) for field in fields_of_attrs}
    else:
        given = (getattr(value, name, None) for name in ("_asdict", "to_dict", "model_dump"))
        found = next((held for make in given if callable(make) and isinstance(held := make(), Mapping)), None)
    return found


def _array(value: Any) -> object:
    """An array or a tensor as a number or a list; None if it is large, or of another kind."""
    if prod(value.shape) > MAX_ITEMS:
        return None
    found = getattr(value, "tolist" if len(value.shape) else "item", None)
    return found() if callable(found) else None


def _named(value: object) -> str:
    """The name of a class or function, or of an object's class. Their text would be a memory address."""
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{getattr(named, '__module__', None) or ''}.{named.__qualname__}".lstrip(".")


def _small(value: object) -> bool:
    try:
        large = isinstance(value, Mapping | list | tuple | set | frozenset)
        return not large and not (isinstance(value, str) and len(value) > 1000)
    except Exception:  # as above
        return False


def _length(values: object) -> int:
    try:
        return max(len(values), MAX_ITEMS + 1)  # type: ignore[arg-type]  # what has no length has at least one more
    except Exception:  # as above
        return MAX_ITEMS + 1
