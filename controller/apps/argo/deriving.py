"""Computes derived parameters of profiles, on workers, from the measurements that stand.

The rules, the same for all (ADR 14):

- A value is computed from levels where every measured parameter it needs is there and carries a
  flag that the policy keeps; other parameters and the range of pressure or depth take no part. So
  what else was asked for never changes it.
- Of measured and adjusted values those count that the data mode says stand, also in mode expert.
- Mode expert refuses no level; there, a value of the whole profile comes from the levels that mode
  standard keeps, because one bad level would spoil it.
- Its flag is the worst of those it came from (`WORSE`), and that for missing where there is none;
  its data mode is the least of theirs.
- A plug-in that fails on a profile leaves it without values, and the product says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.apps.argo.columns import FLAG_MISSING, Column, blank
from controller.apps.argo.derived.catalogue import derived_parameter, origin_of
from controller.apps.argo.derived.protocol import DerivedParameter
from controller.apps.argo.fragment import Derivation
from controller.apps.argo.policy import Policy
from controller.apps.argo.profile import Flags, Mask, Profile
from planner.errors import BrokenPlugin
from planner.plugins import IMPORT_FAULTS

WORSE = (1, 2, 5, 8, 0, 6, 7, 3, 4, 9)
"""Flags of Argo reference table 2 from best to worst: good, probably good, changed, estimated; then
not checked and not used; then probably bad, bad, missing."""

LEAST_FIRST = ("", "R", "A", "D")
"""Data modes: unknown, real time, adjusted in real time, delayed."""

TOLD_CHARACTERS_MAX = 200
"""Of a plug-in's own error message: it is told in manifests."""

_RANK = np.array([WORSE.index(flag) for flag in range(10)])
_FLAG = np.array(WORSE, np.int8)


class _Failed(Exception):
    """A plug-in gave no answer for a profile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A derived parameter of one profile.

    Parameters
    ----------
    values : array of float32, shape (levels,)
    flags : array of int8, shape (levels,)
    failure : str
        Why there are no values, where the plug-in failed.
    """

    values: Column
    flags: Flags
    failure: str = ""


def loaded(names: Iterable[str]) -> tuple[DerivedParameter, ...]:
    """Return the derived parameters of these names.

    Raises
    ------
    UnknownPlugin, BrokenPlugin
        One is not installed here, or cannot be used.
    """
    return tuple(map(derived_parameter, names))


def derivation(one: DerivedParameter) -> Derivation:
    """Return what to tell of how a derived parameter is computed here."""
    return Derivation(
        name=one.name,
        version=one.version,
        plugin=origin_of(one.name),
        software=tuple(f"{name} {version(name)}" for name in one.software),
        needs=one.needs,
        attributes=dict(one.attributes),
        per_profile=one.per_profile,
    )


def mode_of(one: DerivedParameter, profile: Profile) -> str:
    """Return the data mode of a derived parameter: the least of those it needs, "" if it lacks one.

    Examples
    --------
    Of adjusted temperature (A) and delayed-mode salinity (D), density is in mode A.
    """
    return min((profile.modes.get(name, "") for name in one.needs), key=LEAST_FIRST.index)


def derive(one: DerivedParameter, profile: Profile, policy: Policy) -> Derived:
    """Compute a derived parameter at all levels of a profile.

    Raises
    ------
    BrokenPlugin
        It lacks something here that no profile can give.
    """
    levels = len(profile.columns["PRES"])
    values, flags = blank("", levels), np.full(levels, FLAG_MISSING, np.int8)
    inputs = {name: profile.standing(name) for name in one.needs}
    measured = {name: values for name, values in inputs.items() if values is not None}
    used = policy.good(profile, one.needs, per_profile=one.per_profile)
    for column in measured.values():
        used &= np.isfinite(column)
    if len(measured) < len(inputs) or not used.any():
        return Derived(values=values, flags=flags)
    try:
        answer = _answer(one, {n: column[used] for n, column in measured.items()}, profile)
    except _Failed as failed:
        return Derived(values=values, flags=flags, failure=str(failed))
    worst = _worst([profile.standing(name, "_QC") for name in one.needs], used)
    if one.per_profile:
        values[:], flags[:] = answer, _FLAG[_RANK[worst].max()]
    else:
        values[used], flags[used] = answer, worst
    flags[np.isnan(values)] = FLAG_MISSING
    return Derived(values=values, flags=flags)


def _answer(
    one: DerivedParameter, columns: dict[str, Column], profile: Profile
) -> NDArray[np.float32]:
    """Return what a plug-in answers, a value a level or one for all; infinities are no values."""
    levels = len(next(iter(columns.values())))
    asked = {name: column.astype(np.float64) for name, column in columns.items()}
    try:
        with np.errstate(all="ignore"):
            found = np.array(one.compute(asked, profile.latitude, profile.longitude), np.float64)
    except ImportError as error:
        raise BrokenPlugin(
            f"the derived parameter {one.name!r} ({origin_of(one.name)}) cannot be computed here:"
            f" {error}",
            fix="Install what it needs wherever workers run",
        ) from error
    except IMPORT_FAULTS as error:
        told = f"{type(error).__name__}: {error}"[:TOLD_CHARACTERS_MAX]
        raise _Failed(f"it raised {told}") from error
    if found.shape != (() if one.per_profile else (levels,)):
        raise _Failed(f"it answered with shape {found.shape} to {levels} levels")
    with np.errstate(over="ignore"):
        values = found.astype(np.float32)
    values[~np.isfinite(values)] = np.nan
    return values


def _worst(flags: list[Any], used: Mask) -> Flags:
    """Return the worst of several columns of flags where they were used; none is not checked."""
    ranks = [
        np.full(int(used.sum()), _RANK[0]) if column is None else _RANK[column[used]]
        for column in flags
    ]
    worst: Flags = _FLAG[np.max(ranks, axis=0)]
    return worst
