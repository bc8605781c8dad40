"""What Slurm says, and what settings may say to it: without a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.config.settings import read_settings
from controller.errors import FileFault, NodeFault
from controller.nodes.slurm_commands import (
    FOREVER,
    LIMIT,
    Job,
    Partition,
    job_name,
    jobs_in,
    partitions_in,
    refusal,
)

OURS = job_name("5ea1e55", "small", "n1")


def test_jobs_of_ours_are_found_among_any_others() -> None:
    told = "\n".join(
        (
            f"7|PENDING|Nodes are DOWN, DRAINED|or so|{OURS}",
            "8|RUNNING|None|a name | with bars",
            f"9|RUNNING|None|{job_name('0123abc', 'small', 'n1')}",
            "a name with a line",
            f"break|RUNNING|None|{OURS}",
            f"10|RUNNING|None|{OURS}:more",
            "11|RUNNING|None|slackwater:5ea1e55:small:..",
            "12|RUNNING|None|slackwater:5ea1e55:small:../../n1",
            "",
        )
    )
    reason = "Nodes are DOWN, DRAINED|or so"
    job = Job(job_id=7, state="PENDING", reason=reason, node_type="small", node_id="n1")
    assert jobs_in(told, "5ea1e55") == [job]


def test_processors_that_are_down_are_none() -> None:
    told = "main*|up|3/1/4/8\nlong|up|0/0/8/8\nlong|up|2/0/0/2\nshut|down|0/8/0/8\nodd\n"
    assert partitions_in(told) == {
        "main": Partition(is_default=True, is_up=True, cpus=4),
        "long": Partition(is_default=False, is_up=True, cpus=2),
        "shut": Partition(is_default=False, is_up=False, cpus=8),
    }


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("Unable to contact slurm controller (connect failure)", NodeFault.RETRY),
        ("Socket timed out on send/recv operation", NodeFault.RETRY),
        ("Slurm temporarily unable to accept job, sleeping and retrying", NodeFault.RETRY),
        (
            "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
            NodeFault.QUOTA,
        ),
        ("Invalid account or account/partition combination specified", NodeFault.CREDENTIALS),
        ("User's group not permitted to use this partition", NodeFault.CREDENTIALS),
        ("Protocol authentication error", NodeFault.CREDENTIALS),
        ("Required partition not available (inactive or drain)", NodeFault.CAPACITY),
        ("Kill job error on job id 1: Invalid job id specified", NodeFault.GONE),
        ("Requested time limit is invalid (missing or exceeds some limit)", NodeFault.OURS),
        ("Requested node configuration is not available", NodeFault.OURS),
    ],
)
def test_words_are_understood(words: str, fault: NodeFault) -> None:
    error = refusal("submit node n1", f"sbatch: error: {words}\n")
    assert (error.fault, str(error).startswith(f"submit node n1: {words}")) == (fault, True)


@pytest.mark.parametrize(
    ("reason", "is_forever", "is_limit"),
    [
        ("Resources", False, False),
        ("Priority", False, False),
        ("BeginTime", False, False),
        ("QOSMaxJobsPerUserLimit", False, True),
        ("AssocGrpCpuLimit", False, True),
        ("PartitionTimeLimit", True, False),
        ("BadConstraints", True, False),
        ("JobHeldAdmin", True, False),
        ("QOSMaxWallDurationPerJobLimit", True, True),
    ],
)
def test_reasons_are_understood(reason: str, is_forever: bool, is_limit: bool) -> None:
    assert (bool(FOREVER.search(reason)), bool(LIMIT.search(reason))) == (is_forever, is_limit)


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--wrap=reboot", "is none of"),
        ("--export=ALL", "is none of"),
        ("--gres", ""),
        ("--gres=gpu:1", ""),
        ("gres=gpu:1", "is none of"),
        ("--comment=a\\nb", "is none of"),
    ],
)
def test_options_that_are_added_are_checked(tmp_path: Path, option: str, says: str) -> None:
    path = tmp_path / "slackwater.yaml"
    path.write_text(
        "providers: {hpc: {kind: slurm, folder: /scratch}}\n"
        f'nodes: {{batch: {{provider: hpc, options: {{extra: ["{option}"]}}}}}}\n'
    )
    if not says:
        assert read_settings(path).nodes["batch"].options.extra == (option,)
        return
    with pytest.raises(FileFault, match=says):
        read_settings(path)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ("folder: scratch", "must begin at the root"),
        ("folder: /scratch, environment: [SBATCH_PARTITION=main]", "a variable of Slurm's own"),
        ("folder: /scratch, environment: [no]", "is no NAME=value"),
        ("conf: /etc/slurm.conf", "folder"),
    ],
)
def test_what_a_provider_is_told_is_checked(tmp_path: Path, said: str, says: str) -> None:
    path = tmp_path / "slackwater.yaml"
    path.write_text(f"providers: {{hpc: {{kind: slurm, {said}}}}}\n")
    with pytest.raises(FileFault, match=says):
        read_settings(path)
