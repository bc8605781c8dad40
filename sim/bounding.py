"""What the tasks of a run cost at least, and how many can be met: the question, its answer.

A question is as small as its answer needs, so that it can be put once for all policies that met the
same tasks, and in another process.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate

from sim.bound.cost import cost_bound
from sim.bound.hits import most_hits
from sim.bound.terms import Demand, FleetTerms, NodeTerms
from sim.chance import Chance
from sim.luck import drawn_boot_s
from sim.scenario import NodeType, Scenario
from sim.simulator import Demand as Asked
from sim.simulator import Run

BOOTS_LOOKED_AT = 1000
"""Nodes whose luck is looked at for the least mean boot: by then a mean hardly falls further."""

SECONDS_PER_H = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of `sim.bound`.

    Parameters
    ----------
    demands : tuple of Demand
    fleet : FleetTerms
    key : str
        The same for the same question.
    """

    demands: tuple[Demand, ...]
    fleet: FleetTerms
    key: str


def question_of(run: Run) -> Question | None:
    """Return what to ask about a run; None where it had no task, or some were withdrawn."""
    if not run.demands or run.scenario.faults.withdrawn > 0:
        return None
    settled_s = run.scenario.storage.combine_s + run.scenario.storage.deliver_s
    demands = tuple(sorted(_demands(run.demands, settled_s)))
    cap = float(run.settings.scaling.nodes_max)
    fleet = FleetTerms(types=_terms(run.scenario, run.trial.seed), nodes_max=cap)
    key = blake2b(repr((demands, fleet)).encode(), digest_size=16).hexdigest()
    return Question(demands=demands, fleet=fleet, key=key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """What no run of the same tasks goes beyond.

    Parameters
    ----------
    cost : float or None
        The least; None where nothing costs anything.
    hit_rate : float
        The most of the deadlines that can be met.
    """

    cost: float | None
    hit_rate: float


def best_possible(question: Question) -> Best:
    """Return the least cost and the most hits of some tasks.

    All that are not out of reach can be met, unless the fleet is too small for all of them; then
    whole numbers are sought, as far as that goes in little time.
    """
    least = cost_bound(question.demands, question.fleet)
    due = sum(one.due_at < math.inf for one in question.demands)
    if least.meetable:
        met = float(sum(one.due_at < math.inf for one in least.sorted.within_reach))
    else:
        met = most_hits(question.demands, question.fleet).proven
    return Best(cost=least.cost or None, hit_rate=met / due if due else 1.0)


def _demands(asked: Iterable[Asked], settled_s: float) -> Iterable[Demand]:
    """Return tasks as the bound sees them: they must be done before they are delivered."""
    for one in asked:
        due_at = math.inf if one.deadline_at is None else one.deadline_at - settled_s
        yield Demand(
            id="",
            released_at=one.released_at,
            due_at=due_at,
            work_s=one.work_s,
            longest_s=one.longest_s,
            parallel_max=one.parts,
        )


def _terms(scenario: Scenario, seed: int) -> tuple[NodeTerms, ...]:
    return tuple(
        NodeTerms(
            slots=kind.slots_max or kind.slots,
            speed=kind.runs_at,
            boot_s=_boot_s(scenario, kind, Chance(seed=seed)),
            price_per_s=kind.price_per_h / SECONDS_PER_H,
            quantum_s=kind.quantum_s,
            nodes_max=float(kind.nodes_max),
        )
        for kind in scenario.fleet
    )


def _boot_s(scenario: Scenario, kind: NodeType, chance: Chance) -> float:
    """Return a boot time that no run's launches are below, on average [s].

    Notes
    -----
    Nodes meet their luck by number, so a run pays for the first so many boots, whoever decides, and
    the least mean of any first so many is a bound. Where numbers can be passed over (a request is
    refused, or another type is taken) it is the shortest that there can be. Requests that a policy
    takes back while the node boots are left out of account.
    """
    faults = scenario.faults
    passed_over = faults.create_refused + faults.boot_lost + faults.boot_hung
    if passed_over > 0 or len(scenario.fleet) > 1:
        return kind.boot_s_min
    boots_s = [drawn_boot_s(kind, chance, number) for number in range(1, BOOTS_LOOKED_AT + 1)]
    return min(total_s / count for count, total_s in enumerate(accumulate(boots_s), 1))
