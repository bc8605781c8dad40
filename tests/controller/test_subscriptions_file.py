"""A file of subscriptions: what it may say; all its faults come at once with their lines."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.config.bbox import parse_bbox
from controller.config.subscriptions import SubscriptionsFile, read_subscriptions
from controller.destinations import Destinations
from controller.errors import FileFault
from planner.errors import InvalidSubscription
from planner.extent import ALWAYS, GLOBE, Box, Extent, Period
from planner.model import View
from tests.controller.known import Known, known_argo

NOW = 1_700_000_000.0  # 2023-11-14T22:13:20Z
DOI = "10.17882/42182"


class Floats:
    """An application for the tests: knows a few parameters and one option."""

    def __init__(self, dataset: str, name: str = "floats", *parameters: str) -> None:
        self.dataset = dataset
        self.name = name
        self.names = parameters or ("DOXY", "PRES", "PSAL", "TEMP")

    def parameters(self) -> tuple[str, ...]:
        return self.names

    def takes(self, option: str) -> bool:
        return option == "qc" and self.name == "floats"

    def view(
        self,
        box: Box,
        period: Period,
        parameters: tuple[str, ...],
        options: tuple[tuple[str, str], ...],
    ) -> View:
        extent = Extent(box=box, period=period, parameters=parameters or ("PSAL", "TEMP"))
        return View(dataset=self.dataset, application=self.name, extent=extent, options=options)

    def check_options(self, options: tuple[tuple[str, str], ...]) -> None:
        for name, value in options:
            if name != "qc" or not set(value) <= set("0123456789,"):
                raise InvalidSubscription(f"option {name}={value!r} cannot be", fix="Write qc: 1,2")


DATASETS = Known(
    {"argo": DOI, "sst": "10.5067/sst"},
    {DOI: Floats(DOI), "10.5067/sst": Floats("10.5067/sst", "command", "ice", "sst")},
)


def read(folder: Path, text: str) -> SubscriptionsFile:
    path = folder / "subscriptions.yaml"
    path.write_text(text, encoding="utf-8")
    return read_subscriptions(
        path,
        datasets=DATASETS,
        destinations=Destinations(roots=(str(folder / "out"),)),
        now=NOW,
    )


def faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(FileFault) as caught:
        read(folder, text)
    return caught.value.faults


def entry(folder: Path, lines: str) -> list[str]:
    """Return the faults of one subscription with these lines added; the first stands on line 4."""
    indented = "".join(f"    {line}\n" for line in lines.splitlines())
    return faults(folder, f"subscriptions:\n  - id: s\n    dataset: argo\n{indented}")


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        f"""
subscriptions:
  - id: med-temperature
    dataset: argo
    bbox: -6,30,36.5,46
    time: 2010-01-01/..
    parameters: [TEMP, PSAL]
    deadline: PT2H
    firm: yes
    priority: 2.5
    backfill: false
    destination: {tmp_path}/out/elsewhere
    options: {{qc: "1,2"}}
""",
    )
    (subscription,) = found.subscriptions
    assert found.warnings == ()
    assert subscription.id == "med-temperature"
    assert subscription.views[0].dataset == DOI
    assert subscription.views[0].application == "floats"
    assert subscription.views[0].extent.box == Box(west=-6, south=30, east=36.5, north=46)
    assert subscription.views[0].extent.period == Period(start_at=1_262_304_000.0)
    assert subscription.views[0].extent.parameters == ("PSAL", "TEMP")
    assert subscription.views[0].options == (("qc", "1,2"),)
    assert subscription.destination == f"file://{tmp_path}/out/elsewhere"
    assert (subscription.deadline_s, subscription.deadline_at) == (7200.0, None)
    assert subscription.firm
    assert subscription.priority == 2.5
    assert not subscription.backfill


def test_several_datasets_each_get_what_they_know(tmp_path: Path) -> None:
    text = """
subscriptions:
  - {id: a, dataset: [argo, sst], parameters: [TEMP, sst], options: {qc: "1"}}
"""
    (subscription,) = read(tmp_path, text).subscriptions
    floats, other = subscription.views
    assert (floats.dataset, floats.application) == (DOI, "floats")
    assert (floats.extent.parameters, floats.options) == (("TEMP",), (("qc", "1"),))
    assert (other.dataset, other.application) == ("10.5067/sst", "command")
    assert (other.extent.parameters, other.options) == (("sst",), ())


@pytest.mark.parametrize(
    ("dataset", "rest", "fault"),
    [
        ("[]", "", "dataset is empty"),
        ("[argo, argo]", "", "dataset names one twice"),
        (f"[argo, 'doi:{DOI}']", "", "dataset names one twice"),
        ("[argo, agro]", "", "unknown dataset 'agro'. Did you mean argo?"),
        ("[argo, sst]", "parameters: [TEMP]", "dataset 10.5067/sst has none of TEMP"),
        ("[argo, sst]", "parameters: [TEMP, ise]", "unknown parameter 'ise'. Did you mean ice"),
        ("[argo, sst]", "options: {colour: red}", "option colour='red' cannot be"),
    ],
)
def test_what_cannot_be_of_several_datasets(
    tmp_path: Path, dataset: str, rest: str, fault: str
) -> None:
    text = f"subscriptions:\n  - id: a\n    dataset: {dataset}\n    {rest}\n"
    (told,) = faults(tmp_path, text)
    assert fault in told


def test_what_is_not_said_has_a_default(tmp_path: Path) -> None:
    text = "subscriptions:\n  - id: all\n    dataset: argo\n    deadline:\n"
    (subscription,) = read(tmp_path, text).subscriptions
    assert subscription.views[0].extent.box == GLOBE
    assert subscription.views[0].extent.period == ALWAYS
    assert subscription.views[0].extent.parameters == ("PSAL", "TEMP")
    assert subscription.destination == f"file://{tmp_path}/out/all"
    assert (subscription.deadline_s, subscription.deadline_at) == (None, None)
    assert (subscription.firm, subscription.priority, subscription.backfill) == (False, 1.0, True)


def test_several_ways_to_say_the_same(tmp_path: Path) -> None:
    first, second = read(
        tmp_path,
        f"""
subscriptions:
  - {{id: a, dataset: argo, bbox: "170,-10,-170,10", parameters: TEMP PSAL, options: {{qc: 1}}}}
  - id: b
    dataset: https://doi.org/{DOI}
    bbox: [170, -10, -170, 10]
    parameters: [PSAL, TEMP, TEMP]
    options: {{qc: "1"}}
""",
    ).subscriptions
    assert first.views == second.views
    assert first.views[0].extent.box.crosses_antimeridian


def test_a_dataset_can_be_named_as_the_settings_write_its_identifier(tmp_path: Path) -> None:
    known = known_argo()
    written = f"https://doi.org/{DOI}"
    known = replace(
        known, aliases={"argo": written}, applications={written: known.applications[DOI]}
    )
    path = tmp_path / "subscriptions.yaml"
    for name in ("argo", DOI, written, f"doi:{DOI}"):
        path.write_text(f"subscriptions: [{{id: a, dataset: '{name}'}}]")
        read_subscriptions(
            path, datasets=known, destinations=Destinations(roots=(str(tmp_path),)), now=0.0
        )


def test_a_deadline_can_be_an_instant(tmp_path: Path) -> None:
    text = "subscriptions: [{id: a, dataset: argo, deadline: '2030-01-01T01:00:00+01:00'}]"
    (subscription,) = read(tmp_path, text).subscriptions
    assert (subscription.deadline_s, subscription.deadline_at) == (None, 1_893_456_000.0)


def test_words_of_yaml_stay_words(tmp_path: Path) -> None:
    ids = ["007", "1e3", "no", "12.30"]
    text = "subscriptions:\n" + "".join(f"  - {{id: {id_}, dataset: argo}}\n" for id_ in ids)
    assert [subscription.id for subscription in read(tmp_path, text).subscriptions] == ids


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("170,-10,190,10", "170,-10,-170,10"),
        ("0,-90,360,90", "-180,-90,180,90"),
        ("350,40,10,50", "-10,40,10,50"),
        ("180,-10,360,10", "180,-10,0,10"),
    ],
)
def test_longitudes_of_0_to_360_are_read_with_a_warning(
    tmp_path: Path, written: str, meant: str
) -> None:
    text = f"subscriptions:\n  - id: pacific\n    dataset: argo\n    bbox: {written}\n"
    found = read(tmp_path, text)
    assert str(found.subscriptions[0].views[0].extent.box) == meant
    assert found.warnings == (
        f"line 4: subscription pacific: bbox with longitudes of 0..360 is read as {meant}",
    )


@given(west=st.integers(0, 359), width=st.integers(1, 359), south=st.integers(-90, 89))
def test_counting_to_360_or_180_means_the_same_box(west: int, width: int, south: int) -> None:
    def to_180(longitude: int) -> int:
        return longitude - 360 if longitude > 180 else longitude

    east = (west + width) % 360
    box = parse_bbox([str(west), str(south), str(east), "90"])
    assert math.isclose(box.width_deg, width)
    assert (box.west - to_180(west)) % 360 == 0


def test_five_faults_at_once_each_with_its_line(tmp_path: Path) -> None:
    assert faults(
        tmp_path,
        """\
subscriptions:
  - id: med-temperature
    dataset: argo
    bbox: -6,46,36.5,30
    time: 2010-02-30/..
    parameters: [TEMP, PSAK]
  - id: med-temperature
    dataset: agro
    deadline: PT0S
""",
    ) == [
        "line 4: subscription med-temperature: bbox -6,46,36.5,30 is upside down or flat."
        " South must be below north",
        "line 5: subscription med-temperature: time '2010-02-30' is no date (day is out of range"
        " for month). Write 2010-01-31 or 2010-01-31T12:00:00Z",
        "line 6: subscription med-temperature: unknown parameter 'PSAK'. Did you mean PSAL?",
        "line 7: id 'med-temperature' is taken (line 2)",
        "line 8: subscription med-temperature: unknown dataset 'agro'. Did you mean argo?",
        "line 9: subscription med-temperature: deadline 'PT0S' leaves no time."
        " It counts from an update's arrival",
    ]


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("bbox: -190,0,10,10", "longitude outside -180..180"),
        ("bbox: 0,0,361,10", "longitude outside -180..180"),
        ("bbox: 0,-91,10,10", "latitude outside -90..90"),
        ("bbox: 0,0,10", "bbox 0,0,10 is not four numbers"),
        ("bbox: [0, 0, 10, north]", "bbox 0,0,10,north is not four numbers"),
        ("bbox: {west: 0}", "is not four numbers"),
        ("bbox: 0,0,nan,10", "not a finite number"),
        ("bbox: 10,0,10,10", "has no width"),
        ("time: 2010-01-01", "'2010-01-01' is no interval"),
        ("time: 2010-01-01/2009-01-01", "ends before it starts"),
        ("time: 2010-01-01/2010-01-01", "ends before it starts, or is empty"),
        ("time: 2010/..", "'2010' is no date"),
        ("parameters: [temp]", "unknown parameter 'temp'. Did you mean TEMP?"),
        ("parameters: NITRATE", "Known: DOXY, PRES, PSAL, TEMP"),
        ("deadline: -PT2H", "deadline '-PT2H' is negative"),
        ("deadline: P99999999999999D", "is more than 100 years"),
        ("deadline: P1M", "have no fixed length"),
        ("deadline: 2 hours", "neither a duration (PT2H) nor an instant"),
        ("deadline: 7200", "neither a duration (PT2H) nor an instant"),
        ("deadline: 2023-11-14T22:13:20Z", "is past"),
        ("deadline: 2030-01-01", "does not say in which time zone"),
        ("backfill: no\ndeadline: 2030-01-01T00:00:00Z", "only a first delivery can have"),
        ("firm: perhaps", "firm must be true or false, not perhaps"),
        ("priority: 0", "priority must be above 0, not 0"),
        ("priority: inf", "priority must be a finite number"),
        ("destination: /etc", "lies outside the folders that products may go to"),
        ("destination: s3://bucket/a", "is of scheme s3, which is not allowed"),
        ("options: {qc: good}", "option qc='good' cannot be. Write qc: 1,2"),
        ("options: 1", "options must be a mapping"),
        ("dedline: PT2H", "unknown key 'dedline'. Did you mean deadline?"),
        ("bbox: 0,0,1,1\nbbox: 0,0,2,2", "'bbox' is given a second time (first on line 4)"),
    ],
)
def test_each_fault_says_what_is_wrong(tmp_path: Path, lines: str, fault: str) -> None:
    (found,) = entry(tmp_path, lines)
    assert fault in found
    assert found.startswith(f"line {3 + len(lines.splitlines())}: ")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "line 1: the file is empty; it must be a mapping of settings, or leave it out"),
        ("subscriptions: []", "line 1: subscriptions is empty. Write at least one"),
        ("subscription: []", "line 1: unknown key 'subscription'. Did you mean subscriptions?"),
        ("subscriptions: [5]", "line 1: subscription number 1: it must be a mapping"),
        ("subscriptions:\n  - dataset: argo", "line 2: subscription number 1: id is missing"),
        ("subscriptions:\n  - id: a", "line 2: subscription a: dataset is missing"),
        ("subscriptions: [{id: .., dataset: argo}]", "id '..' cannot be"),
        ("subscriptions: [{id: A b, dataset: argo}]", "id 'A b' cannot be"),
        (f"subscriptions: [{{id: {'a' * 65}, dataset: argo}}]", "Use up to 64 of a-z"),
    ],
)
def test_faults_of_the_whole(tmp_path: Path, text: str, fault: str) -> None:
    assert any(fault in found for found in faults(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: [1,\nb: 2", "line 3: no valid YAML"),
        ("a: b: c", "line 1: no valid YAML"),
        ("a: 1\nb: \x07", "line 2: no valid YAML"),
        ("a: 1\n---\nb: 2", "line 2: a second document begins here"),
        ("? [a]\n: b", "line 1: a key must be a word"),
        ("subscriptions: " + "[" * 100_000, "line 1: is nested deeper than 16 levels"),
        ("a: &bomb [x]\nb: [*bomb, *bomb]", "line 2: aliases (*bomb) are not read"),
        ("subscriptions: !!python/object/apply:os.getcwd []", "python/object/apply:os.getcwd"),
    ],
)
def test_what_is_no_yaml_of_ours(tmp_path: Path, text: str, fault: str) -> None:
    assert any(fault in found for found in faults(tmp_path, text))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    def fault_of(path: Path) -> str:
        with pytest.raises(FileFault) as caught:
            read_subscriptions(
                path,
                datasets=DATASETS,
                destinations=Destinations(roots=()),
                now=NOW,
            )
        return str(caught.value)

    large, latin = tmp_path / "large", tmp_path / "latin"
    large.write_bytes(b"#" * (16 * 2**20 + 1))
    latin.write_bytes(b"subscriptions:\n  - id: caf\xe9\n")
    assert fault_of(tmp_path / "none").endswith("cannot be read: No such file or directory")
    assert fault_of(tmp_path).endswith("cannot be read: Is a directory")
    assert fault_of(large).endswith("is larger than 16 MiB")
    assert "line 2: is not UTF-8" in fault_of(latin)


@given(st.text(alphabet="ab:-[]{}!&*#'\"\n ,|>%@`\t?~", max_size=40))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    with pytest.raises(FileFault):
        read(folder, text)
