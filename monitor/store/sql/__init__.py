"""Connections, tables, migrations and locks: the base of every statement."""
