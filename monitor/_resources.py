"""Where the files that ship with the code are: the dashboard and the migrations."""

from __future__ import annotations

from pathlib import Path

_BUNDLED = Path(__file__).parent / "_bundled"

ROOT: Path = _BUNDLED if _BUNDLED.is_dir() else Path(__file__).parent.parent
"""Folder of `dashboard/` and `migrations/`: inside the wheel if installed, else the checkout."""

DASHBOARD_APP: Path = ROOT / "dashboard" / "app.py"
MIGRATIONS: Path = ROOT / "migrations"
