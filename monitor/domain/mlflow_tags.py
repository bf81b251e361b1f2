"""Our tags on MLflow's runs, and tags by which a user configures us."""

from __future__ import annotations

from typing import Final

OWN: Final = "monitor."
"""What the names of our tags and metrics in MLflow begin with."""
USERS: Final = frozenset({f"{OWN}goal", f"{OWN}train", f"{OWN}val", f"{OWN}stop"})
"""Tags by which a user says what a series is, or asks for a stop; no monitor writes them."""


def is_ours(name: str) -> bool:
    """True for a tag that a monitor has written.

    >>> is_ours("monitor.verdict"), is_ours("monitor.goal"), is_ours("team")
    (True, False, False)
    """
    return name.startswith(OWN) and name not in USERS


def is_marking(name: str) -> bool:
    """True for a tag that MLflow or a monitor has written, and that says nothing of the user's.

    >>> is_marking("mlflow.runName"), is_marking("mlflow.user"), is_marking("team")
    (True, False, False)
    """
    return (name.startswith("mlflow.") and name != "mlflow.user") or is_ours(name)
