"""What the runs of an experiment come to: one line for each choice, and one sentence for all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean

from sim.rows import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A figure over several seeds: its mean, and how far it went."""

    mean: float
    least: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was tried, over all its seeds.

    Parameters
    ----------
    policy, partitioner, order : str
    label : str
        As short as tells it from the others.
    runs, due, on_time : int
        Of all seeds together.
    hit_rate, cost : Spread
    hits_bound : Spread or None
        None where a run has no bound.
    regret : Spread or None
        None where a run has no bound.
    over_best : Spread or None
        Cost over that of the first choice, seed by seed; None where it has no seed in common, or
        that one cost nothing.
    node_seconds : float
        On average [s].
    launches, idle_fraction, boot_fraction : float
        On average.
    peak_nodes, peak_workers : int
        The most of all seeds.
    worst_slack_s : float or None
        The smallest of all seeds [s].
    p95_tardiness_s : float
        The largest of all seeds [s].
    """

    policy: str
    partitioner: str
    order: str
    label: str
    runs: int
    due: int
    on_time: int
    hit_rate: Spread
    hits_bound: Spread | None
    cost: Spread
    regret: Spread | None
    over_best: Spread | None
    node_seconds: float
    launches: float
    idle_fraction: float
    boot_fraction: float
    peak_nodes: int
    peak_workers: int
    worst_slack_s: float | None
    p95_tardiness_s: float

    @property
    def met_all(self) -> bool:
        """Whether every deadline of every seed was met."""
        return self.on_time == self.due


def summary_of(rows: Iterable[Row]) -> tuple[Choice, ...]:
    """Return a line for each policy, partitioner and order: most hits first, then the cheapest."""
    groups = [list(group) for _, group in groupby(sorted(rows, key=_tried), key=_tried)]
    groups.sort(key=lambda group: (-_hits(group), fmean(row.cost for row in group)))
    several = [len({_tried(group[0])[place] for group in groups}) > 1 for place in range(3)]
    return tuple(_choice(group, groups[0], several) for group in groups)


def verdict(choices: Sequence[Choice]) -> str:
    """Return in one plain sentence what came of it."""
    if not choices:
        return "Nothing was run to its end."
    if not any(choice.due for choice in choices):
        return f"No task had a deadline; {choices[0].label} cost least{_at(choices[0])}."
    first = choices[0]
    whole = [choice for choice in choices if choice.met_all]
    if not whole:
        counted = f"{first.on_time:,} of {first.due:,}"
        who = f"{first.label} met" if len(choices) == 1 else f"{first.label} came nearest with"
        none = "Not all deadlines were met" if len(choices) == 1 else "No choice met all deadlines"
        return f"{none}: {who} {counted}, at a cost of {first.cost.mean:.4g}."
    best = whole[0]
    runs = f" of {best.runs} runs" if best.runs > 1 else ""
    told = f"{best.label} met all {best.due:,} deadlines{runs}{_at(best)}"
    if len(choices) == 1:
        return f"{told}."
    if len(whole) == 1:
        return f"{told}; no other choice met all."
    return f"{told}; it was the cheapest of the {len(whole)} that met all."


def _at(choice: Choice) -> str:
    if choice.regret is None:
        return f", at a cost of {choice.cost.mean:.4g}"
    return f", at {choice.regret.mean:.2f} times the bound"


def _tried(row: Row) -> tuple[str, str, str]:
    return row.policy, row.partitioner, row.order


def _hits(rows: Sequence[Row]) -> float:
    return fmean(row.hit_rate for row in rows)


def _choice(rows: Sequence[Row], best: Sequence[Row], several: Sequence[bool]) -> Choice:
    first = rows[0]
    slacks = [row.worst_slack_s for row in rows if row.worst_slack_s is not None]
    named = [name for name, shown in zip(_tried(first), several, strict=True) if shown]
    return Choice(
        policy=first.policy,
        partitioner=first.partitioner,
        order=first.order,
        label=", ".join(named) or first.policy,
        runs=len(rows),
        due=sum(row.due for row in rows),
        on_time=sum(row.on_time for row in rows),
        hit_rate=_spread([row.hit_rate for row in rows]),
        hits_bound=_whole([row.hits_bound for row in rows]),
        cost=_spread([row.cost for row in rows]),
        regret=_whole([row.regret for row in rows]),
        over_best=_beside(rows, best),
        node_seconds=fmean(row.node_seconds for row in rows),
        launches=fmean(row.launches for row in rows),
        idle_fraction=fmean(row.idle_fraction for row in rows),
        boot_fraction=fmean(row.boot_fraction for row in rows),
        peak_nodes=max(row.peak_nodes for row in rows),
        peak_workers=max(row.peak_workers for row in rows),
        worst_slack_s=min(slacks, default=None),
        p95_tardiness_s=max(row.p95_tardiness_s for row in rows),
    )


def _spread(values: Sequence[float]) -> Spread:
    return Spread(mean=fmean(values), least=min(values), most=max(values))


def _whole(values: Sequence[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    return _spread(known) if len(known) == len(values) else None


def _beside(rows: Sequence[Row], best: Sequence[Row]) -> Spread | None:
    """Return cost over the first choice's on the same seeds: luck that both met cancels out."""
    costs = {row.seed: row.cost for row in best}
    ratios = [row.cost / costs[row.seed] for row in rows if costs.get(row.seed)]
    return _spread(ratios) if ratios else None
