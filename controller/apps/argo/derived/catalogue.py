"""Which derived parameters there are: the built-in ones and those of other distributions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from controller.apps.argo.derived.mixed_layer import MixedLayerDepth
from controller.apps.argo.derived.protocol import DerivedParameter
from controller.apps.argo.derived.teos10 import QUANTITIES
from controller.apps.argo.parameters import BIOGEOCHEMICAL
from controller.apps.argo.rows import CORE_PARAMETERS
from controller.build import VERSION
from planner.errors import BrokenPlugin
from planner.model import Options
from planner.plugins import installed, load

GROUP = "slackwater.derived"
"""Entry point group; each entry names an instance of a derived parameter, not its class."""

BUILT_IN: Mapping[str, DerivedParameter] = {
    one.name: one for one in (*QUANTITIES, MixedLayerDepth())
}
"""Derived parameters that need no installation, by name."""

DERIVED_OPTION = "derived"
"""Option of a view that carries the derived parameters asked for, separated by commas."""

NAME_CHARACTERS_MAX = 64
"""As many as Argo's own parameters may have: names become variables of products."""

_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_TAKEN = {
    *CORE_PARAMETERS,
    *BIOGEOCHEMICAL,
    *("TIME", "LATITUDE", "LONGITUDE", "POSITION"),
    *("PLATFORM_NUMBER", "CYCLE_NUMBER", "DIRECTION"),
}
_ENDINGS = ("_QC", "_ERROR", "_ADJUSTED", "DATA_MODE")
_OURS = ("_FillValue", "ancillary_variables", "comment", "coordinates")


class DerivedParameters(Mapping[str, DerivedParameter]):
    """Derived parameters by name; an installed one is imported when it is asked for."""

    def __init__(self) -> None:
        self._names = tuple(sorted({*BUILT_IN, *installed(GROUP)}))

    def __getitem__(self, name: str) -> DerivedParameter:
        """Return the derived parameter of this name, see `derived_parameter`."""
        return derived_parameter(name)

    def __iter__(self) -> Iterator[str]:
        """Return all names, sorted."""
        return iter(self._names)

    def __len__(self) -> int:
        """Return the number of derived parameters."""
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        """Tell whether there is one of this name, without importing it."""
        return name in self._names


@cache
def derived_parameter(name: str) -> DerivedParameter:
    """Return the built-in or installed derived parameter of this name, looked for once a process.

    Raises
    ------
    UnknownPlugin
        None has this name.
    BrokenPlugin
        It cannot be imported, is no derived parameter of that name, or says of itself what cannot
        be.
    """
    found: object = load(GROUP, name, BUILT_IN)
    if isinstance(found, type) or not isinstance(found, DerivedParameter) or found.name != name:
        raise BrokenPlugin(
            f"the plug-in {name!r} of {GROUP} is no derived parameter of that name: {found!r}",
            fix="Its entry point must name an instance with name, version, needs, software,"
            " attributes, per_profile and compute",
        )
    if fault := fault_of(found):
        raise BrokenPlugin(f"the plug-in {name!r} of {GROUP} cannot be used: {fault}")
    return found


def fault_of(one: DerivedParameter) -> str:
    """Return what is wrong with what a derived parameter says of itself, or nothing."""
    if not _NAME.fullmatch(one.name) or len(one.name) > NAME_CHARACTERS_MAX:
        return f"its name must be up to {NAME_CHARACTERS_MAX} capitals, digits and underscores"
    if one.name in _TAKEN or one.name.endswith(_ENDINGS):
        return "its name means something else in products"
    for what in ("needs", "software"):
        names = getattr(one, what)
        if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
            return f"its {what} must be a tuple of names"
    if not one.needs:
        return "its needs are empty"
    return _fault_of_attributes(one.attributes) or _fault_of_software(one.software)


def _fault_of_attributes(attributes: object) -> str:
    if not isinstance(attributes, Mapping) or not {"long_name", "units"} <= attributes.keys():
        return "its attributes must have a long_name and units"
    if not all(isinstance(said, str) for said in [*attributes, *attributes.values()]):
        return "its attributes must be texts"
    ours = sorted(attributes.keys() & set(_OURS))
    return f"its attributes must not have {', '.join(ours)}" if ours else ""


def _fault_of_software(software: tuple[str, ...]) -> str:
    for name in software:
        try:
            version(name)
        except (PackageNotFoundError, ValueError):
            return f"its software {name!r} is not installed"
    return ""


def origin_of(name: str) -> str:
    """Return which distribution a derived parameter comes from, with its version."""
    if name in BUILT_IN:
        return f"slackwater {VERSION}"
    entry = installed(GROUP).get(name)
    return f"{entry.dist.name} {entry.dist.version}" if entry and entry.dist else "unknown"


def names_in(options: Options) -> tuple[str, ...]:
    """Return the derived parameters that a view's options ask for, sorted."""
    return tuple(sorted(filter(None, dict(options).get(DERIVED_OPTION, "").split(","))))
