"""Old products go, manifest first, and nothing else does; what was cut short is ended later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from controller.delivery import Retention, remove_old
from controller.delivery.retention import DAY_S
from controller.destinations import Destinations
from tests.controller.delivery.servers import Server

NOW = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
KEEP = Retention(subscription_id="med", retention_days=30.0)


def manifest(product: str, *, created: str, subscription: str = "med", file: Any = "") -> bytes:
    told = {"id": product, "file": file or f"{product}.nc", "sha256": "", "digest": ""}
    return json.dumps({"product": told, "subscription": subscription, "created": created}).encode()


def product(name: str, **said: Any) -> dict[str, bytes]:
    """Return the files of a product."""
    return {
        f"{name}.nc": b"rows",
        f"{name}.manifest.json": manifest(name, **said),
        f"{name}-ro-crate-metadata.json": b"{}",
    }


OLD = product("med-v1-u2", created="2026-01-29T23:00:00Z")
YOUNG = product("med-v1-u3", created="2026-01-31T01:00:00Z")
OF_ANOTHER = product("med-v1-u4", created="2020-01-01T00:00:00Z", subscription="other")
NAMED_ALIKE = product("med-vents-v1-u2", created="2020-01-01T00:00:00Z", subscription="med-vents")
NOT_OURS = {"med-v1-u5.nc": b"no manifest", "med-v1-u2.txt": b"a reader's", "notes.md": b""}
KEPT = ".med-v1-u2.manifest.json.removed"


def test_old_products_go_and_nothing_else(server: Server, folder: str) -> None:
    stay = {**YOUNG, **OF_ANOTHER, **NAMED_ALIKE, **NOT_OURS}
    for name, content in {**OLD, **stay}.items():
        server.write(folder, name, content)
    removed = remove_old(KEEP, server.url(folder), server.allowed(), NOW)
    assert removed == ("med-v1-u2",)
    assert server.files(folder) == stay
    assert remove_old(KEEP, server.url(folder), server.allowed(), NOW) == ()
    assert server.files(folder) == stay


def test_a_folder_that_is_missing_holds_nothing_old(server: Server, folder: str) -> None:
    assert remove_old(KEEP, server.url(folder), server.allowed(), NOW) == ()


@pytest.mark.parametrize("gone", range(4))
def test_a_removal_that_was_cut_short_is_ended(tmp_path: Path, gone: int) -> None:
    order = ["med-v1-u2.manifest.json", "med-v1-u2.nc", "med-v1-u2-ro-crate-metadata.json"]
    for name in order[gone:]:
        (tmp_path / name).write_bytes(OLD[name])
    (tmp_path / KEPT).write_bytes(OLD["med-v1-u2.manifest.json"])
    remove_old(KEEP, str(tmp_path), Destinations(roots=(str(tmp_path),)), NOW)
    assert list(tmp_path.iterdir()) == []


def test_a_product_that_was_delivered_again_meanwhile_stays(tmp_path: Path) -> None:
    again = product("med-v1-u2", created="2026-02-28T00:00:00Z")
    for name, content in {**again, KEPT: OLD["med-v1-u2.manifest.json"]}.items():
        (tmp_path / name).write_bytes(content)
    remove_old(KEEP, str(tmp_path), Destinations(roots=(str(tmp_path),)), NOW)
    assert {path.name for path in tmp_path.iterdir()} == set(again)


@pytest.mark.parametrize("file", ["../escaped.nc", "other.nc", "med-v1-u2.txt", 7, ["a"]])
def test_a_manifest_that_names_what_is_not_its_own_is_not_believed(
    tmp_path: Path, file: object
) -> None:
    folder = tmp_path / "med"
    folder.mkdir()
    others = [tmp_path / "escaped.nc", folder / "other.nc", folder / "med-v1-u2.txt"]
    for other in others:
        other.write_text("not ours")
    said = manifest("med-v1-u2", created="2020-01-01T00:00:00Z", file=file)
    (folder / "med-v1-u2.manifest.json").write_bytes(said)
    remove_old(KEEP, str(folder), Destinations(roots=(str(tmp_path),)), NOW)
    assert all(other.read_text() == "not ours" for other in others)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"subscription": "med"},
        {"subscription": "med", "created": "long ago"},
        {"subscription": "med", "created": 0},
        {"subscription": "med", "created": "2020-01-01T00:00:00"},
        {"subscription": "other", "created": "2020-01-01T00:00:00Z"},
    ],
)
def test_what_does_not_tell_its_age_stays(said: Mapping[str, Any]) -> None:
    assert not KEEP.is_over(said, NOW)


def test_a_product_is_old_when_its_days_are_over() -> None:
    said = {"subscription": "med", "created": "2026-01-30T00:00:00Z"}
    assert not KEEP.is_over(said, NOW)
    assert KEEP.is_over(said, NOW + 1.0)
    assert datetime(2026, 1, 30, tzinfo=UTC).timestamp() == NOW - 30 * DAY_S


def test_it_stops_when_nobody_waits(tmp_path: Path) -> None:
    for name, content in OLD.items():
        (tmp_path / name).write_bytes(content)
    allowed = Destinations(roots=(str(tmp_path),))
    assert remove_old(KEEP, str(tmp_path), allowed, NOW, lambda: True) == ()
    assert {path.name for path in tmp_path.iterdir()} == set(OLD)
