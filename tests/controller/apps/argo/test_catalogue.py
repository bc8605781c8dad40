"""What a catalogue answers: exactly what a scan of the right state of the index would."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.apps.argo.archive import open_archive
from controller.apps.argo.catalogue import Catalogue
from controller.apps.argo.changes import changes_between
from controller.apps.argo.load_map import load_map
from controller.apps.argo.orders import ArchiveAddress, Superseded
from controller.apps.argo.rows import TICKS_PER_DEGREE, Kind, Rows
from controller.errors import ArchiveError
from planner.extent import GLOBE, Box, Extent, Period
from planner.model import UpdateSpan
from tests.controller.apps.argo.index_files import (
    Line,
    archive_of,
    bgc_index,
    core_index,
    global_index,
    index_of,
    instant,
    packed,
    unpacked_subset,
)

BASE = UpdateSpan(after=None, upto=0)
MEDITERRANEAN = Box(west=-6.0, south=30.0, east=36.5, north=46.0)
PACIFIC = Box(west=170.0, south=-10.0, east=-170.0, north=10.0)


def line(cycle: int, **facts: str) -> Line:
    return Line(file=f"aoml/1/profiles/{facts.pop('mode', 'R')}1_{cycle:03d}.nc", **facts)


def catalogue_of(*lines: Line) -> Catalogue:
    return Catalogue.from_indexes([index_of(core_index(*lines))])


def found(
    catalogue: Catalogue,
    extent: Extent | None = None,
    updates: UpdateSpan = BASE,
    kind: Kind = Kind.CORE,
) -> list[str]:
    return [f.path for f in catalogue.files(catalogue.select(extent or Extent(), updates, kind))]


class TestSelecting:
    def test_edges_are_half_open_and_the_pole_belongs_in(self) -> None:
        box = Box(west=1.1, south=2.2, east=3.3, north=4.4)
        corners = [("2.2", "1.1"), ("2.2", "3.3"), ("4.4", "1.1"), ("4.399", "3.299")]
        lines = [line(n, latitude=a, longitude=b) for n, (a, b) in enumerate(corners)]
        inside = [lines[0].file, lines[3].file]
        assert found(catalogue_of(*lines), Extent(box=box)) == inside
        pole = line(9, latitude="90", longitude="180")
        assert found(catalogue_of(pole)) == [pole.file]
        assert found(catalogue_of(pole), Extent(box=Box(west=0, south=0, east=1, north=90))) == []

    @pytest.mark.parametrize("edge", [0.035, 0.07, 0.139, 1.001, 16.032, 89.999])
    def test_a_profile_on_an_edge_that_is_no_binary_fraction(self, edge: float) -> None:
        catalogue = catalogue_of(line(1, latitude=f"{edge}", longitude=f"{-edge}"))
        north_east = Box(west=-edge, south=edge, east=180.0, north=90.0)
        assert len(found(catalogue, Extent(box=north_east))) == 1
        south_west = Box(west=-180.0, south=-90.0, east=-edge, north=edge)
        assert found(catalogue, Extent(box=south_west)) == []

    def test_a_box_across_the_antimeridian(self) -> None:
        longitudes = ["169.999", "170", "179.999", "180", "-180", "-170.001", "-170", "0", "185"]
        lines = [line(n, longitude=x, latitude="0") for n, x in enumerate(longitudes)]
        assert found(catalogue_of(*lines), Extent(box=PACIFIC)) == [
            lines[n].file for n in (1, 2, 3, 4, 5, 8)
        ]

    def test_periods_are_half_open(self) -> None:
        dates = ["20191231235959", "20200101000000", "20201231235959", "20210101000000"]
        lines = [line(n, date=date) for n, date in enumerate(dates)]
        period = Period(start_at=instant(2020), end_at=instant(2021))
        assert found(catalogue_of(*lines), Extent(period=period)) == [
            lines[1].file,
            lines[2].file,
        ]
        around = Period(start_at=instant(2020) - 0.5, end_at=instant(2020) + 0.5)
        assert found(catalogue_of(*lines), Extent(period=around)) == [lines[1].file]
        between = Period(start_at=instant(2020) + 0.5, end_at=instant(2020) + 0.9)
        assert found(catalogue_of(*lines), Extent(period=between)) == []

    def test_rows_without_date_or_position_never_match_but_are_told(self) -> None:
        catalogue = catalogue_of(
            line(1, date=""), line(2, latitude="-99.999", longitude="-999.999"), line(3)
        )
        assert found(catalogue) == [line(3).file]
        assert len(catalogue) == 3
        assert [(fault.rows, fault.reason) for fault in catalogue.faults] == [
            (1, "no usable date"),
            (1, "no usable position"),
        ]

    def test_profiles_match_that_hold_a_wanted_parameter_besides_pressure(self) -> None:
        lines = [
            Line(file="aoml/1/profiles/SR1_001.nc", parameters="PRES TEMP"),
            Line(file="aoml/1/profiles/SR1_002.nc", parameters="PRES DOXY"),
            Line(file="aoml/1/profiles/SR1_003.nc", parameters=""),
        ]
        catalogue = Catalogue.from_indexes([index_of(bgc_index(*lines))])

        def numbers(*parameters: str) -> list[str]:
            paths = found(catalogue, Extent(parameters=parameters), kind=Kind.SYNTHETIC)
            return [path[-4] for path in paths]

        assert numbers() == ["1", "2", "3"]
        assert numbers("DOXY") == ["2"]
        assert numbers("DOXY", "PRES") == ["2"]
        assert numbers("DOXY", "TEMP") == ["1", "2"]
        assert numbers("PRES") == ["1", "2"]
        assert numbers("CHLA") == []
        assert catalogue.parameters() == {"PRES", "TEMP", "DOXY"}

    def test_kinds_are_apart(self) -> None:
        bio = Line(file="aoml/1/profiles/BR1_001.nc", parameters="PRES DOXY")
        catalogue = Catalogue.from_indexes(
            [index_of(core_index(line(1))), index_of(bgc_index(bio))]
        )
        assert catalogue.kinds == {Kind.CORE, Kind.BIO}
        assert found(catalogue) == [line(1).file]
        assert found(catalogue, kind=Kind.BIO) == [bio.file]
        assert found(catalogue, kind=Kind.SYNTHETIC) == []
        assert len(catalogue.current(Kind.SYNTHETIC)) == 0

    def test_a_profile_that_two_indexes_list_counts_once(self) -> None:
        delayed = line(1, mode="D")
        texts = (core_index(line(1), line(2)), core_index(delayed))
        catalogue = Catalogue.from_indexes([index_of(text) for text in texts])
        assert found(catalogue) == [delayed.file, line(2).file]

    def test_an_empty_catalogue_answers_too(self) -> None:
        for catalogue in (Catalogue(), catalogue_of()):
            assert found(catalogue) == []
            assert len(catalogue.density(Extent(), BASE)) == len(catalogue) == 0


edges = st.sampled_from([-180.0, -170.0, -0.001, 0.0, 0.001, 1 / 3, 89.999, 170.0, 180.0])
widths = st.tuples(st.floats(-180, 180) | edges, st.floats(-180, 180) | edges).filter(
    lambda pair: pair[0] != pair[1] and pair != (180.0, -180.0)
)
boxes = st.builds(
    lambda width, south, height: Box(
        west=width[0], east=width[1], south=south, north=min(90.0, south + height)
    ),
    widths,
    st.floats(-90, 89) | edges.filter(lambda edge: abs(edge) < 90),
    st.floats(1e-3, 180),
)
periods = st.builds(
    lambda start, span: Period(start_at=start, end_at=start + span),
    st.floats(0, 1000) | st.integers(0, 1000),
    st.floats(0.25, 1000),
) | st.just(Period())


def scattered(seed: int, count: int) -> Rows:
    """Return rows anywhere, many of them on the very edges of the boxes above."""
    rng = np.random.default_rng(seed)
    longitudes = np.concatenate([rng.uniform(-180, 180, count), [-180, -0.001, 0, 0.001, 170]])
    latitudes = rng.choice(np.concatenate([rng.uniform(-90, 90, count), [90, -90, 0]]), count + 5)
    text = "file,date,latitude,longitude\n" + "".join(
        f"a/1/profiles/R1_{n:03d}.nc,{19700101000000 + n % 60},{latitude:.3f},{longitude:.3f}\n"
        for n, (latitude, longitude) in enumerate(zip(latitudes, longitudes, strict=True))
    )
    return index_of(text).rows


@given(boxes, periods)
def test_it_selects_exactly_what_the_extent_contains(box: Box, period: Period) -> None:
    rows = scattered(1, 300)
    extent = Extent(box=box, period=period)
    inside = extent.contains(
        rows.time_s.astype(np.float64),
        rows.longitude_ticks / TICKS_PER_DEGREE,
        rows.latitude_ticks / TICKS_PER_DEGREE,
    )
    assert (
        Catalogue.from_rows([rows]).select(extent, BASE).tolist() == np.flatnonzero(inside).tolist()
    )


class TestUpdates:
    def test_a_request_is_answered_as_of_its_update_also_after_later_ones(self) -> None:
        catalogue = catalogue_of(line(1), line(2))
        states = [
            [line(1), line(2), line(3)],
            [line(1, mode="D"), line(2), line(3)],
            [line(1, mode="D"), line(3, date_update="20240101000000")],
        ]
        for number, state in enumerate(states, start=1):
            rows = index_of(core_index(*state)).rows
            catalogue.apply(number, changes_between(catalogue.current(), rows))
        r1, d1, r2, r3 = (line(1).file, line(1, mode="D").file, line(2).file, line(3).file)
        expected = {
            (None, 0): [r1, r2],
            (None, 1): [r1, r2, r3],
            (None, 2): [d1, r2, r3],
            (None, 3): [d1, r3],
            (0, 1): [r3],
            (1, 2): [d1],
            (2, 3): [r3],
            (0, 2): [d1, r3],
            (0, 3): [d1, r3],
            (3, 3): [],
        }
        for (after, upto), paths in expected.items():
            assert found(catalogue, updates=UpdateSpan(after=after, upto=upto)) == paths
        assert catalogue.newest == 3
        assert len(catalogue) == 2

    def test_what_an_increment_supersedes_and_withdraws_is_told(self) -> None:
        catalogue = catalogue_of(line(1), line(2, date_update=""), line(3), line(4))
        news = [
            line(1, mode="D", date_update="20240101000000"),
            line(2, date_update="20240101000000"),
            line(4, latitude="-60"),
            line(5),
        ]
        rows = index_of(core_index(*news)).rows
        catalogue.apply(1, changes_between(catalogue.current(), rows))
        north = Extent(box=Box(west=-180, south=-10, east=180, north=90))
        superseded, withdrawn = catalogue.superseded(north, UpdateSpan(after=0, upto=1))
        assert superseded == (
            Superseded(
                profile=(1, 1, "A", "core"),
                path=line(1).file,
                date_update=line(1).date_update,
                data_mode="R",
            ),
            Superseded(
                profile=(1, 2, "A", "core"), path=line(2).file, date_update="", data_mode="R"
            ),
        )
        assert [one.profile[1] for one in withdrawn] == [3, 4]
        assert catalogue.superseded(north, BASE) == ((), ())
        assert catalogue.superseded(north, UpdateSpan(after=1, upto=1)) == ((), ())
        assert catalogue.superseded(north, UpdateSpan(after=0, upto=1), Kind.BIO) == ((), ())

    def test_numbers_of_rows_last(self) -> None:
        catalogue = catalogue_of(line(1), line(2))
        numbers = catalogue.select(Extent(), BASE)
        before = catalogue.files(numbers)
        rows = index_of(core_index(line(0, date="19970101000000"), line(1, mode="D"))).rows
        catalogue.apply(1, changes_between(catalogue.current(), rows))
        assert catalogue.files(numbers) == before

    def test_an_update_is_applied_once(self) -> None:
        catalogue = catalogue_of(line(1))
        nothing = changes_between(catalogue.current(), catalogue.current())
        catalogue.apply(1, nothing)
        with pytest.raises(AssertionError):
            catalogue.apply(1, nothing)


index_states = st.lists(
    st.dictionaries(
        st.integers(1, 6),
        st.tuples(st.sampled_from("RD"), st.sampled_from(["", "2020", "2021"]), st.booleans()),
    ),
    min_size=1,
    max_size=6,
)
State = dict[int, tuple[str, str, bool]]


def lines_of(state: State) -> list[Line]:
    return [
        line(
            cycle,
            mode=mode,
            date_update=year and f"{year}0101000000",
            latitude="40" if north else "-40",
        )
        for cycle, (mode, year, north) in state.items()
    ]


@given(index_states, st.data())
@settings(deadline=None)
def test_every_span_of_updates_is_answered_from_the_state_at_its_end(
    states: list[State], data: st.DataObject
) -> None:
    base, *later = states
    catalogue = catalogue_of(*lines_of(base))
    changed_at = dict.fromkeys(base, 0)
    history = [dict(changed_at)]
    for number, (before, state) in enumerate(zip(states, later, strict=False), start=1):
        rows = index_of(core_index(*lines_of(state))).rows
        catalogue.apply(number, changes_between(catalogue.current(), rows))
        changed_at = {
            cycle: changed_at[cycle] if before.get(cycle) == row else number
            for cycle, row in state.items()
        }
        history.append(dict(changed_at))
    upto = data.draw(st.integers(0, len(later)))
    after = data.draw(st.none() | st.integers(0, upto))
    north = Extent(box=Box(west=-180, south=0, east=180, north=90))
    wanted = [
        row.file
        for cycle, row in zip(states[upto], lines_of(states[upto]), strict=True)
        if row.latitude == "40" and (after is None or history[upto][cycle] > after)
    ]
    span = UpdateSpan(after=after, upto=upto)
    assert found(catalogue, north, span) == sorted(wanted)
    superseded, withdrawn = catalogue.superseded(north, span)
    before = {} if after is None else states[after]
    former = {c: row.file for c, row in zip(before, lines_of(before), strict=True)}
    brought = [c for c, row in states[upto].items() if row[2] and history[upto][c] > (after or 0)]
    assert [one.path for one in superseded] == [former[c] for c in sorted(brought) if c in former]
    gone = [
        c for c, row in before.items() if row[2] and not states[upto].get(c, ("", "", False))[2]
    ]
    assert [one.path for one in withdrawn] == [former[c] for c in sorted(gone)]


class TestLoadMap:
    def test_few_profiles_are_masses_of_their_own(self) -> None:
        lines = [line(1, date="20210101000000", longitude="190"), line(2, date="20200101000000")]
        density = catalogue_of(*lines).density(Extent(), BASE)
        assert density.time_s.tolist() == [instant(2020), instant(2021)]
        assert density.longitude.tolist() == [-16.032, -170.0]
        assert density.latitude.tolist() == [0.267, 0.267]
        assert density.files.tolist() == [1.0, 1.0]
        assert density.size_bytes.tolist() == [0.0, 0.0]

    def test_only_what_a_file_holds_counts_as_read(self) -> None:
        rows = index_of(
            bgc_index(
                Line(file="aoml/1/profiles/SR1_001.nc", parameters="PRES TEMP DOXY"),
                Line(file="aoml/2/profiles/SR2_001.nc", parameters="PRES TEMP CHLA BBP700"),
            )
        ).rows
        catalogue = Catalogue.from_rows([rows])

        def values(*wanted: str) -> int:
            extent = Extent(parameters=wanted)
            return catalogue.density(extent, BASE, Kind.SYNTHETIC).features(extent).values

        # Pressure is read of every file, asked for or not; a file without DOXY is not read at all.
        assert values("DOXY") == 2
        assert values("DOXY", "TEMP") == 3 + 2
        assert values("CHLA", "DOXY", "PRES") == 2 + 2
        assert values() == 3 + 4

    def test_updates_are_in_it(self) -> None:
        catalogue = catalogue_of(line(1), line(2))
        rows = index_of(core_index(line(1, mode="D"), line(2), line(3, latitude="5"))).rows
        catalogue.apply(1, changes_between(catalogue.current(), rows))
        assert len(catalogue.density(Extent(), UpdateSpan(after=None, upto=1))) == 3
        increment = catalogue.density(Extent(), UpdateSpan(after=0, upto=1))
        assert sorted(increment.latitude.tolist()) == [0.267, 5.0]

    @pytest.mark.parametrize("masses_max", [3000, 500, 1])
    def test_many_profiles_become_masses_of_cells(self, masses_max: int) -> None:
        rng = np.random.default_rng(5)
        time_s = rng.integers(int(instant(2000)), int(instant(2001)), 5000)
        longitude = rng.integers(-1_800_000_000, 1_800_000_000, 5000, np.int32)
        latitude = rng.integers(-900_000_000, 900_000_000, 5000, np.int32)
        longitude[:4000] //= 20
        latitude[:4000] //= 20
        values = rng.integers(1, 13, 5000)
        density = load_map(time_s, longitude, latitude, values, masses_max)
        assert density.files.sum() == 5000
        assert density.features(Extent()).values == values.sum()
        assert len(density) <= max(masses_max, 4000)
        assert len(density) < 5000
        there = set(zip(time_s.tolist(), (longitude / 1e7).tolist(), strict=True))
        masses = set(zip(density.time_s.tolist(), density.longitude.tolist(), strict=True))
        assert masses <= there, "a mass lies at one of its profiles"
        middle = np.median(time_s)
        early = density.files[density.time_s < middle].sum()
        assert early == pytest.approx(2500, rel=0.15)

    def test_profiles_of_one_cell_are_one_mass(self) -> None:
        time_s = np.arange(10) * 3600 + 86400
        places = np.full(10, 5_000_000, np.int32)
        density = load_map(time_s, -places, places, np.arange(10), masses_max=5)
        assert density.files.tolist() == [10.0]
        assert density.features(Extent()).values == 45
        assert density.time_s.tolist() == [5 * 3600 + 86400]
        assert density.longitude.tolist() == [-0.5]


class TestLoading:
    def test_all_kinds_of_an_archive(self, tmp_path: Path) -> None:
        bio = bgc_index(Line(file="aoml/1/profiles/BR1_001.nc", parameters="DOXY"))
        folder = archive_of(tmp_path, core=core_index(line(1)), bio=bio)
        catalogue = Catalogue.load(open_archive(ArchiveAddress(url=str(folder))))
        assert catalogue.kinds == {Kind.CORE, Kind.BIO}
        assert len(catalogue) == 2

    def test_packed_indexes_and_those_named(self, tmp_path: Path) -> None:
        archive = open_archive(ArchiveAddress(url=str(archive_of(tmp_path))))
        (tmp_path / "ar_index_global_prof.txt.gz").write_bytes(packed(core_index(line(1))))
        (tmp_path / "my_index.csv").write_text(core_index(line(2), line(3)))
        assert len(Catalogue.load(archive)) == 1
        assert len(Catalogue.load(archive, ["my_index.csv"])) == 2

    def test_an_archive_without_an_index(self, tmp_path: Path) -> None:
        archive = open_archive(ArchiveAddress(url=str(archive_of(tmp_path))))
        with pytest.raises(ArchiveError) as refusal:
            Catalogue.load(archive)
        assert str(tmp_path) in refusal.value.what
        for name in ("ar_index_global_prof.txt", "argo_synthetic-profile_index.txt.gz"):
            assert name in refusal.value.what

    @pytest.mark.shared_data
    def test_the_real_subset(self, tmp_path: Path) -> None:
        archive = open_archive(ArchiveAddress(url=str(unpacked_subset(tmp_path))))
        catalogue = Catalogue.load(archive)
        assert len(catalogue) == 1174 + 45 + 133
        extent = Extent(box=MEDITERRANEAN)
        assert catalogue.count(extent, BASE) == 106
        doxy = Extent(box=MEDITERRANEAN, parameters=("DOXY", "PRES"))
        files = catalogue.files(catalogue.select(doxy, BASE, Kind.SYNTHETIC))
        assert files
        assert all(archive.read(file.path)[:3] == b"CDF" for file in files[:5])


@pytest.fixture(name="catalogue", scope="module")
def whole_archive() -> Catalogue:
    path = global_index()
    archive = open_archive(ArchiveAddress(url=str(path.parent)))
    return Catalogue.load(archive, [path.name])


@pytest.mark.shared_data
class TestTheWholeArchive:
    def test_counts_as_a_scan_of_the_text_gave_them(self, catalogue: Catalogue) -> None:
        assert catalogue.count(Extent(box=GLOBE), BASE) == 2_939_553 - 369
        years = Period(start_at=instant(1999), end_at=instant(2008))
        extent = Extent(box=MEDITERRANEAN, period=years)
        # Counted by awk from the text of the index.
        assert catalogue.count(extent, BASE) == 7409

    def test_a_count_takes_milliseconds(self, catalogue: Catalogue) -> None:
        began = time.perf_counter()
        catalogue.count(Extent(box=PACIFIC, parameters=("TEMP",)), BASE)
        # 5 to 20 ms by itself (docs/reference/performance.md); a busy machine is slower.
        assert time.perf_counter() - began < 0.5

    def test_an_update_takes_a_fraction_of_a_second(self, catalogue: Catalogue) -> None:
        old = catalogue.current()
        newer = old.taken(np.arange(len(old) - 500))
        changes = changes_between(newer, old)
        assert len(changes.added) == 500
        began = time.perf_counter()
        catalogue.apply(1, changes_between(old, newer))
        assert time.perf_counter() - began < 10
        assert len(catalogue) == len(newer)


def test_files_come_in_the_order_of_their_paths() -> None:
    lines: Sequence[Line] = [line(3, date="20200101000000"), line(1, date="20210101000000")]
    assert found(catalogue_of(*lines)) == [lines[1].file, lines[0].file]
