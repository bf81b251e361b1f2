"""Settings, read once at the edge and passed down. Precedence: argument, environment (`MONITOR_*`), `monitor.toml`.

`monitor.toml` or `monitor.yaml` is searched for in the current folder, then in the folder of the embedded store;
`MONITOR_CONFIG` names another file. Unknown keys are refused with the line and the nearest valid name.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_origin

from pydantic import Field, PrivateAttr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as Unparsable

from monitor.captures import CAPTURES, captures
from monitor.documents import line_of, read_data, tables
from monitor.errors import FileUnreadable, SettingsError, suggestion
from monitor.roles import said_of
from monitor.stop_modes import is_off, merged, stop_modes

FILES: Final = ("monitor.toml", "monitor.yaml", "monitor.yml")
"""Names of the settings file, in order of precedence."""
OF_PROJECT: Final = ("rules", "stop", "cost_per_hour")
"""Keys allowed in a table `projects.NAME`."""
NEW_TOKEN: Final = 'python -c "import secrets; print(secrets.token_urlsafe(32))"'
"""Command that prints a random token."""
MAX_TOKEN: Final = 1000
"""Most characters in a token; it is sent in a header."""


class Settings(BaseSettings):
    """All settings. Each is `MONITOR_` plus its name in capitals in the environment.

    `docs/settings.md` documents them; a test checks that none is missing there.
    """

    model_config = SettingsConfigDict(env_prefix="MONITOR_", extra="forbid", frozen=True, hide_input_in_errors=True)

    dir: Path = Field(
        default_factory=lambda: Path.home() / ".monitor", description="Folder of the embedded store and the journals."
    )
    server_url: str | None = Field(default=None, description="Server to send runs to; default: the embedded store.")
    token: str | None = Field(default=None, repr=False, description="Bearer token that servers ask for, clients send.")
    database_url: str | None = Field(default=None, description="SQLAlchemy URL of the store; default SQLite in `dir`.")

    host: str = Field(default="127.0.0.1", description="Address that the server binds; any but loopback needs a token.")
    port: int = Field(default=8470, ge=0, le=65535, description="Port of the API.")
    workers: int = Field(
        default=1, ge=1, le=64, description="Processes that serve the API; more than one requires PostgreSQL and Linux."
    )
    rate_limit: float = Field(
        default=2000.0, ge=0, description="Requests a second that one token may make of a process; 0: any number."
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="How the server logs: `text`, or `json` with a line for each request."
    )
    dashboard_port: int = Field(default=8471, ge=0, le=65535, description="Port of the dashboard.")
    dashboard_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Public names under which a proxy serves the dashboard, separated by blanks."
    )
    oidc: dict[str, Any] = Field(
        default_factory=dict, repr=False, description="OpenID Connect sign-in to the dashboard; see `docs/security.md`."
    )
    mlflow_tracking_uri: str | None = Field(default=None, description="MLflow server to mirror runs to.")

    alert_urls: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), repr=False, description="Apprise URLs to send alerts to, separated by blanks or as a JSON list."
    )
    channels: dict[str, Any] = Field(
        default_factory=dict,
        repr=False,
        description="Channels with a name, projects, level, quiet hours and digest; see `docs/alerts.md`.",
    )
    secret_key: str | None = Field(
        default=None, repr=False, description="Key that encrypts the secrets of channels that the API adds."
    )
    alert_private: Literal["named", "always", "never"] = Field(
        default="named",
        description="Whether webhooks may reach addresses that are not public: `named`, if the URL contains localhost "
        "or a numeric address; `always`; `never`.",
    )
    alert_interval_s: float = Field(default=0.5, gt=0, description="Seconds between deliveries from the outbox.")
    alert_repeat_h: float = Field(
        default=24.0,
        ge=0,
        description="Hours after which a critical alert that nobody answers is sent again; 0: never.",
    )
    alert_age_days: float = Field(
        default=7.0, gt=0, description="Days after which an alert of a run that is not running resolves unanswered."
    )
    thresholds: tuple[dict[str, Any], ...] = Field(
        default=(),
        description='Alerts by expression, such as `when = "val/loss > 2 for 3 evals"`; see `docs/alerts.md`.',
    )
    heartbeat_s: float = Field(default=10.0, gt=0, description="Seconds between a client's heartbeats.")
    capture_output: bool = Field(default=False, description="Store what a process prints with its run.")
    lost_after_s: float = Field(default=60.0, gt=0, description="Seconds without a heartbeat until a run is lost.")
    stalled_after_s: float = Field(
        default=600.0,
        gt=0,
        description="Seconds without a step after which a run with heartbeats counts as stalled; "
        "runs with slow steps get at least ten of their own steps.",
    )
    liveness_interval_s: float = Field(
        default=5.0, gt=0, description="Seconds between checks for lost and stalled runs."
    )
    mlflow_interval_s: float = Field(default=1.0, gt=0, description="Seconds between copies of changed runs to MLflow.")

    retention_days: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict,
        description='Days to keep ended runs, by project, "*" for projects not named; default: forever.',
    )
    purge_days: float = Field(default=7.0, ge=0, description="Days for which a deleted run can be restored.")
    downsample_days: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict,
        description='Days after which curves of ended runs are downsampled, by project or "*"; default: never.',
    )
    downsample_points: int = Field(default=4000, ge=500, description="Points that a downsampled series keeps, about.")
    keeping_interval_s: float = Field(default=3600.0, gt=0, description="Seconds between checks for runs to delete.")

    ship_interval_s: float = Field(default=0.5, gt=0, description="Most seconds that a point waits before it is sent.")
    shipper: Literal["process", "thread"] = Field(
        default="process", description="What sends the points: a separate process, or a thread of the training."
    )
    fsync_interval_s: float = Field(default=1.0, ge=0, description="Seconds between fsyncs of the journal; 0: never.")
    journal_quota_mb: int = Field(default=1024, gt=0, description="Most MiB of journal that a run keeps on disk.")
    finish_timeout_s: float = Field(
        default=30.0,
        ge=0,
        description="Most seconds that `finish()` waits for unsent points; "
        "the rest stays in the journal for `monitor sync`.",
    )
    capture: Annotated[tuple[str, ...], NoDecode] = Field(
        default=CAPTURES,
        description="What to record about a run's environment: `git`, `command`, `packages`, `host`, `gpus`, `system`; "
        "`true`, `false`, a list of them, or `no-git` for all but that.",
    )

    stop: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict,
        description="What happens when a rule advises to stop: `off`, `advise`, `alert`, `stop`; or a table by rule.",
    )
    cost_per_hour: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict,
        description='Price of an hour of one GPU, by words of its name; "*": of the machine, whatever it has.',
    )
    cost_currency: str = Field(default="USD", max_length=12, description="What `cost_per_hour` is counted in.")

    roles: dict[str, str] = Field(
        default_factory=dict,
        description='Which series are the losses and the goal, if a run has them, such as `goal = "val/acc:max"`.',
    )
    rules: dict[str, Any] = Field(default_factory=dict, description="Overrides for the rules; see `docs/rules.md`.")
    projects: dict[str, Any] = Field(
        default_factory=dict, description="Overrides for single projects, such as `[projects.vision.rules.spike]`."
    )

    _file: Path | None = PrivateAttr(default=None)

    @field_validator("capture", mode="before")
    @classmethod
    def _captures(cls, value: object) -> tuple[str, ...]:
        return captures(value)

    @field_validator("roles", mode="after")
    @classmethod
    def _roles(cls, value: dict[str, str]) -> dict[str, str]:
        try:
            said_of(value).distinct()
        except SettingsError as error:
            raise ValueError(str(error).removeprefix("setting roles.")) from None
        return value

    @field_validator("stop", mode="before")
    @classmethod
    def _stop(cls, value: object) -> dict[str, str]:
        if isinstance(value, str) and value.lstrip().startswith("{"):
            value = _json(value, "object", "write a mode, or a JSON object")
        return stop_modes(value)

    @field_validator("projects", mode="after")
    @classmethod
    def _projects(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name, own in value.items():
            if not isinstance(own, dict):
                continue  # `open_engines` refuses it later, with its line
            try:
                stop_modes(own.get("stop"))
            except ValueError as error:
                raise ValueError(f"{name}.stop: {error}") from None
            prices = own.get("cost_per_hour", {})
            if not isinstance(prices, dict) or not all(type(p) in (int, float) and p >= 0 for p in prices.values()):
                raise ValueError(f"{name}.cost_per_hour: {prices!r} is not a table of prices; write A100 = 2.5")
        return value

    @field_validator("dashboard_hosts", mode="after")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := next((name for name in value if not re.fullmatch(r"[\w.-]+", name)), None):
            raise ValueError(f"{wrong!r} is not a host name; write it without scheme, port and path")
        return tuple(name.lower() for name in value)

    @field_validator("alert_urls", "dashboard_hosts", mode="before")
    @classmethod
    def _words(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if not value.lstrip().startswith("["):
            return value.split()
        return _json(value, "list", 'write ["…", "…"], or words with blanks between them')

    @field_validator("token", mode="after")
    @classmethod
    def _token(cls, value: str | None) -> str | None:
        """Strip the token: a secret read from a file ends in a line break."""
        if value is None:
            return None
        token = value.strip()
        if not token:
            raise ValueError(f"is blank; leave it out, or set a long random text: {NEW_TOKEN}")
        if len(token) > MAX_TOKEN or not all("!" <= c <= "~" for c in token):
            problem = f"takes up to {MAX_TOKEN} ASCII letters, digits and signs, and no blanks"
            raise ValueError(f"{problem}; make one: {NEW_TOKEN}")
        return token

    @field_validator("server_url", "database_url", "mlflow_tracking_uri", mode="after")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        """Take a blank address for none, as `${NAME:-}` in a compose file leaves it."""
        return value if value and value.strip() else None

    @field_validator("dir", mode="before")
    @classmethod
    def _dir(cls, value: object) -> object:
        return value if str(value).strip() else Path.home() / ".monitor"

    @field_validator("dir", mode="after")
    @classmethod
    def _expand(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # pydantic-settings gives them by name
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment. `load` adds the file's values as arguments."""
        return (init_settings, env_settings)

    def stop_modes_of(self, project: str) -> dict[str, str]:
        """A project's stop modes by rule: its own override the global ones, but a global `off` always wins."""
        if is_off(self.stop):
            return self.stop
        own = self.projects.get(project)
        return merged(self.stop, stop_modes(own.get("stop")) if isinstance(own, dict) else {})

    def prices_of(self, project: str) -> dict[str, float]:
        """A project's hourly prices by GPU: its own override the global ones."""
        own = self.projects.get(project)
        prices = own.get("cost_per_hour", {}) if isinstance(own, dict) else {}
        return {**self.cost_per_hour, **{str(name): float(price) for name, price in prices.items()}}

    @property
    def file(self) -> Path | None:
        """The settings file; None if there is none, or if another process read it."""
        return self._file

    @property
    def store_url(self) -> str:
        """SQLAlchemy URL of the store."""
        return self.database_url or f"sqlite:///{self.store_file}"

    @property
    def store_file(self) -> Path:
        """The file of the embedded store, used if no database is configured."""
        return self.dir / "monitor.db"

    @property
    def sqlite_file(self) -> Path | None:
        """The file of a SQLite store, configured or embedded; None for another database."""
        scheme, _, path = self.store_url.partition(":///")
        return Path(path.partition("?")[0]).expanduser().absolute() if scheme.startswith("sqlite") else None

    def make_dir(self) -> None:
        """Create the folder of the embedded store and the journals if it is missing.

        Raises:
            SettingsError: it cannot be created, or is not a folder.
        """
        try:
            self.dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            problem = f"{self.dir} is not a folder and cannot be created ({error.strerror})"
            raise SettingsError("dir", problem, "name another, as MONITOR_DIR or --dir") from None

    @property
    def journal_dir(self) -> Path:
        """The folder of the journals, with one folder per run and writer."""
        return self.dir / "journal"

    @property
    def loopback(self) -> bool:
        """True if the server can be reached only from this machine."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def _json(value: str, what: str, fix: str) -> object:
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not a JSON {what} ({error}); {fix}") from None


def load(**overrides: object) -> Settings:
    """Read the settings. An override that is None counts as not given.

    Args:
        **overrides: settings by name; they win over the environment and the file.

    Raises:
        SettingsError: a value cannot be used, or `monitor.toml` holds an unknown key.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    path = _find_file(given.get("dir"))
    from_file = _read_file(path) if path else {}
    env = {name for name in Settings.model_fields if f"MONITOR_{name.upper()}" in {k.upper() for k in os.environ}}
    # pydantic prefers arguments to the environment, so what the environment sets is left out here.
    below = {name: value for name, value in from_file.items() if name not in env}
    try:
        settings = Settings(**(below | given))
    except ValidationError as error:
        raise _refused(error, from_env=env - given.keys()) from None
    except Unparsable as error:  # a table in the environment
        name = next((n for n in env if f'"{n}"' in str(error)), "?")
        problem = f"is not JSON: {error.__cause__}"  # it quotes nothing of the value, which may be secret
        raise SettingsError(f"MONITOR_{name.upper()}", problem, "write a JSON object") from None
    except RecursionError:
        raise SettingsError("MONITOR_…", "one in the environment is nested too deeply", "write a flat table") from None
    settings._file = path
    return settings


def _refused(error: ValidationError, from_env: Collection[str]) -> SettingsError:
    """The error for the first setting that pydantic refused. Shows the value only if it cannot be a secret."""
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else "?"
    shown = f"MONITOR_{name.upper()}" if name in from_env else name
    problem = str(first["msg"]).removeprefix("Value error, ")
    field = Settings.model_fields.get(name)
    scalar = field is not None and (field.annotation in (int, float) or get_origin(field.annotation) is Literal)
    plain = scalar and re.fullmatch(r"[\w.+-]*", str(first["input"]))  # not something pasted into the wrong place
    if not plain and first["type"] == "value_error":  # raised by our own validators, which name the fix
        place, _, fix = problem.partition("; ")
        return SettingsError(shown, place, fix or "see docs/settings.md")
    given = f"got {first['input']!r}" if plain else "see docs/settings.md"
    return SettingsError(shown, problem[:1].lower() + problem[1:], given)


def _find_file(directory: object) -> Path | None:
    named = os.environ.get("MONITOR_CONFIG")
    if named:
        if not Path(named).is_file():
            raise SettingsError("MONITOR_CONFIG", f"no file {named!r}", "name a monitor.toml that exists")
        return Path(named)
    folder = Path(str(directory or os.environ.get("MONITOR_DIR") or Path.home() / ".monitor")).expanduser()
    with contextlib.suppress(OSError):  # an invalid path, such as one that is too long
        return next((p for place in (Path(), folder) for name in FILES if (p := place / name).is_file()), None)
    return None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        data = tables(read_data(path))
    except FileUnreadable as error:
        raise SettingsError(str(path), f"cannot be read: {error}", "mend the file") from None
    if data is None:
        raise SettingsError(str(path), "holds no table of settings", "write name: value, a line each")
    for key in data:
        if key not in Settings.model_fields:
            fix = suggestion(key, sorted(Settings.model_fields))
            raise SettingsError(f"{path}, line {line_of(path, [key])}: {key}", "is not known", fix)
    return dict(data)
