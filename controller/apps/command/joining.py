"""Puts fragments together as they come, block by block: no product is ever held in memory."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO

from controller.apps.command.fragment import Head, reading
from controller.apps.command.orders import CombineOrder, Form, Join
from controller.errors import CommandError
from planner.model import Fragment

HEADER_BYTES_MAX = 2**20
"""Header lines of one fragment [bytes]; a file with more is not the text that it should be."""

PARTS_FILE = "parts.json"
"""What a package begins with: which part each of its files came from."""

Block = Callable[[], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What came of one fragment.

    Parameters
    ----------
    selection : int
        Which of those of the order it belongs to.
    head : Head
    member : str
        Its name in a package; empty where it has none.
    """

    selection: int
    head: Head
    member: str = ""


def join(order: CombineOrder, out: IO[bytes]) -> list[Piece]:
    """Write the product and return what it was made of.

    Raises
    ------
    CommandError
        The fragments do not belong together: their header lines differ or are missing.
    StorageError
        A fragment is gone or is not what its part has left.
    """
    return _JOINS[order.form.join](order, out)


def _fragments(order: CombineOrder) -> Iterator[tuple[int, Fragment]]:
    for number, selected in enumerate(order.selected):
        for fragment in selected.fragments:
            yield number, fragment


def _join_bytes(order: CombineOrder, out: IO[bytes]) -> list[Piece]:
    pieces = []
    for number, fragment in _fragments(order):
        with reading(fragment) as (head, block):
            _copy(block, out)
            pieces.append(Piece(selection=number, head=head))
    return pieces


def _join_lines(order: CombineOrder, out: IO[bytes]) -> list[Piece]:
    pieces: list[Piece] = []
    form, header = order.form, b""
    for number, fragment in _fragments(order):
        with reading(fragment) as (head, block):
            pieces.append(Piece(selection=number, head=head))
            first, rest = _split(block, form, head)
            if first and not header:
                header = first
                out.write(header)
            elif first and first != header:
                raise CommandError(
                    f"the fragment of {head.datetime} begins with other header lines than those"
                    " before it",
                    fix="The command must write the same ones for every part",
                )
            out.write(rest)
            if _copy(block, out, rest) != b"\n":
                out.write(b"\n")
    return pieces


def _split(block: Block, form: Form, head: Head) -> tuple[bytes, bytes]:
    """Return the header lines of a fragment, and what was read beyond them."""
    if not form.header_lines or not head.size_bytes:
        return b"", b""
    read = b""
    while read.count(b"\n") < form.header_lines and len(read) <= HEADER_BYTES_MAX:
        if not (more := block()):
            # A last line may lack its newline.
            read += b"\n"
            break
        read += more
    lines = read.split(b"\n", form.header_lines)
    if len(lines) <= form.header_lines:
        raise CommandError(
            f"the fragment of {head.datetime} has fewer than {form.header_lines} header lines",
            fix="The command must write them even where it found nothing, or an empty file",
        )
    return b"\n".join(lines[:-1]) + b"\n", lines[-1]


def _copy(block: Block, out: IO[bytes], before: bytes = b"\n") -> bytes:
    """Copy to the end and return the last byte of all, that of `before` where nothing came."""
    last = before[-1:] or b"\n"
    while read := block():
        out.write(read)
        last = read[-1:]
    return last


def _package(order: CombineOrder, out: IO[bytes]) -> list[Piece]:
    """Write a ZIP file, not packed smaller: what was compressed already only costs time again."""
    named = [_piece(order, place, *each) for place, each in enumerate(_fragments(order), start=1)]
    pieces = [piece for piece, _ in named]
    told = [part_of(piece) for piece in pieces if piece.member]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as package:
        package.writestr(_member(PARTS_FILE, 0), json.dumps(told, indent=1))
        for piece, fragment in named:
            with reading(fragment) as (head, block):
                if not piece.member:
                    _copy(block, out)
                    continue
                with package.open(_member(piece.member, head.size_bytes), "w") as file:
                    _copy(block, file)
    return pieces


def _piece(
    order: CombineOrder, place: int, number: int, fragment: Fragment
) -> tuple[Piece, Fragment]:
    """Return how a fragment goes into a package; an empty one does not."""
    selected = order.selected[number]
    with reading(fragment) as (head, _):
        member = f"{place:04d}{selected.form.ending}" if head.size_bytes else ""
        if member and len(order.selected) > 1:
            dataset = re.sub(r"[^A-Za-z0-9._-]+", "-", selected.selection.view.dataset)
            member = f"{number + 1}-{dataset}/{member}"
        return Piece(selection=number, head=head, member=member), fragment


def _member(name: str, size_bytes: int) -> zipfile.ZipInfo:
    """Return a member of a package that says nothing of when and where it was made."""
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = 0o644 << 16
    info.file_size = size_bytes
    return info


def part_of(piece: Piece) -> dict[str, object]:
    """Return what packages and manifests tell of a part."""
    head = piece.head
    return {
        **({"file": piece.member} if piece.member else {}),
        "dataset": head.dataset,
        "bbox": list(head.bbox),
        "datetime": head.datetime,
        "rows": head.rows,
        "size_bytes": head.size_bytes,
        "sha256": head.sha256,
    }


_JOINS: Mapping[Join, Callable[[CombineOrder, IO[bytes]], list[Piece]]] = {
    Join.LINES: _join_lines,
    Join.BYTES: _join_bytes,
    Join.PACKAGE: _package,
}
