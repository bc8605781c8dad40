"""What a product says of its variables is what CF and the NERC vocabulary say of them."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from compliance_checker.cfunits import Unit

from controller.apps.argo.parameters import BIOGEOCHEMICAL
from controller.apps.argo.provenance import STANDARD_NAMES
from controller.apps.argo.reference_tables import R03
from controller.apps.argo.rows import CORE_PARAMETERS
from controller.apps.argo.vocabulary import COORDINATES, IDENTITY, attributes_of, plain

SPELLED = {
    **dict.fromkeys(("psu", "dimensionless", "ru", "ntu"), "1"),
    "mhos/m": "S/m",
    "microMoleQuanta/m^2/sec": "micromole/m2/s",
    "W/m^2/nm": "W/m2/nm",
    "W/m^2/nm/sr": "W/m2/nm/sr",
}
"""The units of R03 that CF spells otherwise."""


def cf_table() -> ET.Element:
    """Return the table of standard names that compliance-checker brings along."""
    path = files("compliance_checker") / "data" / "cf-standard-name-table.xml"
    return ET.fromstring(path.read_text(encoding="utf-8"))


def concepts() -> dict[str, dict[str, Any]]:
    """Return the terms of R03 as argopy brings them along."""
    path = files("argopy") / "static/assets/vocabulary/offline/R03.json"
    graph = json.loads(path.read_text(encoding="utf-8"))["data"]["@graph"]
    return {term["skos:altLabel"]: term for term in graph if "skos:altLabel" in term}


NAMES = {
    entry.attrib["id"]: entry.findtext("canonical_units") for entry in cf_table().iter("entry")
}
CONCEPTS = concepts()


def test_the_version_of_the_table_is_the_one_that_products_name() -> None:
    assert f"CF Standard Name Table v{cf_table().findtext('version_number')}" == STANDARD_NAMES


def test_no_parameter_of_a_subscription_is_without_words() -> None:
    assert {*CORE_PARAMETERS, *BIOGEOCHEMICAL} <= set(R03)


@pytest.mark.parametrize("name", [*R03, *COORDINATES, *IDENTITY, "TEMP_QC"])
def test_standard_names_are_in_the_table_and_units_fit(name: str) -> None:
    said = attributes_of(name)
    standard_name = said.get("standard_name")
    if standard_name is not None:
        assert standard_name in NAMES
        canonical = NAMES[str(standard_name)]
        if canonical and "units" in said and name != "TIME":
            assert Unit(str(said["units"])).is_convertible(Unit(canonical))


@pytest.mark.parametrize("name", R03)
def test_a_parameter_is_what_the_nerc_vocabulary_lists(name: str) -> None:
    told, said = CONCEPTS[name], attributes_of(name)
    assert told["owl:deprecated"] == "false"
    assert said["sdn_parameter_urn"] == told["skos:notation"]
    assert said["sdn_parameter_uri"] == told["@id"]
    local = re.search(
        r"long_name:\s*(.*?);\s*standard_name:\s*(.*?);\s*units:\s*(.*?);",
        told["skos:definition"]["@value"],
    )
    assert local is not None
    long_name, standard_name, units = local.groups()
    assert said["long_name"] == long_name
    assert said["units"] == SPELLED.get(units, units)
    if standard_name in NAMES and name != "PSAL":
        assert said["standard_name"] == standard_name
    related = told.get("skos:related", [])
    codes = {
        term["@id"].split("/")[-2]
        for term in (related if isinstance(related, list) else [related])
        if "/P06/" in term["@id"]
    }
    if "sdn_uom_urn" in said:
        assert said["sdn_uom_urn"] in {f"SDN:P06::{code}" for code in codes}
    else:
        assert not codes or name == "TURBIDITY"


def test_errors_and_second_sensors_are_told_like_what_they_belong_to() -> None:
    error = attributes_of("TEMP_ADJUSTED_ERROR")
    assert error["units"] == "degree_Celsius"
    assert error["units_metadata"] == "temperature: difference"
    assert error["sdn_uom_urn"] == "SDN:P06::UPAA"
    assert "sdn_parameter_urn" not in error
    for second in ("DOXY2", "DOXY_2"):
        said = attributes_of(second)
        assert said["units"] == "micromole/kg"
        assert "sdn_parameter_urn" not in said, "R03 does not list it"
    assert attributes_of("NEVER_HEARD")["long_name"] == "NEVER_HEARD"


def test_attributes_can_be_written_as_json() -> None:
    said = plain({"a": np.array([1, 2], np.int32), "b": np.float32(0.5), "c": "text"})
    assert json.loads(json.dumps(said)) == {"a": [1, 2], "b": 0.5, "c": "text"}
