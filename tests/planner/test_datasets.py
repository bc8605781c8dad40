"""One subscription to several datasets: a task for each update of any, one product a task."""

from __future__ import annotations

from dataclasses import replace

from planner.commands import CombineProduct, CutTask, RunPart
from planner.core import Planner
from planner.events import (
    ApplicationCalibrated,
    SubscriptionAdded,
    SubscriptionPaused,
    SubscriptionResumed,
    TaskCut,
    Ticked,
    UpdateArrived,
)
from planner.model import (
    Features,
    PartSpec,
    Subscription,
    UnitCosts,
    UpdateSpan,
    product_id,
)
from tests.planner.building import (
    ARGO,
    PACIFIC,
    archive_stands,
    every,
    feed,
    finished,
    fragment,
    node_up,
    one,
    opened,
    subscription,
    update,
    updates_of,
    view,
)

ICE = "10.5067/ice"
FIRST = UpdateSpan(after=None, upto=0)


def ice_stands(at: float = 0.0) -> UpdateArrived:
    return replace(archive_stands(at), dataset=ICE)


def ice(at: float, number: int) -> UpdateArrived:
    """Return an update of which nothing is known but that it came."""
    return UpdateArrived(at=at, dataset=ICE, number=number, observations=None)


def both(**wishes: bool | float) -> Subscription:
    """Return a subscription to two datasets."""
    other = replace(view(), dataset=ICE, application="command")
    return replace(subscription("both", **wishes), views=(view(), other))  # type: ignore[arg-type]


def named(ask: CutTask) -> str:
    return product_id(ask.subscription_id, ask.version, ask.selections)


def test_a_first_delivery_is_one_task_of_all_that_is_there() -> None:
    planner = opened()
    feed(planner, ice_stands())
    ask = one(planner.handle(SubscriptionAdded(at=0.0, subscription=both())), CutTask)
    assert [(s.view.dataset, s.updates, s.place) for s in ask.selections] == [
        (ARGO, FIRST, 0),
        (ICE, FIRST, 1),
    ]
    assert named(ask) == "both-v1-to-u0-d2-to-u0"


def test_a_dataset_that_comes_later_makes_a_first_delivery_of_its_own() -> None:
    planner = opened()
    ask = one(planner.handle(SubscriptionAdded(at=0.0, subscription=both())), CutTask)
    assert [s.view.dataset for s in ask.selections] == [ARGO]
    late = one(planner.handle(ice_stands(5.0)), CutTask)
    assert named(late) == "both-v1-d2-to-u0"


def test_an_update_of_any_is_a_task_and_equal_numbers_have_different_names() -> None:
    planner = opened()
    wish = both(backfill=False)
    feed(planner, ice_stands(), SubscriptionAdded(at=0.0, subscription=wish))
    asks = [one(planner.handle(event), CutTask) for event in (update(1.0, 1), ice(2.0, 1))]
    assert [named(ask) for ask in asks] == ["both-v1-u1", "both-v1-d2-u1"]
    assert [updates_of(ask) for ask in asks] == [UpdateSpan(after=0, upto=1)] * 2


def test_an_update_of_unknown_place_concerns_whoever_listens_to_its_dataset() -> None:
    planner = opened()
    wishes = [both(backfill=False), subscription("argo", backfill=False)]
    far = replace(both(backfill=False), id="far")
    far = replace(far, views=(replace(view(PACIFIC), dataset=ICE),))
    feed(planner, ice_stands())
    feed(planner, *(SubscriptionAdded(at=0.0, subscription=wish) for wish in (*wishes, far)))
    asked = every(planner.handle(ice(1.0, 1)), CutTask)
    assert [ask.subscription_id for ask in asked] == ["both", "far"]


def test_after_a_pause_the_gap_of_all_datasets_is_one_task() -> None:
    planner = opened()
    feed(planner, ice_stands(), SubscriptionAdded(at=0.0, subscription=both(backfill=False)))
    feed(planner, SubscriptionPaused(at=1.0, subscription_id="both"))
    feed(planner, update(2.0, 1), update(3.0, 2), ice(4.0, 1))
    again = one(planner.handle(SubscriptionResumed(at=5.0, subscription_id="both")), CutTask)
    assert named(again) == "both-v1-u1-u2-d2-u1"
    assert feed(planner, SubscriptionPaused(at=6.0, subscription_id="both")) == []
    assert feed(planner, SubscriptionResumed(at=7.0, subscription_id="both")) == []


def test_a_new_version_delivers_the_dataset_that_it_adds_and_drops_the_one_it_leaves() -> None:
    planner = opened()
    feed(planner, ice_stands(), SubscriptionAdded(at=0.0, subscription=subscription("both")))
    ask = one(planner.handle(SubscriptionAdded(at=1.0, subscription=both(version=2))), CutTask)
    assert named(ask) == "both-v2-d2-to-u0"
    left = replace(both(version=3), views=both().views[1:])
    assert feed(planner, SubscriptionAdded(at=2.0, subscription=left), update(3.0, 1)) == []
    assert named(one(planner.handle(ice(4.0, 1)), CutTask)) == "both-v3-u1"


def test_an_update_in_a_page_is_nothing_to_a_version_that_left_its_dataset() -> None:
    planner = opened()
    dispatch = replace(planner.settings.dispatch, matches_per_step_max=1)
    planner = Planner(replace(planner.settings, dispatch=dispatch))
    feed(planner, archive_stands(), ice_stands())
    for name in ("a", "b"):
        wish = replace(both(backfill=False), id=name)
        feed(planner, SubscriptionAdded(at=0.0, subscription=wish))
    asked = one(planner.handle(update(1.0, 1)), CutTask)
    left = replace(both(version=2, backfill=False), id="b", views=both().views[1:])
    feed(planner, SubscriptionAdded(at=1.0, subscription=left))
    assert asked.subscription_id == "a"
    steps = feed(planner, Ticked(at=1.0), update(2.0, 2), Ticked(at=2.0), Ticked(at=2.0))
    assert [ask.subscription_id for ask in every(steps, CutTask)] == ["a"]


def test_what_waits_of_a_dataset_is_not_given_again_to_who_left_it_and_came_back() -> None:
    planner = opened()
    dispatch = replace(planner.settings.dispatch, matches_per_step_max=1)
    planner = Planner(replace(planner.settings, dispatch=dispatch))
    feed(planner, archive_stands(), ice_stands())
    for name in ("a", "b"):
        wish = replace(both(backfill=False), id=name)
        feed(planner, SubscriptionAdded(at=0.0, subscription=wish))
    feed(planner, update(1.0, 1))
    left = replace(both(version=2, backfill=False), id="b", views=both().views[1:])
    back = replace(both(version=3), id="b")
    added = [SubscriptionAdded(at=1.0, subscription=wish) for wish in (left, back)]
    steps = feed(planner, *added, Ticked(at=1.0), Ticked(at=1.0))
    assert [named(ask) for ask in every(steps, CutTask)] == ["b-v3-to-u1"]


def cut_in_two(ask: CutTask) -> TaskCut:
    """Return a cut with a part of each dataset, the second one first in the list."""
    parts = tuple(
        PartSpec(extent=s.view.extent, features=Features(files=100, values=200), selection=place)
        for place, s in reversed(list(enumerate(ask.selections)))
    )
    return TaskCut(at=0.0, task_id=ask.task_id, parts=parts, partitioner="balanced", version="1")


def test_parts_carry_their_own_view_and_fragments_come_by_dataset() -> None:
    planner = opened()
    feed(planner, ice_stands())
    ask = one(planner.handle(SubscriptionAdded(at=0.0, subscription=both())), CutTask)
    feed(planner, cut_in_two(ask))
    node_up(planner)
    runs = every(feed(planner, Ticked(at=2.0)), RunPart)
    assert {run.part_id[-1]: run.view.dataset for run in runs} == {"0": ICE, "1": ARGO}
    ends = [planner.handle(finished(run, at=3.0)) for run in runs]
    combine = one(ends[-1], CombineProduct)
    assert combine.selections == ask.selections
    task_id = ask.task_id
    assert combine.fragments == ((fragment(f"{task_id}/1"),), (fragment(f"{task_id}/0"),))


def test_each_dataset_is_predicted_by_its_own_costs() -> None:
    planner = opened()
    slow = UnitCosts(base_s=0.0, file_s=1.0, megabyte_s=0.0, value_s=0.0)
    calibrated = ApplicationCalibrated(at=0.0, dataset=ICE, application="command", costs=slow)
    feed(planner, ice_stands(), calibrated)
    ask = one(planner.handle(SubscriptionAdded(at=0.0, subscription=both())), CutTask)
    assert ask.costs[1] == slow
    assert ask.costs[0] != slow
    feed(planner, cut_in_two(ask))
    (task,) = planner.books.backlog.tasks.values()
    assert round(task.parts[0].mean_s, 3) == 100.0
    assert task.parts[1].mean_s < 1.0
