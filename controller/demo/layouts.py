"""The variables of Argo profile files, version 3.1, laid out for files of any shape.

As the Argo user's manual has them (doi.org/10.13155/29825, section 2.2), but for the history of
processing, which no reader here looks at.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from controller.demo.classic import Attributes, Layout, Variable

FILL = 99999.0
"""Stands for a missing number in most variables."""
JULD_FILL = 999999.0
"""Stands for a missing date."""

LAYOUTS_MAX = 256
"""Layouts kept, of some 20 kB each: more shapes than any archive here has."""

_TEXT_LENGTHS = {"DATE_TIME": 14} | {f"STRING{n}": n for n in (256, 64, 32, 16, 8, 4, 2)}

_ATTRIBUTES: Attributes = {
    "title": "Argo float vertical profile",
    "institution": "invented: a demonstration archive of slackwater",
    "source": "Argo float",
    "references": "http://www.argodatamgt.org/Documentation",
    "user_manual_version": "3.1",
    "Conventions": "Argo-3.1 CF-1.6",
    "featureType": "trajectoryProfile",
}

_TEXTS = (
    ("DATA_TYPE", ("STRING32",), "Data type"),
    ("FORMAT_VERSION", ("STRING4",), "File format version"),
    ("HANDBOOK_VERSION", ("STRING4",), "Data handbook version"),
    ("REFERENCE_DATE_TIME", ("DATE_TIME",), "Date of reference for Julian days"),
    ("DATE_CREATION", ("DATE_TIME",), "Date of file creation"),
    ("DATE_UPDATE", ("DATE_TIME",), "Date of update of this file"),
    ("PLATFORM_NUMBER", ("N_PROF", "STRING8"), "Float unique identifier"),
    ("PROJECT_NAME", ("N_PROF", "STRING64"), "Name of the project"),
    ("PI_NAME", ("N_PROF", "STRING64"), "Name of the principal investigator"),
    ("STATION_PARAMETERS", ("N_PROF", "N_PARAM", "STRING16"), "List of available parameters"),
    ("DIRECTION", ("N_PROF",), "Direction of the station profiles"),
    ("DATA_CENTRE", ("N_PROF", "STRING2"), "Data centre in charge of float data processing"),
    ("DATA_STATE_INDICATOR", ("N_PROF", "STRING4"), "Degree of processing of the data"),
    ("DATA_MODE", ("N_PROF",), "Delayed mode or real time data"),
    ("PARAMETER_DATA_MODE", ("N_PROF", "N_PARAM"), "Delayed mode or real time data"),
    ("PLATFORM_TYPE", ("N_PROF", "STRING32"), "Type of float"),
    ("WMO_INST_TYPE", ("N_PROF", "STRING4"), "Coded instrument type"),
    ("JULD_QC", ("N_PROF",), "Quality on date and time"),
    ("POSITION_QC", ("N_PROF",), "Quality on position (latitude and longitude)"),
    ("POSITIONING_SYSTEM", ("N_PROF", "STRING8"), "Positioning system"),
    ("VERTICAL_SAMPLING_SCHEME", ("N_PROF", "STRING256"), "Vertical sampling scheme"),
)

_CALIBRATION = (
    ("PARAMETER", "STRING16", "List of parameters with calibration information"),
    ("SCIENTIFIC_CALIB_EQUATION", "STRING256", "Calibration equation for this parameter"),
    ("SCIENTIFIC_CALIB_COEFFICIENT", "STRING256", "Calibration coefficients for this equation"),
    ("SCIENTIFIC_CALIB_COMMENT", "STRING256", "Comment applying to this parameter calibration"),
    ("SCIENTIFIC_CALIB_DATE", "DATE_TIME", "Date of calibration"),
)

_DAYS = "days since 1950-01-01 00:00:00 UTC"
_NUMBERS = (
    ("CYCLE_NUMBER", ">i4", FILL, "Float cycle number", ""),
    ("JULD", ">f8", JULD_FILL, "Julian day (UTC) of the station", _DAYS),
    ("JULD_LOCATION", ">f8", JULD_FILL, "Julian day (UTC) of the location", _DAYS),
    ("LATITUDE", ">f8", FILL, "Latitude of the station, best estimate", "degree_north"),
    ("LONGITUDE", ">f8", FILL, "Longitude of the station, best estimate", "degree_east"),
    ("CONFIG_MISSION_NUMBER", ">i4", FILL, "Unique number denoting the missions", ""),
)

_MEASURED = {
    "PRES": ("Sea water pressure, equals 0 at sea-level", "sea_water_pressure", "decibar"),
    "TEMP": ("Sea temperature in-situ ITS-90 scale", "sea_water_temperature", "degree_Celsius"),
    "PSAL": ("Practical salinity", "sea_water_salinity", "psu"),
    "DOXY": ("Dissolved oxygen", "moles_of_oxygen_per_unit_mass_in_sea_water", "micromole/kg"),
}


@lru_cache(LAYOUTS_MAX)
def argo_layout(profiles: int, levels: int, parameters: tuple[str, ...], synthetic: bool) -> Layout:
    """Return the layout of files of one shape.

    Parameters
    ----------
    profiles, levels : int
        N_PROF and N_LEVELS.
    parameters : tuple of str
    synthetic : bool
        Core files have one data mode for a profile, synthetic ones also one for each parameter.
    """
    dimensions = _TEXT_LENGTHS | {
        "N_PROF": profiles,
        "N_PARAM": len(parameters),
        "N_LEVELS": levels,
        "N_CALIB": 1,
    }
    variables = [*_texts(synthetic), *_numbers()]
    for parameter in parameters:
        variables.extend(_measured(parameter))
    variables.extend(_calibration())
    return Layout(dimensions, _ATTRIBUTES, variables)


def _texts(synthetic: bool) -> Iterator[Variable]:
    for name, dimensions, long_name in _TEXTS:
        if synthetic or name != "PARAMETER_DATA_MODE":
            yield _text(name, dimensions, long_name)


def _numbers() -> Iterator[Variable]:
    for name, dtype, fill, long_name, units in _NUMBERS:
        yield _number(name, dtype, fill, ("N_PROF",), long_name=long_name, units=units)


def _measured(parameter: str) -> Iterator[Variable]:
    long_name, standard_name, units = _MEASURED.get(parameter, (parameter, "", "1"))
    shape = ("N_PROF", "N_LEVELS")
    yield _text(f"PROFILE_{parameter}_QC", ("N_PROF",), f"Global quality flag of {parameter}")
    for name in (parameter, f"{parameter}_ADJUSTED"):
        said = {"long_name": long_name, "standard_name": standard_name, "units": units}
        yield _number(name, ">f4", FILL, shape, **said)
        yield _text(f"{name}_QC", shape, "quality flag")
    error = f"{parameter}_ADJUSTED_ERROR"
    yield _number(error, ">f4", FILL, shape, long_name="Error of adjusted values", units=units)


def _calibration() -> Iterator[Variable]:
    for name, length, long_name in _CALIBRATION:
        yield _text(name, ("N_PROF", "N_CALIB", "N_PARAM", length), long_name)


def _text(name: str, dimensions: tuple[str, ...], long_name: str) -> Variable:
    attributes = {"long_name": long_name, "_FillValue": " "}
    return Variable(name=name, dtype="S1", dimensions=dimensions, attributes=attributes)


def _number(
    name: str, dtype: str, fill: float, dimensions: tuple[str, ...], **said: str
) -> Variable:
    attributes: dict[str, str | np.generic] = {key: text for key, text in said.items() if text}
    attributes["_FillValue"] = np.dtype(dtype).type(fill)
    return Variable(name=name, dtype=dtype, dimensions=dimensions, attributes=attributes, fill=fill)
