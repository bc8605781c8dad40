"""`slackwater doctor` finds what would keep a service from running."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from controller.demo.archive import DemoArchive
from controller.store.sqlite import SqliteDatabase
from tests.controller.api.certificates import Signing
from tests.controller.conftest import Command
from tests.controller.recorded import life
from tests.controller.runs import Ended


@pytest.fixture
def well(tmp_path: Path) -> Path:
    """Settings under which all is well."""
    (tmp_path / "data").mkdir(mode=0o700)
    file = tmp_path / "slackwater.yaml"
    file.write_text("service: {port: 0}\n")
    return file


def looked(command: Command, settings: Path, *options: object) -> tuple[Ended, dict[str, str]]:
    """Return how it ended, and what is told of each fault."""
    data = settings.parent / "data"
    ended = command("doctor", "--config", settings, "--data", data, "--json", *options)
    told = json.loads(ended.out)
    faults = {each["what"]: each["told"] for each in told["checks"] if not each["ok"]}
    assert told["ok"] == (not faults) == (ended.code == 0)
    assert all(each["fix"] for each in told["checks"] if not each["ok"])
    return ended, faults


def test_all_is_well(command: Command, well: Path, small_archive: DemoArchive) -> None:
    with life(lambda: SqliteDatabase(well.parent / "data" / "slackwater.db")) as one:
        one.begin()
    archive = small_archive.folder
    assert looked(command, well, "--archive", archive)[1] == {}
    data = well.parent / "data"
    told = command("doctor", "--config", well, "--data", data, "--archive", archive)
    assert (told.code, "✗" in told.out) == (0, False)
    assert "✓ store" in told.out


def test_a_certificate_that_ends_soon_is_told(command: Command, well: Path) -> None:
    files = well.parent / "api.pem", well.parent / "api.key"
    api = f"api: {{certificate_file: {files[0]}, key_file: {files[1]}}}\n"
    well.write_text(well.read_text() + api)
    signing = Signing(well.parent)
    signing.sign(*files, days=5.0)
    assert "holds until" in looked(command, well)[1]["certificate"]
    signing.sign(*files)
    assert "certificate" not in looked(command, well)[1]


def test_each_fault_is_told_with_what_helps(command: Command, well: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.chmod(0o755)
    (data / "slackwater.db").write_bytes(b"no store at all" * 1000)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        well.write_text(
            f"service: {{port: {port}}}\n"
            "datasets: {argo: {identifier: a, archive: /nowhere/at/all}}\n"
            "delivery: {roots: ['/proc/version/products', 'gopher://host/folder']}\n"
        )
        faults = looked(command, well)[1]
    assert set(faults) == {
        *("data folder", "store", "archive of argo", "port"),
        *("destination /proc/version/products", "destination gopher://host/folder"),
    }
    assert "is no database" in faults["store"]
    assert "not allowed" in faults["destination gopher://host/folder"]


def test_bad_settings_are_told_and_end_it(command: Command, well: Path) -> None:
    well.write_text("service: {port: many}\n")
    assert list(looked(command, well)[1]) == ["settings"]


def test_an_extra_that_is_needed_and_absent_is_named(
    command: Command, well: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from controller.cli import doctor  # noqa: PLC0415

    monkeypatch.setitem(doctor.EXTRAS, "sftp", ("a_module_that_nobody_has",))
    well.write_text("service: {port: 0}\ndelivery: {roots: [data], schemes: [file, sftp]}\n")
    assert "extra sftp" not in looked(command, well, "--archive", well.parent)[1]
    faults = looked(command, well, "--archive", "sftp://127.0.0.1:1/folder")[1]
    assert faults["extra sftp"] == "is needed and not there"
