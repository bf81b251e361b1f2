"""Opens a database that may also hold MLflow's tables, for the command line or a server without `--mlflow`."""

from __future__ import annotations

from monitor.store.sql.connect import EMBEDDED_PATIENCE_S
from monitor.store.store import Store


def open_store(url: str) -> Store:
    """Open a database; see `Store.open`.

    If MLflow has the runs too, the store renames, tags and restores them there as well, whoever asks for it.
    """
    found = Store.open(url)
    if not found.beside_mlflow():
        return found
    from monitor.store.mlflow import MlflowStore  # imported late: most training processes have no MLflow tables

    found.close()
    return MlflowStore.open(url, create=False)


def open_embedded(url: str) -> Store:
    """Open a database to work on without a server; as `open_store`, with more patience for other writers."""
    found = open_store(url)
    found.patience_s = EMBEDDED_PATIENCE_S
    return found
