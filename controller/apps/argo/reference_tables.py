"""Argo's parameters as the NERC vocabulary R03 lists them, in units that CF understands.

Read off R03 as the vocabulary server gave it on 2026-10-05; a test compares. The units are those of
R03 in the spelling of UDUNITS: salinity, acidity and relative units have the unit 1, the photons of
light are told in micromoles. A name of CF stands where R03 gives one that CF's table (version 93)
holds, and for salinity, where CF knows the practical one better.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Parameter(NamedTuple):
    """What R03 says of one parameter.

    Parameters
    ----------
    long_name : str
    units : str
        In the spelling of UDUNITS.
    unit_code : str
        What the unit is called in the NERC vocabulary P06; empty where R03 relates to none, or
        where our unit is another.
    standard_name : str
        The name that CF has for it, empty where it has none.
    """

    long_name: str
    units: str
    unit_code: str = ""
    standard_name: str = ""


_SINGLE: Mapping[str, Parameter] = {
    "BISULFIDE": Parameter("Bisulfide", "micromole/kg", "KGUM"),
    "BPHASE_DOXY": Parameter(
        "Uncalibrated phase shift reported by oxygen sensor", "degree", "UAAA"
    ),
    "C1PHASE_DOXY": Parameter(
        "Uncalibrated phase shift reported by oxygen sensor", "degree", "UAAA"
    ),
    "C2PHASE_DOXY": Parameter(
        "Uncalibrated phase shift reported by oxygen sensor", "degree", "UAAA"
    ),
    "CDOM": Parameter(
        "Concentration of coloured dissolved organic matter in sea water", "ppb", "UPPB"
    ),
    "CHLA": Parameter(
        "Chlorophyll-A", "mg/m3", "UMMC", "mass_concentration_of_chlorophyll_a_in_sea_water"
    ),
    "CHLA_FLUORESCENCE": Parameter("Chlorophyll fluorescence with factory calibration", "1"),
    "CNDC": Parameter(
        "Electrical conductivity", "S/m", "UECA", "sea_water_electrical_conductivity"
    ),
    "COUNT_DOXY": Parameter("Count reported by oxygen sensor", "count", "UUUU"),
    "DOWNWELLING_PAR": Parameter(
        "Downwelling photosynthetic available radiation",
        "micromole/m2/s",
        "UMES",
        "downwelling_photosynthetic_photon_flux_in_sea_water",
    ),
    "DOXY": Parameter(
        "Dissolved oxygen", "micromole/kg", "KGUM", "moles_of_oxygen_per_unit_mass_in_sea_water"
    ),
    "DPHASE_DOXY": Parameter("Calibrated phase shift reported by oxygen sensor", "degree", "UAAA"),
    "FIT_ERROR_NITRATE": Parameter("Nitrate fit error", "1", "UUUU"),
    "FLUORESCENCE_CDOM": Parameter(
        "Raw fluorescence from coloured dissolved organic matter sensor", "count", "UUUU"
    ),
    "FLUORESCENCE_CHLA": Parameter(
        "Chlorophyll-A signal from fluorescence sensor", "count", "UUUU"
    ),
    "FREQUENCY_DOXY": Parameter("Frequency reported by oxygen sensor", "hertz", "UTHZ"),
    "HUMIDITY_NITRATE": Parameter(
        "Relative humidity inside the SUNA sensor (If > 50% There is a leak)", "percent", "UPCT"
    ),
    "IB_PH": Parameter("Base current of pH sensor", "nanoampere", "NAMP"),
    "IK_PH": Parameter("Counter electrode current of pH sensor", "nanoampere", "NAMP"),
    "LED_FLASHING_COUNT_DOXY": Parameter(
        "Number of times oxygen sensor flashing to measure oxygen", "count", "UUUU"
    ),
    "MLPL_DOXY": Parameter("Oxygen concentration reported by the oxygen sensor", "ml/l", "UMLL"),
    "MOLAR_DOXY": Parameter(
        "Uncompensated (pressure and salinity) oxygen concentration reported by the oxygen sensor",
        "micromole/l",
        "UPOX",
        "mole_concentration_of_dissolved_molecular_oxygen_in_sea_water",
    ),
    "MOLAR_NITRATE": Parameter("Nitrate", "micromole/l", "UPOX"),
    "MTIME": Parameter(
        "Fractional day of the individual measurement relative to JULD of the station",
        "days",
        "UTAA",
    ),
    "NB_SAMPLE_CTD": Parameter("Number of samples in each pressure bin for the CTD", "count"),
    "NB_SAMPLE_MCOMS": Parameter("Number of samples in each pressure bin", "count"),
    "NB_SAMPLE_SFET": Parameter("Number of samples in each pressure bin for the SFET", "count"),
    "NITRATE": Parameter(
        "Nitrate", "micromole/kg", "KGUM", "moles_of_nitrate_per_unit_mass_in_sea_water"
    ),
    "PHASE_DELAY_DOXY": Parameter("Phase delay reported by oxygen sensor", "microsecond", "USEC"),
    "PH_IN_SITU_FREE": Parameter("pH", "1", "UUPH"),
    "PH_IN_SITU_SEAWATER": Parameter("pH", "1", "UUPH"),
    "PH_IN_SITU_TOTAL": Parameter("pH", "1", "UUPH", "sea_water_ph_reported_on_total_scale"),
    "PPOX_DOXY": Parameter("Partial pressure of oxygen", "millibar", "UPBB"),
    "PRES": Parameter(
        "Sea water pressure, equals 0 at sea-level", "decibar", "UPDB", "sea_water_pressure"
    ),
    "PSAL": Parameter("Practical salinity", "1", "UUUU", "sea_water_practical_salinity"),
    "RAW_DOWNWELLING_PAR": Parameter(
        "Raw downwelling photosynthetic available radiation", "count", "UUUU"
    ),
    "RPHASE_DOXY": Parameter(
        "Uncalibrated red phase shift reported by oxygen sensor", "degree", "UAAA"
    ),
    "SIDE_SCATTERING_TURBIDITY": Parameter(
        "Turbidity signal from side scattering sensor", "count", "UUUU"
    ),
    "TEMP": Parameter(
        "Sea temperature in-situ ITS-90 scale", "degree_Celsius", "UPAA", "sea_water_temperature"
    ),
    "TEMP_CNDC": Parameter("Internal temperature of the conductivity cell", "degree_Celsius"),
    "TEMP_COUNT_DOXY": Parameter(
        "Count which is expressive of uncalibrated temperature value reported by oxygen sensor",
        "count",
        "UUUU",
    ),
    "TEMP_CPU_CHLA": Parameter("Thermistor signal from backscattering sensor", "count", "UUUU"),
    "TEMP_DOXY": Parameter(
        "Sea temperature from oxygen sensor ITS-90 scale",
        "degree_Celsius",
        "UPAA",
        "temperature_of_sensor_for_oxygen_in_sea_water",
    ),
    "TEMP_NITRATE": Parameter("Internal temperature of the SUNA sensor", "degree_Celsius", "UPAA"),
    "TEMP_PH": Parameter("Sea temperature from pH sensor", "degree_Celsius", "UPAA"),
    "TEMP_SPECTROPHOTOMETER_NITRATE": Parameter(
        "Temperature of the spectrometer", "degree_Celsius", "UPAA"
    ),
    "TEMP_VOLTAGE_DOXY": Parameter("Thermistor voltage reported by oxygen sensor", "volt", "UVLT"),
    "TILT": Parameter(
        "Inclination of the float axis in respect to the local vertical", "degree", "UAAA"
    ),
    "TPHASE_DOXY": Parameter(
        "Uncalibrated phase shift reported by oxygen sensor", "degree", "UAAA"
    ),
    "TURBIDITY": Parameter("Sea water turbidity", "1", "", "sea_water_turbidity"),
    "UV_INTENSITY_DARK_NITRATE": Parameter(
        "Intensity of ultra violet flux dark measurement from nitrate sensor", "count", "UUUU"
    ),
    "UV_INTENSITY_DARK_SEAWATER_NITRATE": Parameter(
        "Intensity of ultra-violet flux dark sea water from nitrate sensor", "count", "UUUU"
    ),
    "UV_INTENSITY_NITRATE": Parameter(
        "Intensity of ultra violet flux from nitrate sensor", "count", "UUUU"
    ),
    "VK_PH": Parameter("Counter electrode voltage of pH sensor", "volt", "UVLT"),
    "VOLTAGE_DOXY": Parameter("Voltage reported by oxygen sensor", "volt", "UVLT"),
    "VRS_PH": Parameter(
        "Voltage difference between reference and source from pH sensor", "volt", "UVLT"
    ),
}

_BY_WAVELENGTH: Mapping[str, tuple[tuple[int, ...], Parameter]] = {
    "BBP": ((470, 532, 700), Parameter("Particle backscattering at {} nanometers", "m-1", "UPRM")),
    "BETA_BACKSCATTERING": (
        (470, 532, 700),
        Parameter(
            "Total angle specific volume from backscattering sensor at {} nanometers",
            "count",
            "UUUU",
        ),
    ),
    "CP": ((660,), Parameter("Particle beam attenuation at {} nanometers", "m-1", "UPRM")),
    "DOWN_IRRADIANCE": (
        (380, 412, 443, 490, 555, 665, 670),
        Parameter("Downwelling irradiance at {} nanometers", "W/m2/nm", "UWNM"),
    ),
    "RAW_DOWNWELLING_IRRADIANCE": (
        (380, 412, 443, 490, 555, 665, 670),
        Parameter("Raw downwelling irradiance at {} nanometers", "count", "UUUU"),
    ),
    "RAW_UPWELLING_RADIANCE": (
        (412, 443, 490, 555),
        Parameter("Raw upwelling radiance at {} nanometers", "count", "UUUU"),
    ),
    "TRANSMITTANCE_PARTICLE_BEAM_ATTENUATION": (
        (660,),
        Parameter("Beam attenuation from transmissometer sensor at {} nanometers", "count", "UUUU"),
    ),
    "UP_RADIANCE": (
        (412, 443, 490, 555),
        Parameter("Upwelling radiance at {} nanometers", "W/m2/nm/sr", "UWNS"),
    ),
}
"""The wavelengths [nm] that follow the name, and what is said at each."""

_WITHOUT_CODE = {
    f"{stem}{length_nm}"
    for stem in ("DOWN_IRRADIANCE", "RAW_DOWNWELLING_IRRADIANCE")
    for length_nm in (665, 670)
}
"""R03 relates these, which came later, to no unit of P06."""


def _listed() -> dict[str, Parameter]:
    found = dict(_SINGLE)
    for stem, (wavelengths_nm, told) in _BY_WAVELENGTH.items():
        for length_nm in wavelengths_nm:
            name = f"{stem}{length_nm}"
            code = "" if name in _WITHOUT_CODE else told.unit_code
            found[name] = told._replace(long_name=told.long_name.format(length_nm), unit_code=code)
    return found


R03: Mapping[str, Parameter] = _listed()
"""By the name that profile files use."""
