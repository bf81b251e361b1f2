"""Which changes raise an alert, and how alerts are delivered.

`lifecycle` is pure and runs inside the ingest transaction, so that an alert is stored if and only if the finding is;
`delivery` drains that outbox through `channels`, at least once.
"""

from __future__ import annotations

from monitor.alerts.book import Book, Entry, open_channels
from monitor.alerts.channels import AppriseChannel, Channel, MemoryChannel, key_of, open_urls
from monitor.alerts.delivery import Delivered, Outbox, deliver
from monitor.alerts.hold import held
from monitor.alerts.lifecycle import ALERTED, alerts_for, finished_alert, status_alert
from monitor.alerts.messages import Facts, Message
from monitor.alerts.routes import Route
from monitor.alerts.webhook import WebhookChannel

__all__ = [
    "ALERTED",
    "AppriseChannel",
    "Book",
    "Channel",
    "Delivered",
    "Entry",
    "Facts",
    "MemoryChannel",
    "Message",
    "Outbox",
    "Route",
    "WebhookChannel",
    "alerts_for",
    "deliver",
    "finished_alert",
    "held",
    "key_of",
    "open_channels",
    "open_urls",
    "status_alert",
]
