"""What a real product holds is what the documentation says, and opens as the tutorial opens it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import netCDF4
import pytest
import yaml

from controller.apps.argo.application import ArgoApplication
from controller.apps.argo.archive import open_archive
from controller.apps.argo.catalogue import Catalogue
from controller.apps.argo.orders import ArchiveAddress
from controller.config.settings import ARGO_DOI
from controller.demo.archive import make_archive
from controller.product_files import DEFAULT_FORMAT, ENDINGS, manifest_url
from planner.extent import GLOBE, Extent, Period
from planner.model import Selection, UpdateSpan, View
from tests.docs.pages import coded, first_cells, page, rows

SUBSCRIPTION = "atlantic"
PRODUCT_ID = f"{SUBSCRIPTION}-v1-to-u0"
SCRIPT_S_MAX = 120  # importing argopy takes some seconds, on a busy machine many


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Make what the tutorial makes, in every format, of an archive of the demo's kind."""
    place = tmp_path_factory.mktemp("tutorial")
    make_archive(place / "archive", profiles=100, seed=7)
    names = {name: f"{SUBSCRIPTION}-{name}" for name in ENDINGS} | {DEFAULT_FORMAT: SUBSCRIPTION}
    return {name: made(place, subscription, name) for name, subscription in names.items()}


def made(place: Path, subscription: str, name: str) -> Path:
    """Make the first delivery of a subscription."""
    address = ArchiveAddress(url=str(place / "archive"))
    application = ArgoApplication(
        dataset=ARGO_DOI,
        archive=address,
        fragments_url=str(place / "fragments"),
        staging_url=str(place / "products" / subscription),
        catalogue=Catalogue.load(open_archive(address)),
    )
    extent = Extent(box=GLOBE, period=Period(), parameters=("PSAL", "TEMP"))
    options = (("format", name),)
    view = View(dataset=ARGO_DOI, application="argo", extent=extent, options=options)
    updates = UpdateSpan(after=None, upto=0)
    fragment = application.extract(application.part_order(view, extent, updates, "part"))
    product_id = f"{subscription}-v1-to-u0"
    selection = Selection(view=view, updates=updates)
    product = application.combine(
        application.product_order(selection, (fragment,), product_id, subscription)
    )
    assert product.rows > 0
    return Path(product.url)


@pytest.fixture(scope="module")
def product(products: dict[str, Path]) -> Path:
    return products[DEFAULT_FORMAT]


def test_every_key_of_the_manifest_is_described(product: Path) -> None:
    manifest = json.loads(Path(manifest_url(str(product))).read_text(encoding="utf-8"))
    section = page("reference/products.md").section("The manifest")
    assert first_cells(section) == list(manifest)
    described = {coded(cells[0])[0]: coded(cells[1]) for cells in rows(section)}
    for key in ("product",):
        assert set(described[key]) == set(manifest[key]), key
    assert set(manifest["sources"][0]) <= set(described["sources"])


def test_every_variable_of_a_product_is_described(product: Path) -> None:
    section = page("reference/products.md").section("The product file")
    names = (
        re.escape(name).replace("<PARAM>", "(TEMP|PSAL|PRES)").replace("<DERIVED>", "(CT|MLD)")
        for name in first_cells(section)
    )
    described = re.compile("|".join(names))
    with netCDF4.Dataset(product) as dataset:
        assert [name for name in dataset.variables if not described.fullmatch(name)] == []
        told = set(coded(section))
        assert set(dataset.groups["profiles"].variables) <= told
        assert set(dataset.groups["profiles"].groups) == {"left_out"}
        assert {"slackwater_request", "slackwater_policy"} <= told & set(dataset.ncattrs())


def run(script: str, folder: Path) -> str:
    """Run the lines of a page in a folder of products, and return what they print."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        timeout=SCRIPT_S_MAX,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_tutorial_opens_a_product(product: Path) -> None:
    script = "\n".join(page("tutorial.md").blocks("python"))
    assert f"products/{SUBSCRIPTION}/{PRODUCT_ID}.nc" in script
    told = run(script, product.parents[2])
    assert "This is a collection of Argo points" in told
    assert "degrees Celsius" in told


def test_the_guide_opens_every_format(products: dict[str, Path]) -> None:
    guide = page("how-to/open-products.md")
    script = "\n".join(guide.blocks("python"))
    folder = products[DEFAULT_FORMAT].parents[2]
    for product in products.values():
        assert product.name in script
    told = run(script, folder)
    assert "This is a collection of Argo points" in told
    assert told.count("degree_Celsius") == 2
    assert "N_PROF" in told
    wishes = yaml.safe_load("".join(guide.blocks("yaml")))["subscriptions"]
    assert {wish["id"] for wish in wishes} == {product.parent.name for product in products.values()}


def test_every_format_is_described() -> None:
    table = list(rows(page("reference/products.md").section("Formats")))
    assert {coded(cells[0])[0]: coded(cells[1])[0] for cells in table} == dict(ENDINGS)
    (option,) = (
        cells
        for cells in rows(page("reference/subscriptions-file.md").text)
        if cells[0] == "`format`"
    )
    assert coded(option[1]) == list(ENDINGS)
