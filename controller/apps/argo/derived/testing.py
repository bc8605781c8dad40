"""The laws of derived parameters as a test that authors of plug-ins call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from controller.apps.argo.derived.catalogue import fault_of
from controller.apps.argo.derived.protocol import DerivedParameter, Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A profile to try a derived parameter on.

    Parameters
    ----------
    about : str
        What is special about it.
    pressure : array of shape (levels,)
        [dbar]
    latitude, longitude : float
        [degrees north, degrees east]
    """

    about: str
    pressure: Values
    latitude: float = 35.0
    longitude: float = 20.0

    def columns(self, needs: tuple[str, ...]) -> dict[str, Values]:
        """Return measurements that a float could have made at these pressures."""
        depth = self.pressure / 1000.0
        known = {
            "PRES": self.pressure,
            "TEMP": 4.0 + 18.0 * np.exp(-8.0 * depth),
            "PSAL": 35.0 + 0.5 * np.tanh(4.0 * depth),
        }
        return {name: known.get(name, 100.0 - 20.0 * depth).copy() for name in needs}


_DEEP = np.linspace(2.0, 1998.0, 100)

TRIALS = (
    Trial(about="a whole profile", pressure=_DEEP),
    Trial(about="one level", pressure=_DEEP[:1]),
    Trial(about="two levels of the same pressure", pressure=np.array([50.0, 50.0])),
    Trial(about="levels from the bottom up", pressure=_DEEP[::-1]),
    Trial(about="a pressure just below zero", pressure=np.array([-0.3, 4.0, 12.0, 30.0])),
    Trial(about="a profile at the pole", pressure=_DEEP, latitude=90.0, longitude=0.0),
    Trial(about="a profile on the antimeridian", pressure=_DEEP, latitude=0.0, longitude=-180.0),
)
"""What breaks most first attempts."""


def check_derived(one: DerivedParameter) -> None:
    """Check what a derived parameter says of itself, and that it obeys the laws.

    Raises
    ------
    AssertionError
        Says which law is broken, and by which profile.
    """
    assert isinstance(one, DerivedParameter), f"{one!r} lacks a part of DerivedParameter"
    assert not (fault := fault_of(one)), fault
    for trial in TRIALS:
        for broken in _broken_laws(one, trial):
            raise AssertionError(f"{one.name}, {trial.about}: {broken}")


def _broken_laws(one: DerivedParameter, trial: Trial) -> Iterator[str]:
    given = trial.columns(one.needs)
    first = _answer(one, given, trial)
    shape = () if one.per_profile else trial.pressure.shape
    if first.shape != shape:
        yield f"the answer has shape {first.shape}, not {shape}"
    untouched = trial.columns(one.needs)
    if not all(np.array_equal(given[name], untouched[name]) for name in given):
        yield "it wrote to the columns that it was given"
    if not np.array_equal(first, _answer(one, untouched, trial), equal_nan=True):
        yield "the same question got another answer"


def _answer(one: DerivedParameter, columns: Mapping[str, Values], trial: Trial) -> Values:
    with np.errstate(all="ignore"):
        return np.array(one.compute(columns, trial.latitude, trial.longitude), np.float64)
