"""A real Slurm of one host for the tests: munged, slurmctld and slurmd, with all that is theirs.

Everything lies in one folder and listens on the loopback interface or a socket there.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "sinfo", "scancel", "scontrol")
SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
START_S_MAX = 60.0
CPUS = 4

CONFIGURATION = """
ClusterName=bed
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
MessageTimeout=5
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=60 State=UP
PartitionName=shut Nodes={host} State=DOWN
"""


@dataclass(kw_only=True)
class Bed:
    """A cluster of one host."""

    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def conf(self) -> Path:
        return self.folder / "slurm.conf"

    @property
    def scratch(self) -> Path:
        """Return the folder of jobs' temporary files."""
        return self.folder / "scratch"

    def ask(self, *argv: str) -> str:
        """Return what a command of Slurm says."""
        return subprocess.run(
            argv,
            env=os.environ | {"SLURM_CONF": str(self.conf), "PATH": SBIN},
            check=True,
            capture_output=True,
            text=True,
            timeout=START_S_MAX,
        ).stdout

    def start(self, program: str, *options: str) -> None:
        """Start one of the servers, in the foreground."""
        path = shutil.which(program, path=SBIN)
        assert path
        with (self.folder / f"{program}.log").open("ab") as log:
            self.processes[program] = subprocess.Popen(
                [path, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/"
            )

    def stop(self, program: str) -> None:
        """End one of the servers."""
        process = self.processes.pop(program)
        process.terminate()
        try:
            process.wait(START_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop_all(self) -> None:
        """End all servers, the last to start first."""
        for program in reversed([*self.processes]):
            self.stop(program)

    def start_controller(self) -> None:
        """Start slurmctld, and wait until it answers with its node."""
        self.start("slurmctld", "-D", "-f", str(self.conf))
        self.until(lambda: " idle" in self.sinfo() or " mix" in self.sinfo())

    def sinfo(self) -> str:
        """Return the state of the node; empty while nobody answers."""
        try:
            return self.ask("sinfo", "--noheader", "--partition=main", "--format= %t")
        except subprocess.CalledProcessError:
            return ""

    def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so."""
        give_up_at = time.monotonic() + START_S_MAX
        while not is_so():
            for program, process in self.processes.items():
                assert process.poll() is None, self.told(program)
            assert time.monotonic() < give_up_at, "".join(map(self.told, self.processes))
            time.sleep(0.1)

    def told(self, program: str) -> str:
        """Return what a server has told last."""
        return (self.folder / f"{program}.log").read_text(errors="replace")[-2000:]


@contextmanager
def slurm(folder: Path) -> Iterator[Bed]:
    """Run a cluster; skip the test, loudly, where Slurm is not installed."""
    missing = [each for each in PROGRAMS if not shutil.which(each, path=SBIN)]
    if missing or os.getuid() != 0:
        why = f"no {', '.join(missing)}" if missing else "not root"
        pytest.skip(f"no Slurm ({why}): as root, apt-get install slurmctld slurmd slurm-client")
    bed = Bed(folder=folder)
    _prepare(bed)
    with ExitStack() as stack:
        stack.callback(bed.stop_all)
        _start(bed)
        yield bed
        bed.ask("scancel", "--user=root")
        bed.until(lambda: not bed.ask("squeue", "--noheader"))


def _prepare(bed: Bed) -> None:
    for name in ("munge", "state", "spool", "scratch"):
        (bed.folder / name).mkdir(mode=0o700)
    key = bed.folder / "munge" / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    controller_port, node_port = _free_ports()
    text = CONFIGURATION.format(
        host=socket.gethostname().partition(".")[0],
        folder=bed.folder,
        user=pwd.getpwuid(os.getuid()).pw_name,
        cpus=CPUS,
        controller_port=controller_port,
        node_port=node_port,
    )
    bed.conf.write_text(text)


def _start(bed: Bed) -> None:
    munge = bed.folder / "munge"
    own = (f"--{name}-file={munge / name}" for name in ("key", "pid", "log", "seed"))
    # Of a folder that others may write to above, as that of temporary files, it needs --force.
    bed.start("munged", "--foreground", "--force", f"--socket={bed.folder}/munge.socket", *own)
    bed.until((bed.folder / "munge.socket").exists)
    bed.start("slurmd", "-D", "-f", str(bed.conf))
    bed.start_controller()


def _free_ports() -> tuple[int, int]:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        return one.getsockname()[1], other.getsockname()[1]
