"""Ask the kernel to prepare or write pages of a mapping while other threads run.

Python 3.11's `mmap.madvise` and `mmap.flush` hold the GIL during the call, so the training loop would stall while the
kernel finds pages or waits for the disk. ctypes releases the GIL.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from collections.abc import Callable
from typing import Final, cast

_POPULATE_WRITE: Final = 23  # MADV_POPULATE_WRITE, Linux 5.14
_MS_SYNC: Final = 4  # as in Linux's <sys/mman.h>
_STEP: Final = 512 * 1024
"""Bytes per call. The kernel locks the process's memory map during a call, so calls are short; each takes the GIL once.
"""


def populate(buffer: mmap.mmap, start: int, stop: int) -> None:
    """Fault in the pages of a writable mapping before they are written to. Does nothing if the kernel cannot.

    Args:
        stop: end of the range; may be past the end of the mapping.
    """
    if sys.platform != "linux":
        return
    madvise = _call("madvise")
    stop, address = min(stop, len(buffer)), _address(buffer)
    for at in range(start // mmap.PAGESIZE * mmap.PAGESIZE, stop, _STEP):
        if madvise(address + at, min(_STEP, stop - at), _POPULATE_WRITE):
            return  # an older kernel: pages are faulted in on the first write


def sync_pages(buffer: mmap.mmap, end: int) -> None:
    """Write all full pages before `end` to the disk. The page that contains `end` is left alone."""
    length = end // mmap.PAGESIZE * mmap.PAGESIZE
    if not length:
        return
    if sys.platform != "linux":
        buffer.flush(0, length)
    elif _call("msync")(_address(buffer), length, _MS_SYNC):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _call(name: str) -> Callable[[int, int, int], int]:
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return cast("Callable[[int, int, int], int]", function)


def _address(buffer: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))
