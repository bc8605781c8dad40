"""Machines that were asked for: what a listing does not show yet counts all the same.

A place is taken before a machine is asked for, so that of creations that go on at the same time no
more succeed than may stand. Listings take their time, and whoever counts with one that began
earlier misses what has come up since; so a machine counts here, too, until every listing that
cannot have shown it is done with.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from threading import Lock

from controller.errors import NodeError, NodeFault
from controller.nodes.plugins import NodeType

LAG_S = 30.0
"""A machine that was made may be missing from a cloud's listing for so long [s]."""

LISTING_S_MAX = 600.0
"""No listing takes longer to come [s], with all its tries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A machine that was asked for.

    Parameters
    ----------
    node_type : str
    workers : int
    made_at : float
        When its request was answered [monotonic s]; endless until it is.
    listed_at : float
        When a listing first showed it [monotonic s]; endless until one does.
    """

    node_type: str
    workers: int
    made_at: float = math.inf
    listed_at: float = math.inf

    def is_awaited(self, now: float) -> bool:
        """Tell whether it may be there though no listing has shown it yet."""
        return self.listed_at == math.inf and now - self.made_at < LAG_S


class AskedMachines:
    """Keeps what was asked for, by node id; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._asked: dict[str, Asked] = {}

    def standing(self, listed: Mapping[str, str], since: float) -> Counter[str]:
        """Return how many nodes of each type stand, or may.

        Parameters
        ----------
        listed : mapping of str to str
            The node types of what a listing shows, by node id.
        since : float
            When that listing was asked for [monotonic s].
        """
        with self._lock:
            return self._standing(listed, since)

    def reserve(
        self, node_id: str, kind: NodeType, workers: int, listed: Mapping[str, str], since: float
    ) -> bool:
        """Take a place for a machine that is about to be asked for; False if it has one.

        Raises
        ------
        NodeError
            As many as may stand already, or are being made (quota).
        """
        with self._lock:
            if node_id in self._asked and self._asked[node_id].is_awaited(time.monotonic()):
                return False
            if self._standing(listed, since)[kind.name] >= kind.nodes_max:
                raise NodeError(
                    f"node {node_id}: {kind.nodes_max} nodes of type {kind.name} stand already",
                    fault=NodeFault.QUOTA,
                    fix="Raise its nodes_max, or wait until one is removed",
                )
            self._asked[node_id] = Asked(node_type=kind.name, workers=workers)
            return True

    def made(self, node_id: str) -> None:
        """Take in that a machine was made."""
        with self._lock:
            if node_id in self._asked:  # It may have been deleted meanwhile.
                asked = replace(self._asked[node_id], made_at=time.monotonic())
                self._asked[node_id] = asked

    def forget(self, node_id: str) -> None:
        """Give a place up: no machine was made, or it is on its way out."""
        with self._lock:
            self._asked.pop(node_id, None)

    def is_awaited(self, node_id: str) -> bool:
        """Tell whether a machine may be there though no listing has shown it yet."""
        with self._lock:
            asked = self._asked.get(node_id)
            return asked is not None and asked.is_awaited(time.monotonic())

    def see(self, listed: Collection[str]) -> dict[str, Asked]:
        """Take in a listing; return what it has yet to show."""
        now = time.monotonic()
        with self._lock:
            for node_id in self._asked.keys() & set(listed):
                if self._asked[node_id].listed_at == math.inf:
                    self._asked[node_id] = replace(self._asked[node_id], listed_at=now)
            awaited = {n: each for n, each in self._asked.items() if each.is_awaited(now)}
            shown = {n: each for n, each in self._asked.items() if each.listed_at <= now}
            self._asked = awaited | {
                n: each for n, each in shown.items() if now - each.listed_at < LISTING_S_MAX
            }
            return awaited

    def _standing(self, listed: Mapping[str, str], since: float) -> Counter[str]:
        unseen = (
            each.node_type
            for node_id, each in self._asked.items()
            if node_id not in listed and each.listed_at > since
        )
        return Counter([*listed.values(), *unseen])
