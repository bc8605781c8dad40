"""Reading a file of subscriptions, as ``slackwater run --subscriptions`` takes it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
)

from controller.config.bbox import is_counted_to_360, parse_bbox
from controller.config.checked import Describe, check, held, hint
from controller.config.iso8601 import parse_duration, parse_instant, parse_interval
from controller.config.settings import bare_doi
from controller.config.yaml_lines import Document, Fault, Where, read_document
from controller.destinations import Destinations
from planner.errors import SlackwaterError
from planner.extent import ALWAYS, GLOBE, Box, Period
from planner.model import Options, Subscription, View

DEADLINE_S_MAX = 100 * 365.25 * 86400.0
"""A deadline beyond [s] is none, and its instant may be one that no calendar has."""

ID_CHARACTERS_MAX = 64
"""Ids become file names, of which a file system bears 255 bytes, with room for ours."""

_ID = re.compile(r"[a-z0-9][a-z0-9._-]*", re.ASCII)


class KnownApplication(Protocol):
    """What must be known of the application that will serve a dataset.

    The methods are those of `controller.ports.Application`.
    """

    def parameters(self) -> tuple[str, ...]: ...  # noqa: D102

    def takes(self, option: str) -> bool: ...  # noqa: D102

    def check_options(self, options: Options) -> None: ...  # noqa: D102

    def view(  # noqa: D102
        self, box: Box, period: Period, parameters: tuple[str, ...], options: Options
    ) -> View: ...


class KnownDatasets(Protocol):
    """What must be known of the datasets that subscriptions may name."""

    def identifiers(self) -> Mapping[str, str]:
        """Return the identifier of each dataset by its alias."""

    def application(self, identifier: str) -> KnownApplication:
        """Return the application that serves a dataset.

        Raises
        ------
        SlackwaterError
            The dataset cannot be opened.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionsFile:
    """What a file of subscriptions asks for.

    Parameters
    ----------
    subscriptions : tuple of Subscription
        In the order of the file.
    warnings : tuple of str
        What was read otherwise than it was written, each with its line.
    """

    subscriptions: tuple[Subscription, ...]
    warnings: tuple[str, ...]


def read_subscriptions(
    path: str | Path,
    *,
    datasets: KnownDatasets,
    destinations: Destinations,
    now: float,
) -> SubscriptionsFile:
    """Read a file of subscriptions.

    Parameters
    ----------
    path : str or Path
        The YAML file; docs/reference says what it may hold.
    datasets : KnownDatasets
        A subscription may use a dataset's alias or its identifier; the application of each names
        the parameters and judges the options.
    destinations : Destinations
        Where products may go; the default is the folder of the subscription's id in its first root.
    now : float
        POSIX seconds; a deadline that is an instant must come after it.

    Raises
    ------
    FileFault
        All faults of the file at once, each with its line.
    """
    document = read_document(path)
    rules = _Rules(datasets=datasets, destinations=destinations, now=now)
    name_of = _namer(document)
    wishes, faults = check(document, _Wishes, name_of, rules)
    document.refuse([*faults, *_doubled_ids(document)])
    assert wishes is not None
    return SubscriptionsFile(
        subscriptions=tuple(_subscription(wish, datasets) for wish in wishes.subscriptions),
        warnings=tuple(_warnings(document)),
    )


def read_wish(
    given: object,
    *,
    datasets: KnownDatasets,
    destinations: Destinations,
    now: float,
) -> tuple[Subscription | None, list[tuple[Where, str]]]:
    """Read one subscription that a program sent; see `read_subscriptions`.

    Parameters
    ----------
    given : object
        What JSON held: the keys of an entry of the file.

    Returns
    -------
    subscription : Subscription or None
        None when there are faults.
    faults : list of (Where, str)
        The way to each value that is wrong, and what is.
    """
    rules = _Rules(datasets=datasets, destinations=destinations, now=now)
    wish, faults = held(given, _Wish, lambda where: ("", where), rules)
    return (None if wish is None else _subscription(wish, datasets)), faults


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rules:
    datasets: KnownDatasets
    destinations: Destinations
    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Deadline:
    """Either a duration [s] or an instant [POSIX s]."""

    duration_s: float | None = None
    at: float | None = None


def _rules(info: ValidationInfo) -> _Rules:
    assert isinstance(info.context, _Rules)
    return info.context


def is_an_id(text: str) -> bool:
    """Tell whether a subscription may be called so."""
    return _ID.fullmatch(text) is not None and len(text) <= ID_CHARACTERS_MAX


def _read_id(text: str) -> str:
    if not is_an_id(text):
        raise ValueError(
            f"id {text!r} cannot be. Use up to {ID_CHARACTERS_MAX} of a-z, 0-9, '-', '_' and '.',"
            " beginning with a letter or digit"
        )
    return text


def _read_dataset(text: str, info: ValidationInfo) -> str:
    identifiers = _rules(info).datasets.identifiers()
    named = {bare_doi(identifier): identifier for identifier in identifiers.values()}
    if bare_doi(text) in named:
        return named[bare_doi(text)]
    if text not in identifiers:
        known = hint(text, [*identifiers, *identifiers.values()])
        raise ValueError(f"unknown dataset {text!r}. {known}")
    return str(identifiers[text])


def _read_datasets(datasets: tuple[str, ...]) -> tuple[str, ...]:
    if not datasets:
        raise ValueError("dataset is empty. Name at least one")
    if len(set(datasets)) < len(datasets):
        raise ValueError("dataset names one twice")
    return datasets


def _applications(info: ValidationInfo) -> list[KnownApplication]:
    """Return who serves the datasets of a subscription; none where these are at fault already."""
    return [_rules(info).datasets.application(name) for name in info.data.get("dataset", ())]


def _read_period(given: object) -> Period:
    try:
        return parse_interval(str(given))
    except ValueError as error:
        raise ValueError(f"time {error}") from error


def _read_deadline(given: object, info: ValidationInfo) -> _Deadline | None:
    if given is None:
        return None
    text = str(given)
    try:
        if "P" in text:
            return _duration(text)
        return _instant(text, _rules(info).now, first_delivery=info.data.get("backfill", True))
    except ValueError as error:
        raise ValueError(f"deadline {error}") from error


def _duration(text: str) -> _Deadline:
    duration_s = parse_duration(text)
    if duration_s <= 0:
        raise ValueError(f"{text!r} leaves no time. It counts from an update's arrival")
    if duration_s > DEADLINE_S_MAX:
        raise ValueError(f"{text!r} is more than 100 years. Leave it out for best effort")
    return _Deadline(duration_s=duration_s)


def _instant(text: str, now: float, *, first_delivery: bool) -> _Deadline:
    if not re.match(r"\d{4}-", text):
        raise ValueError(
            f"{text!r} is neither a duration (PT2H) nor an instant (2030-01-31T12:00:00Z)"
        )
    at = parse_instant(text, zone_needed=True)
    if at <= now:
        raise ValueError(f"{text!r} is past")
    if not first_delivery:
        raise ValueError(
            f"{text!r} is an instant, which only a first delivery can have (backfill: true)."
            " Give a duration after arrival"
        )
    return _Deadline(at=at)


def _read_names(given: object) -> object:
    return given.replace(",", " ").split() if isinstance(given, str) else given


def _read_parameter(name: str, info: ValidationInfo) -> str:
    applications = _applications(info)
    allowed = {known for each in applications for known in each.parameters()}
    if applications and name not in allowed:
        raise ValueError(f"unknown parameter {name!r}. {hint(name, allowed)}")
    return name


def _read_parameters(names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    for dataset, each in zip(info.data.get("dataset", ()), _applications(info), strict=True):
        if names and not set(names) & set(each.parameters()):
            raise ValueError(
                f"dataset {dataset} has none of {', '.join(names)}. Leave it out,"
                f" or name one of its parameters too: {hint('', each.parameters())}"
            )
        try:
            each.view(GLOBE, ALWAYS, _known(each, names), ())
        except SlackwaterError as fault:
            raise ValueError(str(fault)) from fault
    return names


def _known(application: KnownApplication, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(application.parameters()).intersection(names)))


def _read_destination(text: str | None, info: ValidationInfo) -> str | None:
    allowed = _rules(info).destinations
    try:
        if text is not None:
            return allowed.resolve(text)
        # Without a good id there is a fault already, and no folder to name after it.
        return allowed.default_for(info.data["id"]) if "id" in info.data else None
    except SlackwaterError as fault:
        raise ValueError(str(fault)) from fault


def _read_options(options: dict[str, str], info: ValidationInfo) -> dict[str, str]:
    applications = _applications(info)
    try:
        for each in applications:
            written = _options_of(each, options, applications)
            each.check_options(written)
            if "parameters" in info.data:  # else they are a fault already
                each.view(GLOBE, ALWAYS, _known(each, info.data["parameters"]), written)
    except SlackwaterError as fault:
        raise ValueError(str(fault)) from fault
    return options


def _options_of(
    application: KnownApplication,
    options: Mapping[str, str],
    applications: Sequence[KnownApplication],
) -> Options:
    """Return the options that one of several applications gets; one that none takes is nobody's."""
    return tuple(
        (name, value)
        for name, value in sorted(options.items())
        if application.takes(name) or not any(each.takes(name) for each in applications)
    )


class _Wish(BaseModel):
    """One subscription as it is written. A field is checked after those above it."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    id: Annotated[str, AfterValidator(_read_id)]
    dataset: Annotated[
        tuple[Annotated[str, AfterValidator(_read_dataset)], ...],
        BeforeValidator(_read_names),
        AfterValidator(_read_datasets),
    ]
    bbox: Annotated[Box, PlainValidator(parse_bbox)] = GLOBE
    time: Annotated[Period, PlainValidator(_read_period)] = ALWAYS
    parameters: Annotated[
        tuple[Annotated[str, AfterValidator(_read_parameter)], ...],
        BeforeValidator(_read_names),
        AfterValidator(_read_parameters),
    ] = ()
    backfill: bool = True
    deadline: Annotated[_Deadline | None, PlainValidator(_read_deadline)] = None
    firm: bool = False
    priority: Annotated[float, Field(gt=0)] = 1.0
    destination: Annotated[
        str | None, AfterValidator(_read_destination), Field(validate_default=True)
    ] = None
    options: Annotated[dict[str, str], AfterValidator(_read_options)] = {}


def _read_all(wishes: tuple[_Wish, ...]) -> tuple[_Wish, ...]:
    if not wishes:
        raise ValueError("subscriptions is empty. Write at least one")
    return wishes


class _Wishes(BaseModel):
    model_config = ConfigDict(extra="forbid")

    subscriptions: Annotated[tuple[_Wish, ...], AfterValidator(_read_all)]


def _subscription(wish: _Wish, datasets: KnownDatasets) -> Subscription:
    assert wish.destination is not None
    applications = [datasets.application(identifier) for identifier in wish.dataset]
    deadline = wish.deadline or _Deadline()
    return Subscription(
        id=wish.id,
        views=tuple(_view(wish, each, applications) for each in applications),
        destination=wish.destination,
        deadline_s=deadline.duration_s,
        deadline_at=deadline.at,
        firm=wish.firm,
        priority=wish.priority,
        backfill=wish.backfill,
    )


def _view(
    wish: _Wish, application: KnownApplication, applications: Sequence[KnownApplication]
) -> View:
    return application.view(
        wish.bbox,
        wish.time,
        _known(application, wish.parameters),
        _options_of(application, wish.options, applications),
    )


def _entries(document: Document) -> list[tuple[Where, dict[str, Any]]]:
    """Return the subscriptions as they are written, and where, whatever else is wrong."""
    top = document.value if isinstance(document.value, dict) else {}
    entries = top.get("subscriptions")
    return [
        (("subscriptions", number), entry)
        for number, entry in enumerate(entries if isinstance(entries, list) else ())
        if isinstance(entry, dict)
    ]


def _namer(document: Document) -> Describe:
    """Return what names a fault's subscription by its id, or else by its place in the file."""
    names = {where: entry.get("id") for where, entry in _entries(document)}

    def describe(where: Where) -> tuple[str, Where]:
        if len(where) < 2:
            return "", where
        name = names.get(where[:2]) or f"number {int(where[1]) + 1}"
        return f"subscription {name}: ", where[2:]

    return describe


def _doubled_ids(document: Document) -> list[Fault]:
    first: dict[str, int] = {}
    faults: list[Fault] = []
    for where, entry in _entries(document):
        name, line = entry.get("id"), document.line((*where, "id"))
        if isinstance(name, str) and first.setdefault(name, line) != line:
            faults.append(Fault(line, f"id {name!r} is taken (line {first[name]})"))
    return faults


def _warnings(document: Document) -> Iterator[str]:
    for where, entry in _entries(document):
        if "bbox" in entry and is_counted_to_360(entry["bbox"]):
            line, box = document.line((*where, "bbox")), parse_bbox(entry["bbox"])
            yield (
                f"line {line}: subscription {entry['id']}: bbox with longitudes of 0..360"
                f" is read as {box}"
            )
