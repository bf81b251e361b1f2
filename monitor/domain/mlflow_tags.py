"""Our tags on MLflow's runs, and tags by which users configure us."""

from __future__ import annotations

from typing import Final

OWN: Final = "monitor."
"""Prefix of our tags and metrics in MLflow."""
USERS: Final = frozenset({f"{OWN}goal", f"{OWN}train", f"{OWN}val", f"{OWN}stop"})
"""Tags by which users assign roles to series, or ask for a stop. A monitor never writes them."""


def is_ours(name: str) -> bool:
    """True for a tag written by a monitor.

    >>> is_ours("monitor.verdict"), is_ours("monitor.goal"), is_ours("team")
    (True, False, False)
    """
    return name.startswith(OWN) and name not in USERS


def is_marking(name: str) -> bool:
    """True for a tag that MLflow or a monitor wrote, and that holds nothing from the user.

    >>> is_marking("mlflow.runName"), is_marking("mlflow.user"), is_marking("team")
    (True, False, False)
    """
    return (name.startswith("mlflow.") and name != "mlflow.user") or is_ours(name)
