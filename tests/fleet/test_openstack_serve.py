"""`slackwater serve` whose only nodes are servers of a real OpenStack, set up by ssh."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from controller.demo.archive import make_archive
from controller.nodes.libcloud_access import login_of
from controller.nodes.libcloud_account import Account
from controller.nodes.libcloud_options import CloudOptions
from tests.controller.runs import PRODUCTS, WISHES, Order, delivered
from tests.controller.served import Serving
from tests.controller.sources.servers import web_server
from tests.fleet.hosts import BRIDGE, SCRIPT, run
from tests.fleet.openstack import LOGIN, names, provider_section

pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("openstack_bed")]

KINDS = ("list_nodes", "list_key_pairs", "ex_list_networks", "ex_list_security_groups")
"""Libcloud's listings of all that a fleet has of a cloud. A network that goes has no ports left."""

PATIENCE_S = 400.0
"""The whole takes 90 s on an idle machine; one that other tests use is slower by far."""

SETTINGS = """
engine: {{host: {host}}}
providers:
  cloud: {cloud}
nodes:
  vm:
    provider: cloud
    slots: 2
    slots_max: 2
    nodes_max: 1
    boot_s: 60
    options: {{size: m1.tiny, image: debian-fake}}
"""


def test_servers_that_it_makes_deliver_and_go(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "archive", profiles=200, seed=7).folder
    here = Order(folder=tmp_path / "here", archive=archive)
    account = Account("the test's", lambda: login_of("the test's", CloudOptions(**LOGIN)))

    def ours(*kinds: str) -> dict[str, list[str]]:
        found = names(account, *kinds)
        return {k: [each for each in v if mark_of(served) in each] for k, v in found.items()}

    with serving(tmp_path, archive) as served:
        served.until("a server is there", lambda: any(ours("list_nodes").values()), PATIENCE_S)
        assert all(ours(*KINDS).values())
        served.until("all is delivered", lambda: served.delivered(len(PRODUCTS)), PATIENCE_S)
        served.until(
            "a server that nobody needs goes",
            lambda: not any(ours("list_nodes").values()),
            PATIENCE_S,
        )
        assert served.stop(PATIENCE_S) == 0
        assert served.products() == by_hosts_of_this_machine(here)
        assert served.products().keys() == PRODUCTS
    assert not any(ours(*KINDS).values())


def mark_of(served: Serving) -> str:
    """Return the mark of what a service makes."""
    try:
        return (served.data / "service-id").read_text().strip()
    except FileNotFoundError:
        return "no mark yet"


def by_hosts_of_this_machine(order: Order) -> dict[str, str]:
    """Return the content of the same products as workers of this machine make them."""
    ended = order.run()
    assert ended.code == 0, ended.err
    return delivered(order.products)


@contextmanager
def serving(folder: Path, archive: Path) -> Iterator[Serving]:
    """Start a service for an archive that its servers reach, and see that all of it ends."""
    settings = SETTINGS.format(host=BRIDGE, cloud=provider_section(folder))
    run(str(SCRIPT), "net")
    with web_server(archive, BRIDGE) as (url, _):
        served = Serving(folder=folder / "place", archive=url, wishes=WISHES, settings=settings)
        try:
            served.start()
            yield served
        finally:
            with suppress(subprocess.TimeoutExpired):
                served.stop(PATIENCE_S)  # It takes its server along, also after a failure.
            served.close()
