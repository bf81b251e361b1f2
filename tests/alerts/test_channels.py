from __future__ import annotations

import socket

import pytest

from monitor.alerts import AppriseChannel, alerts_for, open_channels
from monitor.domain import FindingState, Severity
from monitor.errors import DeliveryFailed, SettingsError

from .conftest import Webhook, a_finding, a_run


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({}, "failure"),
        ({"severity": Severity.WARNING}, "warning"),
        ({"state": FindingState.RESOLVED, "resolved_step": 1300.0}, "success"),
    ],
)
def test_a_webhook_gets_title_body_and_kind(webhook: Webhook, changed: dict[str, object], kind: str) -> None:
    (alert,) = alerts_for(a_run(), [a_finding(**changed)], now_ms=7)

    AppriseChannel(webhook.url).send(alert)

    (body,) = webhook.bodies
    assert body["title"] == alert.title
    assert body["message"].splitlines() == alert.body.splitlines()
    assert body["type"] == kind


def test_a_webhook_that_answers_500_is_a_failure_with_its_status(webhook: Webhook) -> None:
    webhook.statuses = [500]
    (alert,) = alerts_for(a_run(), [a_finding()], now_ms=7)

    with pytest.raises(DeliveryFailed, match="500"):
        AppriseChannel(webhook.url).send(alert)


def test_a_webhook_that_is_down_is_a_failure() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        channel = AppriseChannel(f"json://127.0.0.1:{taken.getsockname()[1]}/")
        (alert,) = alerts_for(a_run(), [a_finding()], now_ms=7)

        with pytest.raises(DeliveryFailed, match="json://127"):
            channel.send(alert)


def test_a_channel_never_names_its_password() -> None:
    channel = AppriseChannel("json://user:hunter2secret@example.org/hook")

    assert "hunter2secret" not in channel.name


def test_a_url_that_apprise_does_not_know_is_a_settings_error_without_its_secrets() -> None:
    with pytest.raises(SettingsError, match="alert_urls") as caught:
        open_channels(["carrierpigeon://secret@loft"])

    assert "secret" not in str(caught.value)


def test_a_url_given_twice_is_one_channel() -> None:
    assert len(open_channels(["json://localhost/a", "json://localhost/b", "json://localhost/a"])) == 2
