"""Which measurements a subscriber wants: user mode, quality flags and data modes per parameter.

The user modes are argopy's (`RULES`). A level is kept when its profile's time and position, and
every wanted parameter that its file has, carry a flag that is kept; what the file lacks takes no
part. Bio files hold pressure as measured only, whatever their data mode, so there its mode takes no
part either.

Options of a subscription:

``mode``
    "standard" (the default), "research" or "expert".
``qc``, ``qc_TEMP``, ``qc_POSITION``, ``qc_TIME``
    Flags kept ("1,2"): of all parameters, of one, of the profile's position, of its time.
``data_mode``, ``data_mode_DOXY``
    Data modes kept ("A,D"): of all parameters, of one.
``pressure``, ``depth``
    Levels kept, as a range ("0/500") in dbar or m; at most one of the two.

Expert mode keeps every level in both versions, so no flags and data modes go with it. The options
``kind``, ``format`` and ``derived`` say which files are read and written and what is computed (see
`application`), and nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from controller.apps.argo.fragment import Derivation
from controller.apps.argo.profile import Mask, Profile
from controller.apps.argo.rows import CORE_PARAMETERS, Kind
from controller.apps.argo.vertical import UNITS, VerticalRange, vertical_range
from planner.errors import InvalidSubscription
from planner.model import Options

Flags = tuple[int, ...]
DataModes = tuple[str, ...]

ANY_FLAG: Flags = tuple(range(10))
"""Argo reference table 2: 0 unchecked, 1 good, 2 and 3 probably good and bad, 4 bad, 5 changed, 8
interpolated, 9 missing."""

ANY_DATA_MODE: DataModes = ("R", "A", "D", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a user mode keeps where no option says else.

    Parameters
    ----------
    profile_flags, core_flags, other_flags, optics_flags : tuple of int
        Of time and position, of the core parameters, of the biogeochemical ones, and of those among
        them that measure light (`_OPTICS`).
    core_data_modes : tuple of str
        Which each core parameter must have.
    one_data_mode : tuple of str
        Which one at least of a profile's biogeochemical parameters must have.
    optics_apart : bool
        Whether the optical ones take no part in that.
    pressure_error_dbar_max : float
        A level whose pressure is less certain is dropped [dbar].
    """

    profile_flags: Flags = ANY_FLAG
    core_flags: Flags = ANY_FLAG
    other_flags: Flags = ANY_FLAG
    optics_flags: Flags = ANY_FLAG
    core_data_modes: DataModes = ANY_DATA_MODE
    one_data_mode: DataModes = ANY_DATA_MODE
    optics_apart: bool = True
    pressure_error_dbar_max: float | None = None


RULES: Mapping[str, Rules] = {
    "standard": Rules(
        profile_flags=(1, 2),
        core_flags=(1, 2),
        other_flags=(1, 2, 5, 8),
        one_data_mode=("A", "D"),
    ),
    "research": Rules(
        profile_flags=(1,),
        core_flags=(1,),
        other_flags=(1, 5, 8),
        optics_flags=(1, 5, 8),
        core_data_modes=("D",),
        one_data_mode=("D",),
        optics_apart=False,
        pressure_error_dbar_max=20.0,
    ),
    "expert": Rules(),
}
"""argopy 1.5, `DataFetcher.define_postprocessor` and `Dataset.argo.filter_researchmode`."""

OF_PROFILE = ("POSITION", "TIME")
"""What has quality flags beside parameters: each profile once."""

_OPTION = re.compile(
    r"(mode|kind|format|derived|pressure|depth)|(qc|data_mode)(?:_([A-Z][A-Z0-9_]*))?", re.ASCII
)
_OPTICS = re.compile(r"(RAW_)?(UP_RADIANCE|UPWELLING|DOWN_IRRADIANCE|DOWNWELLING)|BBP700$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is kept of a profile; make it with `policy_of`.

    Parameters
    ----------
    mode : str
        A key of `RULES`.
    flags, data_modes : mapping of str to tuple
        What options say of one parameter, of "POSITION" or "TIME", or under "" of all parameters.
    vertical : VerticalRange or None
        Where the levels lie that are kept; None is everywhere.
    """

    mode: str = "standard"
    flags: Mapping[str, Flags] = field(default_factory=dict)
    data_modes: Mapping[str, DataModes] = field(default_factory=dict)
    vertical: VerticalRange | None = None

    @property
    def both_versions(self) -> bool:
        """Whether measured and adjusted values are both wanted, unmerged."""
        return self.mode == "expert"

    def kept(self, profile: Profile) -> Mask:
        """Tell which levels of a profile are kept wherever they lie, shape (levels,)."""
        return self.good(profile, profile.modes) & self._keeps(profile)

    def good(self, profile: Profile, names: Iterable[str], *, per_profile: bool = False) -> Mask:
        """Tell where all these parameters carry a flag that is kept, shape (levels,).

        Parameters
        ----------
        profile : Profile
        names : iterable of str
        per_profile : bool
            Whether one value for all levels is computed from them, see `deriving`.
        """
        judge = self._judge(per_profile=per_profile)
        good = np.full(len(profile.columns["PRES"]), True)
        for name in names:
            flags = profile.standing(name, "_QC")
            if flags is not None:
                good &= _is_among(judge.flags_of(name))[flags]
        error_max = RULES[self.mode].pressure_error_dbar_max
        return good if error_max is None else good & (profile.columns["PRES_ERROR"] < error_max)

    def within(self, profile: Profile) -> Mask:
        """Tell which levels lie in the range of pressure or depth that is wanted, if one is."""
        pressure = profile.standing("PRES")
        assert pressure is not None
        if self.vertical is None:
            return np.full(len(pressure), True)
        return self.vertical.holds(pressure, profile.latitude)

    def flags_of(self, name: str) -> Flags:
        """Return the flags kept of a parameter, or of "POSITION" or "TIME"."""
        rules = RULES[self.mode]
        if name in OF_PROFILE:
            return self.flags.get(name, rules.profile_flags)
        default = rules.core_flags if name in CORE_PARAMETERS else rules.other_flags
        if _OPTICS.match(name):
            default = rules.optics_flags
        return self.flags.get(name) or self.flags.get("") or default

    def data_modes_of(self, name: str) -> DataModes:
        """Return the data modes of which a parameter must have one."""
        default = RULES[self.mode].core_data_modes if name in CORE_PARAMETERS else ANY_DATA_MODE
        return self.data_modes.get(name) or self.data_modes.get("") or default

    def describe(
        self, parameters: Iterable[str], derivations: Iterable[Derivation] = ()
    ) -> dict[str, object]:
        """Return the whole policy for these parameters, fit for JSON.

        Parameters
        ----------
        parameters : iterable of str
            The measured ones.
        derivations : iterable of Derivation
            How the derived ones were computed.
        """
        names = list(parameters)
        return {
            "mode": self.mode,
            "values": "PARAM and PARAM_ADJUSTED" if self.both_versions else "adjusted in A and D",
            "qc": {name: list(self.flags_of(name)) for name in (*OF_PROFILE, *names)},
            "data_mode": {name: list(filter(None, self.data_modes_of(name))) for name in names},
            "data_mode_of_one_among": {
                "parameters": self._one_among(names),
                "data_mode": list(filter(None, RULES[self.mode].one_data_mode)),
            },
            "pressure_error_dbar_max": RULES[self.mode].pressure_error_dbar_max,
            "derived": {one.name: self._flags_behind(one) for one in derivations},
            "range": self.vertical.describe() if self.vertical else None,
        }

    def _judge(self, *, per_profile: bool) -> Policy:
        """Return the policy whose flags hold: one bad level would spoil a value of all levels."""
        return Policy() if per_profile and self.both_versions else self

    def _flags_behind(self, one: Derivation) -> dict[str, list[int]]:
        """Return which flags the levels carry that a derived parameter is computed from."""
        judge = self._judge(per_profile=one.per_profile)
        return {name: list(judge.flags_of(name)) for name in one.needs}

    def _keeps(self, profile: Profile) -> bool:
        modes = profile.modes
        one_among = self._one_among(modes)
        return (
            profile.position_flag in self.flags_of("POSITION")
            and profile.time_flag in self.flags_of("TIME")
            and all(
                mode in self.data_modes_of(name)
                for name, mode in modes.items()
                if not (name == "PRES" and profile.kind is Kind.BIO)
            )
            and (
                not one_among
                or any(modes[name] in RULES[self.mode].one_data_mode for name in one_among)
            )
        )

    def _one_among(self, names: Iterable[str]) -> list[str]:
        """Return the parameters of which one must have `Rules.one_data_mode`."""
        apart = RULES[self.mode].optics_apart
        return [
            name
            for name in names
            if name not in CORE_PARAMETERS
            and not (apart and _OPTICS.match(name))
            and not (name in self.data_modes or "" in self.data_modes)
        ]


def policy_of(options: Options) -> Policy:
    """Return the policy that a subscription's options ask for.

    Raises
    ------
    InvalidSubscription
        An option is unknown, given twice, has an impossible value or does not go with the mode.
    """
    mode, flags, data_modes, ranges = "standard", {}, {}, []
    for option, value in options:
        sort, name = _parsed(option)
        if sort == "mode":
            mode = _known_mode(value)
        elif sort == "qc":
            flags[name] = tuple(int(flag) for flag in _listed(option, value, "0123456789"))
        elif sort == "data_mode":
            data_modes[name] = tuple(_listed(option, value, "RAD"))
        elif sort in UNITS:
            ranges.append(vertical_range(sort, value))
    if len(dict(options)) != len(options):
        raise InvalidSubscription(f"an option is given twice: {[name for name, _ in options]}")
    if mode == "expert" and (flags or data_modes):
        raise InvalidSubscription(
            "mode expert keeps every level, so options qc and data_mode do not go with it",
            fix="Leave them out, or choose mode standard",
        )
    if len(ranges) > 1:
        raise InvalidSubscription(
            "options pressure and depth are both given", fix="Leave one of them out"
        )
    return Policy(mode=mode, flags=flags, data_modes=data_modes, vertical=next(iter(ranges), None))


def is_option(name: str) -> bool:
    """Tell whether an option of this name means anything here."""
    return _OPTION.fullmatch(name) is not None


def check_options(options: Options) -> None:
    """Refuse options that no order could be made with, when a subscription is made.

    Raises
    ------
    InvalidSubscription
        See `policy_of`.
    """
    policy_of(options)


def named_in(options: Options) -> Iterator[tuple[str, str, str]]:
    """Yield options that are about one parameter: the option, what it sets, of which parameter.

    Raises
    ------
    InvalidSubscription
        An option is unknown.
    """
    for option, _ in options:
        sort, name = _parsed(option)
        if name:
            yield option, sort, name


def _parsed(option: str) -> tuple[str, str]:
    """Return what an option sets, and of which parameter."""
    found = _OPTION.fullmatch(option)
    if not found:
        raise InvalidSubscription(
            f"option {option!r} is unknown",
            fix="Known are kind, mode, qc, data_mode, pressure, depth,"
            " and of one parameter qc_TEMP, data_mode_TEMP",
        )
    return found[1] or found[2], found[3] or ""


def _known_mode(value: str) -> str:
    if value not in RULES:
        raise InvalidSubscription(
            f"option mode is {value!r}", fix=f"Choose one of {', '.join(RULES)}"
        )
    return value


def _listed(option: str, value: str, known: str) -> list[str]:
    items = [item.strip() for item in value.split(",")]
    if not all(len(item) == 1 and item in known for item in items):
        raise InvalidSubscription(
            f"option {option} is {value!r}",
            fix=f"List some of {', '.join(known)}, separated by commas",
        )
    return sorted(set(items))


def _is_among(flags: Flags) -> Mask:
    """Return for each flag, as index, whether it is among those given."""
    table = np.zeros(10, bool)
    table[list(flags)] = True
    return table
