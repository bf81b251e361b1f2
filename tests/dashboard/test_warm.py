"""What the first reader would otherwise wait for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FIRST = """
import runpy, sys
runpy.run_path({app!r})
before = set(sys.modules)
from streamlit.testing.v1 import AppTest
before |= set(sys.modules)
app = AppTest.from_file({main!r}, default_timeout=120).run()
for page in ("run_list", "run_page", "comparison", "alerts"):
    app.switch_page({pages!r} + "/" + page + ".py").run()
    assert not app.exception, app.exception
own = ("dashboard.", "pandas.", "pyarrow.", "markdown_it.", "jinja2.")
print(sorted(name for name in set(sys.modules) - before if name.startswith(own)))
"""


def test_once_the_dashboard_has_started_a_first_visit_loads_nothing(tmp_path: Path) -> None:
    pages = ROOT / "dashboard" / "pages"
    code = FIRST.format(app=str(ROOT / "dashboard" / "app.py"), main=str(pages / "main.py"), pages=str(pages))
    environment = {"PYTHONPATH": str(ROOT), "MONITOR_DIR": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    loaded = done.stdout.strip().splitlines()[-1]
    assert loaded == "[]", loaded
