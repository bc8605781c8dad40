"""Calibrations kept and found again, and those that are not to be used."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from controller.apps.argo.orders import ArchiveAddress
from controller.calibration.record import (
    FORMAT,
    Calibration,
    calibrated,
    keep,
    place_of,
    plain_url,
    read,
    supposed,
)
from controller.calibration.statistics import Accuracy
from controller.config.settings import ARGO_DOI
from controller.errors import CalibrationError, StorageError
from partitioners.history import OBSERVATIONS_MAX, Observation
from planner.durations import DEFAULT_COSTS
from planner.extent import Extent, Period
from planner.model import UnitCosts

COSTS = UnitCosts(base_s=0.001, file_s=0.002, megabyte_s=0.0, value_s=0.0003)


YEAR = Observation(extent=Extent(period=Period(start_at=0.0, end_at=3e7)), cost_s=4.0)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def address(tmp_path: Path) -> ArchiveAddress:
    return ArchiveAddress(url=str(tmp_path / "archive"))


def calibration(address: ArchiveAddress) -> Calibration:
    return Calibration(
        archive=plain_url(address.url),
        dataset=ARGO_DOI,
        application="argo",
        made_at="2026-11-26T12:00:00Z",
        build="slackwater 0",
        costs=COSTS,
        scatter=0.12,
        common_error=0.06,
        ratios=(0.9, 0.92, 0.95, 1.0, 1.05, 1.1, 1.2),
        accuracy=Accuracy(requests=120, r2=0.98, median_error=0.04, coverage_90=0.9),
        files=5000,
    )


def test_it_is_read_as_it_was_written(address: ArchiveAddress, tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "c.json"
    keep(calibration(address), file)
    assert read(file) == calibration(address)
    assert [path.name for path in file.parent.iterdir()] == ["c.json"]


def test_it_is_found_again_for_its_archive_only(address: ArchiveAddress, tmp_path: Path) -> None:
    assert calibrated(address, "argo") == supposed(address)
    keep(calibration(address), place_of(address.url, "argo"))
    found = calibrated(address, "argo")
    assert found.costs == COSTS
    assert (found.scatter, found.common_error) == (0.12, 0.06)
    assert "2026-11-26: 120 requests, median error 4 %" in found.source
    other = ArchiveAddress(url=str(tmp_path / "other"))
    assert calibrated(other, "argo").costs == DEFAULT_COSTS
    assert calibrated(address, "command").costs == DEFAULT_COSTS
    assert calibrated(address, "argo", "10.1/2").costs == DEFAULT_COSTS


def test_an_archive_is_the_same_by_every_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["archive", "./archive/", str(tmp_path / "archive"), f"file://{tmp_path}/archive"]
    assert len({place_of(name, "argo") for name in names}) == 1


def test_secrets_of_a_url_are_not_kept() -> None:
    plain = plain_url("s3://key:secret@bucket/argo/?token=x")
    assert plain == "s3://bucket/argo"


def test_declared_latency_is_added_once_where_costs_are_used(address: ArchiveAddress) -> None:
    keep(calibration(address), place_of(address.url, "argo"))
    far = replace(address, read_latency_s=0.05)
    assert calibrated(far, "argo").costs == replace(COSTS, file_s=0.002 + 0.05)
    assert supposed(far).costs.file_s == pytest.approx(DEFAULT_COSTS.file_s + 0.05)
    assert calibrated(address, "argo").costs == COSTS


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "broken"),
        (b"{}", "broken"),
        (b"[1, 2", "broken"),
        (b"\xff\xfe", "broken"),
        (b'{"calibration": 1}', "broken"),
        (b'{"calibration": "1"}', "broken"),
        (json.dumps({"calibration": FORMAT + 1}).encode(), f"format {FORMAT + 1}"),
    ],
)
def test_a_file_that_is_none_is_refused_or_passed_over(
    content: bytes, reason: str, address: ArchiveAddress, tmp_path: Path
) -> None:
    file = tmp_path / "c.json"
    file.write_bytes(content)
    with pytest.raises(CalibrationError, match=reason):
        calibrated(address, "argo", file=file)
    kept = place_of(address.url, "argo")
    kept.parent.mkdir(parents=True)
    kept.write_bytes(content)
    passed_over = calibrated(address, "argo")
    assert passed_over.costs == DEFAULT_COSTS
    assert reason in passed_over.warning
    assert "default costs" in passed_over.warning


@pytest.mark.parametrize(
    "changes",
    [
        {"scatter": -0.1},
        {"common_error": -1.0},
        {"costs": replace(COSTS, file_s=-1e-9)},
        {"costs": UnitCosts(base_s=0.0, file_s=0.0, megabyte_s=0.0, value_s=0.0)},
        {"scatter": math.inf},
        {"history": (replace(YEAR, cost_s=-1.0),)},
        {"history": (replace(YEAR, extent=Extent()),)},
        {"history": (YEAR,) * (OBSERVATIONS_MAX + 1)},
    ],
)
def test_costs_that_cannot_be_are_refused(
    changes: dict[str, object], address: ArchiveAddress, tmp_path: Path
) -> None:
    file = tmp_path / "c.json"
    keep(replace(calibration(address), **changes), file)  # type: ignore[arg-type]
    with pytest.raises(CalibrationError, match="broken"):
        read(file)


def test_a_file_of_another_archive_or_none_is_refused(
    address: ArchiveAddress, tmp_path: Path
) -> None:
    file = tmp_path / "c.json"
    keep(calibration(ArchiveAddress(url="/elsewhere")), file)
    with pytest.raises(CalibrationError, match=r"is of file:///elsewhere .* not of .*archive"):
        calibrated(address, "argo", file=file)
    with pytest.raises(CalibrationError, match="cannot be read"):
        calibrated(address, "argo", file=tmp_path / "none.json")
    with pytest.raises(CalibrationError, match="cannot be read"):
        calibrated(address, "argo", file=tmp_path)


def test_a_place_that_takes_no_file_is_told(address: ArchiveAddress, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"c\.json cannot be written"):
        keep(calibration(address), tmp_path / "file" / "c.json")


def test_a_relative_state_folder_is_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = tmp_path / ".local" / "state" / "slackwater" / "calibrations"
    assert place_of("/a", "argo").parent == expected


def test_a_history_is_believed_with_its_costs_and_no_latency_is_added(tmp_path: Path) -> None:
    address = ArchiveAddress(url=str(tmp_path / "archive"), read_latency_s=1.0)
    keep(replace(calibration(address), history=(YEAR,)), place_of(address.url, "argo"))
    found = calibrated(address, "argo")
    assert (found.history, found.costs) == ((YEAR,), COSTS)
    assert "is cut and predicted by the calibration of 2026-11-26: 1 strata" in found.source


def test_a_history_of_a_place_that_cannot_be_is_refused(
    address: ArchiveAddress, tmp_path: Path
) -> None:
    file = tmp_path / "c.json"
    keep(replace(calibration(address), history=(YEAR,)), file)
    file.write_text(file.read_text().replace('"north": 90.0', '"north": -90.0'))
    with pytest.raises(CalibrationError, match="broken"):
        read(file)
