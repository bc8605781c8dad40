"""Derived parameters: what each is, from which levels it is computed, and what products say."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gsw
import netCDF4
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.apps.argo.derived import catalogue
from controller.apps.argo.derived.catalogue import BUILT_IN, DerivedParameters, fault_of
from controller.apps.argo.derived.mixed_layer import DENSITY_STEP_KG_M3, mixed_layer_depth_m
from controller.apps.argo.derived.protocol import DerivedParameter, Values
from controller.apps.argo.derived.teos10 import QUANTITIES
from controller.apps.argo.derived.testing import check_derived
from controller.apps.argo.deriving import WORSE
from controller.apps.argo.fragment import Harvest, read_fragment
from controller.demo.profiles import Cast, Measured, profile_file
from planner.errors import BrokenPlugin, UnknownPlugin
from planner.extent import Extent
from tests.argo_files import (
    LEVELS,
    PRESSURE,
    SALINITY,
    TEMPERATURE,
    a_cast,
    archive_of,
    archive_with,
    extracted,
    in_delayed_mode,
    listed,
    measuring,
    product_of,
)

CORE = Extent(parameters=("PRES", "PSAL", "TEMP"))

Compute = Callable[[Mapping[str, Values]], Any]


@dataclass(frozen=True, kw_only=True)
class Own:
    """A derived parameter of somebody else."""

    name: str = "TWICE"
    version: str = "7"
    needs: tuple[str, ...] = ("TEMP",)
    software: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(
        default_factory=lambda: {"long_name": "Twice the temperature", "units": "degree_Celsius"}
    )
    per_profile: bool = False
    formula: Compute = lambda columns: 2 * columns["TEMP"]

    def compute(self, columns: Mapping[str, Values], latitude: float, longitude: float) -> Any:
        return self.formula(columns)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[DerivedParameter], None]]:
    """Let more derived parameters be there than the built-in ones."""
    catalogue.derived_parameter.cache_clear()

    def install(one: DerivedParameter) -> None:
        monkeypatch.setattr(catalogue, "BUILT_IN", {**catalogue.BUILT_IN, one.name: one})

    yield install
    catalogue.derived_parameter.cache_clear()


def harvest_of(
    folder: Path, *casts: Cast, derived: str = "CT,MLD", extent: Extent = CORE, **options: str
) -> Harvest:
    address, files = archive_of(folder / "archive", casts)
    fragment = extracted(address, files, folder / "f.npz", extent, derived=derived, **options)
    return read_fragment(fragment)


def conservative() -> Values:
    """Return what gsw says of the measurements of `a_cast`."""
    absolute = gsw.SA_from_SP(SALINITY, PRESSURE, 20.0, 35.0)
    found: Values = gsw.CT_from_t(absolute, TEMPERATURE, PRESSURE)
    return found


class TestQuantities:
    @pytest.mark.parametrize("one", BUILT_IN.values(), ids=list(BUILT_IN))
    def test_each_obeys_the_laws(self, one: DerivedParameter) -> None:
        check_derived(one)

    def test_the_water_of_the_toolbox_s_own_example(self) -> None:
        """Check values of the toolbox's manual, at 188 E, 4 N; its atlas is a newer one since."""
        columns = {
            "PSAL": np.array([34.5487, 34.7275, 34.8605, 34.6810, 34.5680, 34.5600]),
            "PRES": np.array([10.0, 50.0, 125.0, 250.0, 600.0, 1000.0]),
            "TEMP": np.array([28.7856, 28.4329, 22.8103, 10.2600, 6.8863, 4.4036]),
        }
        found = {one.name: one.compute(columns, 4.0, 188.0) for one in QUANTITIES}
        np.testing.assert_allclose(
            found["SA"],
            [34.711778, 34.891524, 35.025547, 34.847230, 34.736629, 34.732361],
            atol=1e-4,
        )
        np.testing.assert_allclose(
            found["CT"],
            [28.809920, 28.439226, 22.786246, 10.226264, 6.827214, 4.323576],
            atol=1e-4,
        )
        np.testing.assert_allclose(
            found["SIGMA0"],
            [21.797900, 22.052215, 23.892985, 26.667609, 27.107380, 27.409749],
            atol=1e-4,
        )

    def test_the_mixed_layer_ends_where_density_has_grown_by_the_step(self) -> None:
        depth = np.array([0.0, 10.0, 30.0, 50.0, 70.0])
        density = np.array([25.0, 25.0, 25.01, 25.05, 26.0])
        assert mixed_layer_depth_m(depth, density) == pytest.approx(40.0)
        assert mixed_layer_depth_m(depth[::-1], density[::-1]) == pytest.approx(40.0)
        between = mixed_layer_depth_m(np.array([8.0, 12.0]), np.array([25.0, 25.1]))
        assert between == pytest.approx(10 + 2 * DENSITY_STEP_KG_M3 / 0.05)

    @pytest.mark.parametrize(
        ("depth", "density"),
        [
            ([], []),
            ([10.0], [25.0]),
            ([20.0, 40.0], [25.0, 26.0]),
            ([1.0, 9.0], [25.0, 26.0]),
            ([0.0, 10.0, 500.0], [25.0, 25.0, 25.029]),
            ([0.0, 10.0, 500.0], [25.0, math.nan, math.nan]),
        ],
        ids=["empty", "one", "too deep", "too shallow", "mixed to its end", "no density"],
    )
    def test_where_it_cannot_be_told_there_is_no_mixed_layer(
        self, depth: list[float], density: list[float]
    ) -> None:
        assert math.isnan(mixed_layer_depth_m(np.array(depth), np.array(density)))

    @given(
        st.lists(st.tuples(st.floats(0.0, 2000.0), st.floats(20.0, 30.0)), min_size=1, max_size=30)
    )
    def test_the_mixed_layer_lies_between_10_m_and_the_deepest_level(
        self, levels: list[tuple[float, float]]
    ) -> None:
        depth, density = np.array(levels).T
        found = mixed_layer_depth_m(depth, density)
        assert math.isnan(found) or 10.0 <= found <= depth.max()


class TestLevels:
    def test_values_flags_and_modes_of_a_plain_profile(self, tmp_path: Path) -> None:
        harvest = harvest_of(tmp_path, a_cast(), derived="CT,SA,SIGMA0,MLD")
        assert harvest.rows == LEVELS
        np.testing.assert_allclose(harvest.columns["CT"], conservative(), rtol=1e-6)
        assert harvest.columns["CT"].dtype == np.float32
        assert set(harvest.columns["CT_QC"].tolist()) == {1}
        assert len(set(harvest.columns["MLD"].tolist())) == 1
        assert 10 < harvest.columns["MLD"][0] < 20
        assert {name: modes.tolist() for name, modes in harvest.modes.items()} == {
            name: [b"R"] for name in ("PRES", "PSAL", "TEMP", "CT", "SA", "SIGMA0", "MLD")
        }
        assert not any(name.endswith("_ERROR") for name in harvest.columns if name[:2] in "CTSA")

    def test_the_version_that_stands_is_what_counts(self, tmp_path: Path) -> None:
        harvest = harvest_of(tmp_path, in_delayed_mode(a_cast()), derived="SA")
        there = gsw.SA_from_SP(SALINITY + 0.5, PRESSURE + 0.5, 20.0, 35.0)
        np.testing.assert_allclose(harvest.columns["SA"], there, rtol=1e-6)
        assert harvest.modes["SA"].tolist() == [b"D"]
        expert = harvest_of(tmp_path, in_delayed_mode(a_cast()), derived="SA", mode="expert")
        np.testing.assert_array_equal(expert.columns["SA"], harvest.columns["SA"])
        assert {"SA", "SA_QC"} == {name for name in expert.columns if name.startswith("SA")}
        raw = harvest_of(tmp_path, a_cast(), derived="SA", mode="expert")
        np.testing.assert_allclose(
            raw.columns["SA"], gsw.SA_from_SP(SALINITY, PRESSURE, 20.0, 35.0), rtol=1e-6
        )

    def test_the_data_mode_is_the_least_of_the_inputs(self, tmp_path: Path) -> None:
        def in_modes(pressure: str, salinity: str, temperature: str) -> Cast:
            modes = {"PRES": pressure, "PSAL": salinity, "TEMP": temperature}
            cast = in_delayed_mode(a_cast())
            measured = {n: replace(one, data_mode=modes[n]) for n, one in cast.measured.items()}
            return replace(cast, measured=measured)

        found = []
        for number, modes in enumerate(("DDD", "DAD", "DRA")):
            content = profile_file([in_modes(*modes)], synthetic=True)
            address = archive_with(tmp_path / str(number), {"x.nc": content})
            fragment = extracted(address, listed(["x.nc"]), tmp_path / "f.npz", CORE, derived="CT")
            found += read_fragment(fragment).modes["CT"].tolist()
        assert found == [b"D", b"A", b"R"]

    def test_the_flag_is_the_worst_of_the_inputs(self, tmp_path: Path) -> None:
        cast = measuring(
            a_cast(),
            TEMP=Measured(values=TEMPERATURE, flags="1215811111"),
            PSAL=Measured(values=SALINITY, flags="1121513409"),
        )
        harvest = harvest_of(tmp_path, cast, derived="CT", mode="expert")
        assert harvest.columns["CT_QC"].tolist() == [1, 2, 2, 5, 8, 1, 3, 4, 0, 9]
        assert sorted(WORSE) == list(range(10))

    def test_what_is_missing_gives_nothing_and_no_error(self, tmp_path: Path) -> None:
        temperature = np.where(np.arange(LEVELS) < 3, np.nan, TEMPERATURE)
        cast = measuring(a_cast(), TEMP=Measured(values=temperature))
        harvest = harvest_of(tmp_path, cast, derived="CT,MLD", mode="expert")
        assert np.isnan(harvest.columns["CT"]).tolist() == [True] * 3 + [False] * 7
        assert harvest.columns["CT_QC"].tolist() == [9] * 3 + [1] * 7
        # Without a level above 10 m there is no mixed layer.
        assert np.isnan(harvest.columns["MLD"]).all()
        assert harvest.failures == ()

    def test_a_float_without_salinity_keeps_its_temperature(self, tmp_path: Path) -> None:
        casts = [measuring(a_cast(), PSAL=None), a_cast(cycle=2)]
        harvest = harvest_of(tmp_path, *casts)
        assert harvest.profiles["rows"].tolist() == [LEVELS, LEVELS]
        np.testing.assert_allclose(harvest.columns["TEMP"][:LEVELS], TEMPERATURE)
        for name in ("CT", "MLD"):
            assert np.isnan(harvest.columns[name][:LEVELS]).all()
            assert np.isfinite(harvest.columns[name][LEVELS:]).all()
            assert (harvest.columns[f"{name}_QC"][:LEVELS] == 9).all()
            assert harvest.modes[name].tolist() == [b"", b"R"]

    def test_profiles_of_nothing_several_of_a_file_and_descending_ones(
        self, tmp_path: Path
    ) -> None:
        nothing = Measured(values=np.full(LEVELS, np.nan), flags=" ")
        first_level = {
            name: Measured(values=np.asarray(one.values)[:1])
            for name, one in a_cast().measured.items()
        }
        files = {
            "x/nothing.nc": profile_file([measuring(a_cast(), TEMP=nothing, PSAL=nothing)]),
            "x/blank.nc": profile_file(
                [measuring(a_cast(), PRES=nothing, TEMP=nothing, PSAL=nothing)]
            ),
            "x/two.nc": profile_file([a_cast(), a_cast(measured=first_level)]),
            "x/down.nc": profile_file([a_cast(direction="D")]),
        }
        address = archive_with(tmp_path / "archive", files)
        fragment = extracted(
            address, listed(files), tmp_path / "f.npz", CORE, derived="CT,MLD", mode="expert"
        )
        harvest = read_fragment(fragment)
        assert harvest.profiles["rows"].tolist() == [LEVELS, 0, LEVELS, 1, LEVELS]
        filled = np.isfinite(harvest.columns["CT"]).tolist()
        assert filled == [False] * LEVELS + [True] * (2 * LEVELS + 1)
        layers = np.split(harvest.columns["MLD"], [LEVELS, 2 * LEVELS, 2 * LEVELS + 1])
        assert [bool(np.isfinite(layer).all()) for layer in layers] == [False, True, False, True]
        assert harvest.failures == ()


class TestWhichLevels:
    def test_a_range_does_not_change_what_was_computed(self, tmp_path: Path) -> None:
        whole = harvest_of(tmp_path, a_cast())
        shallow = harvest_of(tmp_path, a_cast(), pressure="20/50")
        assert shallow.columns["PRES"].tolist() == [20, 30, 40]
        assert set(shallow.columns["MLD"].tolist()) == {whole.columns["MLD"][0]}
        np.testing.assert_array_equal(shallow.columns["CT"], whole.columns["CT"][2:5])

    def test_other_parameters_do_not_change_what_was_computed(self, tmp_path: Path) -> None:
        oxygen = Measured(values=np.full(LEVELS, 200.0), flags="4444411111")
        cast = measuring(a_cast(data_mode="A"), DOXY=oxygen)
        adjusted = {
            name: replace(one, adjusted=one.values, adjusted_flags=one.flags)
            for name, one in cast.measured.items()
        }
        cast = replace(cast, measured=adjusted)
        alone = harvest_of(tmp_path, cast)
        beside = Extent(parameters=("DOXY", "PRES", "PSAL", "TEMP"))
        address = archive_with(tmp_path / "b", {"x.nc": profile_file([cast], synthetic=True)})
        fragment = extracted(
            address, listed(["x.nc"]), tmp_path / "f.npz", beside, derived="CT,MLD"
        )
        harvest = read_fragment(fragment)
        assert harvest.columns["PRES"].tolist() == [50, 60, 70, 80, 90]
        assert set(harvest.columns["MLD"].tolist()) == {alone.columns["MLD"][0]}

    def test_levels_that_the_policy_refuses_take_no_part(self, tmp_path: Path) -> None:
        spoilt = np.where(np.arange(LEVELS) == 2, 2.0, SALINITY)
        cast = measuring(a_cast(), PSAL=Measured(values=spoilt, flags="1141111111"))
        without = measuring(
            a_cast(),
            **{
                name: Measured(values=np.delete(np.asarray(one.values), 2))
                for name, one in a_cast().measured.items()
            },
        )
        expected = harvest_of(tmp_path / "a", without).columns["MLD"][0]
        assert harvest_of(tmp_path / "b", cast).columns["MLD"][0] == expected
        all_levels = harvest_of(tmp_path / "c", cast, qc="1,4")
        assert all_levels.columns["MLD"][0] != expected
        assert set(all_levels.columns["MLD_QC"].tolist()) == {4}

    def test_in_mode_expert_a_bad_level_does_not_spoil_the_profile(self, tmp_path: Path) -> None:
        spoilt = np.where(np.arange(LEVELS) == 2, 2.0, SALINITY)
        cast = measuring(a_cast(), PSAL=Measured(values=spoilt, flags="1141111111"))
        standard = harvest_of(tmp_path / "a", cast, derived="MLD,SA")
        expert = harvest_of(tmp_path / "b", cast, derived="MLD,SA", mode="expert")
        assert expert.rows == LEVELS
        assert set(expert.columns["MLD"].tolist()) == {standard.columns["MLD"][0]}
        assert set(expert.columns["MLD_QC"].tolist()) == {1}
        assert expert.columns["SA"][2] == pytest.approx(2.0, abs=0.1)
        assert expert.columns["SA_QC"][2] == 4


class TestPlugins:
    def test_one_that_fails_on_a_profile_leaves_it_blank_and_says_so(
        self, tmp_path: Path, installed: Callable[[DerivedParameter], None]
    ) -> None:
        def picky(columns: Mapping[str, Values]) -> Values:
            if columns["TEMP"][0] > 20:
                raise ValueError("too warm")
            return 2 * columns["TEMP"]

        installed(Own(formula=picky))
        warm = measuring(a_cast(cycle=2), TEMP=Measured(values=TEMPERATURE + 1))
        casts = [a_cast(), warm, replace(warm, cycle=3)]
        address, files = archive_of(tmp_path / "archive", casts)
        product = product_of(address, files, tmp_path, CORE, parts=2, derived="TWICE")
        assert product.rows == 3 * LEVELS
        manifest = json.loads((tmp_path / "product.manifest.json").read_text())
        assert manifest["derived"] == [
            {
                "name": "TWICE",
                "version": "7",
                "plugin": "slackwater 0.1.0",
                "software": [],
                "needs": ["TEMP"],
                "failures": [{"reason": "it raised ValueError: too warm", "profiles": 2}],
            }
        ]
        with netCDF4.Dataset(tmp_path / "product.nc") as dataset:
            twice = dataset["TWICE"]
            assert twice.comment == (
                "Computed by slackwater 0.1.0 (TWICE version 7) from TEMP;"
                " no value in 2 profiles: it raised ValueError: too warm"
            )
            np.testing.assert_allclose(twice[:LEVELS], 2 * TEMPERATURE)
            assert twice[LEVELS:].mask.all()
            assert set(dataset["TWICE_QC"][LEVELS:].tolist()) == {9}

    @pytest.mark.parametrize(
        ("answer", "per_profile", "says"),
        [
            (lambda columns: columns["TEMP"][:-1], False, "shape (9,) to 10 levels"),
            (lambda columns: 1.0, False, "shape () to 10 levels"),
            (lambda columns: columns["TEMP"], True, "shape (10,) to 10 levels"),
            (lambda columns: "warm", True, "ValueError: could not convert"),
            (lambda columns: np.zeros((10, 2)), False, "shape (10, 2) to 10 levels"),
            (lambda columns: columns["CNDC"], False, "KeyError: 'CNDC'"),
            (lambda columns: 1 // 0, True, "ZeroDivisionError"),
        ],
    )
    def test_an_answer_that_is_none_is_told(
        self,
        tmp_path: Path,
        installed: Callable[[DerivedParameter], None],
        answer: Compute,
        per_profile: bool,
        says: str,
    ) -> None:
        installed(Own(formula=answer, per_profile=per_profile))
        harvest = harvest_of(tmp_path, a_cast(), derived="TWICE")
        assert harvest.rows == LEVELS
        (failure,) = harvest.failures
        assert says in failure.reason
        assert np.isnan(harvest.columns["TWICE"]).all()

    def test_infinite_and_huge_numbers_are_no_values(
        self, tmp_path: Path, installed: Callable[[DerivedParameter], None]
    ) -> None:
        installed(Own(formula=lambda columns: np.array([np.inf, 1e300, -np.inf, *range(7)])))
        harvest = harvest_of(tmp_path, a_cast(), derived="TWICE")
        assert np.isnan(harvest.columns["TWICE"]).tolist() == [True] * 3 + [False] * 7
        assert harvest.columns["TWICE_QC"].tolist() == [9] * 3 + [1] * 7

    def test_one_that_lacks_what_it_computes_with_fails_the_part(
        self, tmp_path: Path, installed: Callable[[DerivedParameter], None]
    ) -> None:
        def without_library(columns: Mapping[str, Values]) -> Values:
            raise ModuleNotFoundError("No module named 'tides'")

        installed(Own(formula=without_library))
        with pytest.raises(BrokenPlugin, match=r"'TWICE'.*No module named 'tides'.*workers run"):
            harvest_of(tmp_path, a_cast(), derived="TWICE")

    def test_one_that_is_not_installed_where_the_worker_runs_fails_the_part(
        self, tmp_path: Path
    ) -> None:
        with pytest.raises(UnknownPlugin, match=r"'MLP'.*Did you mean 'MLD'"):
            harvest_of(tmp_path, a_cast(), derived="MLP")

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"name": "twice"}, "capitals"),
            ({"name": "A" * 65}, "up to 64"),
            ({"name": "DOXY"}, "means something else"),
            ({"name": "TEMP_QC"}, "means something else"),
            ({"name": "LATITUDE"}, "means something else"),
            ({"needs": ()}, "needs are empty"),
            ({"needs": "TEMP"}, "needs must be a tuple"),
            ({"software": ("no-such-distribution",)}, "'no-such-distribution' is not installed"),
            ({"attributes": {"long_name": "x"}}, "a long_name and units"),
            ({"attributes": {"long_name": "x", "units": 1}}, "must be texts"),
            ({"attributes": {"long_name": "x", "units": "1", "comment": "y"}}, "must not have"),
        ],
    )
    def test_what_one_says_of_itself_is_checked(self, changes: dict[str, Any], says: str) -> None:
        assert says in fault_of(Own(**changes))
        assert fault_of(Own()) == ""

    def test_the_kit_finds_what_breaks_the_laws(self) -> None:
        def writes(columns: Mapping[str, Values]) -> Values:
            columns["TEMP"][0] = 0.0
            return columns["TEMP"].copy()

        answers = iter(range(1000))
        check_derived(Own())
        broken = {
            "wrote to the columns": Own(formula=writes),
            "has shape": Own(formula=lambda columns: columns["TEMP"].mean()),
            "another answer": Own(formula=lambda columns: columns["TEMP"] + next(answers)),
            "capitals": Own(name="twice"),
        }
        for says, one in broken.items():
            with pytest.raises(AssertionError, match=says):
                check_derived(one)

    def test_built_in_ones_are_listed_sorted(self) -> None:
        assert list(DerivedParameters()) == ["CT", "MLD", "SA", "SIGMA0"]
        assert "CT" in DerivedParameters()
        assert "PT" not in DerivedParameters()


def test_a_product_says_how_its_values_were_computed(tmp_path: Path) -> None:
    address, files = archive_of(tmp_path / "archive", [a_cast()])
    product_of(address, files, tmp_path, CORE, derived="MLD,SIGMA0", depth="0/35")
    software = ["gsw " + gsw.__version__]
    manifest = json.loads((tmp_path / "product.manifest.json").read_text())
    (asked,) = manifest["selections"]
    assert asked["parameters"] == ["PRES", "PSAL", "TEMP", "MLD", "SIGMA0"]
    assert asked["options"] == {"depth": "0/35"}
    assert [one["name"] for one in manifest["derived"]] == ["MLD", "SIGMA0"]
    assert manifest["derived"][0]["software"] == software
    good = {"PRES": [1, 2], "PSAL": [1, 2], "TEMP": [1, 2]}
    assert manifest["policy"]["derived"] == {"MLD": good, "SIGMA0": good}
    assert manifest["policy"]["range"] == {"of": "depth", "units": "m", "from": 0.0, "below": 35.0}
    with netCDF4.Dataset(tmp_path / "product.nc") as dataset:
        assert "DATA_MODE" in dataset.variables
        assert dataset["SIGMA0"].standard_name == "sea_water_sigma_theta"
        assert dataset["SIGMA0"].ancillary_variables == "SIGMA0_QC"
        assert dataset["MLD"].comment == (
            f"Computed by slackwater 0.1.0 (MLD version 1, {software[0]}) from PRES, PSAL, TEMP"
        )
        assert json.loads(dataset.slackwater_policy) == manifest["policy"]
        assert dataset.geospatial_vertical_max == 30.0
        assert "SIGMA0" in dataset.keywords


def test_a_product_of_no_rows_says_it_too(tmp_path: Path) -> None:
    address, _ = archive_of(tmp_path / "archive", [])
    product_of(address, [], tmp_path, CORE, derived="CT")
    with netCDF4.Dataset(tmp_path / "product.nc") as dataset:
        assert dataset["CT"].units == "degree_Celsius"
        assert dataset["CT"].shape == (0,)


def test_however_a_request_is_cut_the_values_are_the_same(tmp_path: Path) -> None:
    casts = [a_cast(cycle=cycle, latitude=30.0 + cycle) for cycle in range(1, 7)]
    digests = set()
    for parts in (1, 3):
        address, files = archive_of(tmp_path / f"archive{parts}", casts)
        made = product_of(address, files, tmp_path, CORE, parts, derived="CT,MLD,SA,SIGMA0")
        digests.add(made.digest)
    assert len(digests) == 1
