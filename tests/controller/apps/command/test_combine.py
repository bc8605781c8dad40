"""Fragments become one product: lines, bytes or a package, the same each time, and a manifest."""

from __future__ import annotations

import hashlib
import io
import json
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from controller.apps.command.combine import combine
from controller.apps.command.fragment import BLOCK_BYTES, Head, measured, write_fragment
from controller.apps.command.joining import HEADER_BYTES_MAX
from controller.apps.command.orders import CombineOrder, Form, Join, ListedFile
from controller.errors import CommandError, StorageError
from controller.product_files import manifest_url
from planner.model import Fragment, Product
from tests.controller.apps.command.orders import (
    BINARY,
    CSV,
    DATASET,
    PACKAGE,
    UPDATES,
    also,
    product,
)

FILES = (ListedFile(path="01.csv", size_bytes=9, stamp="1.5"),)


def left(folder: Path, *written: bytes, form: Form = CSV) -> tuple[Fragment, ...]:
    """Return the fragments of commands that have written this."""
    number = len(list(folder.glob("*.part")))
    return tuple(
        _left(folder / f"{place}.part", body, form) for place, body in enumerate(written, number)
    )


def _left(path: Path, body: bytes, form: Form) -> Fragment:
    found = measured(io.BytesIO(body))
    head = Head(
        dataset=DATASET,
        bbox=(0.0, 0.0, 1.0, 1.0),
        datetime=f"../{path.stem}",
        rows=found.rows(form),
        size_bytes=found.size_bytes,
        sha256=found.sha256,
        tool_version="cut 1",
        files=FILES,
    )
    return write_fragment(str(path), head, io.BytesIO(body))


def content(made: Product) -> bytes:
    """Return the product's bytes, having checked them against what is said of them."""
    found = Path(made.url).read_bytes()
    assert made.size_bytes == len(found)
    assert made.sha256 == made.digest == hashlib.sha256(found).hexdigest()
    return found


def manifest(order: CombineOrder) -> dict[str, object]:
    told: dict[str, object] = json.loads(Path(manifest_url(order.product_url)).read_text())
    return told


LONG = b"x" * (BLOCK_BYTES + 5)


@pytest.mark.parametrize(
    ("header_lines", "fragments", "expected"),
    [
        (1, [b"h\n1\n", b"h\n2\n3\n"], b"h\n1\n2\n3\n"),
        (1, [b"h\n1", b"h\n2"], b"h\n1\n2\n"),
        (1, [b"", b"h\n", b"h", b"h\n2\n", b""], b"h\n2\n"),
        (1, [b"", b""], b""),
        (1, [], b""),
        (0, [b"1\n", b"", b"2"], b"1\n2\n"),
        (2, [b"h\nu\n1\n", b"h\nu\n2\n"], b"h\nu\n1\n2\n"),
        (1, [LONG[:9] + b"\n" + LONG, LONG[:9] + b"\n2"], LONG[:9] + b"\n" + LONG + b"\n2\n"),
    ],
)
def test_lines_follow_each_other_under_one_header(
    header_lines: int, fragments: list[bytes], expected: bytes, tmp_path: Path
) -> None:
    form = replace(CSV, header_lines=header_lines)
    made = combine(product(tmp_path, left(tmp_path, *fragments, form=form), form))
    assert content(made) == expected
    assert made.rows == max(0, expected.count(b"\n") - header_lines)
    assert Path(made.url).name == "p-v1-to-u0.csv"


@pytest.mark.parametrize(
    ("fragments", "fault"),
    [
        ([b"a,b\n1,2\n", b"b,a\n2,1\n"], "../1 begins with other header lines"),
        ([b"a,b\n1,2\n", b"\n2,1\n"], "../1 begins with other header lines"),
        ([b"a" * (HEADER_BYTES_MAX + 9)], "../0 has fewer than 2 header lines"),
    ],
)
def test_fragments_that_do_not_belong_together_make_no_product(
    fragments: list[bytes], fault: str, tmp_path: Path
) -> None:
    form = CSV if len(fragments) > 1 else replace(CSV, header_lines=2)
    order = product(tmp_path, left(tmp_path, *fragments), form)
    with pytest.raises(CommandError) as caught:
        combine(order)
    assert fault in str(caught.value)
    assert not caught.value.retry
    assert {path.suffix for path in tmp_path.iterdir()} == {".part"}


def test_bytes_follow_each_other_as_they_are(tmp_path: Path) -> None:
    made = combine(
        product(tmp_path, left(tmp_path, b"GRIB\0", b"", b"\nGRIB", form=BINARY), BINARY)
    )
    assert content(made) == b"GRIB\0\nGRIB"
    assert made.rows == 2


def test_a_package_holds_each_fragment_and_says_which_part_it_is(tmp_path: Path) -> None:
    bodies = (b"a\n1\n", b"", LONG)
    made = combine(product(tmp_path, left(tmp_path, *bodies, form=PACKAGE), PACKAGE))
    with zipfile.ZipFile(io.BytesIO(content(made))) as package:
        assert package.testzip() is None
        assert package.namelist() == ["parts.json", "0001.csv", "0003.csv"]
        assert [package.read(name) for name in package.namelist()[1:]] == [bodies[0], LONG]
        first, third = json.loads(package.read("parts.json"))
        assert {member.date_time for member in package.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert (first["file"], first["datetime"], first["sha256"]) == (
        "0001.csv",
        "../0",
        hashlib.sha256(bodies[0]).hexdigest(),
    )
    assert third["file"] == "0003.csv"
    assert made.rows == 2
    assert Path(made.url).name == "p-v1-to-u0.zip"


def test_a_package_of_nothing_is_a_package(tmp_path: Path) -> None:
    made = combine(product(tmp_path, left(tmp_path, b"", form=PACKAGE), PACKAGE))
    with zipfile.ZipFile(io.BytesIO(content(made))) as package:
        assert json.loads(package.read("parts.json")) == []
    assert made.rows == 0


@pytest.mark.parametrize("form", [CSV, BINARY, PACKAGE], ids=lambda form: form.join)
def test_the_same_fragments_make_the_same_bytes(form: Form, tmp_path: Path) -> None:
    fragments = left(tmp_path, b"h\n1\n", b"h\n2\n", form=form)
    once = combine(product(tmp_path, fragments, form))
    other = tmp_path / "other"
    assert combine(product(other, fragments, form)) == replace(
        once, url=str(other / Path(once.url).name)
    )


def test_the_manifest_says_what_the_product_is_and_was_made_of(tmp_path: Path) -> None:
    order = product(tmp_path, left(tmp_path, b"h\n1\n", b"h\n2\n3\n"))
    order = also(order, left(tmp_path, b"h\n4\n"), "other")
    made = combine(order)
    told = manifest(order)
    assert told["product"] == {
        "id": "p-v1-to-u0",
        "file": "p-v1-to-u0.csv",
        "rows": 4,
        "size_bytes": made.size_bytes,
        "sha256": made.sha256,
        "digest": made.digest,
    }
    selections = told["selections"]
    assert isinstance(selections, list)
    first, second = selections
    assert first["bbox"] == [170.0, -10.0, -170.0, 10.5]
    assert first["updates"] == {"after": None, "upto": UPDATES.upto}
    assert [part["rows"] for part in first["parts"]] == [1, 2]
    assert [part["sha256"] for part in second["parts"]] == [hashlib.sha256(b"h\n4\n").hexdigest()]
    assert first["sources"] == [{"path": "01.csv", "size_bytes": 9, "stamp": "1.5"}]
    assert first["tool"] == {
        "command": ["cut", "{fragment}"],
        "environment": ["KEY"],
        "versions": ["cut 1"],
    }
    assert "secret" not in json.dumps(told)


def test_packages_of_several_datasets_keep_them_apart(tmp_path: Path) -> None:
    order = product(tmp_path, left(tmp_path, b"1", form=PACKAGE), PACKAGE)
    order = also(order, left(tmp_path, b"2", form=PACKAGE), "../other archive")
    with zipfile.ZipFile(io.BytesIO(content(combine(order)))) as package:
        assert package.namelist()[1:] == [
            "1-10.5066-example/0001.csv",
            "2-..-other-archive/0002.csv",
        ]


def damage(fragment: Fragment, old: bytes, new: bytes) -> None:
    path = Path(fragment.url)
    path.write_bytes(path.read_bytes().replace(old, new))


@pytest.mark.parametrize("form", [CSV, BINARY, PACKAGE], ids=lambda form: form.join)
@pytest.mark.parametrize(
    ("old", "new"), [(b"\n2", b"\n3"), (b"cut 1", b"cut 2"), (b"{", b"["), (b"\n2\n", b"\n")]
)
def test_a_fragment_that_was_changed_makes_no_product(
    form: Form, old: bytes, new: bytes, tmp_path: Path
) -> None:
    fragments = left(tmp_path, b"h\n1\n", b"h\n2\n", form=form)
    damage(fragments[1], old, new)
    with pytest.raises(StorageError, match="is not what its part has left") as caught:
        combine(product(tmp_path, fragments, form))
    assert not caught.value.retry
    assert {path.suffix for path in tmp_path.iterdir()} == {".part"}


def test_a_fragment_that_is_gone_makes_no_product(tmp_path: Path) -> None:
    (fragment,) = left(tmp_path, b"h\n1\n")
    Path(fragment.url).unlink()
    with pytest.raises(StorageError, match="is not there"):
        combine(product(tmp_path, (fragment,)))


@pytest.mark.parametrize("form", list(Join))
def test_no_product_is_held_in_memory(form: Join, tmp_path: Path) -> None:
    given = Form(join=form, ending=".bin")
    fragments = left(tmp_path, *[b"0123456789abcde\n" * 2**20] * 3, form=given)
    tracemalloc.start()
    try:
        made = combine(product(tmp_path, fragments, given))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert made.size_bytes >= 48 * 2**20
    assert peak < 8 * BLOCK_BYTES
