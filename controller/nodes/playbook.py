"""Makes workers of hosts, and retires them: runs our playbooks, and tells what came of each host.

Ansible is GPL and so a program beside ours: `ansible-runner` (Apache) is started as a process, it
starts `ansible-playbook`, and writes what happens as lines of JSON. Nothing of either is imported.

A run has one folder of mode 0700 with inventory and settings, which is removed when it ends. What
is secret stands in files there, never in arguments. Hosts do not wait for each other; one that
fails, is out of reach, or is not done in time fails alone.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from controller.errors import NodeError, NodeFault
from controller.nodes.playbook_events import HostOutcome, HostProgress, Told
from controller.nodes.worker_archive import WorkerArchive

HOSTS_MAX = 50
"""Hosts that are set up at once: each takes a process of Ansible's, some 60 MB."""

CONNECT_S = 10
"""A host that does not answer for this long is tried again or out of reach [s]."""

ALIVE_S, ALIVE_MAX = 5, 3
"""A connection on which nothing comes for their product [s] is broken: its host has gone."""

GRACE_S = 15.0
"""ansible-runner ends a run that takes too long by itself; after this long, we do [s]."""

WORDS_MAX = 2000
"""Of what Ansible itself says when it fails as a whole [characters]: the end of it."""

SSH_OPTIONS = (
    *("-F", "/dev/null"),
    *("-o", "ControlMaster=auto", "-o", "ControlPersist=30s"),
    *("-o", f"ServerAliveInterval={ALIVE_S}", "-o", f"ServerAliveCountMax={ALIVE_MAX}"),
    *("-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"),
)
"""Of every connection: nothing that a user's own configuration or agent says counts."""

Progress = Callable[[HostProgress], None]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host that is to be a worker, and how to get there.

    Parameters
    ----------
    node_id : str
    address : str
    user : str
        Logs in by key; another one than root needs sudo without a password.
    port : int
    key_file : Path
        Private key, mode 0600.
    join_folder : Path or None
        What it is to join; not needed to retire it.
    host_keys : tuple of str
        As its provider tells them (``ssh-ed25519 AAAA...``); without, the first one seen is kept.
    variables : mapping
        Further variables of the role, as ``worker_environment``; may be secret.
    """

    node_id: str
    address: str
    user: str = "root"
    port: int = 22
    key_file: Path
    join_folder: Path | None = None
    host_keys: tuple[str, ...] = ()
    variables: Mapping[str, object] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupOptions:
    """How hosts are set up.

    Parameters
    ----------
    ansible_playbook : str
        The program, by path or by name.
    connect_s_max : int
        A new host may take this long until it lets us in [s].
    setup_s_max : int
        All of a host's tasks may take this long [s]: to copy and unpack 80 MB is most of it.
    poweroff_after_s : int
        A host without a worker for this long powers itself off [s]; 0 never does.
    variables : mapping
        Further variables of the role, of all hosts.
    """

    ansible_playbook: str = "ansible-playbook"
    connect_s_max: int = 120
    setup_s_max: int = 600
    poweroff_after_s: int = 0
    variables: Mapping[str, object] = field(default_factory=dict, repr=False)


class HostSetup:
    """Runs playbooks on hosts; safe to call from several threads.

    Parameters
    ----------
    folder : Path
        Its own; keeps the keys of hosts, to know them again.
    options : SetupOptions
    archive : WorkerArchive, optional
        The environment that workers get; without, the options say what is installed.

    Raises
    ------
    NodeError
        Ansible is not installed, or not found.
    """

    def __init__(
        self, folder: Path, options: SetupOptions, *, archive: WorkerArchive | None = None
    ) -> None:
        self._program = find_program(options.ansible_playbook)
        self._options = options
        self._archive = archive
        self._keys = folder / "known_hosts"
        self._keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._running: set[subprocess.Popen[str]] = set()
        self._closed = False

    def set_up(self, hosts: Sequence[Host], told: Progress = lambda _: None) -> list[HostOutcome]:
        """Make workers of hosts; of those that are workers, bring up to date what they are told.

        Parameters
        ----------
        hosts : sequence of Host
        told : callable
            Is given each task of each host as it ends, and the host's outcome as soon as it is
            known: one that takes long holds up none.

        Returns
        -------
        list of HostOutcome
            One a host, in their order.
        """
        assert all(host.join_folder for host in hosts)
        return self._run("worker.yml", hosts, told)

    def retire(self, hosts: Sequence[Host], told: Progress = lambda _: None) -> list[HostOutcome]:
        """Let the workers of hosts end, and remove them with all that they had."""
        return self._run("retire.yml", hosts, told)

    def forget(self, node_id: str) -> None:
        """Forget the keys of a host that is gone: another one may get its address."""
        (self._keys / node_id).unlink(missing_ok=True)

    def close(self) -> None:
        """End what runs; hosts that are not done then have failed."""
        self._closed = True
        for process in list(self._running):
            process.send_signal(signal.SIGTERM)

    def _run(self, playbook: str, hosts: Sequence[Host], told: Progress) -> list[HostOutcome]:
        outcomes: list[HostOutcome] = []
        for at in range(0, len(hosts), HOSTS_MAX):
            outcomes += self._run_batch(playbook, hosts[at : at + HOSTS_MAX], told)
        return outcomes

    def _run_batch(self, playbook: str, hosts: Sequence[Host], told: Progress) -> list[HostOutcome]:
        limit_s = self._options.connect_s_max + self._options.setup_s_max
        seen = Told([host.node_id for host in hosts], told)
        with private_folder() as folder:
            write_json(folder / "inventory" / "hosts.json", self._inventory(hosts))
            write_json(folder / "env" / "settings", runner_settings(limit_s))
            with self._started(folder, playbook) as process, limited(process, limit_s + GRACE_S):
                assert process.stdout is not None
                for line in process.stdout:
                    seen.take(line)
            said = (folder / "said").read_text(errors="replace")[-WORDS_MAX:]
            end_connections(folder / "ssh")
        return seen.outcomes(said.strip(), limit_s, ended=self._closed)

    @contextlib.contextmanager
    def _started(self, folder: Path, playbook: str) -> Iterator[subprocess.Popen[str]]:
        command = [sys.executable, "-I", "-m", "ansible_runner", "run", str(folder), "--json"]
        command += ["--project-dir", str(playbooks()), "--playbook", playbook]
        with (
            (folder / "said").open("w") as said,
            subprocess.Popen(
                command,
                env=self._environment(folder),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                errors="replace",
                start_new_session=True,
            ) as process,
        ):
            self._running.add(process)
            try:
                if self._closed:
                    process.send_signal(signal.SIGTERM)
                yield process
            except BaseException:
                process.send_signal(signal.SIGTERM)
                raise
            finally:
                self._running.discard(process)

    def _environment(self, folder: Path) -> dict[str, str]:
        """Return the whole environment of a run: nothing else of ours reaches it."""
        programs = [str(self._program.parent), os.environ.get("PATH", os.defpath)]
        return {
            "PATH": os.pathsep.join(programs),
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "LANG": "C.UTF-8",
            "ANSIBLE_HOME": str(folder / "ansible"),
            "ANSIBLE_FORKS": str(HOSTS_MAX),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_TIMEOUT": str(CONNECT_S),
            "ANSIBLE_SSH_ARGS": shlex.join(SSH_OPTIONS),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "ssh"),
            "ANSIBLE_RETRY_FILES_ENABLED": "0",
        }

    def _inventory(self, hosts: Sequence[Host]) -> dict[str, object]:
        return {
            "all": {
                "hosts": {host.node_id: self._host(host) for host in hosts},
                "vars": self._shared(),
            }
        }

    def _shared(self) -> dict[str, object]:
        """Return the variables of all hosts."""
        shared: dict[str, object] = {
            "ansible_python_interpreter": "/usr/bin/python3",
            "worker_connect_s_max": self._options.connect_s_max,
            "worker_poweroff_after_s": self._options.poweroff_after_s,
        }
        if self._archive:
            shared |= {
                "worker_archive": str(self._archive.path.absolute()),
                "worker_archive_sha256": self._archive.sha256,
                "worker_python": self._archive.facts.python,
            }
        return shared | dict(self._options.variables)

    def _host(self, host: Host) -> dict[str, object]:
        known = self._keys / host.node_id
        if host.host_keys:
            known.write_text("".join(f"{host.node_id} {key}\n" for key in host.host_keys))
        # By our id, not by address: addresses are used again, and then have other keys.
        check = "yes" if host.host_keys else "accept-new"
        options = (
            f'UserKnownHostsFile="{known.absolute()}"',
            f"HostKeyAlias={host.node_id}",
            f"StrictHostKeyChecking={check}",
        )
        joins = {"worker_join_folder": str(host.join_folder.absolute())} if host.join_folder else {}
        return {
            "ansible_host": host.address,
            "ansible_port": host.port,
            "ansible_user": host.user,
            "ansible_ssh_private_key_file": str(host.key_file.absolute()),
            "ansible_ssh_common_args": shlex.join(f"-o{option}" for option in options),
            **joins,
            **host.variables,
        }


def playbooks() -> Path:
    """Return the folder of our playbooks: of the installed package, or else of the checkout."""
    package = Path(__file__).parent.parent
    installed = package / "playbooks"
    return installed if installed.is_dir() else package.parent / "playbooks"


def find_program(ansible_playbook: str) -> Path:
    """Return where `ansible-playbook` lies.

    Raises
    ------
    NodeError
        It, or ansible-runner, is not there.
    """
    found = shutil.which(ansible_playbook)
    if found is None:
        raise NodeError(
            f"the program {ansible_playbook} is not found",
            fault=NodeFault.OURS,
            fix="Install ansible-core into an environment of its own, and name its "
            "ansible-playbook in the settings",
        )
    if importlib.util.find_spec("ansible_runner") is None:
        raise NodeError(
            "ansible-runner is not installed here",
            fault=NodeFault.OURS,
            fix="Install slackwater[libcloud]",
        )
    return Path(found).absolute()


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """Yield a new folder that is this user's alone and goes at the end."""
    # Short, for the sockets of ssh have paths of 100 characters at most.
    folder = Path(tempfile.mkdtemp(prefix="sw-"))
    try:
        for name in ("inventory", "env", "ssh", "ansible"):
            (folder / name).mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def runner_settings(limit_s: float) -> dict[str, object]:
    """Return how ansible-runner is to run, and for how long [s]."""
    return {"job_timeout": int(limit_s), "suppress_output_file": True}


def write_json(path: Path, content: object) -> None:
    """Write what may be secret."""
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        json.dump(content, file)


@contextlib.contextmanager
def limited(process: subprocess.Popen[str], limit_s: float) -> Iterator[None]:
    """Kill a process that is not done in time [s], and what it has started in its session."""

    def kill() -> None:
        _log.warning("a playbook did not end by itself in %.0f s", limit_s)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(limit_s, kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def end_connections(sockets: Path) -> None:
    """End the connections that ssh keeps open for a while."""
    for socket in sockets.iterdir():
        command = [
            "ssh",
            "-F",
            "/dev/null",
            "-o",
            f"ControlPath={socket}",
            "-O",
            "exit",
            "localhost",
        ]
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(command, capture_output=True, check=False, timeout=CONNECT_S)
