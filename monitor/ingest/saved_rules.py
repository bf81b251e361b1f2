"""Saves settings of a rule in the store, from where every process that judges runs takes them."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.domain import Caller
from monitor.domain.rules_version import SavedRule
from monitor.errors import RulesChanged, RulesError, suggestion
from monitor.ingest.engines import Engines
from monitor.rules import RULE_NAMES, RulesConfig
from monitor.store import Store


def save_rule(
    store: Store,
    engines: Engines,
    rule: str,
    settings: Mapping[str, object],
    *,
    project: str | None,
    basis: str | None,
    by: Caller,
    now_ms: int,
) -> RulesConfig:
    """Save settings of a rule in place of those that were saved before. They apply at once.

    Args:
        settings: as in the rule's table in `monitor.toml`; empty to forget what is saved.
        project: where they apply; None: in every project.
        basis: hash of the rules on which the change was decided; None: whatever they are.

    Returns:
        The rules in effect with the change.

    Raises:
        RulesError: the rule or a setting is not known or not valid; nothing was saved.
        RulesChanged: the rules are no longer those of `basis`; nothing was saved.
        StoreError: the database refused.
    """
    engines.look(now=True)
    others = [row for row in engines.saved if (row.project, row.rule) != (project, rule)]
    if settings:
        RulesConfig.from_mapping({rule: settings})
    elif rule not in RULE_NAMES and len(others) == len(engines.saved):
        raise RulesError(rule, "is not a rule", suggestion(rule, RULE_NAMES))
    config = rules_of(engines, project)
    if basis not in (None, config.hash):
        raise RulesChanged(project, config.hash)
    saved = SavedRule(project=project, rule=rule, settings=dict(settings), saved_ms=now_ms, who=by.name)
    after = engines.under([*others, saved] if settings else others)
    versions = after.versions([project], who=by.name, now_ms=now_ms)
    concerned = [each for each in versions if project in (None, each.project)]
    store.save_rule(saved, by=by, versions=concerned)
    engines.look(now=True)
    return rules_of(engines, project)


def rules_of(engines: Engines, project: str | None) -> RulesConfig:
    """The rules in effect for a project; None: for projects without rules of their own."""
    return (engines.default if project is None else engines.of(project)).config


def concerning(engines: Engines, project: str | None) -> tuple[SavedRule, ...]:
    """What is saved for a project and for all; None: for all projects only."""
    return tuple(row for row in engines.saved if row.project in (None, project))
