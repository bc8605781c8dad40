"""`slackwater run` on a small archive: products, exit codes, journals, and news since an index."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import netCDF4
import pytest

from controller.apps.argo.product import content_digest
from controller.demo.archive import DemoArchive, make_archive, reprocess
from controller.demo.archived import Quirk
from tests.controller.runs import PRODUCTS, WISHES, Ended, Order, delivered, slackwater

MakeOrder = Callable[..., Order]


@pytest.fixture
def order(tmp_path: Path, small_archive: DemoArchive) -> MakeOrder:
    """Return what makes orders on the small archive in a folder of the test's own."""

    def make(**changes: object) -> Order:
        given = {"folder": tmp_path / "place", "archive": small_archive.folder, **changes}
        return Order(**given)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="module")
def first(
    small_archive: DemoArchive, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Order, Ended]:
    """Run once, in a folder whose name might be taken for markup; several tests look at it."""
    order = Order(
        folder=tmp_path_factory.mktemp("first") / "[/red]",
        archive=small_archive.folder,
        options=("--json", "--journal", "journal.jsonl"),
    )
    return order, order.run()


def test_products_and_manifests_are_there(first: tuple[Order, Ended]) -> None:
    order, ended = first
    assert ended.code == 0, ended.err
    assert delivered(order.products).keys() == PRODUCTS
    for name in PRODUCTS:
        folder = order.products / name.removesuffix("-v1-to-u0")
        endings = (".nc", ".manifest.json", "-ro-crate-metadata.json")
        assert {path.name for path in folder.iterdir()} == {f"{name}{end}" for end in endings}


def test_the_result_is_json_on_stdout_and_the_story_is_on_stderr(
    first: tuple[Order, Ended],
) -> None:
    order, ended = first
    world = ended.task("world")
    assert world["outcome"] == "delivered"
    assert 0 < world["slack_s"] < world["deadline_s"] == 600.0
    assert ended.task("mediterranean")["slack_s"] is None
    path = order.products / "world" / "world-v1-to-u0.nc"
    assert world["digest"] == content_digest(path)
    assert world["file"] == path.name
    assert world["manifest_url"] == f"file://{path.with_suffix('.manifest.json')}"
    with netCDF4.Dataset(path) as dataset:
        assert len(dataset.dimensions["N_POINTS"]) == world["rows"] > 1000
    assert ended.result["peak_nodes"] >= 1
    assert "+1 node" in ended.err
    assert "delivered world" in ended.err
    assert "[/red]/products/world/world-v1-to-u0" in ended.err


def test_files_that_are_missing_or_broken_are_left_out_and_named(
    first: tuple[Order, Ended], small_archive: DemoArchive
) -> None:
    order, ended = first
    world = order.products / "world" / "world-v1-to-u0"
    told = {
        file["path"]: file["reason"]
        for file in json.loads(world.with_suffix(".manifest.json").read_text())["left_out"]
    }
    (missing,) = (one for one in small_archive.profiles if one.quirk is Quirk.MISSING_FILE)
    (empty,) = (one for one in small_archive.profiles if one.quirk is Quirk.EMPTY_FILE)
    assert "has no" in told[missing.path("core")] or "has neither" in told[missing.path("core")]
    assert "no whole NetCDF file (0 bytes)" in told[empty.path("core")]
    assert ended.task("world")["left_out"] == len(told)
    assert f"{len(told)} source files left out" in ended.err


def test_the_journal_replays_exactly(first: tuple[Order, Ended]) -> None:
    order, _ = first
    replayed = slackwater("replay", str(order.journal), "--exact", "--json", cwd=order.folder)
    assert replayed.code == 0
    assert replayed.result["identical"]
    assert replayed.result["steps"] == len(order.journal.read_bytes().splitlines()) - 1


def test_no_temporary_file_is_left(first: tuple[Order, Ended]) -> None:
    order, _ = first
    assert list(order.scratch.iterdir()) == []


def test_a_second_run_leaves_products_as_they_are_and_its_table_names_them(
    first: tuple[Order, Ended],
) -> None:
    order, _ = first
    before = {path: path.stat() for path in order.products.rglob("*")}
    ended = replace(order, options=()).run()
    assert ended.code == 0
    assert {path: path.stat() for path in order.products.rglob("*")} == before
    for name in PRODUCTS:
        assert f"{name} " in ended.out
        assert f"[/red]/products/{name.removesuffix('-v1-to-u0')}/{name}.nc" in ended.out
    assert "on time" in ended.out


FAR = """
archive: {read_latency_s: 0.03}
nodes: {local: {slots: 2, nodes_max: 1}}
"""
"""Two hundred files are 7 s of work, for two workers."""


def test_a_deadline_that_no_fleet_can_meet_is_told_before_any_work_and_ends_in_3(
    order: MakeOrder,
) -> None:
    wishes = WISHES.replace("PT10M", "PT1S")
    options = ("--json", "--journal", "journal.jsonl")
    asked = order(wishes=wishes, settings=FAR, options=options)
    ended = asked.run()
    assert ended.code == 3
    world = ended.task("world")
    assert (world["outcome"], world["missed"]) == ("late", True)
    assert world["slack_s"] < 0
    assert delivered(asked.products).keys() == PRODUCTS
    lines = ended.err.splitlines()
    told = [place for place, line in enumerate(lines) if "at risk world" in line]
    done = [place for place, line in enumerate(lines) if "late world" in line]
    assert told
    assert done
    assert told[0] < done[0]
    risky, begun = (
        number_of(asked.journal, wanted) for wanted in ('"kind":"at_risk"', '"type":"RunPart"')
    )
    assert risky <= begun


def number_of(journal: Path, words: str) -> int:
    """Return the number of the first line that holds these words."""
    lines = journal.read_text().splitlines()
    return next(number for number, line in enumerate(lines) if words in line)


def test_a_firm_task_that_expires_ends_in_3_and_delivers_nothing(order: MakeOrder) -> None:
    wishes = WISHES.replace("deadline: PT10M", "deadline: PT1S\n    firm: true")
    asked = order(wishes=wishes, settings=FAR, options=("--json",))
    ended = asked.run()
    assert ended.code == 3
    assert ended.task("world")["outcome"] == "expired"
    assert delivered(asked.products).keys() == {"mediterranean-v1-to-u0"}


def test_since_an_older_index_only_what_changed_is_delivered(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "archive", profiles=200, seed=8)
    kept = shutil.copy(archive.index, tmp_path / "kept.txt")
    options = ("--since", str(kept), "--json")
    nothing = Order(folder=tmp_path / "nothing", archive=archive.folder, options=options)
    ended = nothing.run()
    assert (ended.code, ended.result["tasks"]) == (0, [])
    assert "Nothing changed since that index." in ended.err
    assert delivered(nothing.products) == {}

    after = reprocess(archive, profiles=30)
    news = Order(folder=tmp_path / "news", archive=archive.folder, options=options)
    ended = news.run()
    assert ended.code == 0, ended.err
    changed = {now for was, now in zip(archive.profiles, after.profiles, strict=True) if was != now}
    manifest = json.loads((news.products / "world" / "world-v1-u1.manifest.json").read_text())
    read = {source["path"] for source in manifest["sources"]}
    assert read
    assert read <= {one.path("core") for one in changed}
    assert f"{len(changed)} new or changed profiles since that index." in ended.err


def test_a_packed_index_will_do_as_the_older_one(
    order: MakeOrder, small_archive: DemoArchive
) -> None:
    packed = small_archive.index.with_name(f"{small_archive.index.name}.gz")
    ended = order(options=("--since", str(packed), "--json")).run()
    assert (ended.code, ended.result["tasks"]) == (0, [])


HELP_S_MAX = 2.0
"""A second is promised; the machine may be busy [s of processor time]."""


@pytest.mark.parametrize(
    "command", [(), ("run",), ("partition",), ("demo",), ("replay",), ("plugins",)]
)
def test_help_answers_at_once(command: tuple[str, ...], tmp_path: Path) -> None:
    before_s = used_by_children_s()
    ended = slackwater(*command, "--help", cwd=tmp_path)
    assert used_by_children_s() - before_s < HELP_S_MAX
    assert ended.code == 0
    assert "Usage: slackwater" in ended.out


def used_by_children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


HELP = """
import sys
from controller.cli import main
sys.argv = ["slackwater", "--help"]
try:
    main()
finally:
    print("imported", *sys.modules, file=sys.stderr)
"""


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELP], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    imported = done.stderr.rpartition("imported ")[2].split()
    assert "typer" in imported
    assert not {"numpy", "distributed", "netCDF4", "pydantic", "simpy"} & set(imported)
