"""All SQL: runs, their points in packed chunks, findings, events and the outbox."""

from __future__ import annotations

from monitor.store.store import Store
from monitor.store.transaction import Ahead, Transaction, Writer

__all__ = ["Ahead", "Store", "Transaction", "Writer"]
