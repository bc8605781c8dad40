"""The biogeochemical parameters of Argo, by their names in the NERC vocabulary R03."""

from __future__ import annotations

BIOGEOCHEMICAL = (
    "BBP470",
    "BBP532",
    "BBP700",
    "BISULFIDE",
    "CDOM",
    "CHLA",
    "CHLA_FLUORESCENCE",
    "CP660",
    "DOWNWELLING_PAR",
    "DOWN_IRRADIANCE380",
    "DOWN_IRRADIANCE412",
    "DOWN_IRRADIANCE443",
    "DOWN_IRRADIANCE490",
    "DOWN_IRRADIANCE555",
    "DOXY",
    "NITRATE",
    "PH_IN_SITU_FREE",
    "PH_IN_SITU_TOTAL",
    "TURBIDITY",
    "UP_RADIANCE412",
    "UP_RADIANCE443",
    "UP_RADIANCE490",
    "UP_RADIANCE555",
)
"""What biogeochemical floats measure besides: in bio and synthetic files.

Bio files hold intermediate quantities too (``C1PHASE_DOXY``): the archive's own index names them.
"""
