"""Draw what a soak test has kept: docs/pictures/soak-held.svg and soak-waits.svg, from benchmarks/results/soak.json.

SOAK_S=3600 SOAK_REPORT=benchmarks/results/soak.json pytest tests/faults/test_soak.py
python benchmarks/draw_soak.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.curve_svg import Line, Panel, svg  # noqa: E402 - after the path is set

RESULTS, PICTURES = ROOT / "benchmarks/results/soak.json", ROOT / "docs/pictures"
HELD = {
    "MiB": {"server_mib": "server", "client_mib": "client"},
    "descriptors": {"server_files": "server", "client_files": "client", "database_connections": "database"},
}
WAITS = {"ms until acknowledged, median": {"wait_ms": "wait"}, "seconds behind, worst run": {"behind_s": "behind"}}
"""The panels of each picture, and of each panel the samples' fields with their names."""


def panel(title: str, fields: dict[str, str], samples: list[dict[str, float]]) -> Panel:
    """One quantity over the minutes; what was gone at the end is left out."""
    alive = [each for each in samples if each["client_mib"]]
    minutes = np.array([each["at_s"] / 60 for each in alive])
    lines = [
        Line(name=name, rows=np.column_stack([minutes, [float(each[field]) for each in alive]]), colour=colour)
        for colour, (field, name) in enumerate(fields.items())
    ]
    return Panel(title=title, lines=lines, unit="minute")


def pictures(kept: dict[str, object]) -> dict[str, str]:
    """The pictures, by file name."""
    samples: list[dict[str, float]] = kept["samples"]  # type: ignore[assignment]  # as the test writes it
    found = {"soak-held.svg": (HELD, "memory and descriptors"), "soak-waits.svg": (WAITS, "waits and backlog")}
    return {
        name: svg([panel(title, fields, samples) for title, fields in panels.items()], f"{what} during the soak test")
        for name, (panels, what) in found.items()
    }


def main() -> None:
    for name, picture in pictures(json.loads(RESULTS.read_text(encoding="utf-8"))).items():
        (PICTURES / name).write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
