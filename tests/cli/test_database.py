"""`monitor db` on SQLite and PostgreSQL."""

import json

import pytest
from typer.testing import CliRunner

from monitor.cli import app
from monitor.errors import SchemaMismatch


def call(*args: str) -> dict[str, object]:
    result = CliRunner().invoke(app, [*args, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_upgrade_makes_a_database_and_says_from_what_to_what(tmp_path):
    url = f"sqlite:///{tmp_path / 'new.db'}"
    first = call("db", "upgrade", "--url", url)
    assert first["before"] is None
    assert first["after"]
    again = call("db", "upgrade", "--url", url)
    assert again["before"] == again["after"] == first["after"]
    assert call("db", "check", "--url", url)["after"] == first["after"]


def test_downgrade_goes_back_and_check_then_names_the_command(tmp_path):
    url = f"sqlite:///{tmp_path / 'new.db'}"
    call("db", "upgrade", "--url", url)
    assert call("db", "downgrade", "base", "--url", url)["after"] is None
    result = CliRunner().invoke(app, ["db", "check", "--url", url])
    assert isinstance(result.exception, SchemaMismatch)
    assert "monitor db upgrade" in str(result.exception)


def test_the_default_database_is_the_one_in_the_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("MONITOR_DIR", str(tmp_path / "home"))
    call("db", "upgrade")
    assert (tmp_path / "home" / "monitor.db").is_file()


@pytest.mark.postgres
def test_a_password_in_the_url_is_not_printed(store_url):
    if store_url.startswith("sqlite"):
        assert call("db", "upgrade", "--url", store_url)["url"] == store_url
        return
    shown = str(call("db", "upgrade", "--url", store_url)["url"])
    assert "postgres" in shown
    assert ":@" not in shown
