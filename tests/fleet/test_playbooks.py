"""Bare hosts become workers that join, and leave again; one that fails does so alone."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from controller.engines.connection import Listening
from controller.engines.dask import DaskEngine
from controller.errors import NodeFault
from controller.nodes.joining import Join, write_join_folder
from controller.nodes.playbook import Host, HostSetup, SetupOptions
from controller.nodes.playbook_events import HostProgress
from controller.nodes.records import STANDING, Standing, read
from controller.nodes.worker_archive import WorkerArchive
from tests.controller.engines.inbox import WAIT_S_MAX, Inbox
from tests.fleet import playbook_hosts
from tests.fleet.equipment import ANSIBLE, made, worker_archive
from tests.fleet.playbook_hosts import CONTROLLER, BedHost, plain_host, systemd_host, take_down

SECRET = "the-key-to-the-archive"
STATE = "var/lib/slackwater-worker"

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def script() -> Path:
    return playbook_hosts.bed()


@pytest.fixture(scope="module")
def archive(script: Path) -> WorkerArchive:
    return worker_archive()


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What workers join, and what it tells of them."""

    engine: DaskEngine
    inbox: Inbox


@pytest.fixture(scope="module")
def service(script: Path) -> Iterator[Service]:
    inbox = Inbox()
    engine = DaskEngine(inbox.put, listening=Listening(host=CONTROLLER))
    yield Service(engine=engine, inbox=inbox)
    engine.close()


@pytest.fixture(scope="module")
def setup(archive: WorkerArchive, tmp_path_factory: pytest.TempPathFactory) -> HostSetup:
    made(".venv-ansible/.ansible")
    variables = {"worker_environment": {"FSSPEC_EXAMPLE": SECRET}}
    options = SetupOptions(ansible_playbook=str(ANSIBLE), connect_s_max=30, variables=variables)
    return HostSetup(tmp_path_factory.mktemp("setup"), options, archive=archive)


@pytest.fixture(scope="module")
def plain(script: Path, key_file: Path) -> Iterator[BedHost]:
    with plain_host(script, "playbooks-plain", "10.77.0.215", key_file) as host:
        yield host


@pytest.fixture
def bare(script: Path, key_file: Path) -> Iterator[BedHost]:
    """A host that nothing was done to yet."""
    with plain_host(script, "playbooks-bare", "10.77.0.216", key_file) as host:
        yield host


@pytest.fixture(scope="module")
def booted(
    script: Path, key_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BedHost]:
    folder = tmp_path_factory.mktemp("booted")
    with systemd_host(folder, "playbooks-booted", "10.77.0.217", key_file) as host:
        yield host


@pytest.fixture(scope="module")
def beds(plain: BedHost, booted: BedHost) -> tuple[BedHost, BedHost]:
    return plain, booted


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """A host of the bed, and how a setup gets there."""

    bed: BedHost
    host: Host

    def standing(self) -> Standing:
        found = read(self.bed.root / STATE / STANDING, Standing)
        assert found is not None
        return found


def brought(service: Service, bed: BedHost, folder: Path, **told: object) -> Brought:
    """Write a host's join folder."""
    join = Join(
        address=service.engine.connection.address, node_id=bed.name, workers=1, end_s_max=5.0
    )
    write_join_folder(folder, replace(join, **told), service.engine.connection)  # type: ignore[arg-type]
    host = Host(node_id=bed.name, address=bed.address, key_file=bed.key_file, join_folder=folder)
    return Brought(bed=bed, host=host)


@dataclass(slots=True)
class Watched:
    """Keeps what a setup tells; sees whether a secret stands in any process' arguments."""

    told: list[HostProgress]
    leaks: list[str]

    def __call__(self, progress: HostProgress) -> None:
        self.told.append(progress)
        for each in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = each.read_bytes()
            except OSError:
                continue
            if SECRET.encode() in words or b"PRIVATE KEY" in words:
                self.leaks.append(words.decode(errors="replace"))


def watched() -> Watched:
    return Watched([], [])


def runs_left() -> list[Path]:
    """Return the private folders of runs of playbooks that are left."""
    return [each for each in Path("/tmp").glob("sw-*") if (each / "inventory").exists()]


@pytest.fixture(scope="module")
def workers(
    service: Service,
    setup: HostSetup,
    beds: tuple[BedHost, BedHost],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Brought, Brought]:
    """Two bare hosts made workers in one run, of which a third host is never there."""
    folder = tmp_path_factory.mktemp("joins")
    two = tuple(brought(service, bed, folder / bed.name) for bed in beds)
    absent = replace(two[0].host, node_id="playbooks-absent", address="10.77.0.229")
    watching = watched()
    first, second, third = setup.set_up([*(each.host for each in two), absent], watching)
    assert (first.error, second.error) == (None, None)
    assert third.error is not None
    assert third.error.fault is NodeFault.RETRY
    assert "10.77.0.229" in str(third.error)
    assert watching.leaks == []
    told_at_once = [each.outcome for each in watching.told if each.outcome]
    assert {each.node_id for each in told_at_once} == {
        each.node_id for each in (first, second, third)
    }
    for each in two:
        service.inbox.ready(each.bed.name, 1)
    return two[0], two[1]


def test_bare_hosts_become_workers_and_a_second_run_changes_nothing(
    workers: tuple[Brought, Brought], setup: HostSetup, booted: BedHost
) -> None:
    before = [each.standing() for each in workers]
    again = setup.set_up([each.host for each in workers])
    assert [(each.error, each.changed) for each in again] == [(None, 0), (None, 0)]
    assert [each.standing() for each in workers] == before
    for each in workers:
        modes = each.bed.run("stat", "-c", "%a%U", "/etc/slackwater-worker/join/*").split()
        assert modes == ["600slackwater-worker"] * 3
        assert "600root" in each.bed.run("stat", "-c", "%a%U", "/etc/slackwater-worker/environment")
        user = each.bed.run("ps", "-o", "user:20=", str(pid_of(each))).strip()
        assert user == "slackwater-worker"
    assert runs_left() == []
    unit = "slackwater-worker.service"
    assert booted.run("systemctl", "is-enabled", unit).strip() == "enabled"
    security = booted.run("systemd-analyze", "security", "--no-pager", "--threshold=30", unit)
    assert "OK" in security or "MEDIUM" not in security


def pid_of(worker: Brought) -> int:
    """Return the number of a worker's supervisor, as its host counts."""
    return worker.standing().supervisor.pid


def test_another_number_of_workers_ends_nothing(
    workers: tuple[Brought, Brought],
    setup: HostSetup,
    service: Service,
) -> None:
    before = [each.standing() for each in workers]
    for count in (2, 1):
        for each in workers:
            assert each.host.join_folder is not None
            brought(service, each.bed, each.host.join_folder, workers=count)
        outcomes = setup.set_up([each.host for each in workers])
        assert [each.error for each in outcomes] == [None, None]
        assert all(each.changed for each in outcomes)
        for each in workers:
            service.inbox.ready(each.bed.name, count)
    for each, was in zip(workers, before, strict=True):
        assert each.standing().supervisor == was.supervisor
        assert was.workers.items() <= each.standing().workers.items()


def test_a_host_that_dies_in_the_middle_fails_alone(
    workers: tuple[Brought, Brought], setup: HostSetup, script: Path, bare: BedHost
) -> None:
    # It dies before it could join.
    dying = Brought(
        bed=bare, host=replace(workers[0].host, node_id=bare.name, address=bare.address)
    )

    def kill(progress: HostProgress) -> None:
        if progress.node_id == bare.name and progress.task == "Make the user":
            take_down(script, bare.name)

    lived, died = setup.set_up([workers[0].host, dying.host], kill)
    assert lived.error is None
    assert died.error is not None
    assert died.error.fault is NodeFault.RETRY
    assert "cannot be reached in the task" in str(died.error)


def test_a_host_that_is_not_done_in_time_is_given_up(
    service: Service, setup: HostSetup, bare: BedHost, archive: WorkerArchive, tmp_path: Path
) -> None:
    options = SetupOptions(ansible_playbook=str(ANSIBLE), connect_s_max=0, setup_s_max=4)
    hasty = HostSetup(tmp_path / "hasty", options, archive=archive)
    (outcome,) = hasty.set_up([brought(service, bare, tmp_path / "join").host])
    assert outcome.error is not None
    assert outcome.error.retry
    assert runs_left() == []


def test_a_host_with_a_wrong_clock_is_refused(
    service: Service, setup: HostSetup, bare: BedHost, tmp_path: Path
) -> None:
    # All its programs in Python read a clock that is an hour ahead.
    ahead = "import time\nright = time.time\ntime.time = lambda: right() + 3600.0\n"
    (bare.root / "etc" / "python3.11" / "sitecustomize.py").write_text(ahead)
    (outcome,) = setup.set_up([brought(service, bare, tmp_path / "join").host])
    assert outcome.error is not None
    assert re.search(r"off by 3[56]\d\d", str(outcome.error))
    assert bare.run("ls", "/opt").strip() == ""


def test_an_archive_that_the_host_cannot_reach_is_named(
    workers: tuple[Brought, Brought], service: Service, setup: HostSetup, tmp_path: Path
) -> None:
    away = f"http://{CONTROLLER}:9/archive"
    host = brought(service, workers[0].bed, tmp_path / "join", reachable_urls=(away,)).host
    (outcome,) = setup.set_up([host])
    assert outcome.error is not None
    assert away in str(outcome.error)


def test_what_was_a_worker_is_a_bare_host_again(
    workers: tuple[Brought, Brought], setup: HostSetup, service: Service
) -> None:
    outcomes = setup.retire([each.host for each in workers])
    assert [each.error for each in outcomes] == [None, None]
    for each in workers:
        service.inbox.ready(each.bed.name, 0)
        left = each.bed.run("find / -xdev -iname '*slackwater*' -not -path '/proc/*'")
        assert left == ""
        assert "slackwater" not in each.bed.run("cat", "/etc/passwd")
        assert "slackwater" not in each.bed.run("ps axo args | grep -v ps")
    again = setup.retire([each.host for each in workers])
    assert [(each.error, each.changed) for each in again] == [(None, 0), (None, 0)]


def test_a_host_without_a_worker_powers_itself_off(
    service: Service,
    archive: WorkerArchive,
    booted: BedHost,
    tmp_path: Path,
) -> None:
    options = SetupOptions(ansible_playbook=str(ANSIBLE), poweroff_after_s=60)
    mortal = HostSetup(tmp_path / "setup", options, archive=archive)
    (outcome,) = mortal.set_up([brought(service, booted, tmp_path / "join").host])
    assert outcome.error is None
    service.inbox.ready(booted.name, 1)
    timer = "/etc/systemd/system/slackwater-worker-poweroff.timer"
    booted.run("sed", "-i", "s/=60$/=1/", timer)
    booted.run("systemctl", "daemon-reload")
    booted.run("systemctl", "stop", "slackwater-worker.service")
    assert booted.process is not None
    booted.process.wait(WAIT_S_MAX)
