"""Queries on the run list: one set of filters, from the command line down to SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict


class RunFilters(TypedDict, total=False):
    """The fields of `RunQuery` by name, for calls such as `api.runs_page(project="p")`."""

    project: str | None
    group: str | None
    status: str | tuple[str, ...] | None
    verdict: str | tuple[str, ...] | None
    search: str | None
    query: str | None
    order: str
    limit: int
    offset: int
    sparkline: int
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQuery:
    """Which runs a list shows, in which order, and how much of each. None does not filter.

    Attributes:
        project: only runs of this project.
        group: only runs of this group.
        status: only runs with this status, or one of these.
        verdict: only runs with this verdict, or one of these.
        search: words that the name, project, group or the beginning of the id must contain.
        query: such as `val.best < 0.3 and tags.team = "vision" order by val.best`; see `docs/store.md`. Applies in
            addition to the other filters; its order comes first.
        order: column to sort by, with a leading "-" for descending; runs without a value come last.
        limit: most runs returned; 0 to 1000.
        offset: runs to skip.
        sparkline: values per sparkline; 0 for none; at most 64 are stored.
        metrics: series whose last value and extremes are read with each run.
    """

    project: str | None = None
    group: str | None = None
    status: str | tuple[str, ...] | None = None
    verdict: str | tuple[str, ...] | None = None
    search: str | None = None
    query: str | None = None
    order: str = "-created"
    limit: int = 100
    offset: int = 0
    sparkline: int = 0
    metrics: tuple[str, ...] = ()

    @property
    def filters(self) -> bool:
        """True if some runs may be filtered out."""
        return any((self.project, self.group, self.status, self.verdict, self.search, self.query))
