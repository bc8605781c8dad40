"""A real Kubernetes control plane for tests: etcd, API server, controllers and scheduler.

It is the bed ``kubernetes`` of the testbeds, on loopback and fixed ports, so one test run at a time
has it. There are no machines in it: `tests.fleet.kubelet` plays those.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

kubernetes = pytest.importorskip("kubernetes", reason="the extra 'kubernetes' is not installed")

BUILD_S_MAX = 1200.0
"""The bed is compiled once a machine [s]: five minutes on two idle processors."""

START_S_MAX = 180.0
WAIT_S_MAX = 90.0

SCRIPTS = Path(
    os.environ.get("SLACKWATER_TESTBED_SCRIPTS")
    or Path(__file__).parents[3] / "shared" / "testbeds"
)
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
STATE = Path(os.environ.get("SLACKWATER_TESTBEDS") or CACHE / "slackwater-testbeds") / "kubernetes"


def until(what: str, condition: Callable[[], Any], *, wait_s_max: float = WAIT_S_MAX) -> Any:
    """Wait until a condition holds and return its value; fail with these words if it never does."""
    give_up_at = time.monotonic() + wait_s_max
    while not (value := condition()):
        assert time.monotonic() < give_up_at, f"in {wait_s_max:.0f} s never: {what}"
        time.sleep(0.02)
    return value


@dataclass(slots=True, kw_only=True)
class ControlPlane:
    """The bed, as a test uses it."""

    run: Path
    stopped: list[tuple[list[str], str]] = field(default_factory=list)
    clients: list[Any] = field(default_factory=list)

    @property
    def admin(self) -> str:
        return str(self.run / "admin.kubeconfig")

    @property
    def nobody(self) -> str:
        return str(self.run / "nobody.kubeconfig")

    @property
    def server(self) -> str:
        return "https://127.0.0.1:16443"

    def client(self, kubeconfig: str = "") -> Any:
        """Return the API as somebody may use it; the administrator by default."""
        settings = kubernetes.client.Configuration()
        kubernetes.config.load_kube_config(kubeconfig or self.admin, client_configuration=settings)
        settings.retries = False
        self.clients.append(kubernetes.client.ApiClient(settings))
        return self.clients[-1]

    def close(self) -> None:
        """Let go of all connections that were made for tests."""
        while self.clients:
            self.clients.pop().close()

    @property
    def core(self) -> Any:
        return kubernetes.client.CoreV1Api(self.client())

    def kubeconfig(self, path: Path, token: str, server: str = "") -> str:
        """Write a kubeconfig for who has a token."""
        text = Path(self.nobody).read_text().replace("nobodytok", token)
        path.write_text(text.replace(self.server, server or self.server))
        path.chmod(0o600)
        return str(path)

    def stop(self, name: str = "apiserver") -> None:
        """Kill a server, as a crash does; `start` brings it back."""
        pid = int((self.run / f"{name}.pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
        self.stopped.append((command, name))
        os.kill(pid, 9)
        until(
            f"{name} ends",
            lambda: (
                not Path(f"/proc/{pid}/cmdline").read_bytes()
                if Path(f"/proc/{pid}").exists()
                else True
            ),
        )

    def start(self) -> None:
        """Start what was stopped, and wait until the API answers."""
        for command, name in self.stopped:
            with (self.run / f"{name}.log").open("ab") as log:
                process = subprocess.Popen(
                    command,
                    cwd=self.run,
                    stdout=log,
                    stderr=log,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
            (self.run / f"{name}.pid").write_text(str(process.pid))
            _CHILDREN.append(process)
        self.stopped.clear()
        until("the API server is ready", self.ready)

    def ready(self) -> bool:
        with contextlib.suppress(Exception), self.client() as asking:
            told = asking.call_api(
                "GET", f"{self.server}/readyz", {"Authorization": "Bearer admintok"}
            )
            return bool(told.read() == b"ok")
        return False

    def logs(self) -> str:
        """Return the ends of the servers' logs."""
        return "\n".join(
            f"== {each.name}\n{each.read_text(errors='replace')[-2000:]}"
            for each in sorted(self.run.glob("*.log"))
        )


def ended(pid: int) -> bool:
    """Tell whether a process has ended; one that nobody has asked for yet still has its number."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return not Path(f"/proc/{pid}/cmdline").read_bytes()
    return True


_CHILDREN: list[subprocess.Popen[bytes]] = []


def _script(name: str, *arguments: str, wait_s_max: float) -> str:
    told = subprocess.run(
        ["bash", str(SCRIPTS / "kubernetes" / name), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=wait_s_max,
    )
    assert told.returncode == 0, f"{name} failed:\n{told.stdout}{told.stderr}"
    return told.stdout


def _built() -> None:
    """See that the bed is there; build it where that is wanted, else say how."""
    script = SCRIPTS / "kubernetes" / "build.sh"
    if not script.exists():
        pytest.skip(f"no testbeds in {SCRIPTS}: name them in SLACKWATER_TESTBED_SCRIPTS")
    if (STATE / "bin" / ".complete").exists():
        return
    if not os.environ.get("CI"):
        pytest.skip(f"the Kubernetes bed is not built: bash {script} (five minutes)")
    try:
        _script("build.sh", wait_s_max=BUILD_S_MAX)
    except (AssertionError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"the Kubernetes bed cannot be built here: {error}")


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """Start the bed; skip where it is not built or somebody else has it."""
    _built()
    with (STATE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pytest.skip("another test run has the Kubernetes bed: it has fixed ports")
        try:
            _script("control-plane.sh", "stop", wait_s_max=START_S_MAX)  # A run that was killed.
            _script("control-plane.sh", "start", wait_s_max=START_S_MAX)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            pytest.skip(f"the Kubernetes bed does not start here: {error}")
        bed = ControlPlane(run=STATE / "run")
        try:
            until("the API server is ready", bed.ready)
            yield bed
        finally:
            bed.close()
            _script("control-plane.sh", "stop", wait_s_max=START_S_MAX)
            for child in _CHILDREN:
                child.kill()
                child.wait()


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """Make a namespace of the test's own, with all that controllers put into one."""
    name, core = f"test-{uuid.uuid4().hex[:8]}", control_plane.core
    core.create_namespace({"metadata": {"name": name}})
    accounts = core.list_namespaced_service_account
    until("the namespace has its ServiceAccount", lambda: accounts(name).items)
    yield name
    core.delete_namespace(name)


def fetch(url: str) -> bytes:
    """Return what a server on loopback answers."""
    with urllib.request.urlopen(url, timeout=WAIT_S_MAX) as answer:
        return bytes(answer.read())
