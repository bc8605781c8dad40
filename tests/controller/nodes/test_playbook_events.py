"""What a run of a playbook tells becomes one outcome a host, however the run ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.errors import NodeError, NodeFault
from controller.nodes.playbook import HostSetup, SetupOptions, playbooks
from controller.nodes.playbook_events import CONNECT_TASK, LAST_TASK, Done, HostProgress, Told

ROLE = playbooks() / "roles" / "worker"


def event(kind: str, host: str, task: str, **result: object) -> str:
    return json.dumps({"event": kind, "event_data": {"host": host, "task": task, "res": result}})


@pytest.fixture
def progress() -> list[HostProgress]:
    return []


@pytest.fixture
def told(progress: list[HostProgress]) -> Told:
    return Told(["n-1", "n-2"], progress.append)


def outcomes(told: Told, *, ended: bool = False) -> dict[str, NodeError | None]:
    return {each.node_id: each.error for each in told.outcomes("said", 60.0, ended=ended)}


def test_a_host_is_known_to_stand_before_the_others_are_done(
    told: Told, progress: list[HostProgress]
) -> None:
    told.take(event("runner_on_ok", "n-1", "Bring the files", changed=True))
    told.take(event("runner_on_start", "n-2", "Unpack the archive"))
    told.take(event("runner_on_ok", "n-1", LAST_TASK, changed=False))
    assert [each.done for each in progress] == [Done.CHANGED, Done.OK]
    assert progress[0].outcome is None
    assert progress[1].outcome is not None
    assert (progress[1].outcome.changed, progress[1].outcome.error) == (1, None)
    late = outcomes(told)["n-2"]
    assert late is not None
    assert "within 60 s; it was at the task 'Unpack the archive'" in str(late)
    assert late.retry


@pytest.mark.parametrize(
    ("failed", "result", "fault", "words"),
    [
        (("failed", "Reach"), {"stderr": "away\n"}, NodeFault.OURS, "'Reach' failed: away"),
        (("failed", "Compare"), {"msg": "off by 9 s"}, NodeFault.OURS, "off by 9 s"),
        (("failed", CONNECT_TASK), {"msg": "timed out"}, NodeFault.RETRY, "timed out"),
        (("unreachable", "Look"), {"msg": "no route"}, NodeFault.RETRY, "no route"),
        (("failed", "Look"), {}, NodeFault.OURS, "no reason given"),
    ],
)
def test_a_fault_is_of_its_host_alone(
    told: Told, failed: tuple[str, str], result: dict[str, Any], fault: NodeFault, words: str
) -> None:
    kind, task = failed
    told.take(event(f"runner_on_{kind}", "n-1", task, **result))
    told.take(event("runner_on_ok", "n-2", LAST_TASK))
    found = outcomes(told)
    error = found["n-1"]
    assert error is not None
    assert error.fault is fault
    assert str(error).startswith("node n-1: ")
    assert words in str(error)
    assert found["n-2"] is None


def test_what_does_not_count_is_no_fault(told: Told) -> None:
    ignored = json.loads(event("runner_on_failed", "n-1", "Try"))
    ignored["event_data"]["ignore_errors"] = True
    stats = {"event": "playbook_on_stats", "event_data": {"changed": {"n-2": 3}}}
    for line in (json.dumps(ignored), "no JSON", "{}", json.dumps(stats)):
        told.take(line)
    assert [each.changed for each in told.outcomes("", 60.0, ended=False)] == [0, 3]
    assert outcomes(told) == {"n-1": None, "n-2": None}


def test_a_run_that_did_nothing_says_what_ansible_said(told: Told) -> None:
    error = outcomes(told)["n-1"]
    assert error is not None
    assert "Ansible did nothing with it: said" in str(error)


def test_hosts_that_were_not_done_when_the_service_ended_may_be_tried_again(told: Told) -> None:
    assert all(each is not None and each.retry for each in outcomes(told, ended=True).values())


def test_a_missing_ansible_is_told_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="name its ansible-playbook") as told:
        HostSetup(tmp_path, SetupOptions(ansible_playbook="/nowhere/ansible-playbook"))
    assert told.value.fault is NodeFault.OURS


def test_every_variable_of_the_role_says_what_it_is() -> None:
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    specs = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    options = [entry["options"] for entry in specs.values()]
    described = {name for each in options for name in each}
    assert described == defaults.keys() | {"worker_join_folder"}
    assert all(option["description"] for each in options for option in each.values())


def test_the_tasks_that_tell_how_a_host_stands_are_in_the_role() -> None:
    tasks = [
        task["name"]
        for path in (ROLE / "tasks").glob("*.yml")
        for task in yaml.safe_load(path.read_text())
    ]
    assert {LAST_TASK, CONNECT_TASK} <= set(tasks)
    assert yaml.safe_load((ROLE / "tasks" / "main.yml").read_text())[-1]["name"] == LAST_TASK
