"""Coroutines in tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio


def run(main: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    """Run a coroutine function to its end, in a thread of its own.

    Playwright's loop goes on running in the thread of the tests once a browser has been opened, and a thread has one.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(anyio.run, main, *args).result()
