"""The Argo application as the service uses it: kinds routed, orders whole and picklable."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.apps.argo.application import ArgoApplication, kind_of
from controller.apps.argo.archive import open_archive
from controller.apps.argo.asked import asked
from controller.apps.argo.catalogue import Catalogue
from controller.apps.argo.changes import changes_between
from controller.apps.argo.derived import catalogue
from controller.apps.argo.derived.protocol import DerivedParameter
from controller.apps.argo.derived.teos10 import QUANTITIES
from controller.apps.argo.orders import ArchiveAddress
from controller.apps.argo.rows import Kind
from controller.errors import ArchiveError
from controller.ports import Application
from planner.errors import BrokenPlugin, InvalidSubscription
from planner.extent import ALWAYS, GLOBE, Box, Extent, Period
from planner.model import Fragment, Selection, UpdateSpan, View
from tests.controller.apps.argo.index_files import (
    Line,
    archive_of,
    bgc_index,
    core_index,
    index_of,
    instant,
    unpacked_subset,
)

ARGO = "10.17882/42182"
BASE = UpdateSpan(after=None, upto=0)
MEDITERRANEAN = Box(west=-6.0, south=30.0, east=36.5, north=46.0)
EVERY_KIND = frozenset(Kind)
CORE = [
    Line(file=f"aoml/1/profiles/R1_{year - 2000:03d}.nc", date=f"{year}0601000000")
    for year in (2001, 2002, 2003)
]
BIO = Line(file="aoml/1/profiles/BR1_001.nc", parameters="PRES C1PHASE_DOXY DOXY")
SYNTHETIC = Line(file="aoml/1/profiles/SR1_001.nc", parameters="PRES TEMP DOXY")


def view(*parameters: str, period: Period | None = None, **options: str) -> View:
    extent = Extent(parameters=parameters, period=period or Period())
    return View(
        dataset=ARGO,
        application="argo",
        extent=extent,
        options=tuple(sorted(options.items())),
    )


def application_of(*indexes: str) -> ArgoApplication:
    return ArgoApplication(
        dataset=ARGO,
        archive=ArchiveAddress(url="/gdac", read_latency_s=0.5),
        fragments_url="memory://fragments/",
        staging_url="/staging",
        catalogue=Catalogue.from_indexes([index_of(text) for text in indexes]),
    )


@pytest.fixture
def argo() -> ArgoApplication:
    return application_of(core_index(*CORE, Line(date="")), bgc_index(BIO), bgc_index(SYNTHETIC))


def test_it_is_an_application_of_the_service(argo: ArgoApplication) -> None:
    port: Application = argo
    assert port.name == "argo"
    assert pickle.loads(pickle.dumps((port.extract, port.combine))) == (argo.extract, argo.combine)


def test_parameters_are_those_of_argo_and_those_that_the_archive_lists(
    argo: ArgoApplication,
) -> None:
    names = argo.parameters()
    assert names == tuple(sorted(set(names)))
    assert {"PRES", "TEMP", "PSAL", "DOXY", "CHLA", "C1PHASE_DOXY"} <= set(names)


class TestKinds:
    @pytest.mark.parametrize(
        ("parameters", "there", "kind"),
        [
            ((), EVERY_KIND, Kind.CORE),
            (("PRES", "PSAL", "TEMP"), EVERY_KIND, Kind.CORE),
            (("DOXY",), EVERY_KIND, Kind.SYNTHETIC),
            (("DOXY", "TEMP"), EVERY_KIND, Kind.SYNTHETIC),
            (("DOXY",), {Kind.CORE, Kind.BIO}, Kind.BIO),
            (("DOXY",), frozenset(), Kind.SYNTHETIC),
        ],
    )
    def test_parameters_choose_the_kind(
        self, parameters: tuple[str, ...], there: frozenset[Kind], kind: Kind
    ) -> None:
        assert kind_of(view(*parameters), there) is kind

    @pytest.mark.parametrize("kind", Kind)
    def test_the_option_decides(self, kind: Kind) -> None:
        assert kind_of(view("DOXY", kind=kind.value), EVERY_KIND) is kind

    def test_an_unknown_kind(self) -> None:
        with pytest.raises(InvalidSubscription, match=r"'bgc'.*core, bio, synthetic"):
            kind_of(view(kind="bgc"), EVERY_KIND)

    def test_options_are_checked_with_the_kind_among_them(self, argo: ArgoApplication) -> None:
        argo.check_options((("kind", "bio"), ("qc", "1,2")))
        for options in ((("kind", "bgc"),), (("kind", "bio"), ("mode", "lax"))):
            with pytest.raises(InvalidSubscription):
                argo.check_options(options)

    def test_a_kind_that_the_archive_does_not_list(self) -> None:
        argo = application_of(core_index(*CORE))
        for wish in (view("DOXY"), view(kind="bio")):
            with pytest.raises(ArchiveError, match="only core"):
                argo.density(wish, BASE)
            with pytest.raises(ArchiveError, match="only core"):
                argo.part_order(wish, wish.extent, BASE, "stem")
        with pytest.raises(ArchiveError, match="only core"):
            argo.check_options((("kind", "bio"),))

    def test_core_files_alone_hold_nothing_biogeochemical(self) -> None:
        argo = application_of(core_index(*CORE))
        assert {"TEMP", "MLD"} <= set(argo.parameters())
        assert "DOXY" not in argo.parameters()
        assert argo.takes("qc_TEMP")
        assert argo.takes("qc_POSITION")
        assert not argo.takes("qc_DOXY"), "an archive beside it may list it"


def wish_for(argo: ArgoApplication, *parameters: str, **options: str) -> View:
    return argo.view(GLOBE, ALWAYS, parameters, tuple(sorted(options.items())))


@pytest.fixture
def derived(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[DerivedParameter], None]]:
    """Let one more derived parameter be built in."""
    catalogue.derived_parameter.cache_clear()
    yield lambda one: monkeypatch.setattr(
        catalogue, "BUILT_IN", {**catalogue.BUILT_IN, one.name: one}
    )
    catalogue.derived_parameter.cache_clear()


class TestViews:
    def test_derived_parameters_may_be_asked_for(self, argo: ArgoApplication) -> None:
        assert {"CT", "MLD", "SA", "SIGMA0"} <= set(argo.parameters())

    @pytest.mark.parametrize(
        ("named", "measured", "carried"),
        [
            ("", "PRES PSAL TEMP", ""),
            ("TEMP PSAL", "PSAL TEMP", ""),
            ("TEMP CT MLD", "PRES PSAL TEMP", "CT,MLD"),
            ("SIGMA0", "PRES PSAL TEMP", "SIGMA0"),
            ("DOXY SA", "DOXY PRES PSAL TEMP", "SA"),
        ],
    )
    def test_what_is_read_are_measured_parameters(
        self, argo: ArgoApplication, named: str, measured: str, carried: str
    ) -> None:
        wish = wish_for(argo, *named.split(), mode="expert")
        assert wish.extent == Extent(parameters=tuple(measured.split()))
        expected = {"mode": "expert"} | ({"derived": carried} if carried else {})
        assert wish.options == tuple(sorted(expected.items()))

    def test_a_request_written_down_asks_for_the_same_again(self, argo: ArgoApplication) -> None:
        wish = wish_for(argo, "MLD", "DOXY", depth="0/100")
        said = asked(wish)
        assert said["parameters"] == ["DOXY", "PRES", "PSAL", "TEMP", "MLD"]
        assert said["options"] == {"depth": "0/100"}
        assert wish_for(argo, "DOXY", "PRES", "PSAL", "TEMP", "MLD", depth="0/100") == wish

    def test_derived_parameters_are_read_from_core_files_and_travel_to_workers(
        self, argo: ArgoApplication
    ) -> None:
        wish = wish_for(argo, "CT")
        order = argo.part_order(wish, wish.extent, BASE, "stem")
        assert len(order.files) == len(CORE)
        assert order.options == (("derived", "CT"),)

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"qc_PSAK": "1"}, r"qc_PSAK names an unknown parameter 'PSAK'. Did you mean PSAL"),
            ({"data_mode_DOXI": "D"}, r"unknown parameter 'DOXI'. Did you mean DOXY"),
            ({"qc_POSTION": "1"}, r"unknown parameter 'POSTION'. Did you mean POSITION"),
            ({"data_mode_TIME": "D"}, r"only parameters have a data mode. Write qc_TIME"),
            ({"qc_CT": "1"}, r"CT is derived.*Write it of PRES, PSAL, TEMP"),
            ({"derived": "CT"}, r"'derived' is unknown. Name derived parameters among"),
            ({"qc_temp": "1"}, r"option 'qc_temp' is unknown"),
            ({"pressure": "0/10", "depth": "0/10"}, r"pressure and depth are both given"),
        ],
    )
    def test_options_that_cannot_be(
        self, argo: ArgoApplication, options: dict[str, str], says: str
    ) -> None:
        with pytest.raises(InvalidSubscription, match=says):
            argo.check_options(tuple(options.items()))

    @pytest.mark.parametrize("option", ["qc_PSAL", "data_mode_PSAL"])
    def test_options_of_parameters_that_are_not_read_would_say_nothing(
        self, argo: ArgoApplication, option: str
    ) -> None:
        with pytest.raises(InvalidSubscription, match=rf"{option} says nothing.*Add PSAL"):
            wish_for(argo, "TEMP", **{option: "D"})
        wish_for(argo, "TEMP", "PSAL", **{option: "D"})
        wish_for(argo, "TEMP", "CT", **{option: "D"})
        wish_for(argo, "TEMP", qc_POSITION="1", qc_PRES="1")

    @pytest.mark.parametrize(
        ("name", "needs", "says"),
        [
            ("AOU", ("DOXI",), r"'AOU' needs 'DOXI', which no float measures. Did you mean DOXY"),
            ("C1PHASE_DOXY", ("DOXY",), r"bears the name of one that the archive holds"),
        ],
    )
    def test_a_plugin_that_this_archive_cannot_serve(
        self,
        derived: Callable[[DerivedParameter], None],
        name: str,
        needs: tuple[str, ...],
        says: str,
    ) -> None:
        derived(replace(QUANTITIES[0], name=name, needs=needs))
        with pytest.raises(BrokenPlugin, match=says):
            wish_for(application_of(core_index(*CORE), bgc_index(BIO)), name)


class TestOrders:
    def test_the_density_is_that_of_the_view(self, argo: ArgoApplication) -> None:
        period = Period(start_at=instant(2002))
        assert argo.density(view(period=period), BASE).files.tolist() == [1.0, 1.0]
        assert argo.density(view("DOXY"), BASE).files.tolist() == [1.0]
        assert len(argo.density(view("CHLA"), BASE)) == 0

    def test_a_part_reads_the_files_of_its_extent_as_the_view_wants_them(
        self, argo: ArgoApplication
    ) -> None:
        request = view("TEMP", qc="1", kind="core")
        part = Extent(period=Period(end_at=instant(2003)), parameters=("TEMP",))
        order = argo.part_order(request, part, BASE, "t-1-p-0-a-1")
        assert [file.path for file in order.files] == [CORE[0].file, CORE[1].file]
        assert order.archive == ArchiveAddress(url="/gdac", read_latency_s=0.5)
        assert order.extent == request.extent
        assert order.options == (("qc", "1"),)
        assert order.fragment_url.startswith("memory://fragments/t-1-p-0-a-1")
        assert pickle.loads(pickle.dumps(order)) == order

    def test_parts_share_out_all_files(self, argo: ArgoApplication) -> None:
        request = view("TEMP")
        pieces = request.extent.cut_time([instant(2002), instant(2003)])
        parts = [argo.part_order(request, piece, BASE, "stem").files for piece in pieces]
        assert sum(parts, ()) == argo.part_order(request, request.extent, BASE, "stem").files

    def test_a_product_names_what_was_wrong_with_the_index(self, argo: ArgoApplication) -> None:
        fragment = Fragment(url="memory://f", rows=1, size_bytes=1, sha256="0")
        selection = Selection(view=view("TEMP", kind="core"), updates=BASE)
        order = argo.product_order(selection, (fragment,), "med-v1-to-u0", "med")
        assert order.product_url == "/staging/med-v1-to-u0.nc"
        assert (order.product_id, order.subscription_id) == ("med-v1-to-u0", "med")
        assert (order.selections, order.fragments) == ((selection,), ((fragment,),))
        assert order.index_faults == ("ar_index_global_prof.txt: no usable date in 1 row (line 8)",)
        assert pickle.loads(pickle.dumps(order)) == order

    def test_updates_reach_the_next_order(self) -> None:
        catalogue = Catalogue.from_indexes([index_of(core_index(CORE[0]))])
        argo = ArgoApplication(
            dataset=ARGO,
            archive=ArchiveAddress(url="/gdac"),
            fragments_url="/fragments",
            staging_url="/staging",
            catalogue=catalogue,
        )
        newer = index_of(core_index(*CORE[:2])).rows
        catalogue.apply(1, changes_between(catalogue.current(), newer))
        order = argo.part_order(view(), Extent(), UpdateSpan(after=0, upto=1), "stem")
        assert [file.path for file in order.files] == [CORE[1].file]

    def test_an_increment_tells_what_it_supersedes(self) -> None:
        catalogue = Catalogue.from_indexes([index_of(core_index(*CORE[:2]))])
        argo = ArgoApplication(
            dataset=ARGO,
            archive=ArchiveAddress(url="/gdac"),
            fragments_url="/fragments",
            staging_url="/staging",
            catalogue=catalogue,
        )
        delayed = replace(CORE[0], file=CORE[0].file.replace("R1_", "D1_"))
        newer = index_of(core_index(delayed)).rows
        catalogue.apply(1, changes_between(catalogue.current(), newer))
        increment = UpdateSpan(after=0, upto=1)
        order = argo.product_order(
            Selection(view=view(), updates=increment), (), "med-v1-u1", "med"
        )
        assert [one.path for one in order.superseded] == [CORE[0].file]
        assert [one.path for one in order.withdrawn] == [CORE[1].file]
        assert (
            argo.product_order(
                Selection(view=view(), updates=BASE), (), "med-v1-to-u0", "med"
            ).superseded
            == ()
        )


def test_an_index_that_names_missing_files_is_not_fatal(tmp_path: Path) -> None:
    folder = archive_of(tmp_path / "gdac", core=core_index(*CORE))
    address = ArchiveAddress(url=str(folder))
    argo = ArgoApplication(
        dataset=ARGO,
        archive=address,
        fragments_url=str(tmp_path / "fragments"),
        staging_url=str(tmp_path / "staging"),
        catalogue=Catalogue.load(open_archive(address)),
    )
    request = view("TEMP")
    fragment = argo.extract(argo.part_order(request, request.extent, BASE, "stem"))
    assert (fragment.rows, fragment.left_out) == (0, 3)


@pytest.mark.shared_data
@pytest.mark.parametrize("options", [{}, {"kind": "core"}, {"kind": "synthetic", "mode": "expert"}])
def test_the_real_subset_from_index_to_product(tmp_path: Path, options: dict[str, str]) -> None:
    address = ArchiveAddress(url=str(unpacked_subset(tmp_path / "gdac")))
    argo = ArgoApplication(
        dataset=ARGO,
        archive=address,
        fragments_url=str(tmp_path / "fragments"),
        staging_url=str(tmp_path / "staging"),
        catalogue=Catalogue.load(open_archive(address)),
    )
    extent = Extent(box=MEDITERRANEAN, parameters=("TEMP",))
    request = View(dataset=ARGO, application="argo", extent=extent, options=tuple(options.items()))
    selection = Selection(view=request, updates=BASE)
    products = []
    for cuts in ([], [instant(2019), instant(2021)]):
        pieces = extent.cut_time(cuts)
        fragments = tuple(
            argo.extract(argo.part_order(request, piece, BASE, f"{len(pieces)}-{n}"))
            for n, piece in enumerate(pieces)
        )
        order = argo.product_order(selection, fragments, f"p{len(pieces)}", "med")
        products.append(argo.combine(order))
    whole, cut = products
    assert whole.rows == cut.rows > 0
    assert whole.digest == cut.digest
    assert whole.left_out == cut.left_out == 0
