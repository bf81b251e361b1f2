"""What `import monitor` promises."""

import subprocess
import sys

import pytest

import monitor

PUBLIC = [
    "Api",
    "Run",
    "StopTraining",
    "__version__",
    "alert",
    "diagnose",
    "distributed",
    "finish",
    "init",
    "log",
    "losses",
]


def test_the_public_names_are_these_and_no_others():
    assert monitor.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_can_be_used(name):
    assert getattr(monitor, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = monitor.nope  # type: ignore[attr-defined]  # that is the test


HEAVY = ("numpy", "sqlalchemy", "httpx", "pydantic", "fastapi", "streamlit", "mlflow", "torch", "rich")


def test_importing_the_package_loads_nothing_heavy():
    code = f"import sys, monitor; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_training_process_loads_no_server_library(tmp_path):
    code = (
        "import sys, monitor\n"
        "run = monitor.init('p', mode='offline', server='http://127.0.0.1:9')\n"
        "run.log({'loss': 1.0}); run.finish()\n"
        "print([m for m in ('fastapi', 'streamlit', 'mlflow', 'torch', 'apscheduler') if m in sys.modules])"
    )
    env = {"MONITOR_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == "[]"
