"""What is in force after a start: the settings file's word, and what operators changed since."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace

from controller.config.settings import ORDERS
from planner.settings import PlannerSettings


def gone_on_with(
    in_force: PlannerSettings, read_before: PlannerSettings | None, read: PlannerSettings
) -> PlannerSettings:
    """Return what is in force once a settings file was read.

    A value goes on as it was when the last service ended, unless the file says otherwise now than
    the last time. Two values of which one bounds the other go together.

    Parameters
    ----------
    in_force : PlannerSettings
        As the last service ended.
    read_before : PlannerSettings or None
        What the file said when it was read last; None if nobody knows.
    read : PlannerSettings
        What it says now.
    """
    if read_before is None:
        return read
    sections = {}
    for section in fields(PlannerSettings):
        said = getattr(read, section.name)
        edited = set(_edited(getattr(read_before, section.name), said))
        values = {name: getattr(said, name) for name in edited}
        sections[section.name] = replace(getattr(in_force, section.name), **values)
    return PlannerSettings(**sections)


def differences(in_force: PlannerSettings, read: PlannerSettings) -> Iterator[tuple[str, str, str]]:
    """Yield name, value in force and value in the file of all that is not as the file says."""
    for section in fields(PlannerSettings):
        is_so, said = getattr(in_force, section.name), getattr(read, section.name)
        for each in fields(said):
            values = str(getattr(is_so, each.name)), str(getattr(said, each.name))
            if values[0] != values[1]:
                yield f"planner.{section.name}.{each.name}", *values


def _edited(before: object, now: object) -> Iterator[str]:
    """Yield the names of a section's values that the file says otherwise, and of their bounds."""
    for each in fields(now):  # type: ignore[arg-type]
        if getattr(before, each.name) != getattr(now, each.name):
            yield each.name
            yield from (
                name for pair in ORDERS.get(type(now), ()) if each.name in pair for name in pair
            )
