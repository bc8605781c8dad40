"""What a command is told, and what is told of its products, is what the documentation says."""

from __future__ import annotations

import json
import re
from pathlib import Path

from controller.apps.command.combine import combine
from controller.apps.command.document import document, placeholders
from controller.apps.command.extract import extract
from controller.apps.command.orders import Join
from controller.apps.command.placeholders import PLACEHOLDERS
from controller.apps.command.running import TOLD_BYTES_MAX
from controller.product_files import manifest_url
from tests.controller.apps.command.orders import PACKAGE, part, product, shell
from tests.docs.pages import coded, first_cells, page, rows

GUIDE = page("how-to/serve-another-archive-by-command.md")


def test_every_placeholder_is_described_and_filled_in(tmp_path: Path) -> None:
    names = [
        name.strip("{}")
        for name in first_cells(GUIDE.section("1. Have a program that does one part"))
    ]
    assert set(names) == set(PLACEHOLDERS)
    order = part(tmp_path, shell("true"))
    filled = placeholders(document(order, tmp_path), tmp_path)
    assert {*filled, "here"} == set(PLACEHOLDERS)


def test_the_part_of_the_guide_has_the_keys_of_a_part(tmp_path: Path) -> None:
    (shown,) = re.findall(r'^    (\{"format".*?\]\})$', GUIDE.text, re.MULTILINE | re.DOTALL)
    told = json.loads(shown)
    real = document(part(tmp_path, shell("true")), tmp_path)
    assert told.keys() == real.keys()
    assert isinstance(real["files"], list)
    assert told["files"][0].keys() == real["files"][0].keys()


def test_every_way_to_join_is_described() -> None:
    section = GUIDE.section("2. Describe the dataset")
    assert first_cells(section) == list(Join)


def test_every_key_of_the_manifest_is_described(tmp_path: Path) -> None:
    fragment = extract(part(tmp_path, shell("echo 1 > $1"), PACKAGE))
    order = product(tmp_path, (fragment,), PACKAGE)
    combine(order)
    manifest = json.loads(Path(manifest_url(order.product_url)).read_text())
    section = page("reference/products.md").section("Products by command")
    intro = set(coded(section.partition("| Key")[0]))
    described = {coded(cells[0])[0]: set(coded(cells[1])) for cells in rows(section)}
    assert manifest.keys() - {"format"} == described.keys() | (intro & manifest.keys())
    (selection,) = manifest["selections"]
    above = page("reference/products.md").section("The manifest")
    (common,) = (set(coded(cells[1])) for cells in rows(above) if "selections" in cells[0])
    assert set(selection) <= common | described["selections"]
    for inner in (selection["tool"], selection["parts"][0], selection["sources"][0]):
        assert set(inner) - {"dataset"} <= described["selections"]
    assert set(manifest["join"]) <= described["join"]


def test_how_much_of_the_output_is_kept_is_told() -> None:
    told = f"the last {TOLD_BYTES_MAX:,} bytes are kept"
    assert told in page("explanation/security.md").text
