"""A plug-in partitioner may hang, raise or die: its process ends, ours goes on."""

from __future__ import annotations

import importlib
import multiprocessing
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from controller.cutting import FAILURES_MAX, CuttingProcess
from partitioners.catalogue import BUILT_IN
from partitioners.cutter import KnownLoad, cut_task
from partitioners.protocol import CutRequest, Partitioner, PartitionerFailed
from planner.commands import CutTask
from planner.extent import Extent, Period
from planner.model import Selection, UnitCosts, UpdateSpan, View

CUT_S_MAX = 1.0
COSTS = UnitCosts(base_s=0.0, file_s=1.0, megabyte_s=0.0, value_s=0.0)
EXTENT = Extent(period=Period(start_at=0.0, end_at=100.0))
REQUEST = CutRequest(extent=EXTENT, density=None, costs=COSTS, n=2)

MODULE = """
import os, threading

class Behaving:
    version = "1"
    def __init__(self, name):
        self.name = name
    def cut(self, extent, density, costs, n):
        match self.name:
            case "halves":
                print("this must not reach stdout")
                return extent.cut_time([50.0])
            case "hangs":
                print(f"hangs in {os.getpid()}", flush=True)
                threading.Event().wait()
            case "raises":
                raise ValueError("no such sea: " + "x" * 1000)
            case "dies":
                os._exit(7)
            case "leaves":
                raise SystemExit(3)
            case "ends the file":
                raise EOFError("nothing left")
            case "lists":
                return [extent]

class Unsendable(Behaving):
    def __reduce__(self):
        raise TypeError("cannot be pickled")

class Unreadable(Behaving):
    def __reduce__(self):
        return int, ("not a number",)
"""


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Lay a module of plug-ins where this process and its children find it."""
    tmp_path.joinpath("behaving_plugin.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("behaving_plugin", None)


def behaving(name: str, kind: str = "Behaving") -> Partitioner:
    made: Partitioner = getattr(importlib.import_module("behaving_plugin"), kind)(name)
    return made


def cutting_processes() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    alive = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in alive if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.usefixtures("plugins")
def test_a_plugin_answers_from_a_process_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    with CuttingProcess() as run:
        assert run(behaving("halves"), REQUEST) == EXTENT.cut_time([50.0])
        assert len(cutting_processes()) == 1
        assert run(behaving("halves"), REQUEST) == EXTENT.cut_time([50.0])
        assert len(cutting_processes()) == 1
    assert cutting_processes() == []
    assert "stdout" not in capfd.readouterr().out


def test_a_built_in_partitioner_needs_no_process() -> None:
    with CuttingProcess() as run:
        assert len(run(BUILT_IN["linear"], REQUEST)) == 2
        assert cutting_processes() == []


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hangs", "took longer than 1 s"),
        ("raises", "raised ValueError: no such sea"),
        ("dies", "its process died (exit code 7)"),
        ("leaves", "raised SystemExit: 3"),
        ("ends the file", "raised EOFError: nothing left"),
        ("lists", "raised TypeError: the answer is no tuple of extents but list"),
    ],
)
def test_a_failure_is_told_and_the_next_cut_succeeds(name: str, said: str) -> None:
    with CuttingProcess(cut_s_max=CUT_S_MAX) as run:
        with pytest.raises(PartitionerFailed) as caught:
            run(behaving(name), REQUEST)
        assert said in caught.value.what
        assert len(caught.value.what) <= 200
        assert cutting_processes() == []
        assert len(run(behaving("halves"), REQUEST)) == 2


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize(
    ("kind", "said"),
    [("Unsendable", "cannot be sent to its process"), ("Unreadable", "raised ValueError")],
)
def test_a_plugin_that_cannot_travel_is_told(kind: str, said: str) -> None:
    with CuttingProcess() as run, pytest.raises(PartitionerFailed, match=said):
        run(behaving("halves", kind), REQUEST)


@pytest.mark.usefixtures("plugins")
def test_a_process_that_dies_between_two_cuts_is_replaced() -> None:
    with CuttingProcess() as run:
        run(behaving("halves"), REQUEST)
        (process,) = multiprocessing.active_children()
        process.kill()
        process.join()
        assert len(run(behaving("halves"), REQUEST)) == 2


@pytest.mark.usefixtures("plugins")
def test_a_plugin_that_keeps_failing_is_no_longer_asked() -> None:
    with CuttingProcess() as run:
        for _ in range(FAILURES_MAX):
            with pytest.raises(PartitionerFailed, match="raised ValueError"):
                run(behaving("raises"), REQUEST)
        with pytest.raises(PartitionerFailed, match="no longer asked"):
            run(behaving("raises"), REQUEST)
        assert cutting_processes() == []
        assert len(run(behaving("halves"), REQUEST)) == 2


@pytest.mark.usefixtures("plugins")
def test_a_process_that_does_not_start_in_time_is_told() -> None:
    with CuttingProcess(start_s_max=0.0) as run:
        with pytest.raises(PartitionerFailed, match="did not start within 0 s"):
            run(behaving("halves"), REQUEST)
        assert cutting_processes() == []


@pytest.mark.usefixtures("plugins")
def test_closing_ends_a_cut_that_hangs(capfd: pytest.CaptureFixture[str]) -> None:
    run = CuttingProcess(cut_s_max=600.0)
    with ThreadPoolExecutor(1) as pool:
        cut = pool.submit(run, behaving("hangs"), REQUEST)
        said = ""
        while "hangs in" not in said:
            said += capfd.readouterr().err
        run.close()
        with pytest.raises(PartitionerFailed, match="its process died"):
            cut.result(20.0)
        with pytest.raises(PartitionerFailed, match="no longer asked: the service ends"):
            run(behaving("halves"), REQUEST)
    assert cutting_processes() == []
    run.close()


@pytest.mark.usefixtures("plugins")
def test_the_cutter_cuts_linearly_where_a_plugin_hangs() -> None:
    command = CutTask(
        task_id="t-1",
        subscription_id="med",
        version=1,
        selections=(
            Selection(
                view=View(dataset="10.17882/42182", application="argo", extent=EXTENT),
                updates=UpdateSpan(after=None, upto=1),
            ),
        ),
        partitioner="hangs",
        parts_wanted=4,
        parts_max=4096,
        part_s_min=1.0,
        part_s_max=10.0,
        costs=(COSTS,),
    )
    with CuttingProcess(cut_s_max=CUT_S_MAX) as run:
        cut = cut_task(command, [KnownLoad()], {"hangs": behaving("hangs")}, run)
    assert (cut.partitioner, len(cut.parts)) == ("linear", 4)
    assert cut.fallback == "partitioner 'hangs': took longer than 1 s"


SERVICE = """
from behaving_plugin import Behaving
from controller.cutting import CuttingProcess
from tests.controller.test_cutting import REQUEST

if __name__ == "__main__":
    CuttingProcess()(Behaving("hangs"), REQUEST)
"""


def test_a_hanging_process_ends_with_a_service_that_is_killed(plugins: Path) -> None:
    plugins.joinpath("service.py").write_text(SERVICE)
    root = Path(__file__).parents[2]
    service = subprocess.Popen(
        [sys.executable, plugins / "service.py"],
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": f"{plugins}:{root}"},
    )
    with service:
        assert service.stderr is not None
        child = psutil.Process(int(service.stderr.readline().removeprefix("hangs in ")))
        service.send_signal(signal.SIGKILL)
        assert psutil.wait_procs([child], timeout=20.0)[1] == []
