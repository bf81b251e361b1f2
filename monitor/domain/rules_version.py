"""Settings of rules that people saved, and the versions of the rules that the audit log records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

from monitor.domain.access import AuditEntry
from monitor.domain.plain import make

RULES_SET: Final = "rules.set"
"""The action in the audit log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedRule:
    """Settings of one rule that are stored in the database; they go before those of the settings file.

    Attributes:
        project: where they apply; None: in every project.
        rule: its name.
        settings: key -> value, as in the table of the rule in `monitor.toml`.
        saved_ms: milliseconds since the epoch.
        who: the name of the token that saved them.
    """

    project: str | None
    rule: str
    settings: Mapping[str, object]
    saved_ms: int
    who: str

    def to_dict(self) -> dict[str, object]:
        """The settings as JSON data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> SavedRule:
        """The inverse of `to_dict`."""
        return make(cls, data)


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesVersion:
    """The rules from a server's start, or from a saved change, if they differ from those before.

    Attributes:
        time_ms: when they took effect, milliseconds since the epoch.
        who: the user and the machine that started the server, or the token that saved the change.
        project: the project that has these rules; None for the global ones.
        hash: of the effective configuration, as stored with every finding.
        overrides: differences from the defaults, by rule.
        versions: the version of each rule.
    """

    time_ms: int
    who: str
    project: str | None
    hash: str
    overrides: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """The version as JSON data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> RulesVersion:
        """The inverse of `to_dict`."""
        return make(cls, data)

    def entry(self) -> AuditEntry:
        """The version as an audit log entry."""
        detail = {"hash": self.hash, "overrides": self.overrides, "versions": self.versions}
        return AuditEntry(
            time_ms=self.time_ms, who=self.who, action=RULES_SET, target=self.project or "all projects",
            project=self.project, detail=json.dumps(detail, sort_keys=True),
        )  # fmt: skip

    @classmethod
    def of_entry(cls, entry: AuditEntry) -> RulesVersion:
        """The inverse of `entry`."""
        return make(cls, json.loads(entry.detail), time_ms=entry.time_ms, who=entry.who, project=entry.project)

    def since(self, before: RulesVersion | None) -> tuple[tuple[str, str], ...]:
        """What changed: (rule, a setting with both values, or the rule's version).

        Args:
            before: the version that was in effect; None: the defaults of the same release.

        >>> old = RulesVersion(time_ms=0, who="a", project=None, hash="1", overrides={"spike": {"jump": 3}})
        >>> RulesVersion(time_ms=1, who="a", project=None, hash="2", overrides={"spike": {"unit": "steps"}}).since(old)
        (('spike', 'jump: 3 → default'), ('spike', 'unit: default → steps'))
        """
        then, now = (before.overrides if before is not None else {}), self.overrides
        found = []
        for rule in sorted({*then, *now}):
            old, new = then.get(rule, {}), now.get(rule, {})
            for key in sorted({*old, *new}):
                if old.get(key) != new.get(key):
                    said = [str(side.get(key, "default")) for side in (old, new)]
                    found.append((rule, f"{key}: {said[0]} → {said[1]}"))
        for rule, version in sorted(self.versions.items() if before is not None else ()):
            known = before.versions.get(rule) if before is not None else version
            if known != version:
                found.append((rule, f"version {version}" + (f", before {known}" if known is not None else ", new")))
        return tuple(found)
