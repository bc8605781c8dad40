"""Hosts of a network of their own on this machine: namespaces with their own root, and sshd.

The beds' scripts lie beside the project, or where ``SLACKWATER_TESTBED_SCRIPTS`` says. A test that
cannot have hosts is skipped, and says how they are had; in CI they are made if they can be.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(os.environ.get("SLACKWATER_TESTBED_SCRIPTS", ROOT.parent / "shared" / "testbeds"))
SCRIPT = SCRIPTS / "hosts" / "host.sh"

BRIDGE = "10.77.0.1"
"""What the hosts call this machine."""

BASE_S_MAX = 900.0
"""To make the root that all hosts share takes minutes, once a machine."""

COMMAND_S_MAX = 120.0
"""Longer than any command on a loaded machine."""

TOOLS = ("ip", "nsenter", "ssh", "ssh-keygen", "unshare", "debootstrap")


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One host.

    Parameters
    ----------
    name, address : str
    key : Path
        Private key that root's account there takes.
    folder : Path
        Of the bed's own files about it.
    """

    name: str
    address: str
    key: Path
    folder: Path

    def ssh(self, *words: str) -> list[str]:
        """Return a command that runs this one there."""
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
        flags = [flag for option in options for flag in ("-o", option)]
        return ["ssh", "-i", str(self.key), *flags, "-T", f"root@{self.address}", *words]

    def run(self, *words: str, given: bytes = b"") -> str:
        """Run a command there; return what it said."""
        done = subprocess.run(
            self.ssh(*words), input=given, capture_output=True, timeout=COMMAND_S_MAX, check=False
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout.decode()

    def put(self, source: Path, target: str) -> None:
        """Have a folder there as it is here, its modes too, and nothing else in it."""
        packed = run("tar", "-C", str(source), "-c", ".")
        self.run("rm", "-rf", target)
        self.run("mkdir", "-m", "700", "-p", target)
        self.run("tar", "-C", target, "-x", given=packed)

    def show(self, path: Path) -> None:
        """Have a folder of this machine be there too, under the same name, to be read only."""
        enter = ("nsenter", "-t", (self.folder / "pid").read_text().strip(), "-m", "--")
        inside = f"{self.folder}/root{path}"
        run(*enter, "mkdir", "-p", inside)
        run(*enter, "mount", "--bind", str(path), inside)
        run(*enter, "mount", "-o", "remount,bind,ro", inside)

    def inside(self, *words: str) -> list[str]:
        """Return a command that runs this one there without the network, as from a console."""
        parent = (self.folder / "pid").read_text().strip()
        first = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()[0]
        return ["nsenter", "-t", first, "-a", "-r", "-w", "--", *words]

    def link(self, state: str) -> None:
        """Take its network link ``down`` or ``up``; on the far side, as a cut cable is."""
        run("ip", "link", "set", self._port(), state)

    def _port(self) -> str:
        """Return this machine's end of its link."""
        told = run("ip", "-n", self.name, "-o", "link", "show", "eth0").decode()
        number = told.partition("@if")[2].partition(":")[0]
        for line in run("ip", "-o", "link").decode().splitlines():
            if line.startswith(f"{number}: "):
                return line.split()[1].partition("@")[0]
        raise AssertionError(told)


def signalled(network: str, name: str) -> None:
    """Send a signal to all processes of a host, also to those that they start meanwhile."""
    told: set[str] = set()
    while fresh := set(run("ip", "netns", "pids", network).decode().split()) - told:
        for pid in fresh:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.Signals[f"SIG{name}"])
        told |= fresh


def run(*words: str, limit_s: float = COMMAND_S_MAX) -> bytes:
    """Run a command here; return what it said."""
    done = subprocess.run(words, capture_output=True, timeout=limit_s, check=False)
    assert done.returncode == 0, (words, done.stderr.decode(errors="replace"))
    return done.stdout


def beds() -> Path:
    """Return where the beds keep what they build and run."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("SLACKWATER_TESTBEDS") or cache / "slackwater-testbeds")


def need_hosts() -> None:
    """Skip the test where there can be no hosts; make what they stand on if that is missing."""
    if not SCRIPT.exists():
        pytest.skip(f"hosts need the beds' scripts: {SCRIPT} (SLACKWATER_TESTBED_SCRIPTS)")
    if os.geteuid() != 0:
        pytest.skip("hosts need root: they are network namespaces and mounts")
    if missing := [tool for tool in TOOLS if not shutil.which(tool)]:
        pytest.skip(f"hosts need {', '.join(missing)}: apt-get install iproute2 debootstrap")
    if not (beds() / "hosts" / "base" / ".complete").exists():
        if not os.environ.get("CI"):
            pytest.skip(f"hosts have no root yet: {SCRIPT} base")
        made = subprocess.run(
            [SCRIPT, "base"], capture_output=True, timeout=BASE_S_MAX, check=False
        )
        if made.returncode:
            pytest.skip(f"the hosts' root cannot be made: {made.stderr.decode()[-500:]}")
    made = subprocess.run([SCRIPT, "net"], capture_output=True, timeout=COMMAND_S_MAX, check=False)
    if made.returncode:
        pytest.skip(f"the hosts' network cannot be made: {made.stderr.decode()[-500:]}")


@contextmanager
def host_up(prefix: str, numbers: Sequence[int], key: Path) -> Iterator[Host]:
    """Have a host inside the block, at one of the addresses 10.77.0.<number> that is free."""
    with _claimed(numbers) as number:
        name = f"{prefix}-{number}"
        address = f"10.77.0.{number}"
        run(str(SCRIPT), "down", name)  # One that a killed test has left.
        run(str(SCRIPT), "up", name, address, f"{key}.pub")
        try:
            yield Host(name=name, address=address, key=key, folder=beds() / "hosts" / "vm" / name)
        finally:
            run(str(SCRIPT), "down", name)


@contextmanager
def _claimed(numbers: Sequence[int]) -> Iterator[int]:
    """Hold a number that no other test on this machine holds."""
    folder = Path(tempfile.gettempdir(), "slackwater-test-hosts")
    folder.mkdir(mode=0o700, exist_ok=True)
    for number in numbers:
        with (folder / str(number)).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield number
            return
    pytest.fail(f"no address is free of 10.77.0.{numbers[0]} to {numbers[-1]}")


NewHost = Callable[[], Host]


@contextmanager
def hosts_up(prefix: str, numbers: Sequence[int], folder: Path) -> Iterator[NewHost]:
    """Make hosts as they are asked for inside the block; skip where there can be none."""
    need_hosts()
    key = folder / "key"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    with ExitStack() as ends:
        yield lambda: ends.enter_context(host_up(prefix, numbers, key))
