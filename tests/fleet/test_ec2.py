"""Libcloud's provider against the protocol of EC2, or one's own account where that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from libcloud.compute.drivers.ec2 import EC2Connection

from controller.errors import NodeError, NodeFault
from controller.nodes.libcloud_access import login_of
from controller.nodes.testing import check_node_provider
from tests.fleet.clouds import Cloud
from tests.fleet.ec2 import an_ec2
from tests.fleet.faulty_ec2 import faulty_ec2

CAPACITY, QUOTA, CREDENTIALS = NodeFault.CAPACITY, NodeFault.QUOTA, NodeFault.CREDENTIALS
RETRY, OURS = NodeFault.RETRY, NodeFault.OURS


@pytest.fixture(scope="module")
def cloud(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cloud]:
    with an_ec2(request.config, tmp_path_factory.mktemp("ec2")) as cloud:
        yield cloud


@pytest.mark.timeout(1800)  # Instances of one's own account may take minutes each.
def test_the_contract(tmp_path: Path, cloud: Cloud) -> None:
    provider = cloud.nodes(tmp_path, **cloud.network)
    try:
        check_node_provider(
            provider,
            reopen=lambda: cloud.nodes(tmp_path, **cloud.network),
            wait_s_max=cloud.wait_s_max,
        )
        provider.create("n1", "small", 1)
    finally:
        provider.close(end=True)
    assert cloud.nodes(tmp_path).list_nodes() == ()


@pytest.mark.parametrize(
    ("size", "image", "says"),
    [("t2.nano-not", "", "no size 't2.nano-not'"), ("", "ami-0", "no image 'ami-0'")],
)
def test_what_a_cloud_does_not_have_is_named(
    tmp_path: Path, cloud: Cloud, size: str, image: str, says: str
) -> None:
    provider = cloud.nodes(tmp_path, size=size, image=image)
    for call in (provider.describe, lambda: provider.create("n1", "small", 1)):
        with pytest.raises(NodeError, match=says) as caught:
            call()
        assert caught.value.fault is NodeFault.OURS


def test_groups_of_a_subnet_are_asked_for_by_id(
    tmp_path: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    bed = cloud.bed()
    driver = login_of("cloud", bed.options()).new_driver()
    other = driver.ex_create_network("10.9.0.0/16")
    subnet = driver.ex_list_subnets()[0]
    vpc_id = subnet.extra["vpc_id"]
    # One of the same name stands in another network.
    driver.ex_create_security_group("nodes", "of another", vpc_id=other.id)
    ours = driver.ex_create_security_group("nodes", "ours", vpc_id=vpc_id)["group_id"]
    asked: list[dict[str, str]] = []
    send: Any = EC2Connection.request

    def noted(connection: Any, action: str, params: Any = None, **more: Any) -> Any:
        asked.append(dict(params or {}))
        return send(connection, action, params=params, **more)

    monkeypatch.setattr(EC2Connection, "request", noted)
    provider = bed.nodes(tmp_path, network=subnet.id, security_groups=("nodes",))
    try:
        for node_id in ("n1", "n2"):
            provider.create(node_id, "small", 1)
        runs = [each for each in asked if each["Action"] == "RunInstances"]
        assert [each["SecurityGroupId.1"] for each in runs] == [ours, ours]
        assert [each["SubnetId"] for each in runs] == [subnet.id] * 2
        assert not any("SecurityGroup.1" in each for each in runs)
        looked = [each for each in asked if each["Action"] == "DescribeSecurityGroups"]
        assert len(looked) == 1
        made = [each for each in driver.list_nodes() if each.extra["subnet_id"] == subnet.id]
        found = {each["group_id"] for node in made for each in node.extra["groups"]}
        assert found == {ours}
    finally:
        provider.close(end=True)
    missing = bed.nodes(tmp_path, network=subnet.id, security_groups=("nobodys",))
    with pytest.raises(NodeError, match=f"no security group 'nobodys' in {vpc_id}") as caught:
        missing.create("n3", "small", 1)
    assert caught.value.fault is NodeFault.OURS


ERRORS = (
    ((500, "InsufficientInstanceCapacity", "We do not have sufficient capacity"), CAPACITY),
    ((400, "InsufficientFreeAddressesInSubnet", "There are not enough addresses"), CAPACITY),
    ((400, "SpotMaxPriceTooLow", "Your Spot request price is lower than the minimum"), CAPACITY),
    ((400, "InstanceLimitExceeded", "Your quota allows for 0 more instances"), QUOTA),
    ((400, "VcpuLimitExceeded", "You have requested more vCPU capacity than your limit"), QUOTA),
    ((400, "MaxSpotInstanceCountExceeded", "Max spot instance count exceeded"), QUOTA),
    ((401, "AuthFailure", "AWS was not able to validate the credentials"), CREDENTIALS),
    ((403, "UnauthorizedOperation", "You are not authorized"), CREDENTIALS),
    ((400, "RequestExpired", "Request has expired"), CREDENTIALS),
    ((503, "RequestLimitExceeded", "Request limit exceeded."), RETRY),
    ((500, "InternalError", "An internal error has occurred"), RETRY),
    ((400, "InvalidParameterValue", "Invalid value for instanceType"), OURS),
)


@pytest.mark.parametrize(("error", "fault"), ERRORS, ids=[error[1] for error, _ in ERRORS])
def test_a_refusal_of_an_instance_is_told_as_what_it_is(
    tmp_path: Path, cloud: Cloud, error: tuple[int, str, str], fault: NodeFault
) -> None:
    with faulty_ec2(cloud.bed().login["url"]) as api:
        api.wrong["RunInstances"].extend([error] * 3)
        provider = cloud.nodes(tmp_path, url=api.url)
        with pytest.raises(NodeError, match=error[2]) as caught:
            provider.create("n1", "small", 1)
        assert caught.value.fault is fault
        assert provider.list_nodes() == ()
        assert len(api.wrong["RunInstances"]) == (0 if fault is RETRY else 2)


def test_an_instance_that_is_gone_needs_no_end(tmp_path: Path, cloud: Cloud) -> None:
    with faulty_ec2(cloud.bed().login["url"]) as api:
        provider = cloud.nodes(tmp_path, url=api.url)
        provider.create("n1", "small", 1)
        gone = (400, "InvalidInstanceID.NotFound", "The instance ID 'i-1' does not exist")
        api.wrong["TerminateInstances"].append(gone)
        assert provider.delete("n1") is False
        api.wrong["CreateTags"].append(gone)
        with pytest.raises(NodeError) as caught:
            provider.resize("n1", 2)
        assert caught.value.fault is NodeFault.GONE
        provider.close(end=True)
    assert cloud.nodes(tmp_path).list_nodes() == ()
