"""Reading one profile file: what it says, and every quirk that real files have."""

from __future__ import annotations

import random
from contextlib import suppress

import numpy as np
import pytest

from controller.apps.argo.profile import UnreadableProfile, read_profiles
from controller.apps.argo.rows import Kind
from controller.demo.profiles import Measured, profile_file
from tests.argo_files import (
    DAY_D,
    PRESSURE,
    TEMPERATURE,
    a_cast,
    in_delayed_mode,
    measuring,
)


def test_a_real_time_profile_gives_what_was_measured() -> None:
    (profile,) = read_profiles(profile_file([a_cast()]), ("TEMP",))
    assert (profile.platform, profile.cycle, profile.direction) == (6990001, 1, "A")
    assert (profile.time_d, profile.latitude, profile.longitude) == (DAY_D, 35.0, 20.0)
    assert (profile.time_flag, profile.position_flag, profile.kind) == (1, 1, Kind.CORE)
    assert profile.modes == {"PRES": "R", "TEMP": "R"}
    np.testing.assert_array_equal(profile.columns["TEMP"], TEMPERATURE.astype("f4"))
    np.testing.assert_array_equal(profile.columns["TEMP_QC"], 1)
    assert np.isnan(profile.columns["TEMP_ERROR"]).all()
    assert profile.columns["TEMP"].dtype == np.float32


def test_a_delayed_mode_profile_gives_the_adjusted_values_and_their_errors() -> None:
    (profile,) = read_profiles(profile_file([in_delayed_mode(a_cast(), by=0.5)]), ("TEMP",))
    assert profile.modes["TEMP"] == "D"
    np.testing.assert_allclose(profile.columns["TEMP"], TEMPERATURE + 0.5)
    np.testing.assert_array_equal(profile.columns["TEMP_ERROR"], 0.25)


def test_one_file_may_hold_profiles_of_different_modes() -> None:
    measured, adjusted = read_profiles(
        profile_file([a_cast(), in_delayed_mode(a_cast(cycle=2))]), ("TEMP",)
    )
    assert (measured.modes["TEMP"], adjusted.modes["TEMP"]) == ("R", "D")
    np.testing.assert_allclose(measured.columns["TEMP"], TEMPERATURE)
    np.testing.assert_allclose(adjusted.columns["TEMP"], TEMPERATURE + 0.5)
    assert np.isnan(measured.columns["TEMP_ERROR"]).all()
    np.testing.assert_array_equal(adjusted.columns["TEMP_ERROR"], 0.25)


def test_both_versions_stand_side_by_side_where_asked_for() -> None:
    content = profile_file([in_delayed_mode(a_cast())])
    (profile,) = read_profiles(content, ("TEMP",), both_versions=True)
    np.testing.assert_allclose(profile.columns["TEMP"], TEMPERATURE)
    np.testing.assert_allclose(profile.columns["TEMP_ADJUSTED"], TEMPERATURE + 0.5)
    assert set(profile.columns) >= {"TEMP_QC", "TEMP_ADJUSTED_QC", "TEMP_ADJUSTED_ERROR"}
    assert "TEMP_ERROR" not in profile.columns


def test_a_synthetic_file_has_a_mode_for_each_parameter() -> None:
    oxygen = Measured(values=PRESSURE, adjusted=PRESSURE + 1, data_mode="A")
    content = profile_file([measuring(a_cast(), DOXY=oxygen)], synthetic=True)
    (profile,) = read_profiles(content)
    assert profile.kind is Kind.SYNTHETIC
    assert profile.modes == {"PRES": "R", "TEMP": "R", "PSAL": "R", "DOXY": "A"}
    np.testing.assert_allclose(profile.columns["DOXY"], PRESSURE + 1)


def test_a_float_without_salinity_just_lacks_it() -> None:
    content = profile_file([measuring(a_cast(), PSAL=None)])
    (profile,) = read_profiles(content, ("PSAL", "TEMP"))
    assert list(profile.modes) == ["PRES", "TEMP"]


def test_a_number_padded_with_nul_is_read_as_one_padded_with_blanks() -> None:
    (profile,) = read_profiles(profile_file([a_cast()], padding="\0"))
    assert profile.platform == 6990001


def test_descending_and_cycle_zero_are_kept_as_they_are() -> None:
    (profile,) = read_profiles(profile_file([a_cast(direction="D", cycle=0)]))
    assert (profile.direction, profile.cycle) == ("D", 0)


def test_levels_without_a_pressure_are_not_levels() -> None:
    gaps = Measured(values=np.where(PRESSURE == 30, np.nan, PRESSURE))
    (profile,) = read_profiles(profile_file([measuring(a_cast(), PRES=gaps)]), ("TEMP",))
    np.testing.assert_allclose(profile.columns["TEMP"], TEMPERATURE[PRESSURE != 30])


def test_shorter_profiles_of_a_file_end_where_they_end() -> None:
    short = a_cast(measured={"PRES": Measured(values=[1.0, 2.0]), "TEMP": Measured(values=[9, 8])})
    _, second = read_profiles(profile_file([a_cast(), short]), ("PSAL", "TEMP"))
    np.testing.assert_array_equal(second.columns["PRES"], [1.0, 2.0])
    np.testing.assert_array_equal(second.columns["PSAL_QC"], [9, 9])


def test_missing_time_and_place_are_not_numbers() -> None:
    nowhere = a_cast(time_d=None, latitude=None, longitude=None)
    nines = a_cast(latitude=-99.999, longitude=-999.999)
    for profile in read_profiles(profile_file([nowhere, nines])):
        assert np.isnan([profile.latitude, profile.longitude]).all()
    assert np.isnan(read_profiles(profile_file([nowhere]))[0].time_d)


def test_a_blank_flag_means_missing() -> None:
    blank = Measured(values=TEMPERATURE, flags="1 34589012")
    (profile,) = read_profiles(profile_file([measuring(a_cast(), TEMP=blank)]), ("TEMP",))
    np.testing.assert_array_equal(profile.columns["TEMP_QC"], [1, 9, 3, 4, 5, 8, 9, 0, 1, 2])


def test_a_data_mode_that_is_none_counts_as_not_said() -> None:
    (profile,) = read_profiles(profile_file([a_cast(data_mode="?")]), ("TEMP",))
    assert profile.modes["TEMP"] == ""
    np.testing.assert_allclose(profile.columns["TEMP"], TEMPERATURE)


def test_a_file_cut_off_anywhere_is_unreadable() -> None:
    content = profile_file([in_delayed_mode(a_cast())])
    # What lies last are calibration notes: a reader of values alone would not miss them.
    for end in [*range(0, len(content) - 64, 61), *range(len(content) - 64, len(content) - 3)]:
        with pytest.raises(UnreadableProfile):
            read_profiles(content[:end], ("TEMP",))


@pytest.mark.parametrize(
    "content",
    [b"", b"CDF", b"<html>503 Service Unavailable</html>" * 9, bytes(20000), b"\x89HDF\r\n\x1a\n"],
    ids=["empty", "four bytes", "a web page", "zeros", "the head of another format"],
)
def test_what_is_no_netcdf_is_unreadable(content: bytes) -> None:
    with pytest.raises(UnreadableProfile, match="NetCDF"):
        read_profiles(content)


def test_a_parameter_without_flags_has_no_column_of_flags() -> None:
    """So it is with the pressure of bio files."""
    content = profile_file([a_cast()]).replace(b"PRES_QC", b"PRES_XX")
    assert "PRES_QC" not in read_profiles(content)[0].columns


@pytest.mark.parametrize("variable", [b"PLATFORM_NUMBER", b"JULD_QC", b"DATA_TYPE"])
def test_what_lacks_a_variable_is_named(variable: bytes) -> None:
    content = profile_file([a_cast()]).replace(variable, b"X" + variable[1:])
    with pytest.raises(UnreadableProfile, match=variable.decode()):
        read_profiles(content)


def test_a_profile_of_a_bio_file_holds_what_its_own_sensor_measured() -> None:
    """In real files the profile of one sensor is blank where another's parameters stand."""
    oxygen = Measured(values=PRESSURE, adjusted=PRESSURE, data_mode="A")
    light = Measured(values=PRESSURE, data_mode="R")
    bare = measuring(a_cast(), TEMP=None, PSAL=None)
    casts = [bare, measuring(bare, DOXY=oxygen), measuring(bare, BBP700=light)]
    synthetic = profile_file(casts, synthetic=True)
    bio = synthetic.replace(b"Argo synthetic profile", b"B-Argo profile        ")
    first, second, third = read_profiles(bio, ("BBP700", "DOXY"))
    assert first.modes == {"PRES": "R"}
    assert second.modes == {"PRES": "R", "DOXY": "A"}
    assert third.modes == {"PRES": "R", "BBP700": "R"}
    assert set(second.columns) == {
        *("PRES", "PRES_QC", "PRES_ERROR"),
        *("DOXY", "DOXY_QC", "DOXY_ERROR"),
    }
    assert set(read_profiles(synthetic, ("BBP700", "DOXY"))[0].modes) == {"PRES", "BBP700", "DOXY"}


def test_a_number_that_is_none_is_named() -> None:
    content = profile_file([a_cast()]).replace(b"6990001 ", b"Q990001 ")
    with pytest.raises(UnreadableProfile, match="PLATFORM_NUMBER is 'Q990001', no number"):
        read_profiles(content)


def test_bytes_changed_at_random_never_do_worse_than_unreadable() -> None:
    """A header that counts 2e9 dimensions crashed the library."""
    content = profile_file([in_delayed_mode(a_cast())])
    mad = bytearray(content)
    mad[12] = 0x70
    with pytest.raises(UnreadableProfile, match="dimensions"):
        read_profiles(bytes(mad))
    chance = random.Random(42)
    for _ in range(400):
        changed = bytearray(content)
        for _ in range(chance.choice((1, 3, 10))):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        with suppress(UnreadableProfile):
            read_profiles(bytes(changed))
