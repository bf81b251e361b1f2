"""What was read, for how long it is kept, and for whom: nothing is read twice while nothing has changed."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar

import streamlit as st

from dashboard import sessions
from monitor import Api
from monitor.domain import RunInfo
from monitor.errors import MonitorError, RunNotFound, ServerUnreachable, WireError

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

LOOK_S: Final = 0.4
"""Seconds between two looks at whether anything has changed."""
SHARED: Final = 16
"""Results of one name that are kept for other sessions."""
COSTLY_S: Final = 0.05
"""A value that took this many seconds to read is not read again after every change."""
REST: Final = 5.0
"""Such a value is kept for this many times as long as reading it took, which bounds the cost of a busy store."""
FRESH_S: Final = 15.0
"""Seconds after which a value is read anew where nothing has changed: some depend on the time."""

BY_ID: Final[dict[str | type, Callable[[Any], object]]] = {RunInfo: attrgetter("id")}
"""For `st.cache_resource(hash_funcs=)`: what was read of a run holds while it is there."""
BY_VERSION: Final[dict[str | type, Callable[[Any], object]]] = {RunInfo: attrgetter("id", "version")}
"""The same, but only until anything more is stored for it."""


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """A value that was read, or the last one that could be, with what went wrong since.

    Attributes:
        value: None where nothing could ever be read.
        read_ms: when the value was read, milliseconds since the epoch.
        error: what the last try said; None where it worked.
        at_s: when it was read, by `time.monotonic`.
        rests_s: seconds before it is read again.
    """

    value: T | None
    read_ms: int
    error: MonitorError | None = None
    at_s: float = 0.0
    rests_s: float = 0.0


class Kept(Generic[K, T]):
    """What was read last, for all sessions of this process; the least used goes first.

    Args:
        most: values that are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[K, T] = OrderedDict()
        self._lock = threading.Lock()

    def known(self, key: K) -> T | None:
        """One value, if it is kept."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def keep(self, key: K, value: T) -> None:
        """Keep one value."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)

    def get(self, wanted: Sequence[K], read: Callable[[Sequence[K]], Sequence[T]]) -> tuple[T, ...]:
        """Values by their keys."""
        with self._lock:
            found = {key: self._values[key] for key in wanted if key in self._values}
            for key in found:
                self._values.move_to_end(key)
        missing = [key for key in dict.fromkeys(wanted) if key not in found]
        if missing:
            for key, value in zip(missing, read(missing), strict=True):
                found[key] = value
                self.keep(key, value)
        return tuple(found[key] for key in wanted)


def now_ms() -> int:
    """The clock, read at the edge of the page."""
    return time.time_ns() // 1_000_000


def api() -> Api:
    """A reader with the token of whoever looks at the page; where it reads from comes from the settings."""
    return _reader(sessions.token())


@st.cache_resource(show_spinner=False, max_entries=256, on_release=Api.close)
def _reader(token: str | None) -> Api:
    return sessions.reader(token)


def reader(token: str | None) -> Api:
    """A reader with a token, for what is not a page; None: nobody is signed in."""
    return _reader(token)


def keep(name: str, read: Callable[[], T]) -> Reading[T]:
    """Read a value, once for all readers with the same token while nothing has changed in the store.

    If the server does not answer, returns the last value of this session with the error. If a value that is read again
    equals the one before, the old object is returned, so what was made from it stays valid.

    Args:
        name: what is read, with everything that it depends on.
        read: reads it; a `RunNotFound` passes through, since waiting does not mend it.
    """
    kept: dict[str, Reading[T]] = st.session_state.setdefault("_kept", {})
    token = sessions.token()
    place = (token, name)
    try:
        acted_s = float(st.session_state.get("_acted", 0.0))
        now = _stored(token, since_s=acted_s)
        known = _shared().known(place)
        rests = known is not None and acted_s < known[1].at_s > time.monotonic() - known[1].rests_s
        old = known is None or now_ms() - known[1].read_ms > 1000 * FRESH_S
        if known is None or old or (known[0] != now and not rests):
            known = (now, _read(read, known[1] if known else None))
            _shared().keep(place, known)
        elif known[0] != now:
            st.session_state["_late"] = True
        kept[name] = known[1]
    except RunNotFound:
        raise
    except MonitorError as error:
        last = kept.get(name)
        return Reading(last.value if last else None, last.read_ms if last else 0, error)
    return kept[name]


def _read(read: Callable[[], T], known: Reading[T] | None) -> Reading[T]:
    start = time.monotonic()
    value = read()
    end = time.monotonic()
    if known is not None and known.value == value:
        value = known.value
    return Reading(value, now_ms(), at_s=end, rests_s=REST * (end - start) if end - start > COSTLY_S else 0.0)


@st.cache_resource(show_spinner=False)
def _shared() -> Kept[tuple[str | None, str], tuple[str, Reading[Any]]]:
    return Kept(64)


def late() -> bool:
    """Whether any value since the last call was outdated, but too costly to be read again yet."""
    return bool(st.session_state.pop("_late", False))


def acted() -> None:
    """The user is about to change something: this session shows nothing that was read before."""
    st.session_state["_acted"] = time.monotonic()


def mark(token: str | None, run: str = "") -> str:
    """A text that differs after every change; at most `LOOK_S` old.

    Args:
        run: id or name of a run, to learn of its changes only; "" for any change.
    """
    try:
        stored = _stored(token)
        if not run:
            return stored
        place = (token, run)
        known = _versions().known(place)
        if known is None or known[0] != stored:
            known = (stored, str(reader(token).run(run).info.version))
            _versions().keep(place, known)
    except MonitorError as error:
        return type(error).__name__
    return known[1]


def away() -> bool:
    """Whether the server does not answer, or did not less than `LOOK_S` ago."""
    try:
        _stored(sessions.token())
    except ServerUnreachable:
        return True
    except MonitorError:
        return False
    return False


def known_mark(token: str | None, run: str = "") -> str | None:
    """The same if nothing has to be read for it, else None."""
    found = _marks().known(token)
    if found is None or time.monotonic() - found[0] > LOOK_S or isinstance(found[1], MonitorError):
        return None
    known = (found[1], found[1]) if not run else _versions().known((token, run))
    return known[1] if known is not None and known[0] == found[1] else None


def _stored(token: str | None, since_s: float = 0.0) -> str:
    """The mark of the store.

    Args:
        since_s: by `time.monotonic`; one that was read before is read again.

    Raises:
        MonitorError: the server did not answer, now or less than `LOOK_S` ago.
    """
    found = _marks().known(token)
    if found is None or found[0] <= since_s or time.monotonic() - found[0] > LOOK_S:
        try:
            answer: str | MonitorError = reader(token).change_mark()
        except WireError:  # an older server has none
            answer = str(now_ms() // 1000)
        except MonitorError as error:
            answer = error
        found = (time.monotonic(), answer)
        _marks().keep(token, found)
    if isinstance(found[1], MonitorError):
        raise found[1].with_traceback(None)
    return found[1]


@st.cache_resource(show_spinner=False)
def _marks() -> Kept[str | None, tuple[float, str | MonitorError]]:
    return Kept(256)


@st.cache_resource(show_spinner=False)
def _versions() -> Kept[tuple[str | None, str], tuple[str, str]]:
    return Kept(1024)


def once(name: str, made_of: tuple[object, ...], make: Callable[[], T]) -> T:
    """What this session, or another one, has already made of the same things; it must not be changed afterwards.

    Args:
        name: under which it is kept.
        made_of: all that it depends on; what is not a plain value has to be the very same object.
    """
    kept: dict[str, tuple[tuple[object, ...], T]] = st.session_state.setdefault("_made", {})
    known = kept.get(name)
    if known is None or not _same(known[0], made_of):
        recent = _recent().known(name) or ()
        known = next((each for each in recent if _same(each[0], made_of)), None) or (made_of, make())
        kept[name] = known
        _recent().keep(name, (known, *(each for each in recent if each is not known))[:SHARED])
    return known[1]


@st.cache_resource(show_spinner=False)
def _recent() -> Kept[str, tuple[tuple[tuple[object, ...], Any], ...]]:
    return Kept(64)


def _same(left: object, right: object) -> bool:
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(_same, left, right))
    return left is right or (type(left) is type(right) and isinstance(left, _PLAIN) and left == right)


_PLAIN: Final = (str, int, float, bool)
