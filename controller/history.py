"""What parts cost, remembered for datasets without an index, so that later tasks are cut by it.

The planner's journal holds what was cut, not what it was cut by: a service that starts anew knows
only what a sample told (`slackwater calibrate --dataset`). Without one it cuts its next task evenly
and learns again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock

from partitioners.history import MASSES, History, Observation
from planner.commands import AnyCommand, ProvisionNode, RunPart, StopPart
from planner.density import Density
from planner.events import (
    AnyEvent,
    AttemptLost,
    NodeLost,
    NodeRemoved,
    OffersChanged,
    PartFailed,
    PartFinished,
)
from planner.extent import Extent
from planner.model import UpdateSpan, View


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Parts that speak for each other.

    An increment reads only what is new, wherever that lies; so it says nothing of a first delivery,
    which reads all.
    """

    dataset: str
    application: str
    is_increment: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """What a sample told of a dataset.

    Parameters
    ----------
    dataset, application : str
    base_s : float
        What a part costs whatever it holds [reference s].
    observations : tuple of Observation
        What first deliveries cost besides.
    """

    dataset: str
    application: str
    base_s: float
    observations: tuple[Observation, ...]


class Histories:
    """A history for each kind of parts that somebody asked for; safe to call from any thread.

    Kinds are few: a dataset must stand in the settings before a subscription may name it.

    Parameters
    ----------
    samples : iterable of Sampled
        What is known before any part ran.
    """

    def __init__(self, samples: Iterable[Sampled] = ()) -> None:
        self._lock = Lock()
        self._kept: dict[Kind, History] = {}
        self._bases_s: dict[tuple[str, str], float] = {}
        for each in samples:
            self._begin(each)
        self._running: dict[tuple[str, int], tuple[Kind, Extent]] = {}
        self._speeds: dict[str, float] = {}
        self._types: dict[str, str] = {}

    def _begin(self, sampled: Sampled) -> None:
        of = sampled.dataset, sampled.application
        self._bases_s[of] = sampled.base_s
        kind = Kind(dataset=of[0], application=of[1], is_increment=False)
        history = self._kept[kind] = History()
        for seen in sampled.observations:
            history.learn(seen.extent, seen.cost_s)

    def density(self, view: View, updates: UpdateSpan, masses: int = MASSES) -> Density | None:
        """Return the load map that earlier parts suggest, None while there were none.

        From the first question on, parts of its kind are remembered; a kind that is never asked for
        has an index, and costs nothing here. `masses` bounds the map [count].
        """
        with self._lock:
            history = self._kept.setdefault(_kind(view, updates), History()).copy()
        # Drawing a map takes a tenth of a second, for which the service must not wait.
        return history.density(view.extent, masses)

    def see(self, event: AnyEvent, commands: Sequence[AnyCommand]) -> None:
        """Take in one step of the service (a `controller.service.Watch`)."""
        with self._lock:
            self._hear(event)
            for command in commands:
                self._note(command)

    def _hear(self, event: AnyEvent) -> None:
        match event:
            case PartFinished(part_id=part_id, attempt=attempt):
                if ran := self._running.pop((part_id, attempt), None):
                    kind, extent = ran
                    spent_s = event.run_s * self._speed(event.node_id)
                    # What every part costs anew is known of a sampled dataset, and no matter of
                    # place: the planner adds it to what the map says.
                    base_s = self._bases_s.get((kind.dataset, kind.application), 0.0)
                    self._kept[kind].learn(extent, max(0.0, spent_s - base_s))
            case PartFailed() | AttemptLost():
                self._running.pop((event.part_id, event.attempt), None)
            case OffersChanged():
                self._speeds |= {offer.node_type: offer.speed for offer in event.offers}
            case NodeLost() | NodeRemoved():
                self._types.pop(event.node_id, None)

    def _note(self, command: AnyCommand) -> None:
        match command:
            case RunPart():
                kind = _kind(command.view, command.updates)
                if kind in self._kept:
                    self._running[command.part_id, command.attempt] = kind, command.extent
            case StopPart():
                self._running.pop((command.part_id, command.attempt), None)
            case ProvisionNode():
                self._types[command.node_id] = command.node_type

    def _speed(self, node_id: str) -> float:
        """Return what a second there is worth [reference s]."""
        return self._speeds.get(self._types.get(node_id, ""), 1.0)


def _kind(view: View, updates: UpdateSpan) -> Kind:
    return Kind(
        dataset=view.dataset,
        application=view.application,
        is_increment=updates.after is not None,
    )
