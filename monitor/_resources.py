"""Where the files that ship beside the code are: the dashboard and the migrations."""

from __future__ import annotations

from pathlib import Path

_BUNDLED = Path(__file__).parent / "_bundled"

ROOT: Path = _BUNDLED if _BUNDLED.is_dir() else Path(__file__).parent.parent
"""Folder that holds `dashboard/` and `migrations/`: inside the wheel, else the checkout."""

DASHBOARD_APP: Path = ROOT / "dashboard" / "app.py"
MIGRATIONS: Path = ROOT / "migrations"
