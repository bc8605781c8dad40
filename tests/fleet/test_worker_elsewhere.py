"""Workers on other machines: real parts, links that are cut, and strangers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.demo.archive import PROFILES_MIN, DemoArchive, make_archive
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


def remove_inside(host: Host, path: Path) -> None:
    """Remove a file on a host that the network does not reach."""
    run(*host.inside("rm", str(path)))
