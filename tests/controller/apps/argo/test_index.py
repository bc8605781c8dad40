"""Reading indexes: by column name, with every quirk that the real ones have."""

from __future__ import annotations

import io
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.apps.argo import index as index_module
from controller.apps.argo.archive import open_archive
from controller.apps.argo.catalogue import profile_indexes, read
from controller.apps.argo.index import Index, read_index
from controller.apps.argo.orders import ArchiveAddress, SourceFile
from controller.apps.argo.rows import NO_POSITION, NO_TIME, TICKS_PER_DEGREE, Kind
from controller.errors import ArchiveError
from tests.controller.apps.argo.index_files import (
    CORE_HEADER,
    Line,
    bgc_index,
    core_index,
    global_index,
    index_of,
    instant,
    unpacked_subset,
)


def files(index: Index) -> list[SourceFile]:
    return index.rows.source_files(np.arange(len(index.rows)))


def paths(index: Index) -> list[str]:
    return [file.path for file in files(index)]


def told(index: Index) -> dict[str, tuple[int, tuple[str, ...]]]:
    return {fault.reason: (fault.rows, fault.examples) for fault in index.faults}


class TestWhatIsRead:
    def test_a_row_is_read_whole(self) -> None:
        index = index_of(core_index(Line()))
        rows = index.rows
        assert files(index) == [SourceFile(path=Line().file, date_update=Line().date_update)]
        assert rows.time_s.tolist() == [datetime(1997, 7, 29, 20, 3, tzinfo=UTC).timestamp()]
        assert rows.latitude_ticks.tolist() == [2_670_000]
        assert rows.longitude_ticks.tolist() == [-160_320_000]
        assert rows.parameter_sets == (("PRES", "PSAL", "TEMP"),)
        assert index.faults == ()

    def test_rows_come_in_the_order_of_time(self) -> None:
        later, earlier = (
            Line(date="20200101000000"),
            Line(file="aoml/13857/profiles/R13857_002.nc", date="20190101000000"),
        )
        assert paths(index_of(core_index(later, earlier))) == [earlier.file, later.file]

    @pytest.mark.parametrize(
        "path",
        [
            "aoml/13857/profiles/R13857_001.nc",
            "aoml/13857/profiles/D13857_001D.nc",
            "coriolis/6903247/profiles/BR6903247_999D.nc",
            "coriolis/6903247/profiles/SD6903247_000.nc",
            "aoml/3901161/profiles/D3901161_1000.nc",
            "my-own_dac2/12345678/profiles/R12345678_99999.nc",
        ],
    )
    def test_paths_are_written_out_again_to_the_letter(self, path: str) -> None:
        assert paths(index_of(bgc_index(Line(file=path)))) == [path]

    @pytest.mark.parametrize(
        "path",
        [
            "../../etc/passwd",
            "/etc/passwd",
            "aoml/../profiles/R13857_001.nc",
            "../13857/profiles/R13857_001.nc",
            "aoml/13857/profiles/../R13857_001.nc",
            "aoml/13857/profiles/R13858_001.nc",
            "aoml/13857/profiles/M13857_001.nc",
            "aoml/13857/profiles/R13857_01.nc",
            "aoml/13857/profiles/R13857_0001.nc",
            "aoml/13857/profiles/R13857_001.nc.exe",
            "aoml/13857/profiles/R13857_001X.nc",
            "aoml/013857/profiles/R013857_001.nc",
            "aoml/13857/profiles/R13857_.nc",
            "aoml/13857/profiles/R_001.nc",
            "aoml/13857/Profiles/R13857_001.nc",
            "AOML/13857/profiles/R13857_001.nc",
            "x/aoml/13857/profiles/R13857_001.nc",
            "/13857/profiles/R13857_001.nc",
            "aoml/123456789/profiles/R123456789_001.nc",
            "aoml/13857/profiles/13857_meta.nc",
            "aoml/123456789/profiles/R12345678_001.nc",
            "aoml/12345678/profiles/R123456789_001.nc",
            "nonsense",
            "///_.nc",
            "",
        ],
    )
    def test_a_path_that_no_profile_file_has_is_left_out_and_told(self, path: str) -> None:
        index = index_of(core_index(Line(), Line(file=path)))
        assert paths(index) == [Line().file]
        assert told(index) == {"no profile file named": (1, ("line 6",))}

    def test_columns_are_found_by_name_and_others_ignored(self) -> None:
        index = index_of(
            "# any\nlongitude,n_levels,file,DATE, latitude\n"
            "-16.032,71,aoml/13857/profiles/R13857_001.nc,19970729200300,0.267\n"
        )
        expected = index_of(core_index(Line())).rows
        assert index.rows.time_s == expected.time_s
        assert index.rows.latitude_ticks == expected.latitude_ticks
        assert index.rows.longitude_ticks == expected.longitude_ticks
        assert files(index) == [SourceFile(path=Line().file, date_update="")]

    def test_parameters_are_read_where_the_index_has_them(self) -> None:
        one = Line(file="coriolis/1/profiles/SD1_001.nc", parameters="PRES TEMP DOXY")
        two = Line(file="coriolis/1/profiles/SD1_002.nc", parameters="PRES DOXY TEMP")
        three = Line(file="coriolis/1/profiles/SD1_003.nc", parameters="")
        rows = index_of(bgc_index(one, two, three)).rows
        assert [rows.parameter_sets[code] for code in rows.parameter_set] == [
            ("DOXY", "PRES", "TEMP"),
            ("DOXY", "PRES", "TEMP"),
            (),
        ]

    def test_kinds_are_told_apart_by_the_names_of_files(self) -> None:
        names = ("R1_001", "BR1_001", "SD1_001", "D1_002")
        lines = [Line(file=f"kma/1/profiles/{n}.nc", parameters="PRES DOXY") for n in names]
        by_kind = index_of(bgc_index(*lines)).rows.by_kind()
        assert {kind: len(rows) for kind, rows in by_kind.items()} == {
            Kind.CORE: 2,
            Kind.BIO: 1,
            Kind.SYNTHETIC: 1,
        }

    def test_an_index_without_rows_is_empty(self) -> None:
        assert len(index_of(core_index()).rows) == 0
        assert len(index_of(CORE_HEADER).rows) == 0


class TestQuirks:
    def test_line_ends_nul_padding_blanks_and_a_missing_last_newline(self) -> None:
        first, second = Line(), Line(file="aoml/13857/profiles/R13857_002.nc")
        text = core_index(first, second)
        padded = text.replace(".nc,", ".nc\0\0\0,").replace(",0.267,", ",  0.267 ,")
        assert padded != text
        for quirk in (text.replace("\n", "\r\n"), padded, text.rstrip("\n"), "\ufeff" + text):
            index = index_of(quirk)
            assert files(index) == files(index_of(text))
            assert index.rows.latitude_ticks.tolist() == [2_670_000, 2_670_000]
            assert index.faults == ()

    def test_blank_lines_are_no_rows(self) -> None:
        assert told(index_of(core_index(Line(), "", ""))) == {}

    @pytest.mark.parametrize(
        "date",
        ["", "2018", "2018-01-01T0000", "20181301000000", "20190229000000", "20180101240000",
         "00000000000000", "2018010100000", "201801010000000", "2018010100000x"],
    )  # fmt: skip
    def test_rows_without_a_usable_date_are_kept_apart_and_told(self, date: str) -> None:
        index = index_of(core_index(Line(date=date), Line(file="aoml/1/profiles/R1_001.nc")))
        assert index.rows.time_s[-1] == NO_TIME
        assert index.rows.located.tolist() == [True, False]
        assert told(index) == {"no usable date": (1, ("line 5",))}

    @pytest.mark.parametrize(
        ("latitude", "longitude"),
        [("", ""), ("-99.999", "-999.999"), ("0", ""), ("", "0"), ("90.001", "0"), ("0", "360.001"),
         ("0", "-180.001"), ("99999.", "0"), ("1e1", "0"), ("nan", "0"), ("1.2.3", "0"), (".", "0"),
         ("-", "0"), ("0", "--1"), ("9999999999999999", "0"), ("0", "12345678901234567890")],
    )  # fmt: skip
    def test_rows_without_a_usable_position_are_told(self, latitude: str, longitude: str) -> None:
        index = index_of(core_index(Line(latitude=latitude, longitude=longitude)))
        assert index.rows.latitude_ticks.tolist() == [NO_POSITION]
        assert index.rows.longitude_ticks.tolist() == [NO_POSITION]
        assert told(index) == {"no usable position": (1, ("line 5",))}

    @pytest.mark.parametrize(
        ("written", "meant"),
        [("180", -180.0), ("180.000", -180.0), ("-180", -180.0), ("359.999", -0.001), ("360", 0.0),
         ("190.5", -169.5), ("+5.", 5.0), (".5", 0.5), ("-0.0", 0.0),
         ("179.9999999", 179.9999999), ("0.12345678", 0.1234567)],
    )  # fmt: skip
    def test_longitudes_are_wrapped(self, written: str, meant: float) -> None:
        index = index_of(core_index(Line(longitude=written)))
        assert index.rows.longitude_ticks[0] / TICKS_PER_DEGREE == meant

    def test_malformed_rows_are_counted_with_the_first_few_lines(self) -> None:
        bad = ["aoml/13857/profiles/R13857_001.nc,too,few"] * 7
        index = index_of(core_index(*bad, Line().core() + ",too,many", Line(), "# late comment"))
        assert paths(index) == [Line().file]
        places = tuple(f"line {line}" for line in range(5, 10))
        assert told(index) == {"wrong number of fields": (9, places)}
        assert str(index.faults[0]) == (
            "ar_index_global_prof.txt: wrong number of fields in 9 rows "
            "(line 5, line 6, line 7, line 8, line 9, ...)"
        )

    @pytest.mark.parametrize(
        ("date", "exists"),
        [("20000229000000", True), ("20240229235959", True), ("21000229000000", False),
         ("20230229000000", False), ("20240431000000", False), ("20241231235960", False)],
    )  # fmt: skip
    def test_leap_days(self, date: str, exists: bool) -> None:
        assert index_of(core_index(Line(date=date))).rows.located.tolist() == [exists]

    @pytest.mark.parametrize("date_update", ["", "unknown", "2018", "20181301000000"])
    def test_an_unreadable_date_of_update_is_empty(self, date_update: str) -> None:
        assert files(index_of(core_index(Line(date_update=date_update))))[0].date_update == ""

    def test_a_profile_listed_twice_counts_once_as_its_delayed_mode_file(self) -> None:
        real_time = Line(date_update="20220101000000")
        delayed = Line(file="aoml/13857/profiles/D13857_001.nc", date_update="20210101000000")
        old_delayed = Line(file=delayed.file, date_update="20200101000000")
        for lines in ((real_time, delayed, old_delayed), (old_delayed, delayed, real_time)):
            index = index_of(core_index(*lines))
            assert files(index) == [SourceFile(path=delayed.file, date_update="20210101000000")]
            assert told(index)["a profile listed before"][0] == 2

    def test_lines_are_numbered_through_all_blocks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(index_module, "BLOCK_BYTES", 100)
        lines = [Line(file=f"aoml/13857/profiles/R13857_{n:03d}.nc") for n in range(1, 200)]
        index = index_of(core_index(*lines[:150], "broken", *lines[150:]))
        assert paths(index) == [line.file for line in lines]
        assert told(index) == {"wrong number of fields": (1, ("line 155",))}


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("header", "lacking"),
        [("file,date,latitude", "lacks the column longitude"),
         ("date,lat,lon", "lacks the columns file, latitude, longitude"),
         ("file,profiler_type,institution,date_update", "lacks the columns date, latitude")],
    )  # fmt: skip
    def test_lacking_columns_are_named_with_those_needed(self, header: str, lacking: str) -> None:
        with pytest.raises(ArchiveError) as refusal:
            index_of(f"# any\n{header}\n", name="ar_index.txt")
        assert refusal.value.what.startswith("ar_index.txt " + lacking)
        assert "file, date, latitude, longitude" in refusal.value.fix

    def test_a_bio_index_needs_its_parameters(self) -> None:
        with pytest.raises(ArchiveError, match="lacks the column parameters"):
            index_of(core_index(Line(file="aoml/13857/profiles/BR13857_001.nc")))

    @pytest.mark.parametrize(
        "content", [b"", b"# only\n# comments\n", b"#\n" * 1000, b"\0" * 100_000]
    )
    def test_what_names_no_columns_is_no_index(self, content: bytes) -> None:
        with pytest.raises(ArchiveError, match="no line names its columns"):
            index_of(content)

    def test_binary_after_a_header_is_refused_by_its_endless_line(self) -> None:
        content = core_index().encode() + b"x" * (index_module.BLOCK_BYTES + 100_000)
        with pytest.raises(ArchiveError, match="longer than"):
            index_of(content)

    @pytest.mark.parametrize("limit", ["DACS_MAX", "PARAMETER_SETS_MAX"])
    def test_more_names_than_any_archive_has(
        self, limit: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(index_module, limit, 3)
        lines = [Line(file=f"d{n}/{n}/profiles/SR{n}_001.nc", parameters=f"P{n}") for n in "12345"]
        with pytest.raises(ArchiveError, match="more than 3"):
            index_of(bgc_index(*lines))

    @given(st.binary(max_size=300))
    def test_nothing_that_follows_a_header_breaks_the_reading(self, noise: bytes) -> None:
        index = index_of(core_index(Line()).encode() + noise)
        assert Line().file in paths(index) or index.faults


profiles = st.tuples(
    st.from_regex(r"[a-z][a-z0-9_-]{0,9}", fullmatch=True),
    st.integers(1, 99_999_999),
    st.sampled_from(["", "B", "S"]),
    st.integers(0, 99_999),
    st.sampled_from(["", "D"]),
    st.sampled_from("RD"),
)
degrees = st.decimals(-90, 90, places=7, allow_nan=False)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
instants = st.integers(int(instant(1900)), int(instant(2200)) - 1)


@given(
    st.lists(
        st.tuples(profiles, instants, degrees, degrees),
        unique_by=lambda row: row[0][1:5],
        max_size=20,
    )
)
def test_what_is_written_is_what_is_read(
    rows: list[tuple[tuple[str, int, str, int, str, str], int, Decimal, Decimal]],
) -> None:
    expected = {
        f"{dac}/{wmo}/profiles/{kind}{mode}{wmo}_{cycle:03d}{direction}.nc": (
            time_s,
            float(latitude),
            float(longitude),
            f"{EPOCH + timedelta(seconds=time_s):%Y%m%d%H%M%S}",
        )
        for (dac, wmo, kind, cycle, direction, mode), time_s, latitude, longitude in rows
    }
    text = "file,date,latitude,longitude,parameters\n" + "".join(
        f"{path},{stamp},{latitude:.7f},{longitude:.7f},PRES\n"
        for path, (_, latitude, longitude, stamp) in expected.items()
    )
    index = index_of(text)
    columns = (
        index.rows.time_s.tolist(),
        (index.rows.latitude_ticks / TICKS_PER_DEGREE).tolist(),
        (index.rows.longitude_ticks / TICKS_PER_DEGREE).tolist(),
    )
    found = dict(zip(paths(index), zip(*columns, strict=True), strict=True))
    assert found == {path: row[:3] for path, row in expected.items()}
    assert index.faults == ()


@pytest.mark.shared_data
class TestRealIndexes:
    def test_all_indexes_of_the_real_subset(self, tmp_path: Path) -> None:
        archive = open_archive(ArchiveAddress(url=str(unpacked_subset(tmp_path))))
        names = profile_indexes(archive)
        assert names == (
            "ar_index_global_prof.txt",
            "argo_bio-profile_index.txt",
            "argo_synthetic-profile_index.txt",
        )
        core, bio, synthetic = (read(archive, name) for name in names)
        assert [len(index.rows) for index in (core, bio, synthetic)] == [1174, 45, 133]
        assert paths(core) == paths(read(archive, "ar_index_global_prof.txt.gz"))
        assert all(archive.exists(path) for path in paths(core))
        assert {reason: rows for reason, (rows, _) in told(core).items()} == {
            "no usable date": 73,
            "no usable position": 7,
        }

    def test_the_global_index_loads_in_seconds(self) -> None:
        path = global_index()
        archive = open_archive(ArchiveAddress(url=str(path.parent)))
        tracemalloc.start()
        began = time.perf_counter()
        try:
            index = read(archive, path.name)
        finally:
            peak_bytes = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        # The real figures are in docs/reference/performance.md; a busy machine is slower.
        assert time.perf_counter() - began < 60
        assert peak_bytes < 400e6
        assert len(index.rows) == 2_939_553
        assert told(index)["no usable position"][0] == 369
        assert index.rows.time_s[0] == pytest.approx(instant(1997, 7, 28), abs=86400 * 2)


def test_a_stream_need_not_give_whole_blocks() -> None:
    class Drop(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(7)

    text = core_index(Line(), Line(file="aoml/13857/profiles/R13857_002.nc")).encode()
    assert len(read_index(Drop(text), "drops").rows) == 2
