"""Reads `catboost_training.json`, which CatBoost writes to its folder `catboost_info`.

Source: https://catboost.ai/docs/en/concepts/output-data_training-log, files of CatBoost 1.2.
"""

from __future__ import annotations

from collections.abc import Mapping

from monitor.importers.table import Table, table_of_records


def read_catboost(path: str, data: Mapping[object, object]) -> Table | None:
    """The metrics of the training set and of each evaluation set by iteration; None if the data is anything else."""
    meta, iterations = data.get("meta"), data.get("iterations")
    if not isinstance(meta, Mapping) or not isinstance(iterations, list):
        return None
    rows = []
    for i, entry in enumerate(iterations, 1):
        if not isinstance(entry, Mapping):
            return None
        cells: dict[object, object] = {"iteration": entry.get("iteration")}
        for part in ("learn", "test"):
            values = entry.get(part)
            cells.update(zip(_names(meta, part), values if isinstance(values, list) else [], strict=False))
        rows.append((i, cells))
    config = {"name": meta["name"]} if isinstance(meta.get("name"), str) else {}
    return table_of_records(path, rows, "catboost", config=config)


def _names(meta: Mapping[object, object], part: str) -> list[str]:
    """The names of a part's values: every metric of every set."""
    sets, metrics = meta.get(f"{part}_sets"), meta.get(f"{part}_metrics")
    if not isinstance(sets, list) or not isinstance(metrics, list):
        return []
    names = [str(metric["name"]) for metric in metrics if isinstance(metric, Mapping) and "name" in metric]
    return [f"{each}/{name}" for each in sets for name in names]
