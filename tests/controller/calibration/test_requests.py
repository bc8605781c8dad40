"""What is drawn from an archive: both designs, every kind, all strata, and the same again."""

from __future__ import annotations

import numpy as np
import pytest

from controller.apps.argo.archive import open_archive
from controller.apps.argo.catalogue import Catalogue
from controller.apps.argo.orders import ArchiveAddress
from controller.apps.argo.rows import Kind
from controller.calibration.requests import BASE, FILES_MAX, Design, Request, chosen, draw_requests
from controller.demo.archive import DemoArchive
from controller.errors import ArchiveError
from tests.controller.apps.argo.index_files import Line, core_index, global_index, index_of


@pytest.fixture(scope="module")
def catalogue(small_archive: DemoArchive) -> Catalogue:
    return Catalogue.load(open_archive(ArchiveAddress(url=str(small_archive.folder))))


@pytest.fixture(scope="module")
def drawn(catalogue: Catalogue) -> list[Request]:
    return draw_requests(catalogue, 60, seed=1)


def test_as_many_as_wanted_of_both_designs_and_kinds(
    catalogue: Catalogue, drawn: list[Request]
) -> None:
    assert len(drawn) == 60
    assert sum(one.design is Design.AREA for one in drawn) == 15
    kinds = {one.kind for one in drawn}
    assert kinds == catalogue.kinds - ({Kind.BIO} if Kind.SYNTHETIC in catalogue.kinds else set())


def test_features_are_what_the_index_says(catalogue: Catalogue, drawn: list[Request]) -> None:
    for one in drawn:
        assert one.features.files == catalogue.count(one.extent, BASE, one.kind)
        assert one.features.files >= 1
        assert one.features.files <= one.features.values


def test_boxes_are_of_all_sizes_up_to_the_bound(drawn: list[Request]) -> None:
    boxes = [one.features.files for one in drawn if one.design is Design.BOXES]
    assert max(boxes) <= FILES_MAX
    assert min(boxes) <= 3
    assert max(boxes) > 50


def test_the_area_is_one_but_for_its_edges(drawn: list[Request]) -> None:
    windows = [one for one in drawn if one.design is Design.AREA]
    areas = [one.extent.box.area_km2 for one in windows]
    assert 1.0 < max(areas) / min(areas) < 2.0
    assert max(one.coverage_d for one in windows) > 2 * min(one.coverage_d for one in windows)
    middle = windows[0].extent.box
    assert all(abs(one.extent.box.south - middle.south) <= 18.0 for one in windows)


def test_the_same_seed_draws_the_same(catalogue: Catalogue, drawn: list[Request]) -> None:
    assert draw_requests(catalogue, 60, seed=1) == drawn
    assert draw_requests(catalogue, 60, seed=2) != drawn


def test_an_archive_of_unplaced_profiles_gives_nothing_to_measure() -> None:
    lost = Catalogue.from_indexes([index_of(core_index(Line(date="", latitude="")))])
    with pytest.raises(ArchiveError, match="no profile with a time and a place"):
        draw_requests(lost, 30, seed=1)


def test_strata_are_filled_alike() -> None:
    # Nine in ten candidates are of stratum 0: drawn blindly, they would be nine in ten chosen.
    strata = np.array([[0, n % 4] for n in range(900)] + [[1, n % 4] for n in range(100)])
    taken = strata[chosen(strata, 80)]
    assert np.bincount(taken[:, 0]).tolist() == [40, 40]
    assert np.bincount(taken[:, 1]).tolist() == [20, 20, 20, 20]


def test_no_candidate_is_chosen_twice_and_none_beyond_those_there_are() -> None:
    strata = np.zeros((5, 3), np.intp)
    assert sorted(chosen(strata, 9)) == [0, 1, 2, 3, 4]
    assert chosen(np.empty((0, 5), np.intp), 3) == []


@pytest.mark.shared_data
def test_the_whole_archive_is_not_read_to_draw_from_it() -> None:
    index = global_index()
    catalogue = Catalogue.load(open_archive(ArchiveAddress(url=str(index.parent))), [index.name])
    found = draw_requests(catalogue, 40, seed=1)
    assert len(found) == 40
    assert sum(one.features.files for one in found) < 40 * 600
