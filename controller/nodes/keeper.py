"""Keeps the nodes of all providers as commanded, off the loop, and tells what becomes of them.

Each provider has a lane of its own (`controller.nodes.lane`): a slow or failing cloud stalls
neither the loop nor another provider.

A node whose type no provider serves any more, for it was taken out of the settings, has no lane:
nobody can be asked whether it stands. It may, and cost money, so it is never told to be lost or
removed, but complained of until its type is back.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from threading import Lock

from controller.clock import now
from controller.nodes.lane import DESCRIBED_S, UNKNOWN_S_MAX, Lane, Limits, NodeCommand, limits
from controller.nodes.several import Heard, SeveralProviders
from controller.ports import NodeProvider, Report
from planner.commands import ProvisionNode, SetWorkers
from planner.events import AnyEvent, NodeRefused, NodeRemoved, OffersChanged, WorkersRefused
from planner.model import NodeOffer

COMPLAIN_S = 60.0
"""Nodes that no provider serves are told so often [s]: somebody may pay for them."""

_log = logging.getLogger(__name__)


class NodeKeeper:
    """Carries node commands out and watches the listings.

    Parameters
    ----------
    provider : NodeProvider
        One, or `SeveralProviders`.
    report : Report
    is_ours : callable, optional
        Asked before a node that nobody asked for is deleted: whether no other service has taken
        over.
    poll_s : float, optional
        Pause between two listings [s]; by default each provider's own.
    unknown_s_max, described_s : float
        See `controller.nodes.lane` [s].
    """

    def __init__(
        self,
        provider: NodeProvider,
        report: Report,
        *,
        is_ours: Callable[[], bool] = lambda: True,
        poll_s: float | None = None,
        unknown_s_max: float = UNKNOWN_S_MAX,
        described_s: float = DESCRIBED_S,
    ) -> None:
        self._several = provider if isinstance(provider, SeveralProviders) else None
        providers = self._several.providers if self._several else {provider.name: provider}
        self._report = report
        self._lock = Lock()
        self._types: dict[str, str] = {}
        self._unserved: set[str] = set()
        self._complain_at = 0.0
        self._limits: dict[str, Limits] = {}
        self._is_told = False
        self._lanes = {
            name: Lane(
                each,
                self._told,
                partial(self._offered, name),
                is_ours,
                poll_s=each.poll_s if poll_s is None else poll_s,
                unknown_s_max=unknown_s_max,
                described_s=described_s,
            )
            for name, each in providers.items()
        }
        for lane in self._lanes.values():
            lane.start()

    def carry_out(self, command: NodeCommand) -> None:
        """Take a command in; its outcome is reported.

        What a provider raised that breaks its contract is raised here.
        """
        with self._lock:
            if isinstance(command, ProvisionNode):
                self._types[command.node_id] = command.node_type
            name = self._name_of(command.node_id)
            if name is not None:
                self._lanes[name].take(command)
                return
            node_type = self._types[command.node_id]
        self._refuse(command, node_type)

    def check(self) -> None:
        """Tell of nodes that no provider serves, and raise what breaks a provider's contract."""
        if self._unserved and time.monotonic() >= self._complain_at:
            self._complain_at = time.monotonic() + COMPLAIN_S
            self._complain()
        for lane in self._lanes.values():
            lane.check()

    def expect(
        self,
        standing: Iterable[str],
        leaving: Iterable[str],
        node_types: Mapping[str, str] | None = None,
    ) -> None:
        """Learn which nodes an earlier service has asked for, and which it has asked to go.

        Parameters
        ----------
        standing, leaving : iterable of str
        node_types : mapping of str to str, optional
            The type of each, where no provider has listed it yet.
        """
        standing, leaving = set(standing), set(leaving)
        with self._lock:
            self._types |= {k: v for k, v in (node_types or {}).items() if k in standing | leaving}
            self._unserved = {e for e in standing | leaving if self._name_of(e) is None}
        for name, lane in self._lanes.items():
            lane.expect(
                {each for each in standing if self._name_of(each) == name},
                {each for each in leaving if self._name_of(each) == name},
            )

    def offers(
        self, heard: Heard, standing: Mapping[str, int] | None = None
    ) -> tuple[NodeOffer, ...]:
        """Return what is offered by what was heard; what changes from now on is reported.

        Parameters
        ----------
        heard : Heard
        standing : mapping of str to int, optional
            How many nodes of each type the planner counts, where it counts others than were heard
            of: those that it has given up are no more to it, and are about to make room.
        """
        with self._lock:
            self._is_told = True
            for name in self._lanes:
                own = [each for each in heard.offers if self._provider_of(each.node_type) == name]
                self._limits[name] = limits(own, heard.nodes)
            told = [each for name in self._lanes for each in self._limits[name]]
        silent = {self._provider_of(each) for each in heard.silent}
        for lane in (lane for name, lane in self._lanes.items() if name in silent):
            lane.ask()
        return heard.offers if standing is None else _left(told, standing)

    def close(self) -> None:
        """Stop keeping; nodes stay as they are."""
        for lane in self._lanes.values():
            lane.close()

    def _offered(self, name: str, found: Limits) -> None:
        """Report what is offered if it is not what was told last."""
        with self._lock:
            if not self._is_told or self._limits.get(name) == found:
                return
            self._limits[name] = found
            # The planner adds the nodes that it has asked for, of which some do not stand yet.
            known = [each for lane in self._lanes for each in self._limits.get(lane, ())]
            offers = _left(known, self._held())
        self._report(OffersChanged(at=now(), offers=offers))

    def _held(self) -> Counter[str]:
        """Return how many nodes of each type the planner has; what is no more is forgotten."""
        held = self._unserved.union(*(lane.held() for lane in self._lanes.values()))
        self._types = {each: kind for each, kind in self._types.items() if each in held}
        return Counter(self._types.values())

    def _provider_of(self, node_type: str) -> str | None:
        return (
            self._several.provider_of_type(node_type) if self._several else next(iter(self._lanes))
        )

    def _name_of(self, node_id: str) -> str | None:
        """Return the provider of a node: by its type, else by who listed it; None if none has it.

        One of which nothing at all is known is any provider's: it is told to be gone.
        """
        if node_id not in self._types or self._several is None:
            listed = self._several.provider_of_node(node_id) if self._several else None
            return listed or next(iter(self._lanes))
        name = self._provider_of(self._types[node_id])
        return name or self._several.provider_of_node(node_id)

    def _told(self, event: AnyEvent) -> None:
        """Report what a lane tells; one that was away may remove a node of a type of no lane."""
        if isinstance(event, NodeRemoved):
            with self._lock:
                self._unserved.discard(event.node_id)
        self._report(event)

    def _refuse(self, command: NodeCommand, node_type: str) -> None:
        """Refuse what nobody can do; a removal stays owed."""
        node_id = command.node_id
        reason = f"no provider in the settings has its type, {node_type}"
        if isinstance(command, ProvisionNode):
            self._report(NodeRefused(at=now(), node_id=node_id, reason=reason, retry=False))
        elif isinstance(command, SetWorkers):
            workers = command.workers
            self._report(
                WorkersRefused(
                    at=now(), node_id=node_id, workers=workers, reason=reason, retry=False
                )
            )

    def _complain(self) -> None:
        with self._lock:
            unserved = [(each, self._types[each]) for each in sorted(self._unserved)]
        for node_id, node_type in unserved:
            _log.error(
                "node %s is of type %s, which the settings do not name any more: it may stand and "
                "cost money, and nobody can be asked to end it. Put its type and provider back "
                "into the settings and start again",
                node_id,
                node_type,
            )


def _left(known: Iterable[NodeOffer], held: Mapping[str, int]) -> tuple[NodeOffer, ...]:
    """Return offers with what is left of their limits."""
    return tuple(
        replace(each, nodes_max=max(0, each.nodes_max - held.get(each.node_type, 0)))
        for each in known
    )
