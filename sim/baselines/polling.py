"""The frame of a rule that looks at the world at fixed intervals, as all the peers do.

A planner asks its policy after every batch of events; a peer looks every so many seconds. So
between polls a rule does nothing but ask to be woken for the next. Polls lie on whole multiples of
the period: an arrival waits for the next one as it does in a service that has long been running.
When nothing waits, runs or stands beyond the least fleet the rule sleeps until something happens.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Generic, TypeVar

from planner.scaling.view import NodePhase, ScalingView, Wanted
from sim.baselines.situation import SOON_S, Situation


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """What every rule remembers.

    Parameters
    ----------
    next_at : float or None
        When it polls next [POSIX s]; None when it sleeps.
    """

    next_at: float | None = None


MemoryT = TypeVar("MemoryT", bound=Polled)


@dataclass(frozen=True, slots=True, kw_only=True)
class PollingRule(ABC, Generic[MemoryT]):
    """A policy that polls. A rule fills in `poll`, and where it needs them `always` and `idles`.

    Parameters
    ----------
    name : str
    period_s : float
        From one poll to the next [s].
    """

    name: str
    period_s: float
    memory_type: ClassVar[type]
    pods: ClassVar[bool] = False
    """Whether it asks for pods of one slot, at the price of a slot, instead of nodes."""

    def start(self) -> MemoryT:
        """Return the memory of a rule that has not polled yet."""
        memory: MemoryT = self.memory_type()
        return memory

    def step(self, memory: MemoryT, view: ScalingView) -> tuple[MemoryT, Wanted]:
        """Poll when the time has come; else ask to be woken for it."""
        if not _is_anything_there(view):
            return (memory if memory.next_at is None else replace(memory, next_at=None)), Wanted()
        memory, wanted = self.always(memory, view)
        next_at = coming(memory.next_at, self.period_s, view.now)
        if view.now < next_at - SOON_S:
            memory = memory if memory.next_at == next_at else replace(memory, next_at=next_at)
            return memory, _bounded(_waking(wanted, next_at), view)
        situation = Situation(view)
        memory, found = self.poll(memory, situation)
        wanted = _both(wanted, found)
        acts = wanted.launches or wanted.releases or wanted.keeps
        idle_until = view.now if acts else self.idles(memory, situation)
        next_at = following(self.period_s, view.now)
        if idle_until > next_at:
            memory = replace(memory, next_at=None)
            next_at = on_grid(self.period_s, idle_until)
        else:
            memory = replace(memory, next_at=next_at)
        return memory, _bounded(_waking(wanted, next_at), view)

    def nodes_reachable(self, view: ScalingView) -> int:
        """Return the room that is left in the fleet."""
        return view.nodes_allowed if view.offers else 0

    @abstractmethod
    def poll(self, memory: MemoryT, situation: Situation) -> tuple[MemoryT, Wanted]:
        """Return what one poll decides."""

    def always(self, memory: MemoryT, view: ScalingView) -> tuple[MemoryT, Wanted]:
        """Return what happens at any time: nodes that leave by themselves, a window that closes."""
        return memory, Wanted()

    def idles(self, memory: MemoryT, situation: Situation) -> float:
        """Return until when further polls would decide the same if nothing happens [POSIX s].

        Polls until then are left out, which decides nothing and saves time.
        """
        return situation.now


def on_grid(period_s: float, at: float) -> float:
    """Return the first instant at or after `at` at which such a period ends [POSIX s]."""
    return at if at == math.inf else math.ceil((at - SOON_S) / period_s) * period_s


def following(period_s: float, now: float) -> float:
    """Return the first instant after now at which such a period ends [POSIX s]."""
    return (math.floor((now + SOON_S) / period_s) + 1) * period_s


def coming(next_at: float | None, period_s: float, now: float) -> float:
    """Return when the poll is that was announced for `next_at`, or that comes next if none was.

    It lies in the past when it was missed: then it is made up for at once.
    """
    # A clock that was set back must not put a poll off for long.
    if next_at is None or next_at > now + period_s + SOON_S:
        return on_grid(period_s, now)
    return next_at


def _is_anything_there(view: ScalingView) -> bool:
    """Tell whether anything waits, runs, or stands beyond the least fleet, or lacks to it."""
    if len(view.queue) > 0 or any(node.busy_until for node in view.nodes):
        return True
    live = sum(node.phase is not NodePhase.DRAINING for node in view.nodes)
    return live > view.settings.nodes_min or (live < view.settings.nodes_min and _has_room(view))


def _has_room(view: ScalingView) -> bool:
    return view.nodes_allowed > 0 and any(offer.nodes_max > 0 for offer in view.offers)


def _waking(wanted: Wanted, at: float) -> Wanted:
    if at == math.inf or (wanted.wake_at is not None and wanted.wake_at <= at):
        return wanted
    return replace(wanted, wake_at=at, wake_reason="the next poll")


def _both(one: Wanted, other: Wanted) -> Wanted:
    """Return two wishes as one; the wake-up is the first's."""
    return replace(
        one,
        launches=one.launches + other.launches,
        releases=one.releases + other.releases,
        keeps=one.keeps + other.keeps,
    )


def _bounded(wanted: Wanted, view: ScalingView) -> Wanted:
    """Let no more nodes go than leave the least fleet, and launch what lacks to it."""
    live = sum(node.phase is not NodePhase.DRAINING for node in view.nodes)
    live += len(wanted.keeps)
    least = view.settings.nodes_min
    spare = max(0, live + len(wanted.launches) - least)
    if len(wanted.releases) > spare:
        wanted = replace(wanted, releases=wanted.releases[:spare])
    missing = least - live - len(wanted.launches)
    if missing <= 0 or wanted.releases:
        return wanted
    added = Situation(view).launches(
        missing + len(wanted.launches), f"at least {least} nodes are to stand"
    )
    return replace(wanted, launches=wanted.launches + added[len(wanted.launches) :])
