"""The book of subscriptions: who wants what, since which update, and whom an update concerns.

Rows are keyed by the order of their arrival; one spatial index a dataset finds those that an
update matches (`planner.matching`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from planner.extent import Extent
from planner.matching import SubscriptionIndex
from planner.model import Observations, Selection, Subscription, UpdateSpan, View


@dataclass(slots=True, kw_only=True)
class Row:
    """A subscription as it stands.

    Parameters
    ----------
    subscription : Subscription
    covered_to : dict of str to int, or None
        While it is paused: for each of its datasets, the last update whose data it was offered; one
        that had no data yet is missing. None while it is not: then it is offered each update, and
        no update changes its row.
    """

    subscription: Subscription
    covered_to: dict[str, int] | None = None

    @property
    def paused(self) -> bool:
        """Whether updates make no tasks of it."""
        return self.covered_to is not None


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
        # What the last row's first delivery was, which new ones mostly get as well.
        self._first: tuple[tuple[View, ...], dict[str, int], tuple[Selection, ...]] = ((), {}, ())
        listening: dict[str, list[tuple[int, Extent]]] = {}
        for key, row in self.state.rows.items():
            self._keys[row.subscription.id] = key
            if not row.paused:
                for view in row.subscription.views:
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

    def key(self, subscription_id: str) -> int:
        """Return the key of a subscription that stands."""
        return self._keys[subscription_id]

    def by_key(self, key: int) -> Subscription | None:
        """Return the subscription of this key."""
        row = self.state.rows.get(key)
        return row.subscription if row else None

    def add(self, subscription: Subscription) -> tuple[Selection, ...]:
        """Enter a subscription, or its new version; return what its first delivery holds, if due.

        A new version goes on where the old one stood; only datasets that the old one had no view of
        make a first delivery.
        """
        key = self._keys.get(subscription.id)
        if key is None:
            key = self.state.next_key
            self.state.next_key += 1
            self._keys[subscription.id] = key
            before: dict[str, int] = {}
            row = self.state.rows[key] = Row(subscription=subscription)
        else:
            # Under the same key, for a page may hold it.
            row = self.state.rows[key]
            before = self.offered(row)
            self._listen(key, row, listening=False)
            row.subscription = subscription
        self._listen(key, row, listening=True)
        return self._begin(row, before)

    def remove(self, subscription_id: str) -> bool:
        """Strike a subscription out; return whether there was one."""
        key = self._keys.pop(subscription_id, None)
        if key is None:
            return False
        self._listen(key, self.state.rows[key], listening=False)
        del self.state.rows[key]
        return True

    def pause(self, subscription_id: str) -> bool:
        """Let no update match this subscription; return whether that changed anything."""
        key = self._keys.get(subscription_id)
        if key is None or self.state.rows[key].paused:
            return False
        row = self.state.rows[key]
        self._listen(key, row, listening=False)
        row.covered_to = self._newest_of(row)
        return True

    def resume(self, subscription_id: str) -> tuple[Selection, ...]:
        """Let updates match again; return what came in between, if anything."""
        key = self._keys.get(subscription_id)
        if key is None or not self.state.rows[key].paused:
            return ()
        row = self.state.rows[key]
        missed, row.covered_to = self.offered(row), None
        self._listen(key, row, listening=True)
        never = None if row.subscription.backfill else 0
        return _selected(
            row.subscription,
            {
                dataset: UpdateSpan(after=missed.get(dataset, never), upto=newest)
                for dataset, newest in self._newest_of(row).items()
                if missed.get(dataset, never) != newest
            },
        )

    def whole(self, subscription_id: str) -> tuple[Selection, ...]:
        """Return all that a subscription was offered so far; nothing before any data."""
        row = self.row(subscription_id)
        if row is None:
            return ()
        spans = {d: UpdateSpan(after=None, upto=n) for d, n in self.offered(row).items()}
        return _selected(row.subscription, spans)

    def offered(self, row: Row) -> dict[str, int]:
        """Return the last update of each dataset that a subscription was offered."""
        return self._newest_of(row) if row.covered_to is None else row.covered_to

    def newest(self, dataset: str) -> int | None:
        """Return the number of a dataset's newest update, None before any data."""
        return self.state.newest.get(dataset)

    def arrived(self, dataset: str, number: int) -> list[int]:
        """Note a dataset's update; return the keys whose first delivery it makes possible."""
        first_data = dataset not in self.state.newest
        self.state.newest[dataset] = number
        if not first_data:
            return []
        rows = self.state.rows
        return [key for key in self._listening(dataset) if rows[key].subscription.backfill]

    def matched(self, dataset: str, observations: Observations | None) -> Sequence[int]:
        """Return the keys of the subscriptions that an update concerns, increasing.

        At least one profile lies in their view; where nothing is known of them, all are concerned.
        """
        if observations is None:
            return self._listening(dataset)
        index = self._indexes.get(dataset)
        if index is None or len(observations) == 0:
            return ()
        keys: list[int] = index.match(observations).keys.tolist()
        return keys

    def subscriptions(self) -> Iterable[Subscription]:
        """Return all subscriptions in order of arrival."""
        return (row.subscription for row in self.state.rows.values())

    def _index(self, dataset: str) -> SubscriptionIndex:
        index = self._indexes.get(dataset)
        if index is None:
            index = self._indexes[dataset] = SubscriptionIndex()
        return index

    def _listen(self, key: int, row: Row, *, listening: bool) -> None:
        """Let updates match a subscription, or no longer; one that is paused hears none."""
        for view in () if row.paused else row.subscription.views:
            if listening:
                self._index(view.dataset).add(key, view.extent)
            else:
                self._index(view.dataset).remove(key)

    def _listening(self, dataset: str) -> list[int]:
        return [
            key
            for key, row in self.state.rows.items()
            if not row.paused and any(view.dataset == dataset for view in row.subscription.views)
        ]

    def _newest_of(self, row: Row) -> dict[str, int]:
        newest = self.state.newest
        datasets = (view.dataset for view in row.subscription.views)
        return {dataset: newest[dataset] for dataset in datasets if dataset in newest}

    def _begin(self, row: Row, before: Mapping[str, int]) -> tuple[Selection, ...]:
        """Note which datasets begin now; return what they hold already, where that is wanted."""
        known, backfill = self._newest_of(row), row.subscription.backfill
        if row.paused:
            if backfill:
                # What begins gets its first delivery when the subscription is resumed.
                known = {dataset: newest for dataset, newest in known.items() if dataset in before}
            row.covered_to = known | {d: number for d, number in before.items() if d in known}
        begun = {d: newest for d, newest in known.items() if backfill and d not in before}
        views = row.subscription.views
        if views is not self._first[0] or begun != self._first[1]:
            spans = {d: UpdateSpan(after=None, upto=newest) for d, newest in begun.items()}
            self._first = views, begun, _selected(row.subscription, spans)
        return self._first[2]


def _selected(subscription: Subscription, spans: Mapping[str, UpdateSpan]) -> tuple[Selection, ...]:
    found = (subscription.selection(dataset, span) for dataset, span in spans.items())
    return tuple(selection for selection in found if selection is not None)
