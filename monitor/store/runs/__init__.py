"""Runs as rows: the run list and its query language, findings, the outbox, export and retention."""
