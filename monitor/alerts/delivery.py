"""Drains the outbox: at least once, with backoff, and without telling a healthy channel twice because another is down.

An alert leaves the outbox when every channel took it. The outbox leases what it hands out, so that several servers on
one store do not send the same alert; one that dies while it sends lets the lease run out, and the alert goes out again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from monitor.alerts.channels import Channel
from monitor.domain import Delivery
from monitor.errors import DeliveryFailed

FIRST_RETRY_MS: Final = 5_000
"""Wait after the first failed try; it doubles with every further one."""
LAST_RETRY_MS: Final = 15 * 60_000
"""Longest wait between two tries."""
GIVE_UP_MS: Final = 24 * 3_600_000
"""Age at which an alert is old news: it is no longer sent, and its row says so."""
LEASED_AT_ONCE: Final = 4
"""Alerts taken from the outbox at a time: with a receiver that times out, still sent within the store's lease."""
NEVER_MS: Final = 2**62

_log = logging.getLogger(__name__)


class Outbox(Protocol):
    """What delivery needs of the store."""

    def due_deliveries(self, now_ms: int, limit: int = 50) -> tuple[Delivery, ...]:
        """Alerts to be tried now, leased to the caller."""
        ...

    def delivered(self, run_id: str, id: int, now_ms: int) -> None:
        """Every channel took it."""
        ...

    def failed(self, run_id: str, id: int, next_ms: int, error: str) -> None:
        """It is not to be tried again before `next_ms`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What one pass over the outbox did.

    Attributes:
        sent: alerts that every channel took.
        failed: alerts that will be tried again.
        given_up: alerts that were too old to be worth another try.
    """

    sent: int = 0
    failed: int = 0
    given_up: int = 0


def deliver(
    outbox: Outbox, channels: Sequence[Channel], now_ms: int, *, taken: dict[tuple[str, int], set[int]] | None = None
) -> Delivered:
    """Try the alerts that are due, once each, `LEASED_AT_ONCE` of them at most; call again until nothing was done.

    Args:
        outbox: the store.
        channels: where to send; with none, nothing is taken from the outbox.
        now_ms: milliseconds since the epoch.
        taken: channels (by index) that already took an alert that others refused, by (run, delivery). Hand the same
            dict to the next pass, so that a retry goes to the others alone.

    Returns:
        How many alerts went out, failed and were given up; all zero when nothing more is due.
    """
    if not channels:
        return Delivered()
    memory = {} if taken is None else taken
    sent = failed = given_up = 0
    for delivery in outbox.due_deliveries(now_ms, LEASED_AT_ONCE):
        run_id, row = delivery.alert.run_id, (delivery.alert.run_id, delivery.id)
        if now_ms - delivery.alert.created_ms > GIVE_UP_MS:
            error = f"not sent within {GIVE_UP_MS // 3_600_000} h: {delivery.error or 'there was no channel'}"
            outbox.failed(run_id, delivery.id, NEVER_MS, error)
            memory.pop(row, None)
            given_up += 1
            continue
        problems = _send(delivery, channels, memory.setdefault(row, set()))
        if problems:
            outbox.failed(run_id, delivery.id, now_ms + retry_ms(delivery.attempts), "; ".join(problems)[:500])
            failed += 1
            continue
        outbox.delivered(run_id, delivery.id, now_ms)
        memory.pop(row, None)
        sent += 1
    return Delivered(sent=sent, failed=failed, given_up=given_up)


def retry_ms(attempts: int) -> int:
    """Milliseconds to wait after a failed try.

    Args:
        attempts: failed tries before this one, >= 0.

    >>> [retry_ms(n) // 1000 for n in (0, 1, 2, 10)]
    [5, 10, 20, 900]
    """
    return min(FIRST_RETRY_MS << min(attempts, 20), LAST_RETRY_MS)


def _send(delivery: Delivery, channels: Sequence[Channel], taken: set[int]) -> list[str]:
    problems = []
    for index, channel in enumerate(channels):
        if index in taken:
            continue
        try:
            channel.send(delivery.alert)
        except Exception as error:
            # A channel is somebody else's code; whatever it raises, the others are still told.
            problem = error.problem if isinstance(error, DeliveryFailed) else f"{type(error).__name__}: {error}"
            _log.warning("alert %r was not taken by %s: %s", delivery.alert.title, channel.name, problem)
            problems.append(f"{channel.name}: {problem}")
        else:
            taken.add(index)
    return problems
