"""What settings say of a cluster that Slurm runs, and of the node types that are jobs on it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from controller.config.ranges import COUNT, POSITIVE

EXTRA = frozenset(
    (
        *("bb", "cluster-constraint", "container", "contiguous", "core-spec"),
        *("cores-per-socket", "cpu-freq", "deadline", "delay-boot", "exclude", "exclusive"),
        *("gpus", "gpus-per-node", "gres", "gres-flags", "hint", "licenses", "mail-type"),
        *("mail-user", "mcs-label", "mem-bind", "mem-per-cpu", "network", "nice", "nodelist"),
        *("oversubscribe", "prefer", "priority", "reservation", "sockets-per-node", "switches"),
        *("threads-per-core", "thread-spec", "tmp", "wckey"),
    )
)
"""Options of sbatch that settings may add: what they may not would change whose job it is, what it
runs, or how it is found again; squeue and scancel look at one cluster."""

_OPTION = re.compile(r"--([a-z][a-z-]*)(=[^\x00-\x1f\x7f]{1,1000})?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=[^\x00-\x1f\x7f]*")
_OF_SLURM = ("SLURM", "SBATCH_", "SQUEUE_", "SCANCEL_", "SINFO_", "LD_PRELOAD")


def _read_option(text: str) -> str:
    found = _OPTION.fullmatch(text)
    if not found or found[1] not in EXTRA:
        raise ValueError(f"{text!r} is none of: {', '.join(f'--{e}' for e in sorted(EXTRA))}")
    return text


def _read_variable(text: str) -> str:
    if not _VARIABLE.fullmatch(text) or text.startswith(_OF_SLURM):
        raise ValueError(f"{text!r} is no NAME=value, or a variable of Slurm's own")
    return text


def _read_absolute(text: str) -> str:
    if text and not text.startswith("/"):
        raise ValueError(f"{text!r} must begin at the root, with /")
    return text


Option = Annotated[str, AfterValidator(_read_option)]
Variable = Annotated[str, AfterValidator(_read_variable)]
AbsolutePath = Annotated[str, AfterValidator(_read_absolute)]
Word = Annotated[str, Field(pattern=r"^[^\s\x00-\x1f\x7f]*$", max_length=500)]
"""A value of an option; blanks would be no name of Slurm's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmOptions:
    """A cluster that Slurm runs.

    Parameters
    ----------
    folder : str
        On a file system that the cluster's nodes see under the same name; join folders and logs of
        jobs lie there, and it must be this user's alone to write.
    program : str
        ``slackwater`` on the cluster's nodes; by default where it is here.
    commands : str
        The folder of sbatch, squeue, sinfo and scancel; by default they are searched for.
    conf : str
        Slurm's configuration file, where it is not in its usual place.
    environment : tuple of str
        Variables of the jobs, as NAME=value. They are not secret: Slurm keeps them.
    calls_max : int
        Commands of Slurm at the same time.
    call_s_max : float
        A command that has not ended by then has failed [s].
    poll_s : float
        Pause between two looks at the queue [s]: each is a load on the cluster's controller.
    pending_max : int
        Jobs that may wait in the queue at the same time.
    launch_s_max : float
        A job that still waits so long after its submission is broken [s].
    end_s_max : float
        So long may running parts go on when a node is to go, or nears its time limit [s].
    """

    folder: Annotated[AbsolutePath, Field(min_length=1)]
    program: AbsolutePath = ""
    commands: AbsolutePath = ""
    conf: AbsolutePath = ""
    environment: tuple[Variable, ...] = ()
    calls_max: Annotated[int, COUNT] = 2
    call_s_max: Annotated[float, POSITIVE] = 30.0
    poll_s: Annotated[float, POSITIVE] = 10.0
    pending_max: Annotated[int, COUNT] = 8
    launch_s_max: Annotated[float, POSITIVE] = 900.0
    end_s_max: Annotated[float, POSITIVE] = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmTypeOptions:
    """What a job of a node type asks for: one node of the cluster, with ``slots_max`` processors.

    Parameters
    ----------
    time_limit_min : int
        The job ends after this time [min]; its node is replaced if it is still wanted.
    partition, account, qos, constraint : str
        As sbatch has them; empty leaves them to the cluster.
    memory_mb : int
        Of the node [MB]; 0 leaves it to the cluster.
    extra : tuple of str
        Other options of sbatch, as ``--gres=gpu:1``.
    """

    time_limit_min: Annotated[int, COUNT] = 240
    partition: Word = ""
    account: Word = ""
    qos: Word = ""
    constraint: Word = ""
    memory_mb: Annotated[int, Field(ge=0)] = 0
    extra: tuple[Option, ...] = ()
