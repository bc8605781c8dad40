"""The application gives each part its files and its piece, and judges what subscribers ask."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from controller.apps.command.application import CommandApplication, CommandDataset
from controller.apps.command.listing import Listing
from controller.apps.command.orders import Form, Join, ListedFile
from controller.apps.command.places import parse_places
from planner.errors import InvalidSubscription
from planner.extent import ALWAYS, GLOBE, Extent, Period
from planner.model import Selection, UpdateSpan, View
from tests.controller.apps.command.orders import CSV, DATASET, shell

FIRST = UpdateSpan(after=None, upto=0)
VIEW = View(
    dataset=DATASET,
    application="command",
    extent=Extent(period=Period(start_at=0.0, end_at=4e9), parameters=("magnitude",)),
    options=(("magnitude_min", "4"),),
)
SELECTION = Selection(view=VIEW, updates=FIRST)
EARLY, LATE = VIEW.extent.cut_time([1_600_000_000.0])
FILES = {name: ListedFile(path=name, size_bytes=10, stamp="1") for name in ("a.csv", "b.csv")}
INDEX = ["file,date,latitude,longitude\n", "a.csv,2020-01-01,0,0\n", "b.csv,2021-01-01,0,0\n"]

# What the header and rows of each file are is the command's own business.
COPY = shell('echo place,{parameters} > "$1"; echo 1,2 >> "$1"')


def application(
    folder: Path, listing: Listing | None = None, form: Form = CSV
) -> CommandApplication:
    dataset = CommandDataset(
        identifier=DATASET,
        archive="/data/quakes",
        parameters=("depth", "magnitude"),
        options=("magnitude_min",),
        tool=COPY,
        form=form,
    )
    return CommandApplication(
        dataset=dataset,
        fragments_url=f"{folder}/fragments/",
        staging_url=f"{folder}/staging",
        listing=listing,
    )


def test_without_a_listing_a_part_has_its_piece_and_no_files(tmp_path: Path) -> None:
    served = application(tmp_path)
    order = served.part_order(VIEW, LATE, FIRST, "t1-2.a1")
    assert (order.extent, order.files) == (LATE, None)
    assert (order.options, order.archive) == (VIEW.options, "/data/quakes")
    assert served.density(VIEW, FIRST) is None


def test_without_an_index_a_part_has_its_piece_and_all_files(tmp_path: Path) -> None:
    served = application(tmp_path, Listing(FILES))
    order = served.part_order(VIEW, LATE, FIRST, "t1-2.a1")
    assert order.extent == LATE
    assert order.files == tuple(FILES.values())
    assert served.density(VIEW, FIRST) is None


def test_with_an_index_a_part_has_its_files_and_keeps_what_the_view_asks_for(
    tmp_path: Path,
) -> None:
    served = application(tmp_path, Listing(FILES, parse_places(INDEX, "index.csv", FILES)))
    order = served.part_order(VIEW, LATE, FIRST, "t1-2.a1")
    assert order.extent == VIEW.extent
    assert order.files == (FILES["b.csv"],)
    density = served.density(VIEW, FIRST)
    assert density is not None
    assert density.features(EARLY).size_bytes == 10


@pytest.mark.parametrize("form", [CSV, Form(join=Join.PACKAGE, ending=".csv")])
def test_orders_travel_and_make_a_product_whose_name_fits(form: Form, tmp_path: Path) -> None:
    served = application(tmp_path, form=form)
    orders = [
        served.part_order(VIEW, piece, FIRST, f"t1-{number}.a1")
        for number, piece in enumerate((EARLY, LATE))
    ]
    fragments = tuple(served.extract(pickle.loads(pickle.dumps(order))) for order in orders)
    made = served.combine(served.product_order(SELECTION, fragments, "p-v1-to-u0", "p"))
    assert made.url == f"{tmp_path}/staging/p-v1-to-u0{form.product_ending}"
    assert made.rows == 2
    assert Path(f"{tmp_path}/staging/p-v1-to-u0.manifest.json").exists()
    if form is CSV:
        assert Path(made.url).read_text() == "place,magnitude\n1,2\n1,2\n"


def test_all_parameters_are_asked_for_by_default(tmp_path: Path) -> None:
    served = application(tmp_path)
    view = served.view(GLOBE, ALWAYS, (), ())
    assert view.extent.parameters == served.parameters() == ("depth", "magnitude")
    assert served.view(GLOBE, ALWAYS, ("depth",), ()).extent.parameters == ("depth",)


@pytest.mark.parametrize(
    ("option", "fault"),
    [
        (("magnitud_min", "4"), "unknown option magnitud_min. Known: magnitude_min"),
        (("magnitude_min", "4\n5"), "option magnitude_min is too long or holds control"),
        (("magnitude_min", "4" * 1001), "option magnitude_min is too long or holds control"),
    ],
)
def test_options_that_the_operator_has_not_named_are_refused(
    option: tuple[str, str], fault: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidSubscription, match=fault):
        application(tmp_path).check_options((option,))
    application(tmp_path).check_options((("magnitude_min", "4; rm -rf /"),))


def test_a_subscribers_options_never_reach_the_command_line(tmp_path: Path) -> None:
    served = application(tmp_path)
    view = replace(VIEW, options=(("magnitude_min", "{fragment} --evil"),))
    order = served.part_order(view, LATE, FIRST, "t1-2.a1")
    assert "evil" not in str(order.tool)
    assert served.extract(order).rows == 1
