"""What a product says of each of its variables: CF-1.11 attributes, after the Argo user's manual.

Salinity and light carry units and names that CF knows, which Argo's own do not. Few attributes are
small ones: from seven on HDF5 keeps a heap of 2 kB for them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

Attributes = Mapping[str, object]

PARAMETERS: Mapping[str, Attributes] = {
    "PRES": {
        "long_name": "Sea water pressure, equals 0 at sea-level",
        "standard_name": "sea_water_pressure",
        "units": "decibar",
        "axis": "Z",
        "positive": "down",
    },
    "TEMP": {
        "long_name": "Sea temperature in-situ ITS-90 scale",
        "standard_name": "sea_water_temperature",
        "units": "degree_Celsius",
        "units_metadata": "temperature: on_scale",
    },
    "PSAL": {
        "long_name": "Practical salinity",
        "standard_name": "sea_water_practical_salinity",
        "units": "1",
    },
    "DOXY": {
        "long_name": "Dissolved oxygen",
        "standard_name": "moles_of_oxygen_per_unit_mass_in_sea_water",
        "units": "micromole/kg",
    },
    "NITRATE": {
        "long_name": "Nitrate",
        "standard_name": "moles_of_nitrate_per_unit_mass_in_sea_water",
        "units": "micromole/kg",
    },
    "CHLA": {
        "long_name": "Chlorophyll-A",
        "standard_name": "mass_concentration_of_chlorophyll_a_in_sea_water",
        "units": "mg/m3",
    },
    "PH_IN_SITU_TOTAL": {
        "long_name": "pH",
        "standard_name": "sea_water_ph_reported_on_total_scale",
        "units": "1",
    },
    "BBP700": {"long_name": "Particle backscattering at 700 nanometers", "units": "m-1"},
    "CDOM": {
        "long_name": "Concentration of coloured dissolved organic matter in sea water",
        "units": "ppb",
    },
    "DOWNWELLING_PAR": {
        "long_name": "Downwelling photosynthetic available radiation",
        "standard_name": "downwelling_photosynthetic_photon_flux_in_sea_water",
        "units": "micromole/m2/s",
    },
}

COORDINATES: Mapping[str, Attributes] = {
    "TIME": {
        "long_name": "Time of the profile (UTC)",
        "standard_name": "time",
        "units": "days since 1950-01-01T00:00:00Z",
        "calendar": "standard",
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
        "conventions": "WMO float identifier : A9IIIII",
    },
    "CYCLE_NUMBER": {"long_name": "Float cycle number"},
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

_IRRADIANCE = re.compile(r"DOWN_IRRADIANCE(\d+)")


def attributes_of(name: str) -> dict[str, object]:
    """Return the attributes of a variable of the points, without links to other variables."""
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
    found = _IRRADIANCE.fullmatch(name)
    if found:
        return {
            "long_name": f"Downwelling irradiance at {found[1]} nanometers",
            "units": "W/m2/nm",
        }
    return dict(PARAMETERS.get(name, {"long_name": name}))


def _error_attributes(parameter: str) -> dict[str, object]:
    said = _parameter_attributes(parameter)
    error = {"long_name": f"Error of the adjusted value of {parameter}"}
    if parameter == "TEMP":
        error["units_metadata"] = "temperature: difference"
    return error | {name: value for name, value in said.items() if name == "units"}
