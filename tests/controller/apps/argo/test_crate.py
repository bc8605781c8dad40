"""The RO-Crate beside a product obeys RO-Crate 1.2 and is right about the files beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import netCDF4
import pytest

from controller.apps.argo.combine import combine
from controller.product_files import ENDINGS, crate_url
from tests.argo_files import a_cast, archive_of, combining, product_of

Entity = dict[str, Any]


def entities_of(folder: Path, name: str = "netcdf") -> dict[str, Entity]:
    """Return the entities of the crate beside a product by their identifiers."""
    crate = json.loads(Path(crate_url(str(folder / f"product{ENDINGS[name]}"))).read_text())
    assert set(crate) == {"@context", "@graph"}
    assert crate["@context"] == "https://w3id.org/ro/crate/1.2/context"
    entities = {entity["@id"]: entity for entity in crate["@graph"]}
    assert len(entities) == len(crate["@graph"]), "flattened: each entity is described once"
    return entities


@pytest.fixture
def entities(tmp_path: Path) -> dict[str, Entity]:
    address, files = archive_of(tmp_path / "archive", [a_cast()])
    product_of(address, files, tmp_path)
    return entities_of(tmp_path)


def references(value: object) -> Iterator[str]:
    """Yield the identifiers that a value refers to; an entity inside another is not flattened."""
    match value:
        case {"@id": str(identifier), **others}:
            assert not others, f"{identifier} is described within another entity"
            yield identifier
        case list():
            for one in value:
                yield from references(one)
        case dict():
            raise AssertionError(f"an entity without an identifier: {value}")


def test_descriptor_and_root_are_as_the_specification_has_them(
    entities: dict[str, Entity],
) -> None:
    descriptor = entities["ro-crate-metadata.json"]
    assert descriptor["@type"] == "CreativeWork"
    assert descriptor["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.2"}
    root = entities[descriptor["about"]["@id"]]
    assert (root["@id"], root["@type"]) == ("./", "Dataset")
    assert all(root[needed] for needed in ("name", "description", "datePublished", "license"))
    assert root["identifier"] == "mediterranean-v1-u7"
    assert root["temporalCoverage"] == "2018-06-13T12:00:00Z/2018-06-13T12:00:00Z"
    assert root["variableMeasured"] == ["PRES", "PSAL", "TEMP"]


def test_every_reference_is_described_and_everything_is_referred_to(
    entities: dict[str, Entity],
) -> None:
    referred = {
        identifier
        for entity in entities.values()
        for name, value in entity.items()
        if name != "@id"
        for identifier in references(value)
    }
    assert referred - set(entities) == {"https://w3id.org/ro/crate/1.2"}
    assert set(entities) - referred == {"ro-crate-metadata.json"}


@pytest.mark.parametrize("name", ENDINGS)
def test_the_files_beside_it_are_those_that_it_describes(tmp_path: Path, name: str) -> None:
    address, files = archive_of(tmp_path / "archive", [a_cast()])
    product_of(address, files, tmp_path, format=name)
    entities = entities_of(tmp_path, name)
    parts = list(references(entities["./"]["hasPart"]))
    assert parts == [f"#product{ENDINGS[name]}", "#product.manifest.json"]
    for part in parts:
        entity = entities[part]
        content = (tmp_path / entity["localPath"]).read_bytes()
        assert entity["@type"] == "File"
        assert entity["contentSize"] == str(len(content))
        assert entity["sha256"] == hashlib.sha256(content).hexdigest()
        assert "/" in entity["encodingFormat"]


def test_a_detached_crate_holds_no_relative_reference(entities: dict[str, Entity]) -> None:
    data = {i for i, entity in entities.items() if entity["@type"] in ("File", "Dataset")}
    assert all(identifier.startswith(("#", "https://")) for identifier in data - {"./"})


def test_it_tells_whose_data_these_are_and_who_selected_them(entities: dict[str, Entity]) -> None:
    archive = entities["https://doi.org/10.17882/42182"]
    assert archive["identifier"] == "10.17882/42182"
    assert entities[archive["creator"]["@id"]]["@type"] == "Organization"
    assert "International Argo Program" in entities["#terms"]["description"]
    making = entities["#making"]
    assert making["instrument"] == {"@id": "#slackwater"}
    assert list(references(making["object"])) == ["https://doi.org/10.17882/42182", "#request"]
    (asked,) = json.loads(entities["#request"]["value"])
    assert asked["parameters"] == ["PSAL", "TEMP"]


def test_a_product_of_nothing_has_a_crate(tmp_path: Path) -> None:
    combine(combining([], tmp_path / "product.nc"))
    entities = entities_of(tmp_path)
    assert entities["./"]["temporalCoverage"] == "../.."
    assert entities["./"]["description"].startswith("0 levels")


def test_derived_parameters_are_among_what_was_measured(tmp_path: Path) -> None:
    address, files = archive_of(tmp_path / "archive", [a_cast()])
    product_of(address, files, tmp_path, derived="CT,MLD")
    assert entities_of(tmp_path)["./"]["variableMeasured"] == ["PRES", "PSAL", "TEMP", "CT", "MLD"]


@pytest.mark.parametrize(
    ("dataset", "link"),
    [
        ("10.17882/42182#north", "https://doi.org/10.17882/42182#north"),
        ("https://example.org/argo", "https://example.org/argo"),
        ("north-mirror", ""),
    ],
)
def test_an_archive_without_a_doi_gets_none(tmp_path: Path, dataset: str, link: str) -> None:
    order = combining([], tmp_path / "product.nc")
    (selection,) = order.selections
    other = replace(selection, view=replace(selection.view, dataset=dataset))
    combine(replace(order, selections=(selection, other), fragments=(*order.fragments, ())))
    entity = entities_of(tmp_path)[link or "#north-mirror"]
    assert entity["identifier"] == dataset
    with netCDF4.Dataset(tmp_path / "product.nc") as product:
        assert product.references == f"https://doi.org/10.17882/42182 {link}".strip()
        assert ("42182#north" in product.doi) == ("#" in dataset)
