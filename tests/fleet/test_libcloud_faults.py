"""What a cloud does wrong leaks no machine, makes none twice, and is told as what it is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from controller.errors import NodeError, NodeFault
from controller.nodes import libcloud, libcloud_account, libcloud_setup
from controller.nodes.keeper import NodeKeeper
from controller.nodes.libcloud import LibcloudNodes
from controller.nodes.libcloud_access import login_of
from controller.nodes.libcloud_options import CloudOptions
from controller.ports import NodeState
from planner.commands import ProvisionNode, RemoveNode
from planner.events import NodeLost, NodeRefused, NodeRemoved
from tests.controller.engines.inbox import WAIT_S_MAX, Inbox
from tests.controller.nodes.test_libcloud_setup import Renewing
from tests.fleet.canned import SECRET, Cloud, Wrong, canned_cloud
from tests.fleet.clouds import cloud_nodes, machine_type

CREATE = "POST /servers"


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with canned_cloud() as cloud:
        yield cloud


@pytest.fixture
def nodes(cloud: Cloud, tmp_path: Path) -> LibcloudNodes:
    return provider(cloud, tmp_path)


def provider(cloud: Cloud, folder: Path, *, nodes_max: int = 60, **given: Any) -> LibcloudNodes:
    kind = machine_type("m1.tiny", "debian", nodes_max=nodes_max)
    return cloud_nodes(folder, cloud.options(**given), kind)


def test_an_error_after_a_success_makes_no_second_machine(
    cloud: Cloud, nodes: LibcloudNodes
) -> None:
    cloud.wrong[CREATE].append(Wrong(status=500, text="database is locked", after=True))
    nodes.create("n1", "small", 1)
    assert len(cloud.servers) == 1
    assert cloud.asked.count(CREATE) == 1


def test_an_error_without_a_success_is_tried_again(cloud: Cloud, nodes: LibcloudNodes) -> None:
    cloud.wrong[CREATE].append(Wrong(status=503, text="try again"))
    nodes.create("n1", "small", 1)
    assert len(cloud.servers) == 1
    assert [each.node_id for each in nodes.list_nodes()] == ["n1"]


@pytest.mark.parametrize(
    ("status", "text", "fault"),
    [
        (403, "Quota exceeded for instances: Requested 1, but already used 10", NodeFault.QUOTA),
        (403, "Policy doesn't allow os_compute_api:servers:create", NodeFault.CREDENTIALS),
        (400, "Invalid key_name provided", NodeFault.OURS),
        (413, "Quota exceeded, too many servers", NodeFault.QUOTA),
        (500, "No valid host was found", NodeFault.RETRY),
        (401, "token expired", NodeFault.CREDENTIALS),
    ],
)
def test_a_refusal_is_told_as_what_it_is(
    cloud: Cloud, nodes: LibcloudNodes, status: int, text: str, fault: NodeFault
) -> None:
    cloud.wrong[CREATE].extend([Wrong(status=status, text=text)] * 3)
    with pytest.raises(NodeError) as caught:
        nodes.create("n1", "small", 1)
    assert caught.value.fault is fault
    assert text in str(caught.value) or status == 401
    assert cloud.servers == {}
    assert SECRET not in str(caught.value)


def test_a_choice_of_networks_is_ours_to_make(cloud: Cloud, nodes: LibcloudNodes) -> None:
    text = "Multiple possible networks found, use a Network ID to be more specific."
    cloud.wrong[CREATE].append(Wrong(status=409, text=text))
    with pytest.raises(NodeError, match=r"Multiple possible.*option network") as caught:
        nodes.create("n1", "small", 1)
    assert caught.value.fault is NodeFault.OURS
    assert cloud.asked.count(CREATE) == 1


def test_a_pause_that_is_asked_for_is_made(cloud: Cloud, nodes: LibcloudNodes) -> None:
    nodes.list_nodes()
    cloud.wrong["GET /servers/detail"].append(
        Wrong(status=429, text="slow down", headers={"Retry-After": "1"})
    )
    began = time.monotonic()
    assert nodes.list_nodes() == ()
    assert time.monotonic() - began >= 1.0


def test_a_long_pause_is_not_waited_for(cloud: Cloud, nodes: LibcloudNodes) -> None:
    nodes.list_nodes()
    cloud.wrong["GET /servers/detail"].append(
        Wrong(status=429, text="slow down", headers={"Retry-After": "3600"})
    )
    for _ in range(2):
        with pytest.raises(NodeError, match="it asked for a pause") as caught:
            nodes.list_nodes()
        assert caught.value.retry
    assert cloud.asked.count("GET /servers/detail") == 2


def test_an_answer_that_is_none_is_asked_for_again(cloud: Cloud, nodes: LibcloudNodes) -> None:
    cloud.wrong["GET /servers/detail"].append(Wrong(status=200, body="<html>proxy"))
    assert nodes.list_nodes() == ()


def test_a_wrong_password_is_told_and_never_shown(cloud: Cloud, tmp_path: Path) -> None:
    nodes = provider(cloud, tmp_path, password=SecretStr("wrong-word"))
    with pytest.raises(NodeError) as caught:
        nodes.describe()
    assert caught.value.fault is NodeFault.CREDENTIALS
    login = login_of("cloud", cloud.options())
    for shown in (str(caught.value), repr(login), repr(cloud.options())):
        assert "wrong-word" not in shown
        assert SECRET not in shown


def test_a_failed_machine_is_broken_with_what_the_cloud_says(
    cloud: Cloud, nodes: LibcloudNodes
) -> None:
    nodes.create("n1", "small", 1)
    (server,) = cloud.servers.values()
    server |= {"status": "ERROR", "fault": {"message": "No valid host was found"}}
    (listing,) = nodes.list_nodes()
    assert (listing.state, listing.reason) == (NodeState.BROKEN, "No valid host was found")
    server["status"] = "SHUTOFF"
    assert nodes.list_nodes()[0].state is NodeState.BROKEN


def test_a_machine_that_was_made_twice_is_kept_once(cloud: Cloud, nodes: LibcloudNodes) -> None:
    nodes.create("n1", "small", 1)
    cloud.create({"name": "again", "metadata": next(iter(cloud.servers.values()))["metadata"]})
    cloud.create({"name": "anothers", "metadata": {"slackwater-service": "other"}})
    assert [each.node_id for each in nodes.list_nodes()] == ["n1"]
    assert [each["name"] for each in cloud.servers.values()] == [
        "slackwater-5ea1e55-n1",
        "anothers",
    ]


def test_fifty_creations_on_a_slow_cloud_keep_nobody(cloud: Cloud, nodes: LibcloudNodes) -> None:
    inbox = Inbox()
    nodes.create("old", "small", 1)
    keeper = NodeKeeper(nodes, inbox.put)
    keeper.expect(["old"], [])
    cloud.let_create.clear()
    pauses_s = []
    for number in range(50):
        began = time.monotonic()
        keeper.carry_out(
            ProvisionNode(node_id=f"n{number}", node_type="small", workers=1, reason="")
        )
        pauses_s.append(time.monotonic() - began)
    assert sorted(pauses_s)[48] < 0.1
    cloud.servers.clear()
    inbox.next(lambda event: isinstance(event, NodeLost))
    for number in range(50):
        keeper.carry_out(RemoveNode(node_id=f"n{number}", reason=""))
    cloud.let_create.set()
    for _ in range(50):
        inbox.next(lambda event: isinstance(event, NodeRemoved))
    assert cloud.servers == {}
    keeper.close()


def refused(create: Future[None]) -> NodeFault | None:
    error = create.exception(WAIT_S_MAX)
    assert error is None or isinstance(error, NodeError)
    return error.fault if error else None


def test_creations_at_the_same_time_are_no_more_than_may_stand(
    cloud: Cloud, tmp_path: Path
) -> None:
    nodes = provider(cloud, tmp_path, nodes_max=2)
    cloud.let_create.clear()
    with ThreadPoolExecutor(4) as lanes:
        asked = [lanes.submit(nodes.create, f"n{number}", "small", 1) for number in range(4)]
        # Two are refused while the others are still being made.
        assert all(each.exception() for each in islice(as_completed(asked, WAIT_S_MAX), 2))
        assert not cloud.servers
        cloud.let_create.set()
        faults = [refused(each) for each in asked]
    assert sorted(map(str, faults)) == ["None", "None", "quota", "quota"]
    assert len(cloud.servers) == 2


def test_a_creation_that_fails_gives_its_place_up(cloud: Cloud, tmp_path: Path) -> None:
    nodes = provider(cloud, tmp_path, nodes_max=1)
    cloud.wrong[CREATE].append(Wrong(status=400, text="Invalid key_name provided"))
    with pytest.raises(NodeError):
        nodes.create("n1", "small", 1)
    nodes.create("n2", "small", 1)
    assert [each.node_id for each in nodes.list_nodes()] == ["n2"]


OUTAGE_LOOKS = 120
"""Looks of ten minutes, with the pause of five seconds that is the settings' default."""


def test_ten_minutes_without_the_api_lose_no_node_and_no_removal(
    cloud: Cloud, nodes: LibcloudNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (libcloud, libcloud_account):
        monkeypatch.setattr(module, "PAUSE_S", 0.001)
    inbox = Inbox()
    for node_id in ("n1", "n2"):
        nodes.create(node_id, "small", 1)
    keeper = NodeKeeper(nodes, inbox.put)
    keeper.expect(["n1", "n2"], [])
    cloud.away = True
    since = len(cloud.asked)
    keeper.carry_out(RemoveNode(node_id="n2", reason=""))
    keeper.carry_out(ProvisionNode(node_id="n3", node_type="small", workers=1, reason=""))
    told = inbox.next(lambda event: isinstance(event, NodeRefused))
    assert isinstance(told, NodeRefused)
    assert told.retry
    give_up_at = time.monotonic() + WAIT_S_MAX
    while len(cloud.asked) < since + OUTAGE_LOOKS * libcloud_account.TRIES_MAX:
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    cloud.away = False
    inbox.next(lambda event: isinstance(event, NodeRemoved) and event.node_id == "n2")
    keeper.carry_out(ProvisionNode(node_id="n4", node_type="small", workers=1, reason=""))
    while len(cloud.servers) != 2:
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    keeper.close()
    assert not any(isinstance(event, NodeLost) for event in inbox.rest())
    assert sorted(each.node_id for each in nodes.list_nodes()) == ["n1", "n4"]


def test_what_a_killed_service_asked_for_is_swept_by_the_next(
    cloud: Cloud, nodes: LibcloudNodes, tmp_path: Path
) -> None:
    # The first is gone between its request and the answer: nobody knows of the machine.
    nodes.create("n1", "small", 1)
    inbox = Inbox()
    keeper = NodeKeeper(provider(cloud, tmp_path), inbox.put, unknown_s_max=0.2)
    inbox.next(lambda event: isinstance(event, NodeRemoved) and event.node_id == "n1")
    assert cloud.servers == {}
    keeper.close()


def test_a_cloud_that_is_away_refuses_and_is_used_when_it_is_back(
    cloud: Cloud, nodes: LibcloudNodes
) -> None:
    inbox = Inbox()
    keeper = NodeKeeper(nodes, inbox.put)
    cloud.wrong["GET /servers/detail"].extend([Wrong(status=503)] * 9)
    keeper.carry_out(ProvisionNode(node_id="n1", node_type="small", workers=1, reason=""))
    refused = inbox.next(lambda event: isinstance(event, NodeRefused))
    assert isinstance(refused, NodeRefused)
    assert refused.retry
    give_up_at = time.monotonic() + WAIT_S_MAX
    while cloud.wrong["GET /servers/detail"]:
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    keeper.carry_out(ProvisionNode(node_id="n2", node_type="small", workers=1, reason=""))
    while len(cloud.servers) != 1:
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    keeper.close()


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({}, "has no user"),
        ({"OS_USERNAME": "me"}, "has no password"),
        ({"OS_USERNAME": "me", "OS_PASSWORD": SECRET}, "has no url"),
        ({"OS_CLOUD": "nowhere"}, "cloud 'nowhere' is not in"),
    ],
)
def test_what_is_missing_of_a_login_is_named(environment: dict[str, str], says: str) -> None:
    with pytest.raises(NodeError, match=says) as caught:
        login_of("cloud", CloudOptions(driver="openstack"), environment)
    assert SECRET not in str(caught.value)


def test_a_login_comes_from_clouds_yaml_or_variables(tmp_path: Path) -> None:
    path = tmp_path / "clouds.yaml"
    path.write_text(
        "clouds: {egi: {auth_type: v3applicationcredential, region_name: r, auth: {auth_url:"
        " 'https://example.org/v3', application_credential_id: a,"
        f" application_credential_secret: {SECRET}}}}}}}\n"
    )
    file = {"OS_CLIENT_CONFIG_FILE": str(path)}
    login = login_of("cloud", CloudOptions(driver="openstack", cloud="egi"), file)
    assert login.given == ("a", SECRET)
    assert login.options["ex_force_auth_version"] == "3.x_appcred"
    assert login.options["ex_force_auth_url"] == "https://example.org"
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "eu-west-1"}
    login = login_of("cloud", CloudOptions(driver="ec2"), keys)
    assert (login.given, login.options["signature_version"]) == (("a", SECRET), "4")


def test_a_standing_machine_is_set_up_again_when_its_certificate_is_due(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preparation = Renewing(due={"n1"})
    kind = machine_type("m1.tiny", "debian")
    monkeypatch.setattr(libcloud_setup, "RENEW_S", 0.0)
    nodes = cloud_nodes(tmp_path, cloud.options(), kind, preparation=preparation)
    nodes.create("n1", "small", 1)
    give_up_at = time.monotonic() + WAIT_S_MAX
    while len(preparation.runs) < 2:
        assert time.monotonic() < give_up_at
        nodes.list_nodes()
    nodes.list_nodes()
    nodes.close()
    assert preparation.runs == [["n1"], ["n1"]]


def test_tags_that_others_wrote_name_no_node_and_no_file(
    cloud: Cloud, nodes: LibcloudNodes
) -> None:
    nodes.create("n1", "small", 1)
    nodes.create("n2", "small", 1)
    cloud.servers["s1"]["metadata"]["slackwater-node"] = "../../n2"
    assert "../../n2" not in [each.node_id for each in nodes.list_nodes()]
    assert nodes.delete("../../n2")
    assert set(cloud.servers) == {"s0", "s1"}


def test_a_tag_that_may_not_be_written_hides_no_node(cloud: Cloud, nodes: LibcloudNodes) -> None:
    nodes.create("n1", "small", 1)
    put = "PUT /servers/s0/metadata"
    cloud.wrong[put].extend([Wrong(status=500), Wrong(status=403, text="Policy says no")])
    nodes.resize("n1", 2)
    assert [each.workers for each in nodes.list_nodes()] == [2]
    assert cloud.asked.count(put) == 2
    cloud.wrong[put].append(Wrong(status=403, text="Policy says no"))
    with pytest.raises(NodeError, match="Policy"):
        nodes.resize("n1", 1)
    assert [each.workers for each in nodes.list_nodes()] == [2]


RC_FILE = {
    "OS_USERNAME": "me",
    "OS_PASSWORD": SECRET,
    "OS_PROJECT_NAME": "ours",
    "OS_USER_DOMAIN_NAME": "ocean",
    "OS_PROJECT_DOMAIN_ID": "d0",
    "OS_REGION_NAME": "here",
}
"""Of a dashboard, whose users and projects are not of the domain Default."""


@pytest.mark.parametrize(
    ("more", "user_domain", "project"),
    [
        ({}, {"name": "ocean"}, {"name": "ours", "domain": {"id": "d0"}}),
        ({"OS_PROJECT_ID": "p0"}, {"name": "ocean"}, {"id": "p0"}),
        (
            {"OS_PROJECT_DOMAIN_ID": "", "OS_PROJECT_DOMAIN_NAME": "ocean"},
            {"name": "ocean"},
            {"name": "ours", "domain": {"name": "ocean"}},
        ),
        (
            {"OS_USER_DOMAIN_NAME": "", "OS_PROJECT_DOMAIN_ID": ""},
            {"name": "Default"},
            {"name": "ours", "domain": {"id": "default"}},
        ),
    ],
)
def test_the_domains_of_a_dashboards_file_are_sent(
    cloud: Cloud, more: dict[str, str], user_domain: dict[str, str], project: dict[str, Any]
) -> None:
    variables = RC_FILE | {"OS_AUTH_URL": f"{cloud.url}/v3"} | more
    driver = login_of("cloud", CloudOptions(driver="openstack"), variables).new_driver()
    assert driver.list_nodes() == []
    assert [each.name for each in driver.list_images()] == ["debian"]
    for login in cloud.logins:
        assert login["identity"]["password"]["user"]["domain"] == user_domain
        assert login["scope"] == {"project": project}
    assert len(cloud.logins) == 2


def test_what_settings_say_of_domains_counts_first() -> None:
    variables = RC_FILE | {"OS_AUTH_URL": "https://example.org/v3", "OS_PROJECT_ID": "p0"}
    options = CloudOptions(driver="openstack", project="x", user_domain="u", project_domain="p")
    scope = login_of("cloud", options, variables).scope
    assert scope is not None
    assert scope.user_domain == {"name": "u"}
    assert scope.project == {"name": "x", "domain": {"id": "p"}}


def test_a_login_without_a_project_is_refused() -> None:
    variables = RC_FILE | {"OS_AUTH_URL": "https://example.org/v3", "OS_PROJECT_NAME": ""}
    with pytest.raises(NodeError, match="has no project"):
        login_of("cloud", CloudOptions(driver="openstack"), variables)


def test_secrets_lie_beside_clouds_yaml_and_its_authority_is_used(tmp_path: Path) -> None:
    path, authority = tmp_path / "clouds.yaml", tmp_path / "ca.pem"
    path.write_text(
        "clouds: {egi: {auth: {auth_url: 'https://example.org/v3', username: me,"
        f" project_id: p0, user_domain_id: d1}}, cacert: {authority}}}}}\n"
    )
    (tmp_path / "secure.yaml").write_text(f"clouds: {{egi: {{auth: {{password: {SECRET}}}}}}}\n")
    file = {"OS_CLIENT_CONFIG_FILE": str(path), "OS_CLOUD": "egi", "OS_PROJECT_NAME": "another"}
    with pytest.raises(NodeError, match="no file of certificates"):
        login_of("cloud", CloudOptions(driver="openstack"), file)
    authority.write_text("")
    login = login_of("cloud", CloudOptions(driver="openstack"), file)
    assert login.given == ("me", SECRET)
    assert SECRET not in repr(login)
    assert login.scope is not None
    assert (login.scope.user_domain, login.scope.project) == ({"id": "d1"}, {"id": "p0"})
    driver = login.new_driver()
    for each in (driver.connection, driver.image_connection, driver.network_connection):
        identity = each.get_auth_class()
        identity.connect()
        assert each.connection.ca_cert == identity.connection.ca_cert == str(authority)
