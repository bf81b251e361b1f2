"""What was changed or dropped while storing a batch: counted, and reported as warnings of the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from monitor.limits import MAX_COUNTERS, label
from monitor.wire import Event

if TYPE_CHECKING:
    from monitor.domain import Counter

_MOST: Final = 100
"""Most distinct notices per batch."""
_TOLD: Final = 20
"""Most notices in the reply to the sender."""


class Aside:
    """Collects the notices of one batch. It is a `limits.Note`."""

    def __init__(self) -> None:
        self._found: dict[tuple[Counter, str], tuple[int, str]] = {}

    def __call__(self, counter: Counter, key: str, example: str, n: int) -> None:
        """Count a notice."""
        if (counter, key) not in self._found and len(self._found) >= _MOST:
            key = "(others)"
        before, shown = self._found.get((counter, key), (0, example))
        self._found[counter, key] = (before + n, shown)

    def events(self, record: int, time_ms: int) -> tuple[Event, ...]:
        """The notices as `warning` events of a record."""
        return tuple(
            Event(
                kind="warning",
                record=record,
                time_ms=time_ms,
                data={"name": name, "key": label(key), "count": n, "example": example},
            )
            for (name, key), (n, example) in self._found.items()
        )

    def lines(self) -> tuple[str, ...]:
        """The notices as text, for the sender of the batch."""
        found = [f"{name}: {key}: {example}" for (name, key), (_, example) in self._found.items()]
        return (*found[:_TOLD], *([f"and {len(found) - _TOLD} more"] if len(found) > _TOLD else []))


def counted(before: Mapping[str, int], events: tuple[Event, ...]) -> dict[str, int]:
    """A run's counters plus what `warning` events add to them. The number of distinct names is limited."""
    found = dict(before)
    for event in events:
        if event.kind == "warning":
            name, n = str(event.data["name"]), event.data["count"]
            assert isinstance(n, int)
            name = name if name in found or len(found) < MAX_COUNTERS else "others"
            found[name] = found.get(name, 0) + n
    return found
