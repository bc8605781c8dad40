"""Fragments of workers that do not see where they lie come back with their receipts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from controller.engines.messages import PartDone, PartRefused, from_wire, to_wire
from controller.engines.part import answer_of, pack
from controller.engines.receiving import CONTENT_BYTES_MAX, taken_in
from controller.returning import _Process, return_unseen
from planner.model import Fragment
from tests.controller.engines import works
from tests.controller.engines.carrier import work


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Path]:
    """This process is a worker that sees nothing of its service; where it puts things by."""
    return_unseen(tmp_path / "away", ("/archive",))
    yield tmp_path / "away"
    _Process.returning = None


@pytest.fixture
def fragments(tmp_path: Path) -> Path:
    folder = tmp_path / "fragments"
    folder.mkdir()
    return folder


def answer(url: str, size_bytes: int = 1000) -> PartDone | PartRefused:
    part = work("n1", "t1/0", works.written, (url, size_bytes))
    told = from_wire(to_wire(answer_of("t1/0", 2, pack(part), 60.0, "n1/0")))
    assert isinstance(told, PartDone | PartRefused)
    return told


def test_a_fragment_comes_with_its_receipt_and_is_written_before_it_is_told(
    away: Path, fragments: Path
) -> None:
    done = answer(f"{fragments}/t1-0.a2.bin")
    assert list(away.iterdir()) == list(fragments.iterdir()) == []
    assert isinstance(done, PartDone)
    told = taken_in(done, str(fragments))
    assert told == PartDone(
        part_id="t1/0", attempt=2, name="n1/0", run_s=done.run_s, fragment=done.fragment
    )
    (file,) = fragments.iterdir()
    assert str(file) == done.fragment.url
    assert hashlib.sha256(file.read_bytes()).hexdigest() == done.fragment.sha256


def test_one_that_is_too_large_is_told_with_what_to_do(away: Path, fragments: Path) -> None:
    refused = answer(f"{fragments}/t1-0.a2.bin", CONTENT_BYTES_MAX + 1)
    assert isinstance(refused, PartRefused)
    assert "Set service.fragments_url" in refused.reason
    assert not refused.retry
    assert list(away.iterdir()) == []


def test_what_a_worker_sees_it_writes_to_itself(away: Path, fragments: Path) -> None:
    return_unseen(away, (str(fragments),))
    done = answer(f"{fragments}/t1-0.a2.bin")
    assert isinstance(done, PartDone)
    assert done.content is None
    assert len(list(fragments.iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        ("../up/t1-0.a2.bin", {}, "is not where its fragments lie"),
        ("t1-1.a2.bin", {}, "is not where its fragments lie"),
        ("t1-0.a2.bin", {"size_bytes": 7}, "bytes came of 7"),
        ("t1-0.a2.bin", {"sha256": "0" * 64}, "its checksum is another"),
        ("t1-0.a2.bin/", {}, "is not where its fragments lie"),
    ],
)
def test_what_is_not_the_fragment_of_the_part_is_not_taken(
    fragments: Path, name: str, change: dict[str, object], why: str
) -> None:
    content = b"some"
    fragment = Fragment(
        url=f"{fragments}/{name}", rows=1, size_bytes=4, sha256=hashlib.sha256(content).hexdigest()
    )
    changed: Fragment = replace(fragment, **change)  # type: ignore[arg-type]
    done = PartDone(
        part_id="t1/0", attempt=2, name="n1/0", run_s=1.0, fragment=changed, content=content
    )
    refused = taken_in(done, str(fragments))
    assert isinstance(refused, PartRefused)
    assert why in refused.reason
    assert refused.retry
    assert list(fragments.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(fragments: Path) -> None:
    fragments.rmdir()
    fragment = Fragment(
        url=f"{fragments}/t1-0.a2.bin", rows=1, size_bytes=0, sha256=hashlib.sha256().hexdigest()
    )
    done = PartDone(
        part_id="t1/0", attempt=2, name="n1/0", run_s=1.0, fragment=fragment, content=b""
    )
    refused = taken_in(done, str(fragments))
    assert isinstance(refused, PartRefused)
    assert "No such file or directory" in refused.reason


@pytest.mark.parametrize("name", ["t1-0.a2.\0", "t1-0.a2.bin\n", "t1-0.a2.bin.partial"])
def test_names_that_are_no_plain_ones_are_refused(away: Path, fragments: Path, name: str) -> None:
    done = answer(f"{fragments}/t1-0.a2.bin")
    assert isinstance(done, PartDone)
    moved = structs.replace(done, fragment=replace(done.fragment, url=f"{fragments}/{name}"))
    assert isinstance(taken_in(moved, str(fragments)), PartRefused)
    assert list(fragments.iterdir()) == []


def test_a_name_too_long_for_the_folder_is_told(away: Path, fragments: Path) -> None:
    done = answer(f"{fragments}/t1-0.a2.bin")
    assert isinstance(done, PartDone)
    url = f"{fragments}/t1-0.a2.{'x' * 300}"
    moved = structs.replace(done, fragment=replace(done.fragment, url=url))
    refused = taken_in(moved, str(fragments))
    assert isinstance(refused, PartRefused)
    assert "too long" in refused.reason
