"""Slurm by its commands: each with a bound of time, its words understood in one place.

Output is asked for by format, never as JSON: its shape differs from version to version, and not
every cluster's commands were built with it.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.errors import NodeError, NodeFault
from controller.nodes.records import NODE_ID
from controller.nodes.slurm_options import SlurmOptions

WORDS_MAX = 300
"""Of what a command says [characters]."""

KEPT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "SLURM_CONF")
"""Variables that commands are given. Slurm hands those of sbatch to the job and keeps them, and the
service's own may hold secrets, or be those of a job that the service itself runs in."""

PREFIX = "slackwater"

ACTIVE = frozenset(
    (
        *("PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "COMPLETING", "STAGE_OUT"),
        *("SIGNALING", "RESIZING", "STOPPED", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD"),
        *("RESV_DEL_HOLD", "SPECIAL_EXIT"),
    )
)
"""States of a job that is not over."""

WAITING = frozenset(("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED"))
LIVING = WAITING | {"RUNNING", "SUSPENDED", "RESIZING", "SIGNALING", "STOPPED"}
"""States that a worker may come of."""

FOREVER = re.compile(
    r"PerJob|TimeLimit$|NodeLimit$|^PartitionConfig$|^BadConstraints$|^Invalid|NotAllowed$"
    r"|^JobHeld|^JobHoldMaxRequeue$|^DependencyNeverSatisfied$|^ReservationDeleted$"
)
"""Reasons for which a job waits until somebody changes the job or the cluster."""

LIMIT = re.compile(r"^(QOS|Assoc|MaxJobs|MaxCpu|MaxMem|MaxNode|MaxGRES|MaxBilling|MaxSubmit)")
"""Reasons for which a job waits because its user has as much as they may."""

TEXTS: tuple[tuple[re.Pattern[str], NodeFault], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), fault)
    for pattern, fault in (
        (r"accounting/QOS policy|submit ?limit|max(submit)?jobs?limit", NodeFault.QUOTA),
        (r"unable to contact|timed out|connection (refused|reset)|standby", NodeFault.RETRY),
        (r"temporarily unable|zero bytes|communication|message (receive|send)", NodeFault.RETRY),
        (r"failed to access|temporarily unavailable|controller.*(busy|down)", NodeFault.RETRY),
        (r"authentication|munge|permi(tted|ssion)|denied|invalid account", NodeFault.CREDENTIALS),
        (r"invalid user|not allowed", NodeFault.CREDENTIALS),
        (r"invalid job id|already complet|not found in", NodeFault.GONE),
        (r"nodes? (are|is) busy|not available \(|partition .*(down|inactive)", NodeFault.CAPACITY),
    )
)
"""What Slurm's words mean, the first that fits counts; of any other a second try would say the
same."""

FIXES: dict[NodeFault, str] = {
    NodeFault.CREDENTIALS: "See account and partition of the node type, and this user's rights",
    NodeFault.QUOTA: "Have the limit raised, or set nodes_max lower",
    NodeFault.CAPACITY: "See sinfo; another partition may be had",
    NodeFault.OURS: "See the provider's options and those of its node types",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job of a service, as the queue has it.

    Parameters
    ----------
    job_id : int
    state, reason : str
        In Slurm's words.
    node_type, node_id : str
    """

    job_id: int
    state: str
    reason: str
    node_type: str
    node_id: str

    @property
    def is_active(self) -> bool:
        """Tell whether it is not over."""
        return self.state in ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """What a partition has.

    Parameters
    ----------
    is_default, is_up : bool
    cpus : int
        Of nodes that can be used, be they busy.
    """

    is_default: bool
    is_up: bool
    cpus: int


def job_name(service_id: str, node_type: str, node_id: str) -> str:
    """Return what a job is called; it says all by which it is found again."""
    return f"{PREFIX}:{service_id}:{node_type}:{node_id}"


def jobs_in(told: str, service_id: str) -> list[Job]:
    """Return a service's jobs among the lines of squeue; other jobs may be called anything."""
    found = []
    for line in told.splitlines():
        job_id, _, rest = line.partition("|")
        state, _, rest = rest.partition("|")
        # A reason may be a sentence; a name of ours holds no bar.
        reason, _, name = rest.rpartition("|")
        words = name.strip().split(":")
        is_ours = len(words) == 4 and words[:2] == [PREFIX, service_id]
        # Ids name folders, and whoever submits a job names it.
        if job_id.isdecimal() and is_ours and NODE_ID.fullmatch(words[3]):
            job = Job(
                job_id=int(job_id),
                state=state.strip(),
                reason="" if reason in ("None", "") else reason,
                node_type=words[2],
                node_id=words[3],
            )
            found.append(job)
    return found


def partitions_in(told: str) -> dict[str, Partition]:
    """Return the partitions in the lines of sinfo."""
    found: dict[str, Partition] = {}
    for line in told.splitlines():
        words = line.strip().split("|")
        if len(words) != 3 or not re.fullmatch(r"\d+(/\d+){3}", words[2]):
            continue
        name = words[0].removesuffix("*")
        before = found.get(name)
        allocated, idle, _, _ = map(int, words[2].split("/"))
        found[name] = Partition(
            is_default=words[0].endswith("*"),
            is_up=words[1] == "up",
            cpus=allocated + idle + (before.cpus if before else 0),
        )
    return found


class SlurmCommands:
    """Runs Slurm's commands, from any thread.

    Parameters
    ----------
    options : SlurmOptions
    """

    def __init__(self, options: SlurmOptions) -> None:
        self._options = options

    def jobs(self, service_id: str) -> list[Job]:
        """Return a service's jobs, those that have ended a short while ago, too.

        Raises
        ------
        NodeError
            Slurm is away (retry), say.
        """
        told = self._run(
            "look at the queue",
            "squeue",
            ("--noheader", "--states=all", f"--user={os.getuid()}", "--format=%A|%T|%r|%j"),
        )
        return jobs_in(told, service_id)

    def partitions(self) -> dict[str, Partition]:
        """Return the partitions by name."""
        return partitions_in(
            self._run("look at partitions", "sinfo", ("--noheader", "--format=%P|%a|%C"))
        )

    def submit(self, what: str, arguments: Sequence[str]) -> int:
        """Return the id of a new job."""
        told = self._run(what, "sbatch", ("--parsable", *arguments))
        job_id = told.strip().partition(";")[0]
        if not job_id.isdecimal():
            words = _short(told)
            raise NodeError(f"{what}: sbatch said {words!r}", fault=NodeFault.RETRY)
        return int(job_id)

    def signal(self, job_id: int, name: str) -> None:
        """Send a signal to what a job has started, if it still runs."""
        self._cancel(job_id, "--batch", f"--signal={name}")

    def cancel(self, job_id: int) -> None:
        """End a job, if it is not over: Slurm asks it to end, and kills it after its KillWait."""
        self._cancel(job_id)

    def _cancel(self, job_id: int, *options: str) -> None:
        try:
            self._run(f"end job {job_id}", "scancel", (*options, str(job_id)))
        except NodeError as error:
            if error.fault is not NodeFault.GONE:
                raise

    def _run(self, what: str, command: str, arguments: Sequence[str]) -> str:
        """Return what a command says.

        Raises
        ------
        NodeError
            It is not there (ours), takes too long (retry), or as its words say.
        """
        folder = self._options.commands
        argv = [str(Path(folder, command)) if folder else command, *arguments]
        try:
            ended = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=self._options.call_s_max,
                env=self._environment(),
                cwd="/",
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            said = f"{what}: {command} has not answered in {self._options.call_s_max:g} s"
            raise NodeError(said, fault=NodeFault.RETRY) from error
        except OSError as error:
            raise NodeError(
                f"{what}: {argv[0]} cannot be run: {error.strerror}",
                fault=NodeFault.OURS,
                fix="Install Slurm's commands here, or name their folder as `commands`",
            ) from error
        if ended.returncode:
            raise refusal(what, ended.stderr.decode(errors="replace"))
        return ended.stdout.decode(errors="replace")

    def _environment(self) -> Mapping[str, str]:
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        if self._options.conf:
            kept["SLURM_CONF"] = self._options.conf
        return kept | dict(each.split("=", 1) for each in self._options.environment)


def refusal(what: str, said: str) -> NodeError:
    """Return what the words of a command that failed mean."""
    fault = next((fault for pattern, fault in TEXTS if pattern.search(said)), NodeFault.OURS)
    return NodeError(f"{what}: {_short(said)}", fault=fault, fix=FIXES.get(fault, ""))


def _short(words: str) -> str:
    """Return words in one line; the last say most."""
    words = " ".join(re.sub(r"\b(sbatch|squeue|sinfo|scancel): (error: )?", "", words).split())
    return words if len(words) <= WORDS_MAX else f"...{words[-WORDS_MAX:]}"
