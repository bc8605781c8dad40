"""Tells what changed between two states of an index.

A profile is known by (kind, float, cycle, direction); its file is renamed when delayed-mode
processing supersedes the real-time one (``R...`` becomes ``D...``). Each changed profile is told
once, whatever happened to it in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from controller.apps.argo.rows import (
    TICKS_PER_DEGREE,
    Int64s,
    Mask,
    Places,
    Rows,
    recode,
    together,
)
from planner.model import Observations


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Changes:
    """What makes one state of an index of another.

    Parameters
    ----------
    added : Rows
        Profiles that were not listed before.
    updated : Rows
        The new rows of files that were listed before and changed.
    superseded : Rows
        The new rows of profiles whose file has another path now: R to D, seldom D to R, or another
        data centre.
    removed : Rows
        The old rows of profiles that are listed no more.
    """

    added: Rows
    updated: Rows
    superseded: Rows
    removed: Rows

    def __len__(self) -> int:
        """Return the number of profiles concerned."""
        return sum(map(len, (self.added, self.updated, self.superseded, self.removed)))

    @property
    def arrived(self) -> Rows:
        """The new rows, in the order of time."""
        return together((self.added, self.updated, self.superseded))

    @property
    def outdated(self) -> Int64s:
        """The `profile_keys` whose old rows count no more, in no order."""
        gone = (self.updated, self.superseded, self.removed)
        return cast(Int64s, np.concatenate([rows.profile for rows in gone]))


def changes_between(old: Rows, new: Rows, *, whole: bool = True) -> Changes:
    """Return what turns the rows of one state into those of another.

    Parameters
    ----------
    old, new : Rows
        Each lists a profile once at most (as `read_index` returns them).
    whole : bool
        Whether `new` is a whole index; a partial one (``ar_index_this_week_prof.txt``) says nothing
        of the profiles that it does not list, so none counts as removed.
    """
    old_order, new_order = np.argsort(old.profile), np.argsort(new.profile)
    place, found = _matched(old.profile[old_order], new.profile[new_order])
    was, now = old_order[place[found]], new_order[found]
    moved = _moved(old, was, new, now)
    edited = ~moved & _edited(old, was, new, now)
    kept = np.ones(len(old), np.bool_)
    kept[was] = False
    return Changes(
        added=new.taken(new_order[~found]),
        updated=new.taken(now[edited]),
        superseded=new.taken(now[moved]),
        removed=old.taken(kept if whole else np.zeros(len(old), np.bool_)),
    )


def observations(changes: Changes) -> Observations:
    """Return the new and changed profiles that a request can match, for `UpdateArrived`."""
    arrived = changes.arrived
    rows = arrived.taken(arrived.located)
    used, parameter_set = np.unique(rows.parameter_set, return_inverse=True)
    return Observations(
        time_s=tuple(rows.time_s.astype(np.float64).tolist()),
        longitude=tuple((rows.longitude_ticks / TICKS_PER_DEGREE).tolist()),
        latitude=tuple((rows.latitude_ticks / TICKS_PER_DEGREE).tolist()),
        parameter_set=tuple(parameter_set.tolist()),
        parameter_sets=tuple(rows.parameter_sets[code] for code in used.tolist()),
    )


def _matched(old: Int64s, new: Int64s) -> tuple[Places, Mask]:
    """Return for each new profile where the old ones have it, and whether; both are sorted."""
    assert bool(np.all(old[1:] > old[:-1])), "the old state lists a profile twice"
    assert bool(np.all(new[1:] > new[:-1])), "the new state lists a profile twice"
    place = np.searchsorted(old, new)
    found = place < len(old)
    found[found] = old[place[found]] == new[found]
    return place, found


def _moved(old: Rows, was: Places, new: Rows, now: Places) -> Mask:
    dac = recode(old.dac, old.dacs, new.dacs)
    return cast(Mask, (old.delayed[was] != new.delayed[now]) | (dac[was] != new.dac[now]))


def _edited(old: Rows, was: Places, new: Rows, now: Places) -> Mask:
    held = recode(old.parameter_set, old.parameter_sets, new.parameter_sets)
    edited = cast(Mask, held[was] != new.parameter_set[now])
    edited |= old.date_update[was] != new.date_update[now]
    edited |= old.time_s[was] != new.time_s[now]
    edited |= old.latitude_ticks[was] != new.latitude_ticks[now]
    edited |= old.longitude_ticks[was] != new.longitude_ticks[now]
    return edited
