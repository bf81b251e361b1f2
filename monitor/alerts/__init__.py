"""Which changes raise an alert, and how alerts are delivered.

`lifecycle` is pure and runs inside the ingest transaction, so that an alert is stored if and only if the finding is;
`delivery` drains that outbox through `channels`, at least once.
"""

from __future__ import annotations

from monitor.alerts.channels import AppriseChannel, Channel, MemoryChannel, key_of, open_channels
from monitor.alerts.delivery import Delivered, Outbox, deliver
from monitor.alerts.lifecycle import alerts_for, status_alert
from monitor.alerts.messages import Message

__all__ = [
    "AppriseChannel",
    "Channel",
    "Delivered",
    "MemoryChannel",
    "Message",
    "Outbox",
    "alerts_for",
    "deliver",
    "key_of",
    "open_channels",
    "status_alert",
]
