"""Machines on their way to be workers: none stays so for ever, and none leaves a key behind."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from controller.authority import Authority, revoked
from controller.engines.connection import CREDENTIALS, DaskConnection
from controller.errors import NodeError, NodeFault
from controller.nodes import libcloud_setup
from controller.nodes.joining import Join, write_join_folder
from controller.nodes.libcloud_options import CloudOptions
from controller.nodes.libcloud_playbook import PlaybookPreparation
from controller.nodes.libcloud_setup import TRIES_MAX, Preparation, RunningHost, Setups, Told
from controller.nodes.plugins import ProviderStart
from tests.controller.engines.inbox import WAIT_S_MAX

HOSTS = [
    RunningHost(node_id=each, address="10.0.0.9", workers=1, shared_reads_mb=0.0)
    for each in ("n1", "n2")
]


@dataclass(slots=True)
class Breaking:
    """Prepares the first machine, and breaks at the others."""

    error: Exception
    forgotten: list[str] = field(default_factory=list)

    def prepare(self, hosts: Sequence[RunningHost], told: Told) -> None:
        if hosts[0].node_id == "n1":
            told("n1", None)
        raise self.error

    def renew(self, node_id: str) -> bool:
        return False

    def forget(self, node_id: str) -> None:
        self.forgotten.append(node_id)

    def close(self) -> None:
        pass


@dataclass(slots=True)
class Renewing:
    """Prepares all; what is to come of further runs, and whose certificates are due, is told."""

    due: set[str]
    errors: list[NodeError] = field(default_factory=list)
    runs: list[list[str]] = field(default_factory=list)

    def prepare(self, hosts: Sequence[RunningHost], told: Told) -> None:
        error = self.errors.pop() if self.runs and self.errors else None
        for each in hosts:
            told(each.node_id, error)
        self.runs.append([each.node_id for each in hosts])

    def renew(self, node_id: str) -> bool:
        is_due = node_id in self.due
        self.due.discard(node_id)
        return is_due

    def forget(self, node_id: str) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def setups_with() -> Iterator[Callable[[Preparation], Setups]]:
    made: list[Setups] = []

    def make(preparation: Preparation) -> Setups:
        made.append(Setups(preparation))
        return made[-1]

    yield make
    for each in made:
        each.close()


def until(holds: Callable[[], object]) -> None:
    give_up_at = time.monotonic() + WAIT_S_MAX
    while not holds():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def _has_tried(setups: Setups, tries: int) -> bool:
    return setups.progress("n2").tries == tries


def test_what_breaks_here_breaks_only_the_machines_that_it_kept(
    setups_with: Callable[[Preparation], Setups],
) -> None:
    setups = setups_with(Breaking(OSError("no space left")))
    for tries in range(1, TRIES_MAX + 1):
        setups.see(HOSTS)
        until(partial(_has_tried, setups, tries))
    assert "no space left" in setups.progress("n2").fault
    assert (setups.progress("n1").workers, setups.progress("n1").fault) == (1, "")
    assert setups.fault() is None


def test_a_due_certificate_is_brought_by_one_more_run(
    setups_with: Callable[[Preparation], Setups], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libcloud_setup, "RENEW_S", 0.0)
    preparation = Renewing(due={"n2"})
    setups = setups_with(preparation)
    setups.see(HOSTS)
    until(lambda: len(preparation.runs) == 1)
    for _ in range(2):
        setups.renew(["n1", "n2"])
        assert setups.progress("n2").workers == 1, "it works meanwhile"
        setups.see(HOSTS)
        until(lambda: not setups.progress("n2").is_under_way)
    until(lambda: len(preparation.runs) == 2)
    assert preparation.runs == [["n1", "n2"], ["n2"]]


def test_a_certificate_that_cannot_be_brought_breaks_no_node_and_is_tried_again(
    setups_with: Callable[[Preparation], Setups], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libcloud_setup, "RENEW_S", 0.0)
    preparation = Renewing(due={"n2"}, errors=[NodeError("no", fault=NodeFault.OURS)])
    setups = setups_with(preparation)
    setups.see(HOSTS)
    until(lambda: len(preparation.runs) == 1)
    for runs in (2, 3):
        setups.renew(["n2"])
        for _ in range(2):  # The second look changes nothing before the next hour.
            setups.see(HOSTS)
            until(partial(_has_run, setups, preparation, runs))
        assert (setups.progress("n2").workers, setups.progress("n2").fault) == (1, "")
    assert not setups.progress("n2").is_stale


def _has_run(setups: Setups, preparation: Renewing, runs: int) -> bool:
    return len(preparation.runs) == runs and not setups.progress("n2").is_under_way


def test_a_bug_in_preparing_is_told(setups_with: Callable[[Preparation], Setups]) -> None:
    bug = AssertionError("a bug")
    setups = setups_with(Breaking(bug))
    setups.see(HOSTS)
    until(setups.fault)
    assert setups.fault() is bug


def test_a_machine_that_an_earlier_service_prepared_is_forgotten(
    setups_with: Callable[[Preparation], Setups],
) -> None:
    preparation = Breaking(OSError())
    setups_with(preparation).forget("n7")
    assert preparation.forgotten == ["n7"]


def test_what_a_machine_was_given_goes_with_it_and_lets_nobody_in(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tls")
    connection = DaskConnection(
        address="tls://127.0.0.1:1",
        credentials=authority.credentials("scheduler"),
        orphan_s=60.0,
        issue=authority.credentials,
        withdraw=authority.revoke,
    )
    preparation = PlaybookPreparation(
        ProviderStart(
            name="cloud",
            options=CloudOptions(driver="openstack", ansible_playbook=str(shutil.which("true"))),
            node_types=(),
            connection=connection,
            folder=tmp_path / "cloud",
            reachable_urls=(),
            preload=(),
            orphan_s=60.0,
            service_id="5ea1e55",
        )
    )
    folder = tmp_path / "cloud" / "join" / "n1"
    assert not preparation.renew("n1"), "it was given nothing"
    write_join_folder(folder, Join(address="a", node_id="n1", workers=1), connection)
    assert not preparation.renew("n1"), "it is good for months"
    (folder / CREDENTIALS).write_text("")  # As one that is due, it is made anew.
    assert preparation.renew("n1")
    assert not preparation.renew("n1")
    for node_id in ("n1", "n1", "n2", "../join"):
        preparation.forget(node_id)
    assert not folder.exists()
    assert folder.parent.exists()
    assert revoked(tmp_path / "tls").keys() == {"n1"}
    with pytest.raises(NodeError, match="n1 was removed") as caught:
        connection.of_node("n1", tmp_path)
    assert caught.value.retry
