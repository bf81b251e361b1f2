"""The numbers that users read in the docs are those that the code goes by."""

from __future__ import annotations

import pytest

from monitor._resources import ROOT
from monitor.alerts import delivery, messages, routes
from monitor.api import door, intake
from monitor.domain import clocks
from monitor.insight.attention import FORGET_MS, HALF_LIFE_H, LEAST_NOVELTY, SEVERITY
from monitor.jobs import clock, scheduler
from monitor.limits import bounds
from monitor.shipping import carrier, shipper

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
MIB = 2**20


def word(number: int) -> str:
    return {2: "two", 3: "three", 5: "five", 6: "six", 10: "ten"}.get(number, str(number))


SAID = {
    "alerts.md": (
        f"is sent after {routes.SETTLE_MS / MINUTE:g} minutes if it still holds",
        f"{word(messages.GROUP_FROM).capitalize()} or more runs of a project with the same news",
        f"with the first {word(messages.NAMED)} names",
        f"until no further run has joined for {messages.QUIET_MS / SECOND:g} s, or for a minute at most",
        f"the next message waits {messages.HOLD_MS / MINUTE:g} minutes, then {4 * messages.HOLD_MS / MINUTE:g}, "
        f"and so on up to {messages.LONGEST_HOLD_MS / HOUR:g} hours",
        f"by a lease of {word(clocks.LEASE_MS // SECOND)} seconds",
        f"after {', '.join(f'{delivery.retry_ms(n) / SECOND:g} s' for n in range(3))} and so on, "
        f"at most {delivery.LAST_RETRY_MS / MINUTE:g} minutes apart, for a day",
        f"begins to deliver {scheduler.GATHER_S:g} s after it has stored an alert",
        f"the next {word(delivery.AHEAD)} are prepared",
    ),
    "agents.md": (
        f"1 for a critical finding or an advice to stop, {SEVERITY['lost']} for a lost run, "
        f"{SEVERITY['stalled']} for a stalled one, {SEVERITY['warning']} for a warning",
        f"halved each day, {LEAST_NOVELTY:g} at least",
        f"lost more than {word(FORGET_MS // DAY)} days ago is counted as lost, but no longer queued",
    ),
    "dashboard.md": (f"Runs lost more than {word(FORGET_MS // DAY)} days ago no longer count",),
    "deployment.md": (f"until the new time has stood for {clock.DOUBT_S / 3600:g} hours",),
    "client.md": (
        f"| a metric's name | {bounds.MAX_NAME} characters |",
        f"| a tag's name and value | {bounds.MAX_NAME} and {bounds.MAX_TAG:,} characters |",
        f"| tags of a run | {bounds.MAX_TAGS:,} |",
        f"| an alert's title and body | {bounds.MAX_TITLE} and {bounds.MAX_BODY:,} characters |",
        f"| alerts from `run.alert` | {bounds.MAX_ALERTS:,} a run |",
        f"| a checkpoint's path | {bounds.MAX_PATH:,} characters",
        f"| the error of a failed run | {bounds.MAX_ERROR:,} characters |",
        f"the captures | {bounds.MAX_CONFIG:,} characters as JSON each |",
        f"| {bounds.MAX_DEPTH}, {bounds.MAX_ITEMS:,}, {bounds.MAX_TEXT:,} characters |",
        f"| weights in one call | {bounds.MAX_WEIGHTS:,} |",
        f"| summaries of their losses | {bounds.MAX_EXAMPLES} a run |",
        f"| an image | {bounds.MAX_MEDIA:,} bytes",
        f"| images, tables and histograms together | {bounds.MAX_RUN_MEDIA // 10**6} MB a run |",
        f"| series of a run | {bounds.MAX_SERIES:,} |",
        f"| events of a run | {bounds.MAX_EVENTS:,} |",
    ),
    "api.md": (
        f"| body of a packed batch | {intake.LIMITS['/api/v1/batches', intake.MEDIA_TYPE] / MIB:g} MiB |",
        f"| body of a batch as JSON | {intake.LIMITS['/api/v1/batches', intake.JSON] / MIB:g} MiB",
        f"| any other body | {intake.SMALL / 1024:g} KiB |",
        f"| {intake.BODY_S:g} s, and 1 s more for each {intake.RATE / 1024:g} KiB of it |",
        f"| all bodies being received, together | {intake.HELD / MIB:g} MiB |",
        f"| requests answered at once, besides batches | {door.BUSY} |",
    ),
    "formats/wire.md": ("(401 `unauthorized`): retries every minute", {3: "after the third time"}[carrier._FAILURES]),
}


@pytest.mark.parametrize("page", SAID)
def test_a_page_says_the_numbers_as_they_are(page: str) -> None:
    text = " ".join((ROOT / "docs" / page).read_text(encoding="utf-8").split())
    assert [said for said in SAID[page] if said not in text] == []


def test_what_the_docs_call_by_a_word_is_that_long() -> None:
    assert (messages.PATIENCE_MS, delivery.GIVE_UP_MS) == (MINUTE, DAY)
    assert messages.BURST == 2  # the first firing and the first resolution
    assert (HALF_LIFE_H, shipper._SLOW_WAIT_S) == (24.0, 60.0)
    assert clock.AHEAD_S == 3600.0
