"""A load that can be rehearsed again and again, in better and worse luck and under other settings.

What the planner believes before anything was measured is also how long things truly take: at the
median, or all of them at a higher quantile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from planner.books import Books
from planner.commands import AnyCommand, CutTask, RunPart
from planner.core import Planner
from planner.course import Course
from planner.durations import RunTimes
from planner.events import (
    AnyEvent,
    ApplicationCalibrated,
    OffersChanged,
    SubscriptionAdded,
    TaskCut,
    Ticked,
)
from planner.model import Features, NodeOffer, Subscription
from planner.report import MEDIAN
from planner.results import Results
from planner.savings import AS_PLANNED, Variant
from planner.scaling.policy import Policy
from planner.settings import PlannerSettings
from sim.rehearsal import Cutter, Foreseen, Settling, rehearse

COMBINE_SHARE = 0.9
"""Of the time that combining and delivering a product take together, to a local disc."""

BYTES_A_VALUE = 700
"""Of a product, for each parameter of a file that goes into it [bytes]: 480 to 920 on real ones."""


class Stage:
    """A load and the planner that is to serve it.

    Parameters
    ----------
    settings : PlannerSettings
    policies : mapping of str to Policy
    events : sequence of AnyEvent
        All that comes from outside, with the offers of nodes.
    cut : callable
        Answers `CutTask` as the real cutter does.
    """

    def __init__(
        self,
        settings: PlannerSettings,
        policies: Mapping[str, Policy],
        events: Sequence[AnyEvent],
        cut: Cutter,
    ) -> None:
        self.settings = settings
        self._policies = policies
        self._events = list(events)
        self._cut = cut
        self.believed = self._believed(settings, self._events)

    def course(self, variant: Variant = AS_PLANNED, quantile: float = MEDIAN) -> Course:
        """Return how the load goes in a variant, with everything at a quantile."""
        course = Course()
        self.rehearse(variant, quantile, course.see)
        return course

    def rehearse(
        self,
        variant: Variant = AS_PLANNED,
        quantile: float = MEDIAN,
        watch: Callable[[AnyEvent, list[AnyCommand]], None] = lambda event, commands: None,
    ) -> Results:
        """Rehearse the load once and return what came of it; `watch` is shown each step."""
        settings = _varied_settings(self.settings, variant)
        events = [_varied_event(event, variant) for event in self._events]
        nature = nature_at(quantile, self._believed(settings, events), self._cut)
        return rehearse(Planner(settings, self._policies), nature, events, watch)

    def tasks(self) -> list[CutTask]:
        """Return what the planner would have cut, without rehearsing any of it."""
        planner = Planner(self.settings, self._policies)
        commands: list[AnyCommand] = []
        at = -math.inf
        for event in sorted(self._events, key=lambda event: event.at):
            commands += planner.handle(event)
            at = event.at
        while planner.books.desk.pages:
            commands += planner.handle(Ticked(at=at))
        return [command for command in commands if isinstance(command, CutTask)]

    def _believed(self, settings: PlannerSettings, events: Sequence[AnyEvent]) -> Books:
        planner = Planner(settings, self._policies)
        for event in events:
            if isinstance(event, OffersChanged | ApplicationCalibrated):
                planner.handle(event)
        return planner.books


@dataclass(slots=True, kw_only=True)
class _Fate:
    """How much longer than expected a task's parts run, by dataset; how large its product is."""

    stretches: dict[str, float]
    size_bytes: int


def nature_at(quantile: float, believed: Books, cut: Cutter) -> Foreseen:
    """Return a nature by which all that is believed comes true, at a quantile.

    The parts of a task take together what they take with this chance: the error that they share
    decides it, their own errors average out.
    """
    fates: dict[str, _Fate] = {}

    def cut_and_seal(command: CutTask, at: float) -> TaskCut:
        event = cut(command, at)
        stretches = {}
        for place, selection in enumerate(command.selections):
            features = [part.features for part in event.parts if part.selection == place]
            times = believed.times(selection.view.dataset)
            stretches[selection.view.dataset] = _stretch(times, features, quantile)
        values = sum(part.features.values for part in event.parts)
        fates[command.task_id] = _Fate(stretches=stretches, size_bytes=BYTES_A_VALUE * values)
        return event

    def run_s(command: RunPart, features: Features) -> float:
        dataset = command.view.dataset
        stretch = fates[command.task_id].stretches[dataset]
        return believed.times(dataset).mean_s(features) * stretch

    def settle(task_id: str) -> Settling:
        size_bytes = fates[task_id].size_bytes
        both_s = believed.settle.quantile(quantile, size_bytes)
        return Settling(both_s * COMBINE_SHARE, both_s * (1.0 - COMBINE_SHARE), size_bytes)

    return Foreseen(
        cut_as=cut_and_seal,
        run_s=run_s,
        settle=settle,
        boot_s=lambda offer: believed.boots.quantile(offer.node_type, quantile),
    )


def _stretch(times: RunTimes, features: Sequence[Features], quantile: float) -> float:
    """Return how much longer than expected such parts take together, at a quantile."""
    usual_s = math.fsum(map(times.mean_s, features))
    return times.total_quantile_s(features, quantile) / usual_s if usual_s > 0 else 1.0


def _varied_settings(settings: PlannerSettings, variant: Variant) -> PlannerSettings:
    scaling, cutting = settings.scaling, settings.cutting
    if variant.nodes_max is not None:
        policy = "prefix" if scaling.policy == "none" else scaling.policy
        nodes_min = min(scaling.nodes_min, variant.nodes_max)
        scaling = replace(scaling, policy=policy, nodes_min=nodes_min, nodes_max=variant.nodes_max)
    if variant.one_worker:
        scaling = replace(scaling, policy="none", nodes_min=0, nodes_max=1)
    cutting = replace(
        cutting,
        partitioner=variant.partitioner or cutting.partitioner,
        parts_per_worker=variant.parts_per_worker or cutting.parts_per_worker,
    )
    return replace(settings, scaling=scaling, cutting=cutting)


def _varied_event(event: AnyEvent, variant: Variant) -> AnyEvent:
    match event:
        case OffersChanged():
            return replace(event, offers=tuple(_varied_offer(o, variant) for o in event.offers))
        case SubscriptionAdded(subscription=wish) if wish.id in variant.deadlines_s:
            due_s = variant.deadlines_s[wish.id]
            return replace(event, subscription=_due(wish, event.at, due_s))
    return event


def _varied_offer(offer: NodeOffer, variant: Variant) -> NodeOffer:
    if variant.one_worker:
        return replace(offer, slots=1, slots_max=1)
    if variant.nodes_max is not None:
        return replace(offer, nodes_max=max(offer.nodes_max, variant.nodes_max))
    return offer


def _due(wish: Subscription, at: float, due_s: float) -> Subscription:
    if wish.deadline_at is not None:
        return replace(wish, deadline_at=at + due_s)
    return replace(wish, deadline_s=due_s)
