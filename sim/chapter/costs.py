"""What reading really costs, file by file: drawn from times that were measured, not predicted.

`file_costs.csv` holds the CPU times of reading all core files of a real subset of the archive. A
float's files are alike (its sensor and the depths at which it reports stay the same), and one float
differs from another. So each float of an index is given a measured one, and each of its files a
time drawn from that one's: costs differ as they really do, within a float and between floats.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from planner.extent import Floats
from sim.chapter.profiles import Profiles

TABLE = "file_costs.csv"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FileCosts:
    """Measured costs of files.

    Parameters
    ----------
    base_s : float
        Of a part, whatever it reads [s].
    quantiles_s : array of shape (floats, quantiles)
        Of a file of each measured float [s], at equal steps from the least to the greatest.
    """

    base_s: float
    quantiles_s: Floats

    def drawn(self, profiles: Profiles, seed: int) -> Floats:
        """Return what each profile's file costs [s], shape (n,); the same for the same seed."""
        rng = np.random.default_rng(seed)
        floats, of_profile = np.unique(profiles.float_number, return_inverse=True)
        alike = rng.integers(len(self.quantiles_s), size=len(floats))[of_profile]
        place = rng.random(len(profiles)) * (self.quantiles_s.shape[1] - 1)
        below = place.astype(np.intp)
        share = place - below
        low_s, high_s = self.quantiles_s[alike, below], self.quantiles_s[alike, below + 1]
        cost_s: Floats = low_s + share * (high_s - low_s)
        return cost_s


def measured_costs() -> FileCosts:
    """Return the costs that come with the program."""
    lines = files("sim.chapter").joinpath(TABLE).read_text("ascii").splitlines()
    rows = [line.split(",") for line in lines if not line.startswith("#")][1:]
    costs_s = 1e-3 * np.array([[float(cell) for cell in row[3:]] for row in rows])
    return FileCosts(base_s=float(costs_s[0, 0]), quantiles_s=costs_s[1:])
