"""W&B's media types: images, tables and histograms are stored, other types are accepted and dropped with a warning."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from monitor.run.run import Run

_LOG: Final = logging.getLogger("monitor")


class Once:
    """Warns once about each thing that is not stored.

    Args:
        where: the API, named in the warning.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._said: set[str] = set()

    def say(self, what: str, why: str) -> None:
        """Warn, unless this thing was already warned about."""
        if what not in self._said:
            self._said.add(what)
            _LOG.warning("%s: %s %s", self._where, what, why)


class Media:
    """Any media object; only some kinds are stored."""

    kind = "Media"

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(self)

    @classmethod
    def of(cls, kind: str) -> Any:
        """A class with this name; for `plot`, an object that acts as a module."""
        if kind in _KEPT:
            return _KEPT[kind]
        made = type(kind, (cls,), {"kind": kind})
        return made() if kind == "plot" else made

    def keep(self, run: Run, key: str, step: int) -> bool:
        """Log it to a run; False if runs do not store this kind."""
        del run, key, step
        return False


class Image(Media):
    """An image: anything `run.log_image` accepts."""

    kind = "Image"

    def __init__(self, data_or_path: object, mode: str | None = None, caption: str | None = None, **_: object) -> None:
        del mode
        self.image: object = data_or_path.image if isinstance(data_or_path, Image) else data_or_path
        self.caption = caption or ""

    def keep(self, run: Run, key: str, step: int) -> bool:
        """See `Media.keep`."""
        run.log_image(key, self.image, step, caption=self.caption)
        return True


class Table(Media):
    """A table: rows and column names."""

    kind = "Table"

    def __init__(
        self, columns: Sequence[object] | None = None, data: object = None, rows: object = None,
        dataframe: object = None, **_: object,
    ) -> None:  # fmt: skip
        given = dataframe if dataframe is not None else data if data is not None else rows
        named = hasattr(given, "columns")
        self.columns = None if named and columns is None else list(columns or ("Input", "Output", "Expected"))
        self.data: Any = given if named else [] if given is None else list(given)  # type: ignore[call-overload]  # rows

    def add_data(self, *row: object) -> None:
        """Add a row."""
        self.data.append(list(row))

    def keep(self, run: Run, key: str, step: int) -> bool:
        """See `Media.keep`."""
        run.log_table(key, self.data, step, columns=self.columns)
        return True


class Histogram(Media):
    """A distribution, of values or already counted."""

    kind = "Histogram"

    def __init__(self, sequence: object = None, np_histogram: object = None, num_bins: int = 64) -> None:
        self.values = sequence if np_histogram is None else np_histogram
        self.bins = num_bins

    def keep(self, run: Run, key: str, step: int) -> bool:
        """See `Media.keep`."""
        run.log_histogram(key, self.values, step, bins=self.bins)
        return True


_KEPT: Final[Mapping[str, type[Media]]] = {"Image": Image, "Table": Table, "Histogram": Histogram}


def logged(data: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, Media]]:
    """The media of a row by name; several under one name are numbered."""
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from logged(value, f"{name}.")
        else:
            found = media_in(value)
            yield from ((name if len(found) == 1 else f"{name}/{at}", each) for at, each in enumerate(found))


def media_in(value: object) -> list[Media]:
    """The media objects that a value of a row is or holds."""
    return [each for each in (value if isinstance(value, list | tuple) else [value]) if isinstance(each, Media)]
