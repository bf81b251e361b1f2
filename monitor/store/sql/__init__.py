"""Connections, tables, migrations and locks: what every statement goes through."""
