"""Libcloud's provider on a real OpenStack: the bed, or one's own where that is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from operator import methodcaller
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from controller.errors import NodeError, NodeFault
from controller.nodes.libcloud import LibcloudNodes
from controller.nodes.testing import check_node_provider
from controller.ports import NodeState
from tests.fleet.clouds import Cloud, cloud_nodes, machine_type
from tests.fleet.openstack import WAIT_S_MAX, an_openstack
from tests.fleet.own_cloud import own_cloud

pytestmark = pytest.mark.timeout(1800)  # Servers on one's own cloud may take minutes each.


@pytest.fixture(scope="module")
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    if own_cloud("openstack") is None:
        request.getfixturevalue("openstack_bed")  # It stays up for the tests of other files.
    with an_openstack(request.config) as cloud:
        yield cloud


@pytest.fixture
def bed(cloud: Cloud) -> Cloud:
    """A cloud that may be filled and broken."""
    return cloud.bed()


@pytest.fixture
def made() -> Iterator[list[LibcloudNodes]]:
    """Providers that are ended with all that they made, whatever happens."""
    providers: list[LibcloudNodes] = []
    yield providers
    for each in providers:
        each.close(end=True)


def until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + WAIT_S_MAX
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.2)


def names(provider: LibcloudNodes, *calls: str) -> dict[str, list[str]]:
    """Return the names of what the account has of each kind."""
    found = {call: provider.account.read(call, methodcaller(call)) for call in calls}
    return {call: [each.name for each in listed] for call, listed in found.items()}


def test_the_contract_and_that_what_is_made_goes_with_the_fleet(
    tmp_path: Path, cloud: Cloud, made: list[LibcloudNodes]
) -> None:
    provider = cloud.nodes(tmp_path, **cloud.network)
    made.append(provider)
    check_node_provider(
        provider,
        reopen=lambda: cloud.nodes(tmp_path, **cloud.network),
        wait_s_max=cloud.wait_s_max,
    )
    of_network = ("ex_list_networks", "ex_list_subnets", "ex_list_security_groups")
    kinds = ("list_key_pairs", *(of_network if "subnet_cidr" in cloud.network else ()))
    ours = f"slackwater-{cloud.mark}"
    assert all(ours in each for each in names(provider, *kinds).values())
    provider.create("n1", "small", 1)
    provider.close(end=True)
    left = names(cloud.nodes(tmp_path), *kinds, "list_nodes")
    assert not any(ours in name for each in left.values() for name in each), left


@pytest.mark.parametrize(
    ("given", "says", "fault"),
    [
        ({"size": "m1.vast"}, "no size 'm1.vast'", NodeFault.OURS),
        ({"image": "plan9"}, "no image 'plan9'", NodeFault.OURS),
        ({"url": "http://127.0.0.1:9/v3"}, "does not answer", NodeFault.RETRY),
    ],
)
def test_what_is_wrong_is_told(
    tmp_path: Path, cloud: Cloud, given: dict[str, Any], says: str, fault: NodeFault
) -> None:
    provider = cloud.nodes(tmp_path, **given)
    with pytest.raises(NodeError, match=says) as caught:
        provider.describe()
    assert caught.value.fault is fault


@pytest.mark.parametrize("given", [{"password": SecretStr("wrong")}, {"project": "nobodys"}])
def test_who_is_not_let_in_is_told_so(tmp_path: Path, bed: Cloud, given: dict[str, Any]) -> None:
    with pytest.raises(NodeError, match="cannot list machines") as caught:
        bed.nodes(tmp_path, **given).describe()
    assert caught.value.fault is NodeFault.CREDENTIALS
    assert "wrong" not in str(caught.value)


def test_a_network_that_is_not_there_is_named(tmp_path: Path, cloud: Cloud) -> None:
    with pytest.raises(NodeError, match="no network 'atlantis'"):
        cloud.nodes(tmp_path, network="atlantis").create("n1", "small", 1)


def test_a_full_quota_is_told_and_offered(
    tmp_path: Path, bed: Cloud, made: list[LibcloudNodes]
) -> None:
    provider = bed.nodes(tmp_path, nodes_max=20, network="swnet")
    made.append(provider)
    (offer,) = provider.describe()
    assert offer.nodes_max == 10
    for number in range(10):
        provider.create(f"n{number}", "small", 1)
    with pytest.raises(NodeError, match="Quota exceeded") as caught:
        provider.create("n10", "small", 1)
    assert caught.value.fault is NodeFault.QUOTA
    assert len(provider.list_nodes()) == 10
    assert provider.describe()[0].nodes_max == 0


def test_a_server_that_fails_is_broken_at_once_and_goes(
    tmp_path: Path, bed: Cloud, made: list[LibcloudNodes]
) -> None:
    provider = bed.nodes(tmp_path, size="m1.medium", network="swnet")
    made.append(provider)
    provider.create("n1", "small", 1)
    until(lambda: provider.list_nodes()[0].state is NodeState.RUNNING)
    break_server(bed, provider, "n1")
    until(lambda: provider.list_nodes()[0].state is NodeState.BROKEN)
    until(lambda: provider.delete("n1"))
    assert provider.list_nodes() == ()


def break_server(bed: Cloud, provider: LibcloudNodes, node_id: str) -> None:
    """Have the cloud's operator say that a server has failed."""
    (machine,) = (each for each in provider._all_machines() if each.node_id == node_id)
    admin = cloud_nodes(
        provider.key_file.parent / "admin",
        bed.options(user="admin", password=SecretStr("admin"), project="admin"),
        machine_type(bed.size, bed.image),
    )
    admin.account.act(
        "break a server",
        lambda driver: driver.connection.request(
            f"/servers/{machine.machine_id}/action",
            method="POST",
            data={"os-resetState": {"state": "error"}},
        ),
    )
