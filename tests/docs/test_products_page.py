"""What a real product holds is what the documentation says, and opens as the tutorial opens it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import netCDF4
import pytest

from controller.apps.argo.application import ArgoApplication
from controller.apps.argo.archive import open_archive
from controller.apps.argo.catalogue import Catalogue
from controller.apps.argo.orders import ArchiveAddress
from controller.config.settings import ARGO_DOI
from controller.demo.archive import make_archive
from controller.product_files import manifest_url
from planner.extent import GLOBE, Extent, Period
from planner.model import Selection, UpdateSpan, View
from tests.docs.pages import coded, first_cells, page, rows

PRODUCT_ID = "atlantic-v1-to-u0"
SCRIPT_S_MAX = 120  # importing argopy takes some seconds, on a busy machine many


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the product that the tutorial makes, of an archive of the demo's kind."""
    place = tmp_path_factory.mktemp("tutorial")
    make_archive(place / "archive", profiles=100, seed=7)
    address = ArchiveAddress(url=str(place / "archive"))
    application = ArgoApplication(
        dataset=ARGO_DOI,
        archive=address,
        fragments_url=str(place / "fragments"),
        staging_url=str(place / "products" / "atlantic"),
        catalogue=Catalogue.load(open_archive(address)),
    )
    extent = Extent(box=GLOBE, period=Period(), parameters=("PSAL", "TEMP"))
    view = View(dataset=ARGO_DOI, application="argo", extent=extent)
    updates = UpdateSpan(after=None, upto=0)
    fragment = application.extract(application.part_order(view, extent, updates, "part"))
    made = application.combine(
        application.product_order(
            Selection(view=view, updates=updates), (fragment,), PRODUCT_ID, "atlantic"
        )
    )
    assert made.rows > 0
    return Path(made.url)


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
        assert {"slackwater_request", "slackwater_policy"} <= told & set(dataset.ncattrs())


def test_the_tutorial_opens_a_product(product: Path) -> None:
    script = "\n".join(page("tutorial.md").blocks("python"))
    assert f"products/atlantic/{PRODUCT_ID}.nc" in script
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=product.parents[2],
        timeout=SCRIPT_S_MAX,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "This is a collection of Argo points" in done.stdout
    assert "degrees Celsius" in done.stdout
