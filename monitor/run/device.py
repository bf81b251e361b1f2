"""Values that are still on a device when they are logged.

`.item()` on a CUDA tensor waits for all work queued on the device, which slows down training. Instead, the value is
copied to pinned memory asynchronously, an event marks the end of the copy, and the journal's record is filled in then.
Order is kept. A record not yet filled in when the process is killed counts as lost; the records after it do not.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from monitor.journal.layout import Pending
from monitor.journal.notices import Notices
from monitor.journal.write.journal import Journal

_RING: Final = 1024
"""Values of one dtype per buffer of pinned memory."""


class DeviceCopy(Protocol):
    """A number being copied from a device."""

    def ready(self) -> bool:
        """True once `value` returns without waiting."""

    def value(self) -> float:
        """The number; waits for it if necessary."""


class TorchCopy:
    """A 0-d CUDA tensor's value, copied to pinned memory after the work queued on its stream."""

    _rings: dict[object, tuple[Any, int]] = {}  # noqa: RUF012  # shared on purpose: one buffer per dtype

    def __init__(self, tensor: Any, torch: Any) -> None:
        ring, used = self._rings.get(tensor.dtype, (None, _RING))
        if used >= _RING:  # pending copies keep the old buffer alive
            ring, used = torch.empty(_RING, dtype=tensor.dtype, pin_memory=True), 0
        self._rings[tensor.dtype] = (ring, used + 1)
        self._slot = ring[used]
        self._slot.copy_(tensor.detach().reshape(()), non_blocking=True)
        self._event = torch.cuda.Event()
        self._event.record(torch.cuda.current_stream(tensor.device))

    def ready(self) -> bool:
        """True once the copy is complete."""
        return bool(self._event.query())

    def value(self) -> float:
        """The number; waits for the copy if necessary."""
        self._event.synchronize()
        return float(self._slot.item())


def _torch_copy(value: object) -> DeviceCopy | None:
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(value, torch.Tensor) or not value.is_cuda or value.numel() != 1:
        return None
    return TorchCopy(value, torch)


COPIERS: Final[list[Callable[[object], DeviceCopy | None]]] = [_torch_copy]
"""Each returns an asynchronous copy of a value, or None if it does not apply. Other frameworks may add theirs."""


def device_copy(value: object) -> DeviceCopy | None:
    """Start copying a value from a device; None if it is not on one."""
    return next((copy for copier in COPIERS if (copy := copier(value)) is not None), None)


class DeviceQueue:
    """Records that wait for values from a device, in the order of logging."""

    def __init__(self, journal: Journal, notices: Notices) -> None:
        self._journal = journal
        self._notices = notices
        self._waiting: deque[tuple[Pending, Sequence[float | DeviceCopy]]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, slot: Pending, values: Sequence[float | DeviceCopy]) -> None:
        """Add a record."""
        self._waiting.append((slot, values))

    def resolve(self, *, wait: bool = False) -> None:
        """Fill in the records whose values have arrived.

        Args:
            wait: wait for all of them, at the end of a run.
        """
        while self._waiting:
            slot, values = self._waiting[0]
            if not wait and not all(isinstance(v, float) or v.ready() for v in values):
                return
            self._journal.resolve(slot, [self._number(slot, i, v) for i, v in enumerate(values)])
            self._waiting.popleft()

    def _number(self, slot: Pending, i: int, value: float | DeviceCopy) -> float:
        if isinstance(value, float):
            return value
        try:
            return value.value()
        except Exception as error:  # the device may be in any state; one record must not block the rest
            self._notices.count("lost", slot.layout.keys[i], f"the value could not be read from the device: {error}")
            return float("nan")
