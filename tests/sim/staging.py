"""Small loads whose course can be worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from planner.commands import CutTask
from planner.durations import COMMON_ERROR_PRIOR, SCATTER_PRIOR
from planner.events import (
    AnyEvent,
    ApplicationCalibrated,
    OffersChanged,
    SubscriptionAdded,
    TaskCut,
)
from planner.model import Features, NodeOffer, PartSpec, Subscription, UnitCosts
from planner.scaling.policy import BUILT_IN
from planner.settings import PlannerSettings
from sim.stage import Stage
from tests.planner.building import ARGO, archive_stands, subscription

NODE = NodeOffer(
    node_type="vm", slots=2, slots_max=2, boot_s=2.0, nodes_max=8, price_per_h=0.36, quantum_s=0.0
)
COSTS = UnitCosts(base_s=0.0, file_s=0.01, megabyte_s=0.0, value_s=0.0)
"""A hundred files take a second."""

SETTLE_S = 0.5
"""Combining and delivering a product of no size, in the median."""


def wish(name: str, deadline_s: float | None, **others: Any) -> Subscription:
    """Return a first delivery."""
    return subscription(name, deadline_s=deadline_s, **others)


def cut_into(files: Mapping[str, Sequence[int]], command: CutTask, at: float) -> TaskCut:
    """Cut a task into parts of so many files, whatever is asked for."""
    parts = tuple(
        PartSpec(extent=command.selections[0].view.extent, features=Features(files=count))
        for count in files[command.subscription_id]
    )
    return TaskCut(at=at, task_id=command.task_id, parts=parts, partitioner="even", version="1")


def load_of(*wishes: Subscription, node: NodeOffer = NODE) -> list[AnyEvent]:
    """Return first deliveries, all at once."""
    return [
        OffersChanged(at=0.0, offers=(node,)),
        ApplicationCalibrated(at=0.0, dataset=ARGO, application="argo", costs=COSTS),
        archive_stands(),
        *(SubscriptionAdded(at=0.0, subscription=each) for each in wishes),
    ]


def stage_of(
    files: Mapping[str, Sequence[int]],
    *wishes: Subscription,
    policy: str = "none",
    nodes_max: int = 8,
    node: NodeOffer = NODE,
) -> Stage:
    """Return a stage on which each task has parts of so many files."""
    plain = PlannerSettings()
    scaling = replace(plain.scaling, policy=policy, nodes_max=nodes_max, put_off_launches=False)
    return Stage(
        replace(plain, scaling=scaling),
        BUILT_IN,
        load_of(*wishes, node=node),
        lambda command, at: cut_into(files, command, at),
    )


def slow_s(work_s: float, parts: int) -> float:
    """Return the 90 % quantile of the work of equal parts, by the formula of the docs."""
    z = 1.2815515655446004
    scatter_s = SCATTER_PRIOR * work_s / parts**0.5
    return float(work_s + z * (scatter_s**2 + (COMMON_ERROR_PRIOR * work_s) ** 2) ** 0.5)
