"""What user modes and options keep, flag by flag and data mode by data mode."""

from __future__ import annotations

import numpy as np
import pytest

from controller.apps.argo.columns import Column
from controller.apps.argo.policy import check_options, policy_of
from controller.apps.argo.profile import Profile
from controller.apps.argo.rows import Kind
from planner.errors import InvalidSubscription


def a_profile(position_flag: int = 1, time_flag: int = 1, **parameters: str) -> Profile:
    """Return a profile of one level for each flag 0-9, of parameters given as "mode:error"."""
    modes: dict[str, str] = {}
    columns: dict[str, Column] = {}
    for name, said in {"PRES": "R:0", **parameters}.items():
        modes[name], error = said.split(":")
        columns[name] = np.arange(10, dtype=np.float32)
        columns[f"{name}_QC"] = (
            np.ones(10, np.int8) if name == "PRES" else np.arange(10, dtype="i1")
        )
        columns[f"{name}_ERROR"] = np.full(10, float(error), np.float32)
    return Profile(
        platform=1,
        cycle=1,
        direction="A",
        kind=Kind.CORE,
        time_d=0.0,
        latitude=0.0,
        longitude=0.0,
        time_flag=time_flag,
        position_flag=position_flag,
        modes=modes,
        columns=columns,
    )


def kept(profile: Profile, **options: str) -> list[int]:
    return np.flatnonzero(policy_of(tuple(options.items())).kept(profile)).tolist()


@pytest.mark.parametrize(
    ("parameter", "mode", "flags"),
    [
        ("TEMP", "standard", [1, 2]),
        ("DOXY", "standard", [1, 2, 5, 8]),
        ("BBP700", "standard", list(range(10))),
        ("DOWN_IRRADIANCE412", "standard", list(range(10))),
        ("TEMP", "research", [1]),
        ("DOXY", "research", [1, 5, 8]),
        ("BBP700", "research", [1, 5, 8]),
        ("TEMP", "expert", list(range(10))),
    ],
)
def test_each_mode_keeps_its_flags(parameter: str, mode: str, flags: list[int]) -> None:
    profile = a_profile(1, 1, PRES="D:2", **{parameter: "D:0"})
    assert kept(profile, mode=mode) == flags


def test_standard_is_the_default() -> None:
    assert kept(a_profile(TEMP="R:0")) == kept(a_profile(TEMP="R:0"), mode="standard") == [1, 2]


@pytest.mark.parametrize(("position", "time"), [(3, 1), (1, 4), (9, 1), (1, 0)])
def test_a_doubtful_time_or_place_drops_the_whole_profile(position: int, time: int) -> None:
    assert kept(a_profile(position, time, TEMP="R:0")) == []
    assert len(kept(a_profile(position, time, TEMP="R:0"), mode="expert")) == 10


def test_probably_good_places_do_for_standard_but_not_for_research() -> None:
    assert kept(a_profile(2, 2, PRES="D:1", TEMP="D:0")) == [1, 2]
    assert kept(a_profile(2, 1, PRES="D:1", TEMP="D:0"), mode="research") == []


def test_research_wants_delayed_mode_and_a_certain_pressure() -> None:
    assert kept(a_profile(PRES="D:19.9", TEMP="D:0"), mode="research") == [1]
    assert kept(a_profile(PRES="D:20", TEMP="D:0"), mode="research") == []
    assert kept(a_profile(PRES="D:nan", TEMP="D:0"), mode="research") == []
    assert kept(a_profile(PRES="D:1", TEMP="A:0"), mode="research") == []


def test_standard_wants_one_biogeochemical_parameter_to_be_adjusted() -> None:
    assert kept(a_profile(DOXY="R:0")) == []
    assert kept(a_profile(DOXY="R:0", NITRATE="A:0")) == [1, 2, 5, 8]
    assert kept(a_profile(DOXY="R:0"), data_mode_DOXY="R,A,D") == [1, 2, 5, 8]
    assert kept(a_profile(BBP700="R:0")) == list(range(10))


def test_every_parameter_must_pass() -> None:
    profile = a_profile(TEMP="R:0", PSAL="R:0")
    assert kept(profile, qc_TEMP="1,3", qc_PSAL="3,4") == [3]


def test_options_go_before_the_mode_and_the_particular_before_the_general() -> None:
    assert kept(a_profile(TEMP="R:0"), qc="0,1,4") == [0, 1, 4]
    assert kept(a_profile(TEMP="R:0"), qc="1", qc_TEMP="4") == [4]
    assert kept(a_profile(3, 1, TEMP="R:0"), qc_POSITION="1,3") == [1, 2]
    assert kept(a_profile(1, 3, TEMP="R:0"), qc_TIME="3") == [1, 2]
    assert kept(a_profile(TEMP="R:0"), data_mode="D") == []
    assert kept(a_profile(TEMP="R:0"), data_mode="D", data_mode_TEMP="R", data_mode_PRES="R")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"QC": "1"}, "'QC' is unknown"),
        ({"qc_": "1"}, "'qc_' is unknown"),
        ({"qc_temp": "1"}, "'qc_temp' is unknown"),
        ({"qc": "1,12"}, "qc is '1,12'"),
        ({"qc": ""}, "qc is ''"),
        ({"qc_TEMP": "good"}, "qc_TEMP is 'good'"),
        ({"data_mode": "X"}, "data_mode is 'X'"),
        ({"mode": "lazy"}, "standard, research, expert"),
        ({"mode": "expert", "qc": "1"}, "mode expert keeps every level"),
    ],
)
def test_an_impossible_option_is_refused_by_name(options: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidSubscription, match=says):
        check_options(tuple(options.items()))


def test_an_option_given_twice_is_refused() -> None:
    with pytest.raises(InvalidSubscription, match="given twice"):
        check_options((("qc", "1"), ("qc", "2")))


def test_which_files_are_read_is_no_matter_of_the_policy() -> None:
    check_options((("kind", "synthetic"), ("qc", "1, 2")))


def test_a_policy_tells_all_it_does() -> None:
    said = policy_of((("qc_DOXY", "1,3"),)).describe(["PRES", "DOXY", "BBP700"])
    assert said["qc"] == {
        "POSITION": [1, 2],
        "TIME": [1, 2],
        "PRES": [1, 2],
        "DOXY": [1, 3],
        "BBP700": list(range(10)),
    }
    assert said["data_mode_of_one_among"] == {"parameters": ["DOXY"], "data_mode": ["A", "D"]}
