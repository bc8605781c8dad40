"""Absolute salinity, conservative temperature and potential density by the standard TEOS-10.

gsw is imported when the first value is computed: the service names these quantities, workers
compute them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from controller.apps.argo.derived.protocol import Values

NEEDS = ("PRES", "PSAL", "TEMP")


@dataclass(frozen=True, slots=True, kw_only=True)
class Water:
    """The water of one profile, level by level, shape (levels,).

    Parameters
    ----------
    salinity : array
        Absolute salinity [g/kg].
    temperature : array
        Conservative temperature [degree C].
    pressure : array
        [dbar]
    """

    salinity: Values
    temperature: Values
    pressure: Values


def water_of(columns: Mapping[str, Values], latitude: float, longitude: float) -> Water:
    """Return the water that measurements tell of.

    Parameters
    ----------
    columns : mapping of str to array of shape (levels,)
        `NEEDS`: pressure [dbar], practical salinity, in-situ temperature [degree C, ITS-90].
    latitude, longitude : float
        [degrees north, degrees east]

    Notes
    -----
    IOC, SCOR and IAPSO, 2010: The international thermodynamic equation of seawater.
    """
    import gsw  # noqa: PLC0415

    pressure = columns["PRES"]
    salinity = gsw.SA_from_SP(columns["PSAL"], pressure, longitude, latitude)
    temperature = gsw.CT_from_t(salinity, columns["TEMP"], pressure)
    return Water(salinity=salinity, temperature=temperature, pressure=pressure)


def potential_density_anomaly(water: Water) -> Values:
    """Return the potential density less 1000 kg/m3, referred to the surface [kg/m3]."""
    import gsw  # noqa: PLC0415

    return cast("Values", gsw.sigma0(water.salinity, water.temperature))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seawater:
    """A quantity of the water at each level; implements `protocol.DerivedParameter`."""

    name: str
    attributes: Mapping[str, str]
    formula: Callable[[Water], Values]
    version: str = "1"
    needs: tuple[str, ...] = NEEDS
    software: tuple[str, ...] = ("gsw",)
    per_profile: bool = False

    def compute(self, columns: Mapping[str, Values], latitude: float, longitude: float) -> Values:
        """Compute it for one profile, see `protocol.DerivedParameter`."""
        return self.formula(water_of(columns, latitude, longitude))


QUANTITIES = (
    Seawater(
        name="SA",
        formula=lambda water: water.salinity,
        attributes={
            "long_name": "Absolute salinity (TEOS-10)",
            "standard_name": "sea_water_absolute_salinity",
            "units": "g/kg",
        },
    ),
    Seawater(
        name="CT",
        formula=lambda water: water.temperature,
        attributes={
            "long_name": "Conservative temperature (TEOS-10)",
            "standard_name": "sea_water_conservative_temperature",
            "units": "degree_Celsius",
            "units_metadata": "temperature: on_scale",
        },
    ),
    Seawater(
        name="SIGMA0",
        formula=potential_density_anomaly,
        attributes={
            "long_name": "Potential density anomaly, referred to the surface (TEOS-10)",
            "standard_name": "sea_water_sigma_theta",
            "units": "kg/m3",
        },
    ),
)
"""Named as the Gibbs SeaWater toolbox names them."""
