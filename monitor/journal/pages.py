"""What the kernel is asked to do with the pages of a mapping while other threads run.

`mmap.madvise` and `mmap.flush` of Python 3.11 keep the interpreter's lock during the call: a training loop stands still
for as long as the kernel finds pages or waits for the disk. A foreign function gives the lock up.
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
"""Bytes a call: the process's memory map is locked meanwhile, and each call takes the interpreter's lock once."""


def populate(buffer: mmap.mmap, start: int, stop: int) -> None:
    """Have the pages of a writable mapping there before they are written to; nothing where the kernel cannot.

    Args:
        buffer: the mapping.
        start: byte from which on they are wanted.
        stop: byte before which they are wanted; it may lie behind the end.
    """
    if sys.platform != "linux":
        return
    madvise = _call("madvise")
    stop, address = min(stop, len(buffer)), _address(buffer)
    for at in range(start // mmap.PAGESIZE * mmap.PAGESIZE, stop, _STEP):
        if madvise(address + at, min(_STEP, stop - at), _POPULATE_WRITE):
            return  # an older kernel: the pages come when they are written to


def sync_pages(buffer: mmap.mmap, end: int) -> None:
    """Write the whole pages before an offset to the disk, and leave the others as they are.

    Raises:
        OSError: the disk refuses.
    """
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
