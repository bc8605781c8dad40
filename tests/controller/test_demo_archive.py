"""The demonstration archive: the same every time, as odd as a real one, and changed in one step."""

from __future__ import annotations

import gzip
import hashlib
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from controller.apps.argo.changes import changes_between
from controller.apps.argo.index import Index, read_index
from controller.apps.argo.profile import UnreadableProfile, read_profiles
from controller.config.subscriptions import read_subscriptions
from controller.demo.archive import UNREADABLE, DemoArchive, make_archive, reprocess
from controller.demo.archived import DemoProfile, Quirk
from controller.demo.fleet import SEAS, launch_fleet
from controller.demo.floats import Trait
from controller.destinations import Destinations
from tests.controller.known import known_argo

PROFILES = 400
SEED = 5


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> DemoArchive:
    return make_archive(tmp_path_factory.mktemp("archive"), profiles=PROFILES, seed=SEED)


def tree(folder: Path) -> dict[str, str]:
    """Return the digest of every file."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def index_of(archive: DemoArchive) -> Index:
    with archive.index.open("rb") as file:
        return read_index(file, archive.index.name)


def path_of(archive: DemoArchive, profile: DemoProfile, kind: str = "core") -> Path:
    return archive.folder / "dac" / profile.path(kind)


def only(archive: DemoArchive, quirk: Quirk) -> DemoProfile:
    (profile,) = (one for one in archive.profiles if one.quirk is quirk)
    return profile


def row_of(archive: DemoArchive, profile: DemoProfile) -> list[str]:
    (line,) = (
        line
        for line in archive.index.read_text().splitlines()
        if line.startswith(profile.path("core"))
    )
    return line.split(",")


def opened(path: Path) -> netCDF4.Dataset:
    dataset = netCDF4.Dataset(path)
    dataset.set_auto_mask(False)
    dataset.set_auto_chartostring(False)
    return dataset


def test_the_same_seed_makes_the_same_archive(tmp_path: Path) -> None:
    first, second, other = (
        tree(make_archive(tmp_path / name, profiles=100, seed=seed).folder)
        for name, seed in (("first", 1), ("second", 1), ("other", 2))
    )
    assert first == second
    assert first != other


def test_the_index_reads_and_names_what_is_there(archive: DemoArchive) -> None:
    index = index_of(archive)
    assert len(archive.profiles) == PROFILES
    assert len(index.rows) == len(archive.listed) == PROFILES - 1
    listed = {source.path for source in index.rows.source_files(np.arange(len(index.rows)))}
    assert listed == {one.path("core") for one in archive.listed}
    there = {path for path in listed if (archive.folder / "dac" / path).exists()}
    assert listed - there == {only(archive, Quirk.MISSING_FILE).path("core")}


def test_packed_and_plain_indexes_say_the_same(archive: DemoArchive) -> None:
    packed = sorted(archive.folder.glob("*.txt.gz"))
    assert [path.name for path in packed] == [
        "ar_index_global_prof.txt.gz",
        "argo_synthetic-profile_index.txt.gz",
    ]
    for path in packed:
        assert gzip.decompress(path.read_bytes()) == path.with_suffix("").read_bytes()


def test_each_file_says_what_its_row_says(archive: DemoArchive) -> None:
    day_0 = datetime(1950, 1, 1, tzinfo=UTC).timestamp()
    sound = [one for one in archive.listed if one.quirk is Quirk.NONE]
    for one in sound[::7]:
        row = row_of(archive, one)
        with opened(path_of(archive, one)) as dataset:
            assert dataset.data_model == "NETCDF3_CLASSIC"
            at = day_0 + float(dataset["JULD"][0]) * 86400.0
            assert abs(at - datetime.strptime(row[1] + "Z", "%Y%m%d%H%M%S%z").timestamp()) < 0.01
            assert float(dataset["LATITUDE"][0]) == float(row[2])
            assert float(dataset["LONGITUDE"][0]) == float(row[3])
            assert dataset["DATA_MODE"][0].decode() == one.mode
            assert dataset["DATE_UPDATE"][:].tobytes().decode() == row[-1]
            assert f"{dataset['CYCLE_NUMBER'][0]:03d}" in row[0]


def test_measurements_are_plausible(archive: DemoArchive) -> None:
    for owner in {one.owner.track.wmo: one.owner for one in archive.profiles}.values():
        for name, least, most in (("TEMP", -2.5, 36.0), ("PSAL", 31.0, 41.0), ("DOXY", 150, 350)):
            values, flags = owner.measured[name]
            good = values[flags == "1"]
            assert good.min() > least
            assert good.max() < most
        temperature, flags = owner.measured["TEMP"]
        assert np.mean(temperature[:, :5][flags[:, :5] == "1"]) > np.mean(
            temperature[:, -12:][flags[:, -12:] == "1"]
        )


def test_missing_dates_and_positions(archive: DemoArchive) -> None:
    no_date, no_position = only(archive, Quirk.NO_DATE), only(archive, Quirk.NO_POSITION)
    nines, no_ocean = only(archive, Quirk.POSITION_OF_NINES), only(archive, Quirk.NO_OCEAN)
    assert row_of(archive, no_date)[1] == ""
    assert row_of(archive, no_position)[2:5] == ["", "", ""]
    assert row_of(archive, nines)[2:5] == ["-99.999", "-999.999", ""]
    assert row_of(archive, no_ocean)[4] == ""
    with opened(path_of(archive, no_date)) as dataset:
        assert dataset["JULD"][0] == 999999.0
        assert dataset["JULD_QC"][0] == b"9"
    with opened(path_of(archive, no_position)) as dataset:
        assert dataset["LATITUDE"][0] == 99999.0
        assert dataset["POSITION_QC"][0] == b"9"
    with opened(path_of(archive, nines)) as dataset:
        assert (dataset["LATITUDE"][0], dataset["LONGITUDE"][0]) == (-99.999, -999.999)
    assert np.count_nonzero(~index_of(archive).rows.located) == 3


def test_files_that_are_not_as_they_should_be(archive: DemoArchive) -> None:
    contents = {
        quirk: path_of(archive, only(archive, quirk)).read_bytes()
        for quirk in (Quirk.EMPTY_FILE, Quirk.NOT_NETCDF, Quirk.TRUNCATED_FILE)
    }
    assert contents[Quirk.EMPTY_FILE] == b""
    assert contents[Quirk.NOT_NETCDF].startswith(b"<html>")
    truncated = only(archive, Quirk.TRUNCATED_FILE)
    whole = replace(truncated, quirk=Quirk.NONE).content("core")
    assert whole.startswith(contents[Quirk.TRUNCATED_FILE])
    assert len(contents[Quirk.TRUNCATED_FILE]) < len(whole)
    unlisted = only(archive, Quirk.UNLISTED_FILE)
    assert path_of(archive, unlisted).exists()
    assert unlisted.path("core") not in archive.index.read_text()


def with_trait(archive: DemoArchive, trait: Trait) -> list[DemoProfile]:
    found = [one for one in archive.listed if one.owner.trait is trait]
    return [one for one in found if one.quirk not in UNREADABLE]


def test_odd_floats(archive: DemoArchive) -> None:
    with opened(path_of(archive, with_trait(archive, Trait.NO_SALINITY)[0])) as dataset:
        assert "PSAL" not in dataset.variables
        assert dataset.dimensions["N_PARAM"].size == 2
    with opened(path_of(archive, with_trait(archive, Trait.NUL_PADDED)[0])) as dataset:
        assert dataset["PLATFORM_NUMBER"][:].tobytes().endswith(b"\0")
    with opened(path_of(archive, with_trait(archive, Trait.TWO_PROFILES)[0])) as dataset:
        assert dataset.dimensions["N_PROF"].size == 2
        assert dataset["PRES"][1, 0] < dataset["PRES"][0, 0]
    descending = with_trait(archive, Trait.DESCENDING)
    assert {one.path("core")[-4] == "D" for one in descending} == {True, False}
    for one in descending:
        with opened(path_of(archive, one)) as dataset:
            expected = b"D" if one.path("core").endswith("D.nc") else b"A"
            assert dataset["DIRECTION"][0] == expected


def test_synthetic_files_hold_oxygen(archive: DemoArchive) -> None:
    one = with_trait(archive, Trait.OXYGEN)[0]
    with opened(path_of(archive, one, "synthetic")) as dataset:
        assert dataset["DATA_TYPE"][:].tobytes().startswith(b"Argo synthetic profile")
        assert dataset["PARAMETER_DATA_MODE"][:].tobytes() == one.mode.encode() * 4
        assert "DOXY_ADJUSTED_ERROR" in dataset.variables
    index = (archive.folder / "argo_synthetic-profile_index.txt").read_text()
    assert f"{one.path('synthetic')}," in index
    assert f"PRES TEMP PSAL DOXY,{one.mode * 4}," in index


def test_profiles_grow_until_2007_and_stay_flat() -> None:
    tracks = launch_fleet(20_000, np.random.default_rng(SEED))
    instants = np.concatenate([track.time_s for track in tracks])
    assert len(instants) == 20_000
    edges = [datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in range(1997, 2025)]
    counts = dict(zip(range(1997, 2024), np.histogram(instants, edges)[0].tolist(), strict=True))
    assert counts[2001] < 50 < counts[2003] < 300 < counts[2005] < 550 < counts[2007] < 800
    flat = [counts[year] for year in range(2015, 2024)]
    assert max(flat) < 1.35 * min(flat)


def test_floats_stay_in_their_seas_and_cross_the_antimeridian() -> None:
    tracks = launch_fleet(5000, np.random.default_rng(SEED))
    counts = Counter[str]()
    for track in tracks:
        counts[track.sea.dac] += len(track)
        assert np.all(np.abs(track.longitude) <= 180.0)
        inside = np.zeros(len(track), bool)
        for west, south, east, north in track.sea.basins:
            eastward = np.mod(track.longitude - west + 0.001, 360.0)
            inside |= (
                (eastward <= east - west + 0.002)
                & (track.latitude >= south - 0.001)
                & (track.latitude <= north + 0.001)
            )
        assert inside.all()
        assert np.all(np.diff(track.time_s) > 0)
    for sea in SEAS:
        assert counts[sea.dac] == pytest.approx(sea.share * 5000, abs=1)
    assert any(np.ptp(track.longitude) > 300 for track in tracks)
    assert len({track.wmo for track in tracks}) == len(tracks)


def test_a_wave_brings_profiles_to_delayed_mode(tmp_path: Path) -> None:
    before = make_archive(tmp_path, profiles=PROFILES, seed=SEED)
    old_index, old_files = index_of(before), tree(tmp_path)
    after = reprocess(before, profiles=60)
    changes = changes_between(old_index.rows, index_of(after).rows)
    assert (len(changes.superseded), len(changes.added), len(changes.removed)) == (60, 0, 0)
    moved = [
        (old, new) for old, new in zip(before.profiles, after.profiles, strict=True) if old != new
    ]
    assert len(moved) == 60
    for old, new in moved:
        assert (old.mode in "RA", new.mode) == (True, "D")
        assert not path_of(after, old).exists()
        with opened(path_of(after, new)) as dataset:
            adjusted = dataset["TEMP_ADJUSTED"][0]
            assert dataset["DATA_MODE"][0] == b"D"
            assert np.count_nonzero(adjusted != 99999.0) > 40
    untouched = {name: digest for name, digest in old_files.items() if name.endswith(".nc")}
    for old, _ in moved:
        for kind in old.kinds:
            del untouched[f"dac/{old.path(kind)}"]
    assert untouched.items() <= tree(tmp_path).items()
    assert not list(tmp_path.rglob("*.part"))


def test_waves_end_when_nothing_is_left(tmp_path: Path) -> None:
    archive = reprocess(make_archive(tmp_path, profiles=100, seed=SEED), profiles=10_000)
    sound = [one for one in archive.listed if one.quirk not in UNREADABLE]
    assert {one.mode for one in sound} == {"D"}
    again = reprocess(archive, profiles=10)
    assert again.profiles == archive.profiles


def test_the_subscriptions_of_the_demo_differ_and_all_match() -> None:
    found = read_subscriptions(
        str(files("controller.demo") / "subscriptions.yaml"),
        datasets=known_argo(),
        destinations=Destinations(roots=("out",)),
        now=0.0,
    )
    assert found.warnings == ()
    extents = [subscription.views[0].extent for subscription in found.subscriptions]
    assert len(set(extents)) == len(extents) >= 6
    assert any(extent.box.crosses_antimeridian for extent in extents)
    assert any(subscription.deadline_s is None for subscription in found.subscriptions)
    assert all(subscription.backfill for subscription in found.subscriptions)
    tracks = launch_fleet(1500, np.random.default_rng(SEED))
    time_s, longitude, latitude = (
        np.concatenate([getattr(track, name) for track in tracks])
        for name in ("time_s", "longitude", "latitude")
    )
    for extent in extents:
        assert np.count_nonzero(extent.contains(time_s, longitude, latitude)) >= 5


def test_the_application_reads_all_that_can_be_read(archive: DemoArchive) -> None:
    for one in archive.listed:
        path = path_of(archive, one)
        if one.quirk is Quirk.MISSING_FILE:
            continue
        if one.quirk in UNREADABLE:
            with pytest.raises(UnreadableProfile):
                read_profiles(path.read_bytes())
            continue
        profile = read_profiles(path.read_bytes())[0]
        assert profile.platform == one.owner.track.wmo
        assert (profile.cycle, profile.direction) == one.owner.cycle(one.place)
        assert set(profile.modes.values()) == {one.mode}
