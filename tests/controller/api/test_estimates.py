"""Estimates: what is said before a subscription is made, from a real index."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from controller.api.estimating import Estimator
from controller.api.shapes import EstimateTold
from controller.config.settings import ARGO_DOI, Settings
from controller.datasets import Datasets, Places
from controller.demo.archive import DemoArchive
from controller.store.sqlite import SqliteDatabase
from planner.commands import CutTask
from tests.controller.api.fronted import WISH, Front, fronted
from tests.controller.recorded import NOW
from tests.planner.building import update

GLOBAL = {**WISH, "bbox": [-180, -90, 180, 90], "deadline": "PT1H"}


def datasets(archive: DemoArchive, folder: Path) -> Datasets:
    places = Places(archive=str(archive.folder), fragments_url=str(folder), staging_url=str(folder))
    return Datasets(Settings(), places)


@pytest.fixture(scope="module")
def front(small_archive: DemoArchive, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("front")
    known = datasets(small_archive, folder)
    door = {"estimator": Estimator(known.application)}
    database = partial(SqliteDatabase, folder / "db")
    with fronted(database, folder, datasets=known, door=door, stalls=(CutTask,)) as front:
        yield front


def asked(front: Front, **wish: Any) -> EstimateTold:
    answer = front.client.post("/v1/estimates", json={**GLOBAL, **wish})
    assert answer.status_code == 200, answer.text
    return EstimateTold.model_validate(answer.json())


def test_an_estimate_tells_files_times_and_that_the_deadline_is_met(front: Front) -> None:
    told = asked(front)
    assert told.of == "first delivery"
    assert 0 < told.files == told.archive_files <= 200
    assert told.parts > 0
    assert 0 < told.work_s < told.work_90_s
    assert told.finish_s is not None
    assert told.finish_90_s is not None
    assert 0 < told.finish_s <= told.finish_90_s < 3600
    assert told.state == "on time"
    assert told.verdict.startswith("the deadline is met, with ")
    assert front.client.get("/v1/subscriptions/med").status_code == 404


def test_a_deadline_that_no_fleet_meets_is_told_with_one_that_is_met(front: Front) -> None:
    told = asked(front, deadline="PT0.2S")
    assert told.state == "late"
    assert told.verdict.startswith(
        "the deadline cannot be met even with 16 workers: allow at least"
    )
    assert told.allow_s is not None
    assert asked(front, deadline=f"PT{told.allow_s:g}S").state == "on time"


def test_without_a_deadline_only_the_time_is_told(front: Front) -> None:
    told = asked(front, deadline=None)
    assert told.state == "best effort"
    assert told.verdict.startswith("it has no deadline, and takes about ")


def test_what_matches_nothing_is_told(front: Front) -> None:
    told = asked(front, bbox=[0, -90, 1, -89])
    assert (told.files, told.archive_files) == (0, 0)
    assert told.notes == ["the archive holds nothing of it yet: the first product is empty"]


def test_without_a_first_delivery_the_last_update_is_the_measure(front: Front) -> None:
    told = asked(front, backfill=False)
    assert told.of == "update"
    assert told.verdict.startswith("no update has come yet")
    assert told.archive_files > 0


def test_a_wish_at_fault_is_told_as_when_it_is_made(front: Front) -> None:
    refused = front.client.post("/v1/estimates", json={**GLOBAL, "bbox": "1,2"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/bbox"


def test_who_makes_a_subscription_is_warned_or_refused(front: Front) -> None:
    tight = {**GLOBAL, "deadline": "PT0.2S"}
    front.door.at_risk = "refuse"
    refused = front.client.post("/v1/subscriptions", json={**tight, "id": "tight"})
    assert refused.status_code == 409
    assert refused.json()["errors"][0]["pointer"] == "/deadline"
    assert front.client.get("/v1/subscriptions/tight").status_code == 404
    front.door.at_risk = "accept"
    made = front.client.post("/v1/subscriptions", json={**tight, "id": "tight"})
    assert made.status_code == 201
    assert "cannot be met" in made.json()["warnings"][0]
    changed = front.client.put("/v1/subscriptions/tight", json={**GLOBAL, "id": "tight"})
    assert changed.json()["warnings"] == []
    assert asked(front).notes[0].startswith("1 open task of the service")


def test_the_last_update_is_the_measure_once_there_is_one(front: Front) -> None:
    front.life.inbox.put(update(NOW, 1))
    told = asked(front, id="later", backfill=False)
    while told.verdict.startswith("no update"):
        told = asked(front, id="later", backfill=False)
    assert told.of == "update"
    assert told.verdict == "the last update held nothing of it"
    assert front.door.board.state.newest == {ARGO_DOI: 1}
