"""What a product says of each of its variables: CF-1.11 attributes, and Argo's own vocabulary.

A parameter that the NERC vocabulary R03 lists carries its identifier there (`reference_tables`). In
NetCDF many attributes are no small matter: from nine on HDF5 keeps a heap of some 2 kB for them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from controller.apps.argo.reference_tables import R03, Parameter

Attributes = Mapping[str, object]

COORDINATES: Mapping[str, Attributes] = {
    "TIME": {
        "long_name": "Time of the profile (UTC)",
        "standard_name": "time",
        "units": "days since 1950-01-01T00:00:00Z",
        "calendar": "standard",
        "units_metadata": "leap_seconds: none",
        "axis": "T",
    },
    "LATITUDE": {
        "long_name": "Latitude of the profile, best estimate",
        "standard_name": "latitude",
        "units": "degree_north",
        "axis": "Y",
    },
    "LONGITUDE": {
        "long_name": "Longitude of the profile, best estimate",
        "standard_name": "longitude",
        "units": "degree_east",
        "axis": "X",
    },
}

IDENTITY: Mapping[str, Attributes] = {
    "PLATFORM_NUMBER": {
        "long_name": "Float unique identifier",
        "units": "1",
        "conventions": "WMO float identifier : A9IIIII",
    },
    "CYCLE_NUMBER": {"long_name": "Float cycle number", "units": "1"},
    "DIRECTION": {
        "long_name": "Direction of the profile",
        "conventions": "A: ascending profiles, D: descending profiles",
    },
}

DATA_MODE: Attributes = {
    "long_name": "Data mode",
    "conventions": "R: real time; A: real time with adjustment; D: delayed mode",
}

QUALITY_FLAG: Attributes = {
    "long_name": "Quality flag (Argo reference table 2)",
    "standard_name": "quality_flag",
    "flag_values": np.array([0, 1, 2, 3, 4, 5, 8, 9], np.int32),
    "flag_meanings": ("not_checked good probably_good probably_bad bad changed estimated missing"),
}

NVS_URL = "http://vocab.nerc.ac.uk/collection"
"""The NERC vocabulary server; what lies below are identifiers, and they can be opened."""

DERIVED = "physicalMeasurement"
"""ISO 19115 has no sort of its own for what is computed from measurements."""

_OF_PARAMETER: Mapping[str, Attributes] = {
    "PRES": {"axis": "Z", "positive": "down"},
}

_SECOND_SENSOR = re.compile(r"(.*[A-Z0-9])_?[2-9]")
"""Of a parameter that a float measures twice: DOXY2, BBP700_2."""


def attributes_of(name: str) -> dict[str, object]:
    """Return the attributes of a variable of the points, without links to other variables."""
    return _told_of(name) | {"coverage_content_type": _sort_of(name)}


def plain(attributes: Attributes) -> dict[str, Any]:
    """Return attributes with nothing of NumPy in them, fit for JSON."""
    return {
        name: value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        for name, value in attributes.items()
    }


def _sort_of(name: str) -> str:
    """Return the sort of a variable, as ISO 19115 calls it."""
    if name in COORDINATES:
        return "coordinate"
    if name in IDENTITY or name.endswith("DATA_MODE"):
        return "referenceInformation"
    quality = name.endswith(("_QC", "_ERROR"))
    return "qualityInformation" if quality else "physicalMeasurement"


def _told_of(name: str) -> dict[str, object]:
    if name in COORDINATES or name in IDENTITY:
        return dict(COORDINATES.get(name, IDENTITY.get(name, {})))
    if name.endswith("DATA_MODE"):
        return dict(DATA_MODE)
    if name.endswith("_QC"):
        return dict(QUALITY_FLAG)
    if name.endswith("_ERROR"):
        return _error_attributes(re.sub(r"(_ADJUSTED)?_ERROR$", "", name))
    return _parameter_attributes(name.removesuffix("_ADJUSTED"))


def _parameter_attributes(name: str) -> dict[str, object]:
    found = _SECOND_SENSOR.fullmatch(name)
    listed = R03.get(name) or (R03.get(found[1]) if found else None)
    if listed is None:
        return {"long_name": name}
    said = {"long_name": listed.long_name} | _meaning(listed) | dict(_OF_PARAMETER.get(name, {}))
    return said | (_identifiers(name, listed) if name in R03 else {})


def _meaning(listed: Parameter) -> dict[str, object]:
    said: dict[str, object] = {"units": listed.units}
    if listed.standard_name:
        said["standard_name"] = listed.standard_name
    if listed.units == "degree_Celsius":
        said["units_metadata"] = "temperature: on_scale"
    return said


def _identifiers(name: str, listed: Parameter) -> dict[str, object]:
    said: dict[str, object] = {
        "sdn_parameter_urn": f"SDN:R03::{name}",
        "sdn_parameter_uri": f"{NVS_URL}/R03/current/{name}/",
    }
    if listed.unit_code:
        said["sdn_uom_urn"] = f"SDN:P06::{listed.unit_code}"
    return said


def _error_attributes(parameter: str) -> dict[str, object]:
    said = _parameter_attributes(parameter)
    error: dict[str, object] = {"long_name": f"Error of the adjusted value of {parameter}"}
    if "units_metadata" in said:
        error["units_metadata"] = "temperature: difference"
    return error | {name: value for name, value in said.items() if name in ("units", "sdn_uom_urn")}
