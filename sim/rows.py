"""The table of results: one row a run."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from sim.bounding import Best
from sim.simulator import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run in the table of results; `docs/reference/results-table.md` describes its columns."""

    scenario: str
    policy: str
    partitioner: str
    order: str
    seed: int
    cap: int
    tasks: int
    due: int
    on_time: int
    hit_rate: float
    hits_bound: float | None
    undelivered: int
    worst_slack_s: float | None
    p95_tardiness_s: float
    node_seconds: float
    launches: int
    peak_nodes: int
    peak_workers: int
    idle_fraction: float
    boot_fraction: float
    cost: float
    bound_cost: float | None
    regret: float | None
    wall_s: float
    events: int


COLUMNS = tuple(field.name for field in fields(Row))
"""Of the table, in order."""


def row_of(run: Run) -> Row:
    """Return a run as a row, as yet without its bound; its cap is in the scenario's nodes."""
    outcome, settings = run.outcome, run.trial.settings(run.scenario)
    return Row(
        scenario=run.scenario.name,
        policy=settings.scaling.policy,
        partitioner=settings.cutting.partitioner,
        order=settings.dispatch.order,
        seed=run.trial.seed,
        cap=settings.scaling.nodes_max,
        tasks=outcome.tasks,
        due=outcome.due,
        on_time=outcome.on_time,
        hit_rate=outcome.hit_rate,
        hits_bound=None,
        undelivered=outcome.undelivered,
        worst_slack_s=outcome.worst_slack_s,
        p95_tardiness_s=outcome.p95_tardiness_s,
        node_seconds=outcome.node_seconds,
        launches=outcome.launches,
        peak_nodes=outcome.peak_nodes,
        peak_workers=outcome.peak_workers,
        idle_fraction=outcome.idle_fraction,
        boot_fraction=outcome.boot_fraction,
        cost=outcome.cost,
        bound_cost=None,
        regret=None,
        wall_s=run.wall_s,
        events=run.events,
    )


def bounded(row: Row, best: Best | None) -> Row:
    """Return a row with its bounds, and how many times the least cost it cost."""
    if best is None:
        return row
    regret = row.cost / best.cost if best.cost else None
    return replace(row, hits_bound=best.hit_rate, bound_cost=best.cost, regret=regret)
