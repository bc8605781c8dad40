"""Bad input gets one clear error, before any work where it can be known, and leaves nothing behind.

The command runs in this process where it ends before any work, and in one of its own else.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from controller.demo.archive import DemoArchive, make_archive
from tests.controller.conftest import Command
from tests.controller.runs import PRODUCTS, WISHES, Ended, Order, delivered


@pytest.fixture
def wishes(tmp_path: Path) -> Path:
    """Return a subscriptions file with which nothing is wrong."""
    path = tmp_path / "wishes.yaml"
    path.write_text(WISHES)
    return path


class Refused:
    """Runs the command and sees that it is refused with nothing left of it."""

    def __init__(self, command: Command, folder: Path, archive: Path) -> None:
        self._command = command
        self._folder = folder
        self._archive = archive

    def __call__(self, *options: object, archive: object = None) -> str:
        """Return the message of `slackwater run` with these options."""
        before = sorted(self._folder.rglob("*"))
        given = ("--archive", archive or self._archive, "--out", "products", *options)
        ended = self._command("run", *given)
        return self.message(ended, before)

    def message(self, ended: Ended, before: list[Path]) -> str:
        """Return what was said after ``error:``."""
        assert (ended.code, ended.out) == (1, "")
        assert ended.err.startswith("error: "), ended.err
        assert sorted(self._folder.rglob("*")) == before
        return ended.err.removeprefix("error: ").rstrip()


@pytest.fixture
def refused(command: Command, tmp_path: Path, small_archive: DemoArchive) -> Refused:
    return Refused(command, tmp_path, small_archive.folder)


FIVE_FAULTS = """\
subscriptions:
  - id: inverted
    dataset: argo
    bbox: 0,50,10,40
  - id: polar
    dataset: argo
    bbox: 0,40,10,95
  - id: someday
    dataset: argo
    time: 2020-13-45/..
  - id: warm
    dataset: argo
    parameters: [TEMPP]
  - id: hasty
    dataset: argo
    deadline: PT0S
"""


def test_five_faults_of_a_subscriptions_file_are_told_at_once(
    refused: Refused, tmp_path: Path
) -> None:
    path = tmp_path / "five.yaml"
    path.write_text(FIVE_FAULTS)
    head, *faults = refused("--subscriptions", path).splitlines()
    assert head == f"{path}: 5 faults"
    for fault, (line, name, said) in zip(
        faults,
        [
            (4, "inverted", "is upside down or flat. South must be below north"),
            (7, "polar", "has a latitude outside -90..90"),
            (10, "someday", "is no date (month must be in 1..12). Write 2010-01-31"),
            (13, "warm", "unknown parameter 'TEMPP'. Did you mean TEMP?"),
            (16, "hasty", "leaves no time. It counts from an update's arrival"),
        ],
        strict=True,
    ):
        assert fault.startswith(f"  line {line}: subscription {name}: "), fault
        assert said in fault


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ("deadline: -PT5M", "deadline '-PT5M' is negative"),
        ("deadline: 2001-01-01T00:00:00Z", "is past"),
        ("time: 2021-01-01/2020-01-01", "ends before it starts"),
        ("dataset: argos", "unknown dataset 'argos'. Did you mean argo?"),
        ("destination: /etc/products", "lies outside the folders that products may go to"),
        ("options: {qc: '7x'}", "qc"),
        ("deadlines: PT5M", "unknown key 'deadlines'. Did you mean deadline?"),
    ],
)
def test_a_fault_names_subscription_and_line(
    wish: str, said: str, refused: Refused, tmp_path: Path
) -> None:
    path = tmp_path / "wishes.yaml"
    dataset = "" if wish.startswith("dataset") else "\n    dataset: argo"
    path.write_text(f"subscriptions:\n  - id: one{dataset}\n    {wish}\n")
    line = 3 if not dataset else 4
    told = refused("--subscriptions", path)
    assert told.startswith(f"{path}: one fault\n  line {line}: "), told
    assert said in told


def test_a_subscriptions_file_that_is_not_there(refused: Refused) -> None:
    told = refused("--subscriptions", "missing.yaml")
    assert told == "missing.yaml: one fault\n  cannot be read: No such file or directory"


SETTINGS = """\
planner:
  scaling: {nodes_max: 0, nodes: 3}
engine: {lease_s: soon}
"""


def test_faults_of_a_settings_file_are_told_at_once(
    refused: Refused, wishes: Path, tmp_path: Path
) -> None:
    path = tmp_path / "slackwater.yaml"
    path.write_text(SETTINGS)
    told = refused("--subscriptions", wishes, "--config", path)
    assert told.startswith(f"{path}: 3 faults\n")
    assert "line 2: planner.scaling.nodes_max must be at least 1" in told
    assert "line 2: unknown key 'nodes'. Did you mean nodes_m" in told
    assert "line 3: engine.lease_s must be a number, not soon" in told
    assert "cannot be read" in refused("--subscriptions", wishes, "--config", "missing.yaml")


def test_names_of_no_policy_and_no_partitioner(
    refused: Refused, wishes: Path, tmp_path: Path
) -> None:
    told = refused("--subscriptions", wishes, "--policy", "prefx")
    assert told.startswith("--policy: no plug-in of slackwater.policies is called 'prefx'.")
    assert "Did you mean 'prefix'? There are: dynamic, lookahead, none, prefix, static" in told
    path = tmp_path / "slackwater.yaml"
    path.write_text("planner: {scaling: {policy: statc}}")
    told = refused("--subscriptions", wishes, "--config", path)
    assert told.startswith("planner.scaling.policy: no plug-in")
    assert "Did you mean 'static'" in told
    path.write_text("planner: {cutting: {partitioner: balance}}")
    told = refused("--subscriptions", wishes, "--config", path)
    assert told.startswith("planner.cutting.partitioner: no plug-in")
    assert "Did you mean 'balanced'?" in told


def test_what_is_no_archive(
    refused: Refused, wishes: Path, tmp_path: Path, small_archive: DemoArchive
) -> None:
    asked = ("--subscriptions", wishes)
    help_ = "Give the folder that holds the index files and dac/"
    assert refused(*asked, archive="nowhere") == (
        f"the archive {tmp_path / 'nowhere'} is not there, or not to be seen. {help_}"
    )
    index = small_archive.index
    assert refused(*asked, archive=index) == f"the archive {index} is no folder. {help_}"
    (tmp_path / "empty").mkdir()
    told = refused(*asked, archive="empty")
    assert told.startswith(
        f"the archive {tmp_path / 'empty'} has no profile index; looked for ar_index_global"
    )
    assert told.endswith(help_)
    told = refused(*asked, archive="gopher://somewhere")
    assert "archive gopher://somewhere cannot be opened: Protocol not known" in told


def test_an_index_that_lacks_columns(refused: Refused, wishes: Path, tmp_path: Path) -> None:
    index = tmp_path / "archive" / "ar_index_global_prof.txt"
    index.parent.mkdir()
    index.write_text(
        "# Title : Profile directory file\nfile,date,ocean\na/1/profiles/R1_001.nc,,A\n"
    )
    told = refused("--subscriptions", wishes, archive=index.parent)
    assert "ar_index_global_prof.txt lacks the columns latitude, longitude" in told
    assert "needs the columns file, date, latitude, longitude, in any order" in told


def test_what_is_no_older_index(refused: Refused, wishes: Path) -> None:
    asked = ("--subscriptions", wishes, "--since")
    told = refused(*asked, "missing.txt")
    assert told.startswith("index missing.txt cannot be read: No such file or directory. Give a")
    assert "cannot be read: Is a directory" in refused(*asked, ".")
    assert "lacks the columns file, date, latitude, longitude" in refused(*asked, wishes)


def test_a_journal_that_cannot_be_written_is_told_before_any_work(
    refused: Refused, wishes: Path
) -> None:
    asked = ("--subscriptions", wishes, "--journal")
    told = refused(*asked, "nowhere/journal.jsonl")
    assert told.startswith("journal nowhere/journal.jsonl cannot be written: No such file")
    assert "in a folder that is there" in told
    assert "cannot be written: Is a directory" in refused(*asked, ".")
    if Path("/dev/full").is_char_device():
        assert "cannot be written: No space left on device" in refused(*asked, "/dev/full")


def test_a_destination_that_is_a_file_is_told_before_any_work(
    refused: Refused, wishes: Path
) -> None:
    told = refused("--subscriptions", wishes, "--out", wishes)
    assert told.startswith(f"{wishes}: 2 faults\n  subscription world: destination file://")
    assert told.count("is not a folder. Name a folder") == 2


def test_a_read_only_destination_is_told_before_any_work(
    refused: Refused, wishes: Path, small_disk: Path
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True, timeout=10)
    told = refused("--subscriptions", wishes, "--out", small_disk)
    assert f"destination file://{small_disk}/world is read-only. Make it writable or" in told


@contextmanager
def nobody() -> Iterator[None]:
    """Act without root's rights, which no folder's mode would stop."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_destination_without_the_right_to_write_is_told_before_any_work(
    command: Command,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive = make_archive(folder / "archive", profiles=100, seed=3)
        (folder / "wishes.yaml").write_text(WISHES)
        folder.chmod(0o755)
        (folder / "closed").mkdir(mode=0o555)
        options = ("--subscriptions", folder / "wishes.yaml", "--out", folder / "closed" / "deeper")
        with nobody():
            ended = command("run", "--archive", archive.folder, *options)
    assert ended.code == 1
    assert "may not be written to. Give this user the right to write there" in ended.err


def test_a_full_destination_fails_the_task_and_leaves_nothing_there(
    tmp_path: Path, small_archive: DemoArchive, small_disk: Path
) -> None:
    (small_disk / "filler").write_bytes(b"x" * 1_000_000)
    order = Order(
        folder=tmp_path / "place",
        archive=small_archive.folder,
        settings="planner: {dispatch: {retry_s: 0.05, attempts_max: 2}}",
        options=("--out", str(small_disk), "--json"),
    )
    ended = order.run()
    assert ended.code == 1
    told = ended.task("world")["text"]
    assert told.startswith("delivery failed after 2 attempts: product world-v1-to-u0 not delivered")
    assert f"{small_disk}/world is full. Free space there" in told
    assert [path.name for path in small_disk.rglob("*") if path.is_file()] == ["filler"]
    (small_disk / "filler").unlink()
    assert replace(order, settings="").run().code == 0
    assert delivered(small_disk).keys() == PRODUCTS


def test_a_path_too_long_for_sockets_is_told(small_archive: DemoArchive, tmp_path: Path) -> None:
    deep = tmp_path / ("deep" * 25)
    order = Order(folder=deep, archive=small_archive.folder)
    ended = order.run()
    assert ended.code == 1
    assert ended.err.splitlines()[-1].endswith("Set TMPDIR to a folder with a shorter path")
    assert "Traceback" not in ended.err


def test_usage_that_is_not_understood_ends_in_2(command: Command, wishes: Path) -> None:
    for given, said in (
        (("run", "--archive", "somewhere"), "Missing option '--subscriptions'"),
        (("run", "--archve", "somewhere"), "No such option: --archve"),
        (("runn",), "No such command 'runn'"),
        (("replay",), "Missing argument"),
    ):
        ended = command(*given)
        assert (ended.code, ended.out) == (2, "")
        assert said in ended.err


def test_a_place_that_no_demo_made_is_left_alone(refused: Refused, command: Command) -> None:
    place = Path("mine")
    place.mkdir()
    (place / "thesis.tex").touch()
    before = sorted(Path.cwd().rglob("*"))
    told = refused.message(command("demo", "--out", place), before)
    assert told == "mine is not empty and was not made by a demo. Name another folder with --out"
