"""A policy of somebody else that fails is stood in for, and told of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from planner.commands import CutTask, ProvisionNode
from planner.core import Planner
from planner.events import OffersChanged, SubscriptionAdded, Ticked
from planner.scaling.guarded import Guarded
from planner.scaling.policy import BUILT_IN
from planner.settings import PlannerSettings, ScalingSettings
from tests.planner.building import OFFER, archive_stands, cut, every, feed, one, subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    asked: int = 0


class Crashing:
    """Fails in one way or another."""

    name = "crashing"
    memory_type: ClassVar[type] = Memory

    def __init__(self, fault: Exception | None) -> None:
        self.fault = fault

    def start(self) -> Memory:
        return Memory()

    def step(self, memory: Memory, view: Any) -> Any:
        if self.fault is not None:
            raise self.fault
        return memory, "three nodes"

    def nodes_reachable(self, view: Any) -> int:
        if self.fault is not None:
            raise self.fault
        return 8


@pytest.mark.parametrize("fault", [ZeroDivisionError("division by zero"), KeyError("x"), None])
def test_the_default_decides_where_a_policy_fails_and_says_so(fault: Exception | None) -> None:
    policies = {**BUILT_IN, "crashing": Guarded(policy=Crashing(fault))}
    scaling = ScalingSettings(policy="crashing", put_off_launches=False)
    planner = Planner(PlannerSettings(scaling=scaling), policies)
    feed(planner, OffersChanged(at=0.0, offers=(OFFER,)), archive_stands())
    asked = one(feed(planner, SubscriptionAdded(at=0.0, subscription=subscription())), CutTask)
    commands = feed(planner, cut(asked.task_id, 0.0, 10, 10), Ticked(at=0.0))
    launches = every(commands, ProvisionNode)
    assert launches
    told = type(fault).__name__ if fault else "wanted 'three nodes'"
    assert launches[0].reason.startswith(f"policy crashing failed ({told}")
    assert ", prefix instead: " in launches[0].reason
