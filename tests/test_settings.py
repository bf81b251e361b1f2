"""Settings that cannot be used are told in one line, and a value that may be a secret is never told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as few
from hypothesis import strategies as st

from monitor.errors import SettingsError
from monitor.settings import Settings, load

SECRET = "hunter2"
_few = few(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No file of settings but the test's own."""
    monkeypatch.setenv("MONITOR_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(**given: object) -> str | None:
    found: SettingsError | None = None
    try:
        load(**given)
    except SettingsError as error:
        found = error
    if found is None:
        return None
    assert found.__context__ is None or found.__suppress_context__  # a traceback shows no more than the line does
    return str(found)


BROKEN = [
    '["{}',
    '["{}"',
    "[{}]",
    '["a", {}]',
    '{{"a": "{}"',
    '{{"a": {}}}',
    "[[1, '{}']]",
    '{{"a": ["{}"]}}',
    "[" * 5000 + "{}",
]


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
@pytest.mark.parametrize("form", BROKEN)
def test_a_value_in_the_environment_that_cannot_be_read_is_not_told(
    name: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = {"port", "workers", "shipper", "capture", "dashboard_hosts"} | {
        n for n, f in Settings.model_fields.items() if f.annotation in (int, float)
    }
    monkeypatch.setenv(f"MONITOR_{name.upper()}", form.format(SECRET))

    told = refusal()

    if told is not None and name not in plain:
        assert SECRET not in told, told
        assert "MONITOR_" in told or name == "dir"
        assert "\n" not in told


@pytest.mark.parametrize(
    "text",
    [
        "token: *hunter2",
        "token: !hunter2 x",
        "token: 'hunter2",
        "token: hunter2: x",
        "- hunter2",
        "a: [hunter2",
        "token: &hunter2 *x",
    ],
)
@pytest.mark.parametrize("name", ["monitor.yaml", "monitor.toml"])
def test_a_file_that_cannot_be_read_is_named_with_the_line_and_nothing_of_what_stands_there(
    nowhere: Path, name: str, text: str
) -> None:
    (nowhere / name).write_text(text if name.endswith("yaml") else text.replace(":", " =", 1), encoding="utf-8")

    told = refusal()

    assert told is not None
    assert name in told
    assert SECRET not in told


@pytest.mark.parametrize("around", ["{}", " {}", "{}\n", "\t{}\r\n"])
def test_a_token_is_what_stands_between_the_blanks(around: str, monkeypatch: pytest.MonkeyPatch, nowhere: Path) -> None:
    monkeypatch.setenv("MONITOR_TOKEN", around.format("s3cret-and-long"))
    assert load().token == "s3cret-and-long"
    monkeypatch.delenv("MONITOR_TOKEN")
    (nowhere / "monitor.toml").write_text(f"token = {json.dumps(around.format('s3cret-and-long'))}", encoding="utf-8")
    assert load().token == "s3cret-and-long"


@given(st.text(max_size=40))
@example("sécret")
@example("a b")
@example("a\0b")
@example("")
@_few
def test_a_token_that_is_taken_travels_in_a_header_as_it_is(token: str) -> None:
    told = refusal(token=token)

    if told is None:
        kept = load(token=token).token
        assert kept == token.strip()
        assert kept.isascii() and kept.isprintable() and " " not in kept
    else:
        assert "secrets.token_urlsafe" in told
        assert len(token) < 6 or token not in told


def test_a_wrong_number_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITOR_PORT", "eighty")

    assert refusal() == (
        "setting MONITOR_PORT: input should be a valid integer, unable to parse string as an integer; got 'eighty'"
    )


@pytest.mark.parametrize("name", ["https://m.example", "m.example:8471", "m.example/x", "a@m.example"])
def test_a_name_of_the_dashboard_is_a_name_alone(name: str) -> None:
    assert "without scheme, port and path" in str(refusal(dashboard_hosts=name))
    assert load(dashboard_hosts="M.example  n.example").dashboard_hosts == ("m.example", "n.example")


def test_validation_errors_of_settings_show_no_values() -> None:
    with pytest.raises(ValueError, match="token") as caught:
        Settings(token="sécret hunter2")

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["server_url", "database_url", "mlflow_tracking_uri"])
def test_a_blank_address_is_none_and_wins_over_the_file(monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    Path("monitor.toml").write_text(f'{name} = "http://127.0.0.1:1"\n')
    monkeypatch.setenv(f"MONITOR_{name.upper()}", "")
    assert getattr(load(), name) is None


def test_a_blank_folder_is_the_default_one(monkeypatch):
    monkeypatch.setenv("MONITOR_DIR", "")
    assert load().dir == Path.home() / ".monitor"
