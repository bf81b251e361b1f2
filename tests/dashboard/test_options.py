"""How the dashboard is started, and that it finds its own code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit import config

from dashboard import assets, options, theme
from dashboard.charts import sweep
from dashboard.charts.axes import Look

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "dashboard"


def test_streamlit_knows_every_option_that_it_is_started_with() -> None:
    known = config.get_config_options()
    for flag in options.STREAMLIT_FLAGS:
        name = flag.removeprefix("--").partition("=")[0]
        assert name in known


def test_the_options_can_be_read_without_importing_anything() -> None:
    tree = ast.parse((DASHBOARD / "options.py").read_text())
    imported = [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    imported += [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    assert set(imported) <= {"__future__", "typing"}


def test_a_folder_with_a_dashboard_and_an_app_of_its_own_does_not_get_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "dashboard").mkdir()
    for file in ("dashboard/__init__.py", "dashboard/plot.py", "app.py", "main.py"):
        (tmp_path / file).write_text("raise SystemExit('the wrong file')")
    code = f"import runpy; print(runpy.run_path({str(DASHBOARD / 'app.py')!r})['app'])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "App object" in done.stdout


def test_pages_read_through_the_reader_alone() -> None:
    allowed = {
        "monitor",
        "monitor.directions",
        "monitor.errors",
        "monitor.hosts",
        "monitor.insight.standing",  # which of some runs is best; it reads none
        "monitor.roles",
        "monitor.wire",
        "monitor.reader.api",
        "monitor.reader.cases",
        "monitor.reader.signing",
    }
    for path in DASHBOARD.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                top = node.module.partition(".")[0]
                assert top not in ("sqlalchemy", "httpx", "requests"), path
                pure = node.module.startswith(
                    ("monitor.domain", "monitor.losses", "monitor.rules")
                )  # what there is; no run is read
                # Settings say which hosts may enter and whether others reach the dashboard; no run is read from them.
                entry = path.name in ("app.py", "sessions.py", "signing.py") and node.module == "monitor.settings"
                assert top != "monitor" or pure or entry or node.module in allowed, f"{path} imports {node.module}"


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, two: str) -> float:
    high, low = sorted((_luminance(one), _luminance(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", [theme.LIGHT_PALETTE, theme.DARK_PALETTE], ids=["light", "dark"])
def test_texts_and_lines_stand_out_from_the_background(colours: theme.Palette) -> None:
    for text in (colours.text, colours.muted, colours.critical, colours.warning, colours.info, colours.good):
        assert _contrast(text, colours.background) >= 4.5
    for line in (colours.train, colours.val, *colours.lines):
        assert _contrast(line, colours.background) >= 3


@pytest.mark.parametrize("colours", [theme.LIGHT_PALETTE, theme.DARK_PALETTE], ids=["light", "dark"])
def test_the_lines_of_parallel_axes_stand_out_whatever_their_result(colours: theme.Palette) -> None:
    figure = sweep.parallel_figure({"config.lr": [1, 2, 3]}, [0.1, 0.2, 0.3], Look(palette=colours), title="loss")
    (drawn,) = figure.to_dict()["data"]
    for _, colour in drawn["line"]["colorscale"]:
        assert _contrast(colour, colours.background) >= 3


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_the_style_sheets_texts_stand_out_from_what_they_are_on(mode: int) -> None:
    pairs = dict(re.findall(r"--lm-([a-z-]+): light-dark\(([^)]+)\)", assets.STYLE_SHEET.read_text()))
    colour = {name: pair.split(", ")[mode] for name, pair in pairs.items()}
    for kind in ("critical", "warning", "info", "good"):
        assert _contrast(colour[kind], colour[f"{kind}-bg"]) >= 4.5, kind
    for ground in ("bg", "panel", "sunken"):
        assert _contrast(colour["muted"], colour[ground]) >= 4.5, ground
        assert _contrast(colour["text"], colour[ground]) >= 7, ground
