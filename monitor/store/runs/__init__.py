"""Runs as rows: the run list and its query language, findings, alerts and the outbox, the mirror, retention."""
