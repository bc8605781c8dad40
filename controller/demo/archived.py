"""One profile of the demonstration archive: its file, and what may be odd about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import numpy as np

from controller.demo.fleet import ARCHIVE_AT, Randomness
from controller.demo.floats import DemoFloat, Trait
from controller.demo.profiles import Cast, Measured, profile_file
from controller.demo.water import YEAR_S

JULIAN_0 = datetime(1950, 1, 1, tzinfo=UTC).timestamp()
"""Argo counts days from here [POSIX s]."""

POSITION_OF_NINES = (-99.999, -999.999)
"""Latitude and longitude that some centres write for a position they do not know."""

SALINITY_DRIFT_MAX = 0.012
"""Delayed mode corrects up to this much [psu]."""

_ERRORS = {"PRES": 2.4, "TEMP": 0.002, "PSAL": 0.01, "DOXY": 4.0}
_NEAR_SURFACE = np.linspace(0.4, 6.0, 15)
_WRONG_PAGE = b"<html><body>503 Service Unavailable</body></html>\n"


class Quirk(StrEnum):
    """What is odd about one profile, its file or its row in the index."""

    NONE = "none"
    NO_DATE = "no date"
    NO_POSITION = "no position"
    POSITION_OF_NINES = "position -99.999, -999.999"
    NO_OCEAN = "no ocean in the index"
    MISSING_FILE = "listed, but no file"
    UNLISTED_FILE = "a file that is not listed"
    TRUNCATED_FILE = "a truncated file"
    EMPTY_FILE = "an empty file"
    NOT_NETCDF = "a web page instead of a file"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoProfile:
    """One profile of a float as the archive holds it now.

    Parameters
    ----------
    owner : DemoFloat
    place : int
        Which of the float's profiles, from 0.
    mode : str
        "R", "A" or "D".
    updated_at : float
        When its file was written [POSIX s].
    quirk : Quirk
    """

    owner: DemoFloat
    place: int
    mode: str
    updated_at: float
    quirk: Quirk = Quirk.NONE

    @property
    def kinds(self) -> tuple[str, ...]:
        """The families of files that hold it."""
        return ("core", "synthetic") if self.owner.trait is Trait.OXYGEN else ("core",)

    @property
    def time_s(self) -> float | None:
        """When it was measured [POSIX s], as far as it is known."""
        return None if self.quirk is Quirk.NO_DATE else float(self.owner.track.time_s[self.place])

    @property
    def position(self) -> tuple[float, float] | tuple[None, None]:
        """Degrees north and east, as far as they are known."""
        if self.quirk is Quirk.NO_POSITION:
            return None, None
        if self.quirk is Quirk.POSITION_OF_NINES:
            return POSITION_OF_NINES
        track = self.owner.track
        return float(track.latitude[self.place]), float(track.longitude[self.place])

    def path(self, kind: str) -> str:
        """Return where its file of this kind lies below ``dac/``."""
        wmo, (cycle, direction) = self.owner.track.wmo, self.owner.cycle(self.place)
        letters = ("S" if kind == "synthetic" else "") + ("D" if self.mode == "D" else "R")
        down = "D" if direction == "D" else ""
        return f"{self.owner.track.sea.dac}/{wmo}/profiles/{letters}{wmo}_{cycle:03d}{down}.nc"

    def content(self, kind: str) -> bytes:
        """Return the bytes of its file of this kind."""
        if self.quirk is Quirk.EMPTY_FILE:
            return b""
        if self.quirk is Quirk.NOT_NETCDF:
            return _WRONG_PAGE
        whole = profile_file(
            self._casts(kind),
            synthetic=kind == "synthetic",
            date_update=stamp(self.updated_at),
            padding="\0" if self.owner.trait is Trait.NUL_PADDED else " ",
        )
        return whole[: len(whole) * 3 // 5] if self.quirk is Quirk.TRUNCATED_FILE else whole

    def _casts(self, kind: str) -> list[Cast]:
        names = self.owner.parameters(with_oxygen=kind == "synthetic")
        casts = [self._cast({name: self._measured(name) for name in names}, self.mode)]
        if self.owner.trait is Trait.TWO_PROFILES:
            casts.append(self._cast(self._near_surface(), "R"))
        return casts

    def _cast(self, measured: dict[str, Measured], mode: str) -> Cast:
        cycle, direction = self.owner.cycle(self.place)
        latitude, longitude = self.position
        is_placed = self.quirk not in (Quirk.NO_POSITION, Quirk.POSITION_OF_NINES)
        return Cast(
            platform=self.owner.track.wmo,
            cycle=cycle,
            direction=direction,
            time_d=None if self.time_s is None else (self.time_s - JULIAN_0) / 86400.0,
            latitude=latitude,
            longitude=longitude,
            time_flag="9" if self.time_s is None else "1",
            position_flag="1" if is_placed else "9",
            data_mode=mode,
            measured=measured,
        )

    def _measured(self, name: str) -> Measured:
        values, letters = (column[self.place] for column in self.owner.measured[name])
        flags = "".join(letters)
        if self.mode == "R":
            return Measured(values=values, flags=flags)
        if self.mode == "A":
            return Measured(
                values=values, flags=flags, adjusted=values, adjusted_flags=flags, error=np.nan
            )
        drift = SALINITY_DRIFT_MAX * (self.owner.track.wmo % 7) / 6 if name == "PSAL" else 0.0
        return Measured(
            values=values,
            flags=flags,
            adjusted=np.where(letters == "4", np.nan, np.round(values - drift, 4)),
            adjusted_flags=flags,
            error=_ERRORS[name],
        )

    def _near_surface(self) -> dict[str, Measured]:
        """Return what the second profile of a file holds: a few levels, never adjusted."""
        pressure = np.full(len(self.owner.pressure), np.nan)
        pressure[: len(_NEAR_SURFACE)] = _NEAR_SURFACE
        surface = self.owner.measured["TEMP"][0][self.place, 0]
        return {
            "PRES": Measured(values=pressure),
            "TEMP": Measured(values=np.where(np.isnan(pressure), np.nan, surface)),
        }


def first_state(owner: DemoFloat, randomness: Randomness) -> list[DemoProfile]:
    """Return the profiles of a float as the archive first holds them.

    Most old floats are in delayed mode as a whole, written in one go long after; some of the rest
    are adjusted in real time.
    """
    track = owner.track
    age_s = ARCHIVE_AT - float(track.time_s[-1])
    if age_s > 1.5 * YEAR_S and randomness.random() < 0.6:
        mode, written_at = "D", ARCHIVE_AT - randomness.uniform(0.05, 0.6) * age_s
        updated_at = written_at + 2.0 * np.arange(len(track))
    else:
        mode = "A" if randomness.random() < 0.3 else "R"
        updated_at = track.time_s + randomness.uniform(6 * 3600.0, 23 * 3600.0, len(track))
    return [
        DemoProfile(owner=owner, place=place, mode=mode, updated_at=at)
        for place, at in enumerate(updated_at.tolist())
    ]


def stamp(at: float) -> str:
    """Return an instant [POSIX s] as YYYYMMDDHHMMSS."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%d%H%M%S")
