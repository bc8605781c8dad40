"""The depth of the mixed layer, by a threshold of density."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from controller.apps.argo.derived.protocol import Values
from controller.apps.argo.derived.teos10 import NEEDS, potential_density_anomaly, water_of

REFERENCE_DEPTH_M = 10.0
"""Where the mixed layer is compared with: below what one day's sun warms."""

DENSITY_STEP_KG_M3 = 0.03
"""How much denser than there the water is at the mixed layer's end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedLayerDepth:
    """One value a profile; implements `protocol.DerivedParameter`.

    Notes
    -----
    de Boyer Montegut et al., 2004: Mixed layer depth over the global ocean, JGR 109, C12003, doi
    10.1029/2004JC002378: the depth where the potential density is 0.03 kg/m3 above that at 10 m,
    linear between levels. Here density is that of TEOS-10.
    """

    name: str = "MLD"
    version: str = "1"
    needs: tuple[str, ...] = NEEDS
    software: tuple[str, ...] = ("gsw",)
    per_profile: bool = True
    attributes: Mapping[str, str] = field(
        default_factory=lambda: {
            "long_name": "Mixed layer depth of the profile, where potential density is 0.03 kg/m3"
            " above that at 10 m",
            "standard_name": "ocean_mixed_layer_thickness_defined_by_sigma_theta",
            "units": "m",
            "references": "https://doi.org/10.1029/2004JC002378",
        }
    )

    def compute(self, columns: Mapping[str, Values], latitude: float, longitude: float) -> float:
        """Compute it for one profile, see `protocol.DerivedParameter`."""
        import gsw  # noqa: PLC0415

        water = water_of(columns, latitude, longitude)
        depth_m = -gsw.z_from_p(water.pressure, latitude)
        return mixed_layer_depth_m(depth_m, potential_density_anomaly(water))


def mixed_layer_depth_m(depth_m: Values, density_kg_m3: Values) -> float:
    """Return where density first exceeds that at the reference depth by the step [m].

    Parameters
    ----------
    depth_m, density_kg_m3 : array of shape (levels,)
        In any order.

    Returns
    -------
    float
        NaN where no level lies at or above the reference depth, or the profile ends within the
        mixed layer.
    """
    told = np.isfinite(depth_m) & np.isfinite(density_kg_m3)
    depth, places = np.unique(depth_m[told], return_index=True)
    density = density_kg_m3[told][places]
    if not len(depth) or depth[0] > REFERENCE_DEPTH_M or depth[-1] < REFERENCE_DEPTH_M:
        return np.nan
    end = np.interp(REFERENCE_DEPTH_M, depth, density) + DENSITY_STEP_KG_M3
    below = np.flatnonzero((depth > REFERENCE_DEPTH_M) & (density >= end))
    if not len(below):
        return np.nan
    # Between the last level above (or the reference depth itself) and the first that is denser.
    first = int(below[0])
    around = np.array([max(depth[first - 1], REFERENCE_DEPTH_M), depth[first]])
    return float(np.interp(end, np.interp(around, depth, density), around))
