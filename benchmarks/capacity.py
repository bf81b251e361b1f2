"""How much a deployment holds, from a laptop to 100,000 live runs: a simulation with the costs that were measured.

`bench_scale.py` measures what a batch costs; from a few of its figures this model takes a cost a batch and one for its
points, and is checked against the others. Every write touches one run alone, so that a large fleet is many *cells*
alike: some servers over one PostgreSQL. One cell is simulated, batch by batch. Run it from the checkout:

    python benchmarks/capacity.py            # the tables of docs/scaling.md
    python benchmarks/capacity.py --write    # write them there
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
RESULTS, PAGE = ROOT / "benchmarks/results/scale.json", ROOT / "docs/scaling.md"
FITTED = (1, 100, 10_000)
"""Sizes of batches from which the costs are taken; those between check them."""
USED = 0.7
"""Share of a core that a plan lets be busy: queues grow fast beyond."""
DATABASE_CORES, WAL_MB_S, NET_MB_S, CORE_HOUR, GB_MONTH = 32, 200.0, 1250.0, 0.05, 0.10
"""Assumed, not measured: the largest machine of one PostgreSQL, what its disk and a network take, prices in USD."""
CONNECTIONS, EACH = 100, 11
"""PostgreSQL's `max_connections` by default, and how many a server opens at most; more need PgBouncer."""
FLUSH_S = 0.002
"""Assumed: how long the disk takes to make a commit durable."""

Measured = Mapping[str, float]


@dataclass(frozen=True)
class Cost:
    """What a batch costs: so much, and so much more for its points.

    Bytes grow with the number of points. Processor time grows with its square root, as the measurements show: the more
    points come at once, the less is done for each.
    """

    batch: float
    point: float
    power: float = 0.5

    def of(self, points: float) -> float:
        return self.batch + self.point * points**self.power

    @classmethod
    def fitted(cls, figures: Sequence[Mapping[str, object]], name: str, power: float) -> Cost:
        """What is closest to the measured costs, by ratio; neither part is negative."""
        n = np.array([float(str(each["points"])) for each in figures])
        y = np.array([float(str(each[name])) for each in figures])
        weighted = np.column_stack([1 / y, n**power / y])
        batch, point = np.linalg.lstsq(weighted, np.ones(len(y)), rcond=None)[0]
        if point < 0:
            return cls(float(np.mean(y)), 0.0, power)
        return cls(max(float(batch), 0.0), float(point), power)


@dataclass(frozen=True)
class Costs:
    """Seconds of a core, or bytes, a batch; `disk` is bytes a point, once chunks are merged."""

    embedded: Cost
    server: Cost
    database: Cost
    balancer: Cost
    client: Cost
    wal: Cost
    request: Cost
    disk: float

    @classmethod
    def measured(cls, figures: Sequence[Mapping[str, object]]) -> Costs:
        """The costs that were measured with one server, with HAProxy for its own."""

        def time(what: str, name: str) -> Cost:
            found = Cost.fitted([f for f in figures if f["what"] == what and f["points"] in FITTED], f"{name}_ms", 0.5)
            return Cost(found.batch / 1000, found.point / 1000)

        def size(name: str) -> Cost:
            found = [f for f in figures if f["what"] == "server" and f["points"] in FITTED]
            return Cost.fitted(found, f"{name}_bytes", 1.0)

        largest = max((f for f in figures if f["what"] == "server"), key=lambda f: int(str(f["points"])))
        disk = float(str(largest["disk_bytes"]))
        return cls(
            time("embedded", "server"), time("server", "server"), time("server", "database"),
            time("balanced", "balancer"), time("server", "client"), size("wal"), size("request"), disk,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Servers over one database, and the runs that log to them.

    Attributes:
        rate: points a second of a run.
        interval_s: between two batches of a run, at least; a run has one batch under way.
        size: points of a batch, where it is not what has been logged since the last one.
        servers: processes; 0 for the embedded store.
        cores: of PostgreSQL, or of everything together, clients too, where `shared`.
        slower: by how much everything takes longer than measured, where others use the cores as well.
    """

    runs: int
    rate: float = 0.0
    interval_s: float = 0.5
    size: int = 0
    servers: int = 1
    cores: int = 2
    shared: bool = False
    slower: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a cell does: batches and points a second, cores in use, and how long a batch takes."""

    batches_s: float
    points_s: float
    server_cores: float
    database_cores: float
    p50_ms: float
    p95_ms: float


class Cores:
    """Cores that take work in the order in which it comes."""

    def __init__(self, count: int) -> None:
        self._free, self.busy_s = [0.0] * count, 0.0

    def take(self, at: float, seconds: float) -> float:
        """Do some work that comes at a time; when it is done."""
        done = max(at, heapq.heappop(self._free)) + seconds
        heapq.heappush(self._free, done)
        self.busy_s += seconds
        return done


def simulate(cell: Cell, costs: Costs, *, seconds: float = 20.0, seed: int = 0) -> Outcome:
    """Let a cell run for so long, with each batch a customer that goes from client to server to PostgreSQL."""
    rng = np.random.default_rng(seed)
    database = Cores(cell.cores)
    server = database if cell.shared else Cores(max(cell.servers, 1))
    stages = [(database, costs.client)] if cell.shared and cell.servers else []
    stages += [(server, costs.server), (database, costs.database)] if cell.servers else [(server, costs.embedded)]
    flush_s = FLUSH_S if cell.servers else 0.0
    sent, size = rng.uniform(-max(cell.interval_s, 1e-3), 0, cell.runs), np.zeros(cell.runs)
    events = [(float(at) + cell.interval_s, -1, run) for run, at in enumerate(sent)]  # (when, stage that ends, run)
    heapq.heapify(events)
    waits, points = list[float](), 0.0
    while events[0][0] < seconds:
        now, stage, run = heapq.heappop(events)
        if stage < 0:
            size[run] = cell.size or cell.rate * (now - sent[run])
            sent[run] = now
        elif stage == len(stages):
            if now > seconds / 4:  # what came before is for warming up
                waits.append(now - sent[run])
                points += size[run]
            heapq.heappush(events, (max(now, sent[run] + cell.interval_s), -1, run))
            continue
        stage += 1
        if stage == len(stages):
            done = now + flush_s * (1 + rng.random())  # the flush that is under way, and then its own
        else:
            cores, cost = stages[stage]
            done = cores.take(now, cost.of(size[run]) * cell.slower * rng.gamma(4, 1 / 4))
        heapq.heappush(events, (done, stage, run))
    lasted, taken = seconds * 3 / 4, np.array(waits or [math.inf])
    mean = points / max(len(waits), 1)
    of_database = costs.database.of(mean) * len(waits) / lasted if cell.servers else 0.0
    own = costs.server if cell.servers else costs.embedded
    return Outcome(
        batches_s=len(waits) / lasted, points_s=points / lasted, server_cores=own.of(mean) * len(waits) / lasted,
        database_cores=of_database, p50_ms=1000 * float(np.median(taken)),
        p95_ms=1000 * float(np.quantile(taken, 0.95)),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a fleet needs: cells, and what is in each."""

    name: str
    cells: int
    cell: Cell
    outcome: Outcome
    wal_mb_s: float
    net_mb_s: float
    pooled: bool
    disk_gb_day: float
    next_limit: str
    usd: float


def plan(name: str, costs: Costs, *, runs: int, rate: float, interval_s: float, embedded: bool = False) -> Plan:
    """The smallest deployment that holds a fleet with cores at most `USED`, and what limits it next.

    Args:
        interval_s: `MONITOR_SHIP_INTERVAL_S` of the clients.
        embedded: no server: every run writes to SQLite on its own machine, through one writer.
    """
    batches, size = runs / interval_s, rate * interval_s
    net = batches * costs.request.of(size) / 1e6
    points_s, wal = runs * rate, batches * costs.wal.of(size) / 1e6
    need_servers, need_cores = batches * costs.server.of(size), batches * costs.database.of(size)
    cells = max(1, math.ceil(need_cores / USED / DATABASE_CORES), math.ceil(wal / USED / WAL_MB_S))
    servers = 0 if embedded else math.ceil(need_servers / USED / cells)
    cores = 1 if embedded else max(1, math.ceil(need_cores / USED / cells))
    cell = Cell(runs=math.ceil(runs / cells), rate=rate, interval_s=interval_s, servers=servers, cores=cores)
    outcome = simulate(cell, costs, seconds=max(3 * interval_s, min(20.0, 30_000 * cells / batches)))
    busy = (outcome.server_cores + outcome.database_cores) * cells
    disk_gb_day = points_s * costs.disk * 86_400 / 1e9
    used = {
        "cores": need_cores / cells / DATABASE_CORES,
        "WAL": wal / cells / WAL_MB_S,
        "connections": 0.0 if servers * EACH > CONNECTIONS else servers * EACH / CONNECTIONS,
        "balancer's network": net / NET_MB_S,
    }
    if embedded:
        used = {"SQLite's writer": outcome.server_cores}
    limit = max(used, key=lambda each: used[each])
    usd = busy / USED * CORE_HOUR / 3600 / points_s * 1e9 + costs.disk * GB_MONTH * 12
    return Plan(
        name=name, cells=cells, cell=cell, outcome=outcome, wal_mb_s=0.0 if embedded else wal,
        net_mb_s=0.0 if embedded else net, disk_gb_day=disk_gb_day,
        pooled=servers * EACH > CONNECTIONS,
        next_limit=f"{limit}: {used[limit]:.0%}", usd=usd,
    )  # fmt: skip


FLEETS: Sequence[tuple[str, int, float, float]] = (
    ("a laptop, embedded", 4, 100, 0.5),
    ("one server", 80, 20, 0.5),
    ("a team", 1_000, 50, 0.5),
    ("the same", 1_000, 50, 5.0),
    ("four busy replicas", 240, 5_000, 0.5),
    ("an institute", 10_000, 100, 2.0),
    ("a fleet", 100_000, 100, 5.0),
    ("the same", 100_000, 100, 0.5),
)
"""What is planned: a name, live runs, points a second of each, and the seconds between its batches."""


def plans(costs: Costs) -> list[Plan]:
    return [
        plan(name, costs, runs=runs, rate=rate, interval_s=every, embedded=runs < 10)
        for name, runs, rate, every in FLEETS
    ]


def plan_table(costs: Costs) -> str:
    """The plans, as Markdown."""
    lines = [
        "| fleet | runs | points/s | every | servers | PostgreSQL | WAL, net MB/s | disk a day | p95 "
        "| next limit | USD |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (name, runs, rate, every), made in zip(FLEETS, plans(costs), strict=True):
        embedded = made.cell.servers == 0
        machines = "SQLite" if embedded else f"{made.cells:,} × {made.cell.cores}{' pooled' * made.pooled}"
        moved = "" if embedded else f"{_short(made.wal_mb_s)}, {_short(made.net_mb_s)}"
        lines.append(
            f"| {name} | {runs:,} | {runs * rate:,.0f} | {every:g} s | {made.cells * made.cell.servers:,} | {machines} "
            f"| {moved} | {_short(made.disk_gb_day)} GB | {made.outcome.p95_ms:,.0f} ms | {made.next_limit} "
            f"| {made.usd:.2f} |"
        )
    return "\n".join(lines)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


@dataclass(frozen=True)
class Check:
    """A figure that the model was not given, measured and simulated."""

    what: str
    measured: float
    simulated: float
    unit: str

    @property
    def ratio(self) -> float:
        return self.simulated / self.measured


def checks(figures: Sequence[Mapping[str, object]], costs: Costs) -> list[Check]:
    """The model against everything that was measured and that its costs do not come from."""
    found = []
    for each in figures:
        what, points, servers = str(each["what"]), int(str(each["points"])), int(str(each["servers"]))
        own = {name: float(str(each[name])) for name in ("cores", "batches", "seconds", "server_ms", "database_ms")}
        measured = own["batches"] / own["seconds"]
        if what == "paced":
            runs = int(str(each["runs"]))
            made = simulate(Cell(runs=runs, rate=20, interval_s=0.5, servers=1, cores=2), costs)
            spent = measured * (own["server_ms"] + own["database_ms"]) / 1000
            name = f"one server, {runs} live runs at 20 points/s: its cores and PostgreSQL's"
            found.append(Check(name, spent, made.server_cores + made.database_cores, "cores"))
            continue
        if points in FITTED and what in ("server", "embedded"):
            continue
        cell = Cell(runs=1 if what == "embedded" else 4 * servers, interval_s=0.0, size=points, servers=servers)
        cores = 1 if what == "embedded" else 2
        cell = replace(cell, cores=cores, shared=True, slower=cores / own["cores"])
        with_balancer = costs
        if what == "balanced":  # it works for every batch, as the client does
            both = Cost(costs.client.batch + costs.balancer.batch, costs.client.point + costs.balancer.point)
            with_balancer = replace(costs, client=both)
        made = simulate(cell, with_balancer, seconds=5.0)
        name = {"embedded": "embedded", "server": "one server", "replicas": f"{servers} servers"}.get(
            what, f"{servers} servers behind HAProxy"
        )
        found.append(Check(f"{name}, {points:,} points a batch", measured, made.batches_s, "batches/s"))
    return found


def cost_table(figures: Sequence[Mapping[str, object]]) -> str:
    """What a batch of each size cost one server, as Markdown."""
    lines = ["| points a batch | embedded, ms of a core | server, ms | PostgreSQL, ms | WAL, sent, KB |"]
    lines.append("|---|---|---|---|---|")
    by = {(str(each["what"]), int(str(each["points"]))): each for each in figures}
    for size in sorted({points for what, points in by if what == "server"}):
        own, one = by["embedded", size], by["server", size]
        parts = [f"{own['server_ms']:.1f}", f"{one['server_ms']:.1f}", f"{one['database_ms']:.1f}"]
        parts.append(", ".join(f"{float(str(one[name])) / 1000:.3g}" for name in ("wal_bytes", "request_bytes")))
        lines.append(f"| {size:,} | {' | '.join(parts)} |")
    return "\n".join(lines)


def limit_table(figures: Sequence[Measured]) -> str:
    """What four servers stored with the cores that they got, and what a million points took, as Markdown."""
    lines = ["| points a batch | directly, points/s (cores in use) | behind HAProxy | seconds of a core |"]
    lines.append("|---|---|---|---|")
    by = {(str(each["what"]), int(each["points"])): each for each in figures}
    for size in sorted(n for what, n in by if what == "balanced"):
        both = [by[what, size] for what in ("replicas", "balanced")]
        rates = [f"{size * f['batches'] / f['seconds']:,.0f} ({f['cores']:.1f})" for f in both]
        took = ", ".join(
            _short(1000 * both[1][f"{part}_ms"] / size) for part in ("server", "database", "balancer", "client")
        )
        lines.append(f"| {size:,} | {' | '.join(rates)} | {took} |")
    return "\n".join(lines)


def check_table(figures: Sequence[Mapping[str, object]], costs: Costs) -> str:
    """The checks, as Markdown."""
    lines = ["| | measured | simulated | ratio |", "|---|---|---|---|"]
    for each in checks(figures, costs):
        digits = 2 if each.unit == "cores" else 0
        values = [f"{value:,.{digits}f} {each.unit}" for value in (each.measured, each.simulated)]
        lines.append(f"| {each.what} | {' | '.join(values)} | {each.ratio:.2f} |")
    return "\n".join(lines)


def written(page: str, tables: Mapping[str, str]) -> str:
    """The page with its tables replaced, each between two comments with its name."""
    for name, table in tables.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, rest = page.split(begin)
        page = f"{before}{begin}\n{table}\n\n{end}{rest.split(end)[1]}"
    return page


def tables() -> dict[str, str]:
    """The tables of the page, from the figures in the repository."""
    figures = json.loads(RESULTS.read_text(encoding="utf-8"))["figures"]
    costs = Costs.measured(figures)
    shown = {"costs": cost_table(figures), "limits": limit_table(figures), "capacity": plan_table(costs)}
    return {**shown, "capacity checks": check_table(figures, costs)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the tables into docs/scaling.md")
    given = parser.parse_args()
    found = tables()
    print("\n\n".join(found.values()))
    if given.write:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")


if __name__ == "__main__":
    main()
