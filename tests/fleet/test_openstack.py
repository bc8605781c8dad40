"""Libcloud's provider on a real OpenStack."""

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
from controller.nodes.libcloud_options import CloudOptions
from controller.nodes.testing import check_node_provider
from controller.ports import NodeState
from tests.fleet.clouds import cloud_nodes, machine_type
from tests.fleet.openstack import openstack

WAIT_S_MAX = 120.0

pytestmark = pytest.mark.timeout(900)  # A busy machine builds a server in a minute.
URL = "http://127.0.0.1:25000/v3"

OWN_NETWORK = {
    "subnet_cidr": "10.77.0.0/24",
    "subnet_pool": "10.77.0.10-10.77.0.99",
    "reach_from": "10.77.0.1/32",
}


@pytest.fixture(scope="module", autouse=True)
def _bed() -> Iterator[None]:
    with openstack():
        yield


@pytest.fixture
def made() -> Iterator[list[LibcloudNodes]]:
    """Providers that are ended with all that they made, whatever happens."""
    providers: list[LibcloudNodes] = []
    yield providers
    for each in providers:
        each.close(end=True)


def options(**given: Any) -> CloudOptions:
    values: dict[str, Any] = {
        "driver": "openstack",
        "url": URL,
        "user": "sw",
        "password": SecretStr("sw"),
        "project": "sw",
        "region": "RegionOne",
        "poll_s": 0.5,
    }
    return CloudOptions(**(values | given))


def nodes(folder: Path, size: str = "m1.tiny", **given: Any) -> LibcloudNodes:
    image = given.pop("image", "debian-fake")
    kinds = machine_type(size, image, nodes_max=given.pop("nodes_max", 2))
    return cloud_nodes(folder, options(**given), kinds)


def until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + WAIT_S_MAX
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.2)


def names(provider: LibcloudNodes, *calls: str) -> dict[str, list[str]]:
    """Return the names of what the account has of each kind."""
    found = {call: provider.account.read(call, methodcaller(call)) for call in calls}
    return {call: [each.name for each in listed] for call, listed in found.items()}


def test_the_contract_on_a_network_of_our_own_that_goes_with_the_fleet(
    tmp_path: Path, made: list[LibcloudNodes]
) -> None:
    provider = nodes(tmp_path, **OWN_NETWORK)
    made.append(provider)
    check_node_provider(
        provider, reopen=lambda: nodes(tmp_path, **OWN_NETWORK), wait_s_max=WAIT_S_MAX
    )
    kinds = ("ex_list_networks", "ex_list_subnets", "ex_list_security_groups", "list_key_pairs")
    ours = "slackwater-5ea1e55"
    assert all(ours in each for each in names(provider, *kinds).values())
    provider.create("n1", "small", 1)
    provider.close(end=True)
    left = names(nodes(tmp_path), *kinds, "list_nodes")
    assert not any(ours in name for each in left.values() for name in each), left


@pytest.mark.parametrize(
    ("given", "says", "fault"),
    [
        ({"password": SecretStr("wrong")}, "cannot list machines", NodeFault.CREDENTIALS),
        ({"size": "m1.vast"}, "no size 'm1.vast'", NodeFault.OURS),
        ({"image": "plan9"}, "no image 'plan9'", NodeFault.OURS),
        ({"url": "http://127.0.0.1:9/v3"}, "does not answer", NodeFault.RETRY),
        ({"project": "nobodys"}, "cannot list machines", NodeFault.CREDENTIALS),
    ],
)
def test_what_is_wrong_is_told(
    tmp_path: Path, given: dict[str, Any], says: str, fault: NodeFault
) -> None:
    provider = nodes(tmp_path, **given)
    with pytest.raises(NodeError, match=says) as caught:
        provider.describe()
    assert caught.value.fault is fault
    assert "wrong" not in str(caught.value)


def test_a_network_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="no network 'atlantis'"):
        nodes(tmp_path, network="atlantis").create("n1", "small", 1)


def test_a_full_quota_is_told_and_offered(tmp_path: Path, made: list[LibcloudNodes]) -> None:
    provider = nodes(tmp_path, nodes_max=20, network="swnet")
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
    tmp_path: Path, made: list[LibcloudNodes]
) -> None:
    provider = nodes(tmp_path, size="m1.medium", network="swnet")
    made.append(provider)
    provider.create("n1", "small", 1)
    until(lambda: provider.list_nodes()[0].state is NodeState.RUNNING)
    break_server(provider, "n1")
    until(lambda: provider.list_nodes()[0].state is NodeState.BROKEN)
    until(lambda: provider.delete("n1"))
    assert provider.list_nodes() == ()


def break_server(provider: LibcloudNodes, node_id: str) -> None:
    """Have the cloud's operator say that a server has failed."""
    (machine,) = (each for each in provider._all_machines() if each.node_id == node_id)
    admin = cloud_nodes(
        provider.key_file.parent / "admin",
        options(user="admin", password=SecretStr("admin"), project="admin"),
        machine_type("m1.tiny", "debian-fake"),
    )
    admin.account.act(
        "break a server",
        lambda driver: driver.connection.request(
            f"/servers/{machine.machine_id}/action",
            method="POST",
            data={"os-resetState": {"state": "error"}},
        ),
    )
