"""Money is promised once, spent within the budget, and asked for again when it comes back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.budget import money_left
from planner.commands import DrainNode, ProvisionNode, RemoveNode, RunPart, UndrainNode, WakeAt
from planner.core import Planner
from planner.events import NodeReady, NodeRemoved, OffersChanged, Ticked
from planner.fleet import RESERVED_S, reservation
from planner.model import NodeOffer
from planner.settings import PlannerSettings, ScalingSettings
from tests.planner.building import archive_stands, every, feed, one, opened_task

DEAR = NodeOffer(
    node_type="dear", slots=2, slots_max=2, boot_s=0.0, nodes_max=8, price_per_h=3600.0
)
FREE = replace(DEAR, node_type="free", price_per_h=0.0, boot_s=60.0)
"""A second of `DEAR` costs 1."""


def under(budget: float, *offers: NodeOffer, period_s: float = 86_400.0) -> Planner:
    """Return a planner with a budget that would like eight nodes at once."""
    scaling = ScalingSettings(
        policy="none", nodes_min=8, nodes_max=8, budget=budget, budget_period_s=period_s
    )
    planner = Planner(PlannerSettings(scaling=scaling))
    feed(planner, OffersChanged(at=0.0, offers=offers or (DEAR,)), archive_stands())
    return planner


def left(planner: Planner, at: float) -> float:
    return money_left(planner.books.fleet, planner.settings.scaling, at)


def asked(planner: Planner, at: float) -> list[ProvisionNode]:
    return every(planner.handle(Ticked(at=at)), ProvisionNode)


def removed_at(planner: Planner, at: float, *node_ids: str) -> None:
    feed(planner, *(NodeRemoved(at=at, node_id=node_id) for node_id in node_ids))


def test_money_that_is_set_aside_is_not_promised_again() -> None:
    planner = under(3.5 * reservation(DEAR))
    assert [len(asked(planner, float(at))) for at in range(5)] == [3, 0, 0, 0, 0]
    assert left(planner, 5.0) == 0.5 * reservation(DEAR)


def test_a_node_that_costs_nothing_is_had_when_no_money_is_left() -> None:
    planner = under(1.5 * reservation(DEAR), DEAR, replace(FREE, nodes_max=2))
    asked_for = [node.node_type for at in range(5) for node in asked(planner, float(at))]
    assert sorted(asked_for) == ["dear", "free", "free"]


def test_a_dear_node_is_not_had_for_the_price_of_a_cheap_one() -> None:
    cheap = replace(DEAR, node_type="cheap", price_per_h=360.0, boot_s=500.0, nodes_max=1)
    planner = under(reservation(cheap) + 0.5 * reservation(DEAR), cheap, DEAR)
    assert [node.node_type for at in range(5) for node in asked(planner, float(at))] == ["cheap"]


def test_a_node_goes_when_its_money_and_all_other_is_spent() -> None:
    planner = under(1.5 * RESERVED_S)
    opened_task(planner, 100_000, deadline_s=None)
    node_id = one(planner.handle(Ticked(at=0.0)), ProvisionNode).node_id
    feed(planner, NodeReady(at=0.0, node_id=node_id, workers=2))
    at, commands = 0.0, planner.handle(Ticked(at=0.0))
    one(commands, RunPart)
    for _ in range(100):
        if drained := every(commands, DrainNode):
            break
        at = planner.books.desk.woken_for or at
        commands = planner.handle(Ticked(at=at))
    assert [drain.node_id for drain in drained] == [node_id]
    assert 1.5 * RESERVED_S <= at <= 1.5 * RESERVED_S + 1.0
    later = planner.handle(Ticked(at=at + 10.0))
    assert not every(later, UndrainNode)


def test_one_that_stands_within_its_own_money_stays() -> None:
    planner = under(RESERVED_S)
    node_id = asked(planner, 0.0)[0].node_id
    feed(planner, NodeReady(at=0.0, node_id=node_id, workers=2))
    commands = planner.handle(Ticked(at=RESERVED_S - 1.0))
    assert not every(commands, RemoveNode)


def test_the_planner_is_woken_when_money_comes_back() -> None:
    planner = under(1.2 * RESERVED_S, period_s=5000.0)
    opened_task(planner, 10, deadline_s=None)
    node_id = asked(planner, 0.0)[0].node_id
    removed_at(planner, 1000.0, node_id)
    commands = planner.handle(Ticked(at=1000.0))
    assert not every(commands, ProvisionNode)
    assert one(commands, WakeAt).wake_at == 6000.0
    assert len(asked(planner, 6000.0)) == 1


@pytest.mark.parametrize("period_s", [10.0, 1e9])
def test_what_no_period_reaches_is_forgotten(period_s: float) -> None:
    planner = under(1e6, period_s=period_s)
    for turn in range(20):
        node_ids = [node.node_id for node in asked(planner, 100.0 * turn)]
        removed_at(planner, 100.0 * turn + 50.0, *node_ids)
    payments = planner.books.fleet.ledger.paid
    assert len(payments) == (8 if period_s == 10.0 else 160)
