"""The wheel, in a fresh environment, works from a folder that has a `dashboard/` and `migrations/` of its own."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest

from monitor._resources import ROOT

pytestmark = [pytest.mark.wheel, pytest.mark.xdist_group("wheel")]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    return next(out.glob("lossmonitor-*.whl"))


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    """A fresh environment with the wheel; its dependencies come from this environment by a path file."""
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, with_pip=True)
    made = home / "bin" / "python"
    subprocess.run([made, "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel], check=True)
    site = next((home / "lib").glob("python*/site-packages"))
    added = {p.name for p in site.iterdir()}
    # The packages that the wheel needs are this environment's; the checkout itself must not be among them.
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    (site / "zz_no_checkout.pth").write_text(f"import sys; sys.path[:] = [p for p in sys.path if p != {str(ROOT)!r}]\n")
    assert "dashboard" not in added
    assert "migrations" not in added
    return made


def test_the_wheel_puts_only_the_package_into_site_packages(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"monitor", "lossmonitor-0.1.0.dist-info"}
    assert "monitor/_bundled/dashboard/app.py" in names
    assert "monitor/_bundled/migrations/env.py" in names
    assert "monitor/py.typed" in names
    assert not [name for name in names if "__pycache__" in name or "/tests/" in name]


def test_up_runs_from_a_folder_with_its_own_dashboard_and_migrations(python, tmp_path):
    for folder in ("dashboard", "migrations", "monitor_store"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text("raise RuntimeError('the wrong folder was imported')\n")
        (tmp_path / folder / "app.py").write_text("raise RuntimeError('the wrong folder was imported')\n")
    env = {**os.environ, "MONITOR_DIR": str(tmp_path / "store"), "PYTHONPATH": ""}
    child = subprocess.Popen(
        [python, "-m", "monitor", "up", "--port", "0", "--dashboard-port", "0", "--json"],
        cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert child.stdout
        line = child.stdout.readline()
        assert line, child.stderr.read() if child.stderr else ""
        urls = json.loads(line)
        with urllib.request.urlopen(f"{urls['api']}/api/v1/info", timeout=10) as reply:
            assert json.load(reply)["version"] == "0.1.0"
        with urllib.request.urlopen(urls["dashboard"], timeout=10) as reply:
            assert reply.status == 200
        where = subprocess.run(
            [python, "-c", "import monitor; print(monitor.__file__)"],
            cwd=tmp_path / "store", env=env, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert str(python.parent.parent) in where.stdout
    finally:
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=20) == 0
        for pipe in (child.stdout, child.stderr):
            if pipe:
                pipe.close()
