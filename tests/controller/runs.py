"""`slackwater run` as people start it: a process with files of its own, and all that it starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from controller.apps.argo.product import content_digest

COMMAND = Path(sys.executable).with_name("slackwater")

RUN_S_MAX = 90.0
"""The longest of these runs takes some 5 s on an idle machine; other work may go on beside it."""

POLL_S = 0.01

WISHES = """
subscriptions:
  - id: world
    dataset: argo
    parameters: [TEMP, PSAL]
    deadline: PT10M
  - id: mediterranean
    dataset: argo
    bbox: -6,30,36.5,46
    parameters: TEMP
"""

PRODUCTS = frozenset(("world-v1-to-u0", "mediterranean-v1-to-u0"))
"""The first deliveries of `WISHES`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> Any:
        """What --json printed."""
        return json.loads(self.out)

    def task(self, subscription_id: str) -> Any:
        """Return what --json says of the one task of a subscription."""
        (task,) = (t for t in self.result["tasks"] if t["subscription_id"] == subscription_id)
        return task


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A run to be started: what it is given, and the folder that all it writes is in.

    Parameters
    ----------
    folder : Path
        Made here; the run's working place, home of its settings, wishes and temporary files.
    archive : Path
    wishes : str
        The subscriptions file.
    settings : str
        ``slackwater.yaml``; without it none is given.
    options : sequence of str
    """

    folder: Path
    archive: Path
    wishes: str = WISHES
    settings: str = ""
    options: Sequence[str] = ()

    @property
    def products(self) -> Path:
        """Where products go."""
        return self.folder / "products"

    @property
    def journal(self) -> Path:
        """Where the journal goes, if the options ask for one by ``--journal journal.jsonl``."""
        return self.folder / "journal.jsonl"

    @property
    def scratch(self) -> Path:
        """Where the run keeps its temporary files."""
        return self.folder / "t"

    def command(self) -> list[str]:
        """Write the files and return the command line."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        (self.folder / "wishes.yaml").write_text(self.wishes)
        command = ["run", "--archive", str(self.archive), "--subscriptions", "wishes.yaml"]
        if self.settings:
            (self.folder / "slackwater.yaml").write_text(self.settings)
            command += ["--config", "slackwater.yaml"]
        return [*command, *self.options]

    def run(self) -> Ended:
        """Run it to its end."""
        return slackwater(*self.command(), cwd=self.folder)

    def start(self) -> Running:
        """Start it."""
        return Running(self)


def slackwater(*arguments: str, cwd: Path) -> Ended:
    """Run a command of slackwater to its end, with its temporary files in the folder ``t``."""
    (cwd / "t").mkdir(exist_ok=True)
    done = subprocess.run(
        [COMMAND, *arguments],
        cwd=cwd,
        env=environment(cwd),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        check=False,
    )
    return Ended(code=done.returncode, out=done.stdout, err=done.stderr)


def environment(folder: Path) -> dict[str, str]:
    """Return ours, with temporary files and state in folders that only the run uses."""
    own = {"TMPDIR": folder / "t", "XDG_STATE_HOME": folder.resolve() / "state"}
    return without_ours() | {name: str(place) for name, place in own.items()} | {"COLUMNS": "200"}


def without_ours() -> dict[str, str]:
    """Return our environment without what only tests are told, which names no setting."""
    return {k: each for k, each in os.environ.items() if not k.startswith("SLACKWATER_TEST")}


@dataclass(slots=True)
class Running:
    """A run that goes on, in a process group of its own as a terminal would give it."""

    order: Order
    process: subprocess.Popen[bytes] = field(init=False)
    seen: set[psutil.Process] = field(default_factory=set)

    def __enter__(self) -> Self:
        """Start it."""
        command, folder = self.order.command(), self.order.folder
        with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
            self.process = subprocess.Popen(
                [COMMAND, *command],
                cwd=folder,
                env=environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                process_group=0,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave no process behind, however the test went."""
        self.tree()
        self.process.kill()
        self.process.wait()
        for each in self.left():
            each.kill()

    def tree(self) -> list[psutil.Process]:
        """Return all processes that it has started, directly or not, and that run."""
        found = children_of(self.process.pid, recursive=True)
        self.seen.update(found)
        return found

    def running(self, module: str) -> psutil.Process | None:
        """Return its direct child that runs a module of ours, if there is one."""
        self.tree()
        for each in children_of(self.process.pid):
            if any(module in word for word in command_line(each)):
                return each
        return None

    def supervisors(self) -> list[psutil.Process]:
        """Return one process a node: what the nursery has forked."""
        nursery = self.running("controller.nodes.nursery")
        return children_of(nursery.pid) if nursery else []

    def workers(self) -> list[psutil.Process]:
        """Return the worker processes: what supervisors have forked."""
        return [worker for each in self.supervisors() for worker in children_of(each.pid)]

    def left(self, within_s: float = 0.0) -> list[psutil.Process]:
        """Return the processes seen that still run after this long [s]."""
        return psutil.wait_procs([each for each in self.seen if runs(each)], timeout=within_s)[1]

    def until(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait for something to come about while the run goes on."""
        give_up_at = time.monotonic() + RUN_S_MAX
        while not condition():
            assert self.process.poll() is None, f"it ended before {what}:\n{self.err}"
            assert time.monotonic() < give_up_at, f"never: {what}"
            time.sleep(POLL_S)

    def fragments(self) -> list[Path]:
        """Return what finished parts have left so far."""
        return list(self.order.scratch.glob("slackwater-*/fragments/*.npz"))

    def send(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to it, or to its whole process group as a terminal does."""
        self.tree()
        if group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def wait(self) -> Ended:
        """Wait for its end."""
        code = self.process.wait(RUN_S_MAX)
        out = (self.order.folder / "stdout").read_text()
        return Ended(code=code, out=out, err=self.err)

    @property
    def err(self) -> str:
        """What it has written to stderr so far."""
        return (self.order.folder / "stderr").read_text()


def children_of(pid: int, *, recursive: bool = False) -> list[psutil.Process]:
    """Return the children of a process, of which any may be gone by now."""
    try:
        return psutil.Process(pid).children(recursive=recursive)
    except psutil.NoSuchProcess:
        return []


def command_line(process: psutil.Process) -> list[str]:
    """Return the command line of a process, empty when it is gone."""
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


def runs(process: psutil.Process) -> bool:
    """Tell whether this very process runs, and is not just waiting to be buried."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def delivered(products: Path) -> dict[str, str]:
    """Return the content digest of each product that stands delivered, having checked it whole.

    Whoever finds a manifest finds its product; whatever bears a final name can be read to its end.
    """
    manifests = {
        path.name.removesuffix(".manifest.json") for path in files(products, "*.manifest.json")
    }
    found = {path.stem: path for path in files(products, "*.nc")}
    assert manifests <= found.keys(), "a manifest without its product"
    digests = {name: content_digest(path) for name, path in found.items()}
    for name in manifests:
        manifest = json.loads(found[name].with_suffix(".manifest.json").read_text())
        assert manifest["product"]["digest"] == digests[name]
    return {name: digests[name] for name in sorted(manifests)}


def files(folder: Path, pattern: str) -> list[Path]:
    """Return the files below a folder; a hidden one is no one's final name."""
    return [path for path in folder.rglob(pattern) if not path.name.startswith(".")]
