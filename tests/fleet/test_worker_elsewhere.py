"""Workers on other machines: real parts, links that are cut, and strangers."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.authority import CERTIFICATE, DAY_S, VALID_S, Authority
from controller.demo.archive import PROFILES_MIN, DemoArchive, make_archive
from controller.engines.connection import CREDENTIALS
from controller.errors import NodeError
from controller.nodes.joining import JOIN
from controller.partition import opened, view_of
from controller.ports import fragment_stem
from planner.events import AttemptLost, PartFinished
from planner.extent import GLOBE, Extent, Period
from planner.model import Fragment, Selection, UpdateSpan
from tests.controller.engines import works
from tests.controller.engines.carrier import until, work
from tests.fleet.elsewhere import Elsewhere, drain, ended, equip, within
from tests.fleet.hosts import Host, NewHost, run

LEASE_S = 5.0
ORPHAN_S = 10.0
WHOLE = UpdateSpan(after=None, upto=0)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> DemoArchive:
    return make_archive(tmp_path_factory.mktemp("gdac"), profiles=PROFILES_MIN, seed=3)


@pytest.fixture(scope="module")
def hosts(new_host: NewHost, archive: DemoArchive) -> tuple[Host, Host]:
    """Two hosts that see this checkout and the archive, and nothing else of this machine."""
    return equip(new_host(), archive.folder), equip(new_host(), archive.folder)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Elsewhere]:
    opened = Elsewhere(tmp_path / "service", lease_s=LEASE_S, orphan_s=ORPHAN_S)
    yield opened
    opened.close()


def test_a_part_runs_elsewhere_and_the_product_of_its_fragment_is_right(
    elsewhere: Elsewhere, hosts: tuple[Host, Host], archive: DemoArchive, tmp_path: Path
) -> None:
    host, _ = hosts
    application = opened(str(archive.folder), elsewhere.fragments)
    view = view_of(application, Extent(box=GLOBE, period=Period()), {})
    worker = elsewhere.node(host, "n1", reachable_urls=(str(archive.folder),))
    order = application.part_order(view, view.extent, WHOLE, fragment_stem("t1-0/0", 1))
    elsewhere.engine.submit([work("n1", "t1-0/0", application.extract, order)])
    (done,) = elsewhere.inbox.ended(1)
    assert isinstance(done, PartFinished), done
    assert [str(each) for each in elsewhere.fragments.iterdir()] == [done.fragment.url]
    here = application.extract(
        replace(order, fragment_url=str(tmp_path / "here" / "t1-0-0.a1.npz"))
    )
    assert replace(done.fragment, url=here.url) == here

    def digest(name: str, fragment: Fragment) -> str:
        selection = Selection(view=view, updates=WHOLE)
        product = application.combine(application.product_order(selection, (fragment,), name, "s1"))
        assert product.rows > 0
        return product.digest

    assert digest("far", done.fragment) == digest("near", here)
    drain(host)
    assert ended(worker)[0] == 0


def test_a_node_that_is_cut_off_loses_its_part_and_then_ends(
    elsewhere: Elsewhere, hosts: tuple[Host, Host]
) -> None:
    cut_off, other = hosts
    holding = Path("/tmp/held")
    worker = elsewhere.node(cut_off, "n1")
    elsewhere.engine.submit([work("n1", "p1", works.hold, holding)])
    until(lambda: cut_off.run(f"cat {holding} 2>/dev/null || true"))
    cut_off.link("down")
    with within(60.0) as since:
        (lost,) = elsewhere.inbox.ended(1)
        print(f"lost after {since():.1f} s with a lease of {LEASE_S:.0f} s")
    assert isinstance(lost, AttemptLost)
    assert (lost.part_id, lost.attempt) == ("p1", 1)
    assert "no sign of life" in lost.reason
    elsewhere.inbox.ready("n1", 0)
    elsewhere.node(other, "n2")
    elsewhere.engine.submit([work("n2", "p1", works.fragment, attempt=2)])
    (done,) = elsewhere.inbox.ended(1)
    assert isinstance(done, PartFinished)
    assert (done.attempt, done.node_id) == (2, "n2")
    with within(120.0) as since:
        code, said = ended(worker)
        print(f"ended {since():.1f} s after that, with orphan_s {ORPHAN_S:.0f}")
    assert code == 75
    assert f"for {ORPHAN_S:.0f} s" in said
    cut_off.link("up")
    assert elsewhere.inbox.rest() == []


def test_what_a_node_did_while_it_was_cut_off_is_not_taken(
    elsewhere: Elsewhere, hosts: tuple[Host, Host]
) -> None:
    cut_off, _ = hosts
    holding = Path("/tmp/held")
    worker = elsewhere.node(cut_off, "n1", orphan_s=60.0)
    elsewhere.engine.submit([work("n1", "p1", works.hold, holding)])
    until(lambda: cut_off.run(f"cat {holding} 2>/dev/null || true"))
    cut_off.link("down")
    (lost,) = elsewhere.inbox.ended(1)
    assert isinstance(lost, AttemptLost)
    elsewhere.inbox.ready("n1", 0)
    remove_inside(cut_off, holding)  # It ends, and says so as soon as it can.
    cut_off.link("up")
    elsewhere.inbox.ready("n1", 1)
    assert elsewhere.inbox.rest() == []
    elsewhere.engine.acknowledge([("p1", 1)])
    until(lambda: elsewhere.engine.attempts() == ())
    drain(cut_off)
    assert ended(worker)[0] == 0


def without_credentials(elsewhere: Elsewhere, folder: Path) -> None:
    (folder / CREDENTIALS).unlink()


def of_another_authority(elsewhere: Elsewhere, folder: Path) -> None:
    other = Authority(elsewhere.folder / "other")
    (folder / CREDENTIALS).unlink()
    other.credentials("n1", folder / CREDENTIALS)
    shutil.copy(elsewhere.folder / "tls" / CERTIFICATE, folder / CERTIFICATE)


def expired(elsewhere: Elsewhere, folder: Path) -> None:
    then = time.time() - VALID_S - DAY_S
    (folder / CREDENTIALS).unlink()
    Authority(elsewhere.folder / "tls", clock=lambda: then).credentials("n1", folder / CREDENTIALS)


def of_another_version(elsewhere: Elsewhere, folder: Path) -> None:
    told = json.loads((folder / JOIN).read_text())
    (folder / JOIN).write_text(json.dumps(told | {"version": "0.0.1"}))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (without_credentials, "no good credentials"),
        (of_another_authority, "TLSV1_ALERT_UNKNOWN_CA"),
        (expired, "SSLV3_ALERT_CERTIFICATE_EXPIRED"),
        (of_another_version, "Install slackwater 0.0.1"),
    ],
)
def test_who_has_no_good_credentials_is_refused_at_once(
    elsewhere: Elsewhere,
    hosts: tuple[Host, Host],
    spoil: Callable[[Elsewhere, Path], None],
    why: str,
) -> None:
    folder = elsewhere.join_folder("n1", orphan_s=60.0)
    spoil(elsewhere, folder)
    code, said = ended(elsewhere.start(hosts[0], folder))
    assert (code, why in said) == (78, True), said
    assert elsewhere.inbox.rest() == []


def test_a_node_that_was_removed_is_let_in_no_more(
    elsewhere: Elsewhere, hosts: tuple[Host, Host]
) -> None:
    worker = elsewhere.node(hosts[0], "n1")
    elsewhere.engine.connection.revoke("n1")
    elsewhere.inbox.ready("n1", 0)
    code, said = ended(worker)
    assert code == 75, said
    assert elsewhere.inbox.rest() == []
    with pytest.raises(NodeError, match="n1 was removed"):
        elsewhere.join_folder("n1")
    elsewhere.node(hosts[1], "n2")


def remove_inside(host: Host, path: Path) -> None:
    """Remove a file on a host that the network does not reach."""
    run(*host.inside("rm", str(path)))
