"""The book of subscriptions: who wants what, since which update, and whom an update concerns.

Rows are keyed by the order of their arrival; one spatial index a dataset finds those that an
update matches (`planner.matching`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from planner.extent import Extent
from planner.matching import SubscriptionIndex
from planner.model import Observations, Subscription, UpdateSpan


@dataclass(slots=True, kw_only=True)
class Row:
    """A subscription as it stands.

    Parameters
    ----------
    subscription : Subscription
    covered_to : int or None
        Last update whose data this subscription was offered; None while its dataset has none.
    paused : bool
    """

    subscription: Subscription
    covered_to: int | None
    paused: bool = False


@dataclass(slots=True, kw_only=True)
class RegistryState:
    """What a snapshot keeps of the registry."""

    rows: dict[int, Row] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)
    next_key: int = 0


class Registry:
    """Subscriptions by key and by id, and the newest update of each dataset."""

    def __init__(self, state: RegistryState | None = None) -> None:
        self.state = state or RegistryState()
        self._keys: dict[str, int] = {}
        self._indexes: dict[str, SubscriptionIndex] = {}
        listening: dict[str, list[tuple[int, Extent]]] = {}
        for key, row in self.state.rows.items():
            self._keys[row.subscription.id] = key
            if not row.paused:
                view = row.subscription.view
                listening.setdefault(view.dataset, []).append((key, view.extent))
        for dataset, extents in listening.items():
            self._index(dataset).add_many(extents)

    def __len__(self) -> int:
        """Return the number of subscriptions."""
        return len(self.state.rows)

    def __contains__(self, subscription_id: str) -> bool:
        """Tell whether a subscription of this id stands."""
        return subscription_id in self._keys

    def row(self, subscription_id: str) -> Row | None:
        """Return how the subscription of this id stands."""
        key = self._keys.get(subscription_id)
        return None if key is None else self.state.rows[key]

    def by_key(self, key: int) -> Subscription | None:
        """Return the subscription of this key."""
        row = self.state.rows.get(key)
        return row.subscription if row else None

    def add(self, subscription: Subscription) -> UpdateSpan | None:
        """Enter a subscription, or its new version; return the span of its first delivery, if due.

        A new version goes on where the old one stood and makes no first delivery of its own, unless
        it turns to another dataset.
        """
        dataset = subscription.view.dataset
        key = self._keys.get(subscription.id)
        if key is not None and self.state.rows[key].subscription.view.dataset == dataset:
            self._renew(key, subscription)
            return None
        before = self._forget(subscription.id)
        paused = before.paused if before else False
        newest = self.state.newest.get(dataset)
        if newest is None or not subscription.backfill:
            self._enter(subscription, covered_to=newest, paused=paused)
            return None
        # One that is paused gets its first delivery when it is resumed.
        self._enter(subscription, covered_to=None if paused else newest, paused=paused)
        return None if paused else UpdateSpan(after=None, upto=newest)

    def remove(self, subscription_id: str) -> bool:
        """Strike a subscription out; return whether there was one."""
        return self._forget(subscription_id) is not None

    def pause(self, subscription_id: str) -> bool:
        """Let no update match this subscription; return whether that changed anything."""
        key = self._keys.get(subscription_id)
        if key is None or self.state.rows[key].paused:
            return False
        row = self.state.rows[key]
        row.paused = True
        row.covered_to = self.state.newest.get(row.subscription.view.dataset)
        self._index(row.subscription.view.dataset).remove(key)
        return True

    def resume(self, subscription_id: str) -> UpdateSpan | None:
        """Let updates match again; return the span that came in between, one task, if any."""
        key = self._keys.get(subscription_id)
        if key is None or not self.state.rows[key].paused:
            return None
        row = self.state.rows[key]
        row.paused = False
        self._index(row.subscription.view.dataset).add(key, row.subscription.view.extent)
        newest = self.state.newest.get(row.subscription.view.dataset)
        missed, row.covered_to = row.covered_to, newest
        if missed is None and not row.subscription.backfill:
            missed = 0
        if newest is None or missed == newest:
            return None
        return UpdateSpan(after=missed, upto=newest)

    def newest(self, dataset: str) -> int | None:
        """Return the number of a dataset's newest update, None before any data."""
        return self.state.newest.get(dataset)

    def arrived(self, dataset: str, number: int) -> list[int]:
        """Note a dataset's update; return the keys whose first delivery it makes possible."""
        first_data = dataset not in self.state.newest
        self.state.newest[dataset] = number
        if not first_data:
            return []
        waiting = [key for key, row in self.state.rows.items() if _awaits(row, dataset)]
        for key in waiting:
            self.state.rows[key].covered_to = number
        return [key for key in waiting if self.state.rows[key].subscription.backfill]

    def matched(self, dataset: str, observations: Observations) -> Sequence[int]:
        """Return the keys of the subscriptions that at least one profile concerns, increasing."""
        index = self._indexes.get(dataset)
        if index is None or len(observations) == 0:
            return ()
        keys: list[int] = index.match(observations).keys.tolist()
        return keys

    def subscriptions(self) -> Iterable[Subscription]:
        """Return all subscriptions in order of arrival."""
        return (row.subscription for row in self.state.rows.values())

    def _index(self, dataset: str) -> SubscriptionIndex:
        return self._indexes.setdefault(dataset, SubscriptionIndex())

    def _enter(self, subscription: Subscription, covered_to: int | None, *, paused: bool) -> None:
        key = self.state.next_key
        self.state.next_key += 1
        self.state.rows[key] = Row(subscription=subscription, covered_to=covered_to, paused=paused)
        self._keys[subscription.id] = key
        if not paused:
            self._index(subscription.view.dataset).add(key, subscription.view.extent)

    def _renew(self, key: int, subscription: Subscription) -> None:
        """Let a new version stand under the old one's key: a page may hold that key."""
        row = self.state.rows[key]
        row.subscription = subscription
        if not row.paused:
            index = self._index(subscription.view.dataset)
            index.remove(key)
            index.add(key, subscription.view.extent)

    def _forget(self, subscription_id: str) -> Row | None:
        key = self._keys.pop(subscription_id, None)
        if key is None:
            return None
        row = self.state.rows.pop(key)
        if not row.paused:
            self._index(row.subscription.view.dataset).remove(key)
        return row


def _awaits(row: Row, dataset: str) -> bool:
    return row.covered_to is None and not row.paused and row.subscription.view.dataset == dataset
