"""How long runs are kept: the retention policy of a store, by project, and one round of applying it.

A round deletes runs that ended too long ago, downsamples old curves if their project asks for it, and purges runs that
were deleted and tokens that ended long enough ago. If a round is interrupted, the next one finishes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from monitor.settings import Settings
from monitor.store.store import Store

EVERY_OTHER: Final = "*"
"""Stands for the projects that are not named."""
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How long runs are kept.

    Attributes:
        keep_days: project -> days after its end at which a run is deleted; a project without an entry keeps all.
        thin_days: project -> days after its end at which a run's curves are downsampled; without an entry never.
        thin_points: about how many points a downsampled series keeps, >= 500.
        purge_days: days for which a deleted run can be restored.
    """

    keep_days: Mapping[str, float] = field(default_factory=dict)
    thin_days: Mapping[str, float] = field(default_factory=dict)
    thin_points: int = 4000
    purge_days: float = 7.0

    @classmethod
    def of(cls, settings: Settings) -> Policy:
        """The policy in the settings."""
        return cls(
            keep_days=settings.retention_days,
            thin_days=settings.downsample_days,
            thin_points=settings.downsample_points,
            purge_days=settings.purge_days,
        )

    def kept_for(self, project: str) -> float | None:
        """Days that a run of a project is kept after its end; None forever."""
        return self.keep_days.get(project, self.keep_days.get(EVERY_OTHER))

    def thinned_after(self, project: str) -> float | None:
        """Days after its end at which a run of a project is downsampled; None for never."""
        return self.thin_days.get(project, self.thin_days.get(EVERY_OTHER))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What one round did, or would do.

    Attributes:
        deleted: runs that can be restored until they are purged.
        thinned: (run, points kept, points removed); both are 0 in a dry run.
        purged: runs that are permanently removed.
        tokens: number of removed tokens that ended long enough ago; the audit log keeps who created them.
    """

    deleted: tuple[str, ...] = ()
    thinned: tuple[tuple[str, int, int], ...] = ()
    purged: tuple[str, ...] = ()
    tokens: int = 0


def keep(
    store: Store,
    policy: Policy,
    now_ms: int,
    *,
    project: str | None = None,
    dry_run: bool = False,
    thinned: Callable[[str, int, int], None] | None = None,
) -> Kept:
    """Apply a policy once.

    Args:
        project: delete and downsample only runs of this project; None for all.
        thinned: called after each downsampled run with (run, points kept, points removed).

    Raises:
        StoreError: the database refused; what was done before stays done.
    """
    deleted: list[str] = []
    thin: list[tuple[str, int, int]] = []
    for name, _ in store.projects():
        if project not in (None, name):
            continue
        days = policy.kept_for(name)
        if days is not None:
            before_ms = _before(now_ms, days)
            if dry_run:
                deleted += store.retirable(before_ms=before_ms, project=name)
            else:
                deleted += store.retire(before_ms=before_ms, now_ms=now_ms, project=name)
        days = policy.thinned_after(name)
        if days is not None:
            for found in _thin(store, policy, name, _before(now_ms, days), now_ms, dry_run, set(deleted)):
                thin.append(found)
                if thinned is not None:
                    thinned(*found)
    before_ms = _before(now_ms, policy.purge_days)
    return Kept(
        deleted=tuple(deleted),
        thinned=tuple(thin),
        purged=(store.purgeable if dry_run else store.purge)(before_ms=before_ms),
        tokens=store.sweep_tokens(before_ms=before_ms, dry_run=dry_run),
    )


def _before(now_ms: int, days: float) -> int:
    """The time `days` ago, including that millisecond."""
    return now_ms - int(days * _DAY_MS) + 1


def _thin(
    store: Store, policy: Policy, project: str, before_ms: int, now_ms: int, dry_run: bool, gone: set[str]
) -> Iterable[tuple[str, int, int]]:
    if dry_run:
        found = store.thinnable(before_ms=before_ms, points=policy.thin_points, project=project)
        # Without what this round would have deleted before.
        return [(run_id, 0, 0) for run_id in found if run_id not in gone]
    return store.thin(before_ms=before_ms, points=policy.thin_points, now_ms=now_ms, project=project)
