"""Real hosts for playbooks: a network namespace, an own root and sshd each, some with systemd.

The bed's script makes them; where it or its base is absent, tests skip and say what to run.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

CONTROLLER = "10.77.0.1"
"""This machine, as the hosts call it."""

BED = Path("hosts", "host.sh")
UP_S_MAX = 60.0
BASE_S_MAX = 600.0
POLL_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class BedHost:
    """One host."""

    name: str
    address: str
    root: Path
    key_file: Path
    process: subprocess.Popen[bytes] | None = None

    def run(self, *words: str) -> str:
        """Return what a command line on the host prints."""
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        command = ["ssh", "-F", "/dev/null", "-i", str(self.key_file)]
        command += [word for option in options for word in ("-o", option)]
        done = subprocess.run(
            [*command, f"root@{self.address}", *words],
            capture_output=True,
            text=True,
            timeout=UP_S_MAX,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def bed() -> Path:
    """Return the bed's script, with its base made; skip where that cannot be."""
    named = os.environ.get("SLACKWATER_TESTBED_SCRIPTS")
    places = [Path(named)] if named else [Path.cwd().parent / "shared" / "testbeds"]
    script = next((place / BED for place in places if (place / BED).exists()), None)
    if script is None:
        pytest.skip(f"no test bed: {BED} lies in none of {', '.join(map(str, places))}")
    if os.geteuid() or not shutil.which("systemd-nspawn"):
        pytest.skip("hosts need root and systemd-nspawn (package systemd-container)")
    if not (hosts_folder() / "base" / ".complete").exists():
        if not os.environ.get("CI"):
            pytest.skip(f"the base of the hosts is not made: bash {script} base")
        subprocess.run(["bash", script, "base"], check=True, timeout=BASE_S_MAX)
    subprocess.run(["bash", script, "net"], check=True, timeout=UP_S_MAX)
    return script


def hosts_folder() -> Path:
    """Return where the bed keeps its hosts."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return Path(os.environ.get("SLACKWATER_TESTBEDS", cache / "slackwater-testbeds"), "hosts")


@contextlib.contextmanager
def plain_host(script: Path, name: str, address: str, key_file: Path) -> Iterator[BedHost]:
    """Yield a host on which sshd is process 1: it has no service manager."""
    take_down(script, name)
    public = key_file.with_suffix(".pub")
    subprocess.run(["bash", script, "up", name, address, public], check=True, timeout=UP_S_MAX)
    root = hosts_folder() / "vm" / name / "root"
    try:
        yield BedHost(name=name, address=address, root=root, key_file=key_file)
    finally:
        take_down(script, name)


def take_down(script: Path, name: str) -> None:
    """Have a host die at once, or see that it is dead."""
    subprocess.run(["bash", script, "down", name], check=False, timeout=UP_S_MAX)


@contextlib.contextmanager
def systemd_host(folder: Path, name: str, address: str, key_file: Path) -> Iterator[BedHost]:
    """Yield a host that systemd has booted."""
    root = folder / "root"
    for each in (root, folder / "upper", folder / "work"):
        each.mkdir(parents=True)
    with network(name, address), overlay(folder, root):
        keys = root / "root" / ".ssh"
        keys.mkdir(mode=0o700, exist_ok=True)
        (keys / "authorized_keys").write_bytes(key_file.with_suffix(".pub").read_bytes())
        (keys / "authorized_keys").chmod(0o600)
        command = ["systemd-nspawn", "--register=no", "--keep-unit", "--quiet", "--boot"]
        command += [f"--network-namespace-path=/run/netns/{name}", f"--directory={root}"]
        with (folder / "console").open("wb") as console:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console
            )
        try:
            await_sshd(address)
            yield BedHost(name=name, address=address, root=root, key_file=key_file, process=process)
        finally:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(UP_S_MAX)
            process.kill()
            process.wait()


@contextlib.contextmanager
def network(name: str, address: str) -> Iterator[None]:
    """Have a network namespace of that name on the bridge of the bed."""
    remove = ["ip", "netns", "del", name]
    subprocess.run(remove, capture_output=True, check=False)
    near = f"pb{address.rpartition('.')[2]}"
    for line in (
        f"ip netns add {name}",
        f"ip link add {near} type veth peer name eth0 netns {name}",
        f"ip link set {near} master swbr0 up",
        f"ip -n {name} link set lo up",
        f"ip -n {name} addr add {address}/24 dev eth0",
        f"ip -n {name} link set eth0 up",
        f"ip -n {name} route add default via {CONTROLLER}",
    ):
        subprocess.run(line.split(), check=True)
    try:
        yield
    finally:
        subprocess.run(remove, check=True)


@contextlib.contextmanager
def overlay(folder: Path, root: Path) -> Iterator[None]:
    """Lay what a host writes over the base that all share."""
    layers = f"lowerdir={hosts_folder()}/base,upperdir={folder}/upper,workdir={folder}/work"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, root], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", root], check=True)


def await_sshd(address: str) -> None:
    """Wait until a host answers as sshd does."""
    give_up_at = time.monotonic() + UP_S_MAX
    while time.monotonic() < give_up_at:
        with (
            contextlib.suppress(OSError),
            socket.create_connection((address, 22), timeout=1.0) as connection,
        ):
            if connection.recv(4).startswith(b"SSH"):
                return
        time.sleep(POLL_S)
    raise AssertionError(f"no sshd at {address}")
