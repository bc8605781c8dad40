"""Whatever becomes of hosts, API and service, each product is delivered once, as in peace.

And nothing of the service's is left in the cloud. `make chaos` runs all seeds and prints
docs/reference/campaigns.md's table.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller.demo.archive import make_archive
from tests.controller.disturbed import (
    SNAPSHOT_STEPS,
    WISHES,
    await_all,
    check_unharmed,
    in_peace,
    subscribe_operator,
)
from tests.controller.notify.receiver import receiving, status
from tests.controller.served import Serving
from tests.controller.sources.servers import web_server
from tests.fleet.chaos import API_BLOWS, HOST_BLOWS, PATIENCE_S, SERVICE_BLOWS, Bed, Chaos, plan
from tests.fleet.chaos_servers import ServerBed, baked, server_bed
from tests.fleet.control_plane import ControlPlane, until
from tests.fleet.hosts import BRIDGE, Host, hosts_up
from tests.fleet.pods.chaos_bed import PodBed, pod_bed

SEEDS = range(20)
CI_SEEDS = range(2)
"""The slice of the seeds that runs with every `make test`, on each bed."""

ALL_SEEDS = [
    pytest.param(seed, marks=() if seed in CI_SEEDS else pytest.mark.slow) for seed in SEEDS
]

MACHINES = 3
"""Of the cluster; a pod has one or two neighbours."""

LEFT_S_MAX = 90.0
"""What a stopped service has asked to end is gone by then [s]."""

URGENT = re.sub(r"PT\d+M", "PT20S", WISHES)
"""So short of time that more than one node is wanted; being late is no fault."""

SETTINGS = """
notify: {{hosts_allowed: [127.0.0.1], webhook_attempts_s: [0.2, 0.5, 1, 2, 4, 8]}}
planner:
  scaling: {{policy: prefix, nodes_max: 3, registration_s_max: {joined_s_max}}}
  dispatch: {{attempts_max: 12, retry_s: 0.2}}
"""
"""A part may lose every worker that is struck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """An archive, and what its products have to be."""

    archive: Path
    digests: dict[str, str]


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    archive = make_archive(tmp_path_factory.mktemp("archive"), profiles=200, seed=7).folder
    digests = in_peace(tmp_path_factory.mktemp("undisturbed"), archive)
    return Load(archive=archive, digests=digests)


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Host]]:
    """Make the hosts that are machines of the cluster."""
    with hosts_up("chaos", range(230, 240), tmp_path_factory.mktemp("hosts")) as new:
        yield {host.name: host for host in (new() for _ in range(MACHINES))}


@pytest.fixture
def pods(
    control_plane: ControlPlane, namespace: str, machines: dict[str, Host], tmp_path: Path
) -> Iterator[PodBed]:
    with pod_bed(control_plane, namespace, machines, tmp_path) as bed:
        yield bed


@pytest.fixture(scope="module")
def image(openstack_bed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bake what the servers of the cloud start from."""
    return baked(tmp_path_factory.mktemp("image"))


@pytest.fixture
def cloud(openstack_bed: Path, image: Path, tmp_path: Path) -> Iterator[ServerBed]:
    with server_bed(tmp_path, image) as bed:
        yield bed


@contextmanager
def reproducible(bed: Bed, seed: int, chaos: Chaos) -> Iterator[None]:
    """Say of a run that fails how to have it again."""
    try:
        yield
    except BaseException:
        print(f"\nmake chaos ARGS='-k {bed.name}[{seed}]'  # {'; '.join(chaos.told)}")
        raise


def test_a_plan_is_the_seeds_and_has_something_of_all() -> None:
    plans = [plan(seed, 20.0) for seed in SEEDS]
    assert plans == [plan(seed, 20.0) for seed in SEEDS]
    for blows in plans:
        kinds = {each.what for each in blows}
        assert all(kinds & set(those) for those in (HOST_BLOWS, API_BLOWS, SERVICE_BLOWS))
        assert [each.at_s for each in blows] == sorted(each.at_s for each in blows)
    happening = {each.what for blows in plans for each in blows}
    assert happening == {*HOST_BLOWS, *API_BLOWS, *SERVICE_BLOWS}


def survives(bed: Bed, seed: int, load: Load, folder: Path) -> None:
    """Bring a plan to a bed while a service works, and prove that it makes no difference."""
    began = time.monotonic()
    with receiving(status(200)) as receiver, web_server(load.archive, BRIDGE) as (url, _):
        settings = SETTINGS.format(joined_s_max=bed.joined_s_max) + bed.settings
        serving = Serving(folder=folder, archive=url, wishes=URGENT, settings=settings)
        subscribe_operator(serving, receiver.url)
        chaos = Chaos(serving, bed, plan(seed, bed.span_s))
        try:
            with reproducible(bed, seed, chaos):
                chaos.work()
                await_all(serving, receiver, PATIENCE_S)
                assert serving.stop(PATIENCE_S) == 0
                assert serving.all_end()
                steps = check_unharmed(serving, load.digests)
                until("nothing is left", lambda: not bed.left(), wait_s_max=LEFT_S_MAX)
        finally:
            serving.close()
    took_s = time.monotonic() - began
    print(f"| {seed} | {'; '.join(chaos.told)} | {serving.lives} | {steps} | {took_s:.0f} s |")


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", ALL_SEEDS)
def test_chaos_on_kubernetes(
    seed: int, pods: PodBed, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACKWATER_SERVICE__SNAPSHOT_STEPS", str(SNAPSHOT_STEPS))
    survives(pods, seed, load, tmp_path / "place")


@pytest.mark.slow  # Its first two seeds join every run once they are seen to pass.
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", SEEDS)
def test_chaos_on_openstack(
    seed: int, cloud: ServerBed, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACKWATER_SERVICE__SNAPSHOT_STEPS", str(SNAPSHOT_STEPS))
    survives(cloud, seed, load, tmp_path / "place")
