"""Drains the outbox into one channel: at least once, with backoff, independently of other channels.

Each acceptance is committed before the next message is sent, so a restart repeats at most one. One worker at a time
sends to a channel, however many servers share the store.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import secrets
from collections import deque
from collections.abc import Callable, Collection, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

from monitor.alerts.channels import Channel, key_of
from monitor.alerts.hold import Hold, Holding, held
from monitor.alerts.messages import Message, Planned, plan
from monitor.alerts.routes import Route, Sorted, sort
from monitor.domain import Delivery, Outgoing
from monitor.errors import DeliveryFailed

FIRST_RETRY_MS: Final = 5_000
"""Wait after the first failed attempt; it doubles with each further one."""
LAST_RETRY_MS: Final = 15 * 60_000
"""Longest wait between attempts."""
GIVE_UP_MS: Final = 24 * 3_600_000
"""Age at which a message is given up, unless somebody retries it."""
LATELY_MS: Final = 30 * 24 * 3_600_000
"""How far back to look for what a channel was sent."""
FAILURES: Final = 3
"""Failures in a row after which a pass ends: the channel is down."""
AHEAD: Final = 3
"""Messages that are prepared while another one is sent."""
NEVER_MS: Final = 2**62

_log = logging.getLogger(__name__)


class Outbox(Holding, Protocol):
    """The part of the store that delivery uses."""

    def is_due(self, channel: str, now_ms: int) -> bool:
        """Whether there is anything to send to a channel now."""

    def outgoing(self, channel: str, now_ms: int, since_ms: int) -> Outgoing:
        """What decides which messages a channel is sent; of what it was sent before, what is newer than `since_ms`."""

    def skipped(self, channel: str, rows: Sequence[tuple[str, int]], note: str, now_ms: int) -> None:
        """Note that the channel is not sent these, and why."""

    def postponed(self, channel: str, rows: Sequence[tuple[str, int]], next_ms: int) -> None:
        """Check these again at a time."""

    def delivered(self, channel: str, rows: Sequence[tuple[str, int]], now_ms: int) -> None:
        """Note that the channel took these."""

    def settle_deliveries(self, channels: Collection[str], now_ms: int) -> None:
        """Remove from the outbox what every channel has taken."""

    def failed(self, channel: str, rows: Sequence[tuple[str, int]], next_ms: int, error: str) -> None:
        """Note that the channel did not take these; try again from `next_ms` on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The outcome of one pass over the outbox.

    Attributes:
        sent: messages that the channel took.
        failed: messages that will be retried.
        given_up: alerts that were too old.
    """

    sent: int = 0
    failed: int = 0
    given_up: int = 0


def deliver(
    outbox: Outbox,
    channel: Channel,
    clock: Callable[[], int],
    *,
    channels: Collection[str] = (),
    holder: str = "",
    link: Callable[[str], str | None] = lambda _: None,
    describe: Callable[[Message], Message] = lambda message: message,
    give_up: bool = True,
) -> Delivered:
    """Send a channel what is due; call again until nothing was done.

    Args:
        channel: the store knows it by `key_of`.
        channels: the keys of all channels that an alert must reach.
        holder: a unique name for this pass; made up if empty.
        link: gives the URL of a run's page.
        describe: adds what a person needs to act, just before a message is sent.
        give_up: False while the clock cannot tell which alerts are too old.

    Returns:
        All zero when nothing is due or another worker sends to this channel.
    """
    key = key_of(channel)
    holder = holder or secrets.token_hex(16)
    if not outbox.is_due(key, clock()):
        return Delivered()
    with held(outbox, key, holder) as hold:
        if hold is None:
            return Delivered()
        oldest_ms = GIVE_UP_MS if give_up else NEVER_MS
        return _pass(outbox, channel, clock, {key, *channels}, hold, link, describe, oldest_ms)


def retry_ms(attempts: int) -> int:
    """Milliseconds to wait after a failed attempt.

    Args:
        attempts: failed attempts before this one, >= 0.

    >>> [retry_ms(n) // 1000 for n in (0, 1, 2, 10)]
    [5, 10, 20, 900]
    """
    return min(FIRST_RETRY_MS << min(attempts, 20), LAST_RETRY_MS)


def _pass(
    outbox: Outbox,
    channel: Channel,
    clock: Callable[[], int],
    channels: Collection[str],
    hold: Hold,
    link: Callable[[str], str | None],
    describe: Callable[[Message], Message],
    oldest_ms: int,
) -> Delivered:
    key, now_ms = key_of(channel), clock()
    out = outbox.outgoing(key, now_ms, now_ms - LATELY_MS)
    route = getattr(channel, "route", Route())
    found = sort(out.due, out.told, out.standing, out.silences, route, now_ms)
    _put_aside(outbox, key, found, now_ms)
    old = [row for row in found.send if _age_ms(row, now_ms) > oldest_ms]
    if old:
        error = f"not sent within {GIVE_UP_MS // 3_600_000} h: {old[0].error or 'no server was there to send it'}"
        outbox.failed(key, _places(old), NEVER_MS, error)
    fresh = [row for row in found.send if _age_ms(row, now_ms) <= oldest_ms]
    sent, failed = _send_all(outbox, channel, plan(fresh, out.told, now_ms, link), clock, hold, describe)
    if sent or old or found.skip:
        outbox.settle_deliveries(channels, clock())
    return Delivered(sent=sent, failed=failed, given_up=len(old))


def _send_all(
    outbox: Outbox,
    channel: Channel,
    planned: Sequence[Planned],
    clock: Callable[[], int],
    hold: Hold,
    describe: Callable[[Message], Message],
) -> tuple[int, int]:
    key, sent, failed, in_a_row = key_of(channel), 0, 0, 0
    with contextlib.closing(_described(planned, describe)) as messages:
        for one, message in zip(planned, messages, strict=True):
            if in_a_row == FAILURES or not hold.lasts:
                break
            problem = _send(channel, message)
            if problem is None:
                outbox.delivered(key, one.rows, clock())
                sent, in_a_row = sent + 1, 0
            else:
                outbox.failed(key, one.rows, clock() + retry_ms(one.tries), f"{channel.name}: {problem}"[:500])
                failed, in_a_row = failed + 1, in_a_row + 1
    return sent, failed


def _described(planned: Sequence[Planned], describe: Callable[[Message], Message]) -> Generator[Message]:
    """The messages with what a person needs to act, a few prepared ahead.

    To describe one waits for the database and for cores a dozen times; one after the other, a busy server would send
    fewer messages than it raises alerts.
    """
    if len(planned) == 1:  # as nearly always: no threads for that
        yield _with_facts(planned[0].message, describe)
        return
    left, under_way = iter(planned), deque[Future[Message]]()
    pool = ThreadPoolExecutor(AHEAD, thread_name_prefix="describe")
    try:
        while True:
            for one in itertools.islice(left, AHEAD - len(under_way)):
                under_way.append(pool.submit(_with_facts, one.message, describe))
            if not under_way:
                return
            yield under_way.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _with_facts(message: Message, describe: Callable[[Message], Message]) -> Message:
    try:
        return describe(message)
    except Exception:
        _log.exception("alert %r is sent without what would help to act on it", message.title)
        return message


def _put_aside(outbox: Outbox, key: str, found: Sorted, now_ms: int) -> None:
    for note in dict.fromkeys(note for _, note in found.skip):
        outbox.skipped(key, _places([row for row, why in found.skip if why == note]), note, now_ms)
    longest = now_ms + LAST_RETRY_MS  # in case the clock is set back meanwhile
    for until in dict.fromkeys(min(until, longest) for _, until in found.wait):
        outbox.postponed(key, _places([row for row, at in found.wait if min(at, longest) == until]), until)


def _places(rows: Sequence[Delivery]) -> list[tuple[str, int]]:
    return [(row.alert.run_id, row.id) for row in rows]


def _age_ms(row: Delivery, now_ms: int) -> int:
    return now_ms - max(row.alert.created_ms, row.retried_ms or 0)


def _send(channel: Channel, message: Message) -> str | None:
    """Send one message; the problem, or None if the channel took it."""
    try:
        channel.send(message)
    except Exception as error:
        # A channel is foreign code; whatever it raises, the other channels are still served.
        problem = error.problem if isinstance(error, DeliveryFailed) else f"{type(error).__name__}: {error}"
        _log.warning("alert %r was not taken by %s: %s", message.title, channel.name, problem)
        return problem
    return None
