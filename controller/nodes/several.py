"""Several providers at once: each node type is one's, and so is each node."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TypeVar

from controller.errors import NodeError, NodeFault
from controller.ports import NodeListing, NodeProvider
from planner.model import NodeOffer

ANSWER_S_MAX = 20.0
"""A provider that has not answered by then is not waited for [s]: others have, and work waits."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the providers said, as far as they answered.

    Parameters
    ----------
    nodes : tuple of NodeListing
    offers : tuple of NodeOffer
    silent : frozenset of str
        Node types of which nothing is known, for their provider did not answer.
    faults : tuple of str
        What kept each of those.
    is_waiting : bool
        Some of them have not said anything yet, and are asked again.
    """

    nodes: tuple[NodeListing, ...]
    offers: tuple[NodeOffer, ...]
    silent: frozenset[str] = frozenset()
    faults: tuple[str, ...] = ()
    is_waiting: bool = False


class SeveralProviders:
    """Provides what each of its providers does; see `controller.ports.NodeProvider`.

    Parameters
    ----------
    providers : mapping of str to NodeProvider
        By name.
    node_types : mapping of str to str
        The provider of each node type.
    """

    name = "several"

    def __init__(
        self, providers: Mapping[str, NodeProvider], node_types: Mapping[str, str]
    ) -> None:
        self.providers = dict(providers)
        self._provider_of_type = dict(node_types)
        self._provider_of_node: dict[str, str] = {}

    @property
    def calls_max(self) -> int:
        """Return how many calls may be made at the same time."""
        return min(each.calls_max for each in self.providers.values())

    @property
    def poll_s(self) -> float:
        """Return the pause between two listings [s]."""
        return max(each.poll_s for each in self.providers.values())

    def provider_of_type(self, node_type: str) -> str | None:
        """Return the name of the provider of a node type."""
        return self._provider_of_type.get(node_type)

    def provider_of_node(self, node_id: str) -> str | None:
        """Return the name of the provider that made or listed a node."""
        return self._provider_of_node.get(node_id)

    def describe(self) -> tuple[NodeOffer, ...]:
        """Return the node types of all, and how many more of each can be created."""
        return tuple(offer for each in self.providers.values() for offer in each.describe())

    def create(self, node_id: str, node_type: str, workers: int) -> None:
        """Begin to create a node where its type is had.

        Raises
        ------
        NodeError
        """
        name = self._provider_of_type.get(node_type)
        if name is None:
            fix = f"There are: {', '.join(self._provider_of_type)}"
            raise NodeError(f"node {node_id}: no type {node_type}", fault=NodeFault.OURS, fix=fix)
        self._provider_of_node[node_id] = name
        self.providers[name].create(node_id, node_type, workers)

    def resize(self, node_id: str, workers: int) -> None:
        """Make a standing node hold this many workers.

        Raises
        ------
        NodeError
        """
        name = self._provider_of_node.get(node_id)
        if name is None:
            raise NodeError(f"node {node_id} is not there to be resized", fault=NodeFault.GONE)
        self.providers[name].resize(node_id, workers)

    def list_nodes(self) -> tuple[NodeListing, ...]:
        """Return every node of ours that any of them knows."""
        listed: list[NodeListing] = []
        for name, each in self.providers.items():
            listed += self._noted(name, each.list_nodes())
        return tuple(listed)

    def delete(self, node_id: str) -> bool:
        """Ask for a node's end; return True once it is not found any more."""
        name = self._provider_of_node.get(node_id)
        if name is not None:
            return self.providers[name].delete(node_id)
        gone = [each.delete(node_id) for each in self.providers.values()]
        return all(gone)

    def hear(self, answer_s_max: float = ANSWER_S_MAX) -> Heard:
        """Ask all providers at once what they have; one that is away or slow keeps no other."""
        pool = ThreadPoolExecutor(len(self.providers), thread_name_prefix="hearing")
        asked = {name: pool.submit(_told, each) for name, each in self.providers.items()}
        wait(asked.values(), timeout=answer_s_max)
        pool.shutdown(wait=False)
        waiting = {name for name, future in asked.items() if not future.done()}
        nodes: list[NodeListing] = []
        offers: list[NodeOffer] = []
        silent, faults = set(), []
        for name, future in asked.items():
            answer = "no answer yet" if name in waiting else future.result()
            if isinstance(answer, str):
                silent |= {t for t, whose in self._provider_of_type.items() if whose == name}
                faults.append(f"{name}: {answer}")
            else:
                nodes += self._noted(name, answer[0])
                offers += answer[1]
        return Heard(
            nodes=tuple(nodes),
            offers=tuple(offers),
            silent=frozenset(silent),
            faults=tuple(faults),
            is_waiting=bool(waiting),
        )

    def kill_worker(self, worker_name: str) -> None:
        """Kill a worker process that hangs, where its provider can; elsewhere it ends itself."""
        for each in self.providers.values():
            kill = getattr(each, "kill_worker", None)
            if kill is not None:
                kill(worker_name)

    def close(self, *, end: bool | None = None) -> None:
        """Close all; `end` deletes all nodes, by default those that do not outlive the service."""
        with ExitStack() as closing:  # One that raises keeps no other open.
            for each in self.providers.values():
                closing.callback(each.close, end=end)

    def _noted(self, name: str, listed: tuple[NodeListing, ...]) -> tuple[NodeListing, ...]:
        self._provider_of_node |= {each.node_id: name for each in listed}
        return listed


def _told(
    provider: NodeProvider,
) -> tuple[tuple[NodeListing, ...], tuple[NodeOffer, ...]] | str:
    """Return the nodes and offers of one provider, or else why there are none."""
    try:
        return provider.list_nodes(), provider.describe()
    except NodeError as error:
        return str(error)
