"""Opening a database that may have MLflow's tables too, by the command line or a server without `--mlflow`."""

from __future__ import annotations

from monitor.store.sql.connect import EMBEDDED_PATIENCE_S
from monitor.store.store import Store


def open_store(url: str, *, create: bool = True) -> Store:
    """Open a database; as `Store.open`.

    Where MLflow has the runs too, the store renames, tags and restores them there as well, whoever asks for it.
    """
    found = Store.open(url, create=create)
    if not found.beside_mlflow():
        return found
    from monitor.store.mlflow import MlflowStore  # a training process without MLflow's tables needs none of it

    found.close()
    return MlflowStore.open(url, create=False)


def open_embedded(url: str) -> Store:
    """Open a database to work on without a server; as `open_store`, with more patience for other writers."""
    found = open_store(url)
    found.patience_s = EMBEDDED_PATIENCE_S
    return found
