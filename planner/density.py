"""Where a dataset's load lies: point masses over time and place.

An application builds one `Density` for an extent from its index; partitioners cut by it and the
cutter prices parts with it. It is a value: it does no I/O and is cheap to slice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.extent import Extent, Floats
from planner.model import Features


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Density:
    """Point masses sorted by time.

    Parameters
    ----------
    time_s : array of shape (n,)
        Observation time [POSIX s], increasing.
    longitude, latitude : array of shape (n,)
        Position [degrees east in [-180, 180), degrees north].
    files : array of shape (n,)
        Files that this mass stands for [count].
    size_bytes : array of shape (n,)
        Bytes of those files, 0 where the index does not say.
    """

    time_s: Floats
    longitude: Floats
    latitude: Floats
    files: Floats
    size_bytes: Floats

    def __post_init__(self) -> None:
        """Check the shape once, so that every use may rely on it."""
        columns = (self.longitude, self.latitude, self.files, self.size_bytes)
        assert all(column.shape == self.time_s.shape for column in columns)
        assert bool(np.all(np.diff(self.time_s) >= 0)), "masses must be sorted by time"

    def __len__(self) -> int:
        """Return the number of masses."""
        return len(self.time_s)

    def within(self, extent: Extent) -> Density:
        """Return the masses inside an extent."""
        return self._taken(extent.contains(self.time_s, self.longitude, self.latitude))

    def features(self, extent: Extent) -> Features:
        """Return what reading an extent would touch."""
        inside = extent.contains(self.time_s, self.longitude, self.latitude)
        files = float(self.files[inside].sum())
        return Features(
            files=round(files),
            size_bytes=round(float(self.size_bytes[inside].sum())),
            values=round(files * max(1, len(extent.parameters))),
        )

    def _taken(self, mask: NDArray[np.bool_]) -> Density:
        return Density(
            time_s=self.time_s[mask],
            longitude=self.longitude[mask],
            latitude=self.latitude[mask],
            files=self.files[mask],
            size_bytes=self.size_bytes[mask],
        )
