"""Settings changed while the service runs, by the rules of the settings file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from controller.config.checked import held
from controller.config.mirror import build, model_of
from controller.config.settings import ORDERS, RULES
from controller.config.yaml_lines import Where
from planner.settings import PlannerSettings


def changed_planner(
    settings: PlannerSettings, given: Mapping[str, Mapping[str, object]]
) -> tuple[PlannerSettings | None, list[tuple[Where, str]]]:
    """Return the planner's settings with some values of some sections changed.

    Parameters
    ----------
    settings : PlannerSettings
    given : mapping of str to mapping of str to object
        New values, by section and name.

    Returns
    -------
    settings : PlannerSettings or None
        None when there are faults.
    faults : list of (Where, str)
        The way to each value that is wrong, and what is.
    """
    value = {
        section: {**values, **given.get(section, {})}
        for section, values in asdict(settings).items()
    }
    model, faults = held(value, model_of(PlannerSettings, RULES, ORDERS), lambda way: ("", way[1:]))
    return (None if model is None else build(PlannerSettings, model)), faults
