"""Reads the losses that people already have in files."""

from monitor.importers.curves import Curves, read_curves

__all__ = ["Curves", "read_curves"]
