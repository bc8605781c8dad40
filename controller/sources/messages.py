"""Messages that announce a change of a dataset, read from what comes over HTTP.

Four forms: CloudEvents 1.0 in structured and in binary mode, WIS2 notification messages, and plain
JSON. Pure: headers and bytes in, an `Announcement` out, or every fault of the message at once. The
senders are strangers, so size and depth are bounded and nothing unknown is let pass.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from enum import StrEnum
from typing import Any
from urllib.parse import unquote

import msgspec

from planner.errors import SlackwaterError

BYTES_MAX = 64 * 2**10
"""Of a message: what every CloudEvents intermediary must forward."""

WIS2_BYTES_MAX = 8192
"""Of a WIS2 notification message, by its specification."""

DEPTH_MAX = 16
"""Objects and lists within each other; WIS2 messages have 5."""

TEXT_MAX = 1024
"""Characters of an id, a source or a subject: nobody's are longer, and they are kept."""

FAULTS_MAX = 20
"""Faults told of one message."""

CLOUDEVENT_TYPES = (
    "slackwater.dataset.changed",
    "org.ogc.api.collection.item.create",
    "org.ogc.api.collection.item.update",
    "org.ogc.api.collection.item.delete",
    "org.ogc.api.collection.item.replace",
)
"""CloudEvents that say that a dataset changed: our own, and those of OGC API Publish-Subscribe."""

WIS2_RELATIONS = ("canonical", "update", "deletion")
"""Links of which a WIS2 notification message has one."""

WIS2_CONFORMANCE = "http://wis.wmo.int/spec/wnm/1/conf/core"

_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE
)
_COLLECTION = re.compile(r"(?:^|/)collections/([^/?#]+)")


class Form(StrEnum):
    """What a message is written as."""

    CLOUDEVENT = "cloudevent"
    WIS2 = "wis2"
    PLAIN = "plain"


class Refusal(StrEnum):
    """Why a message is refused as a whole; an API answers each with a status of its own."""

    TOO_LARGE = "too large"
    UNKNOWN_FORM = "unknown form"
    INVALID = "invalid"
    UNKNOWN_DATASET = "unknown dataset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault of a message.

    Parameters
    ----------
    pointer : str
        Where it is, a JSON pointer (RFC 6901), or ``header:`` and the name of a header.
    what : str
    """

    pointer: str
    what: str


class BadMessage(SlackwaterError):
    """A message that announces a change cannot be understood.

    Parameters
    ----------
    refusal : Refusal
    faults : list of Fault
        All that is wrong with it, up to `FAULTS_MAX`.
    """

    def __init__(self, refusal: Refusal, faults: list[Fault]) -> None:
        self.refusal = refusal
        self.faults = tuple(faults[:FAULTS_MAX])
        told = "; ".join(f"{fault.pointer or '/'} {fault.what}" for fault in self.faults)
        super().__init__(f"the message is refused ({refusal}): {told}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """A dataset is said to have changed.

    Parameters
    ----------
    id : str
        The same for every copy of the message: of CloudEvents source and id together.
    dataset : str
        Persistent identifier.
    at : float or None
        When it happened, as the message says [POSIX s]. Deadlines do not count from it.
    form : Form
    subject : str
        What changed, as the message says; may be empty.
    """

    id: str
    dataset: str
    at: float | None
    form: Form
    subject: str = ""


def read_message(
    headers: Mapping[str, str], body: bytes, datasets: Mapping[str, str]
) -> Announcement:
    """Return what a message announces.

    Parameters
    ----------
    headers : mapping of str to str
        Of the request, in any case.
    body : bytes
    datasets : mapping of str to str
        Persistent identifier of each dataset by its alias; a message may use either.

    Raises
    ------
    BadMessage
        Names every fault.
    """
    if len(body) > BYTES_MAX:
        raise _refused(Refusal.TOO_LARGE, f"has {len(body)} bytes, more than {BYTES_MAX}")
    names = {name.lower(): value for name, value in headers.items()}
    media = names.get("content-type", "application/json").partition(";")[0].strip().lower()
    if "ce-specversion" in names or "ce-id" in names:
        content = _json(body) if body and _is_json(media) else None
        return _cloudevent(_Reading(_attributes(names, content), datasets, "header:ce-"))
    if media == "application/cloudevents+json":
        return _cloudevent(_Reading(_object(body), datasets))
    if not _is_json(media):
        raise BadMessage(
            Refusal.UNKNOWN_FORM,
            [Fault(pointer="header:content-type", what=f"is {media[:TEXT_MAX]!r}; {_FORMS}")],
        )
    found = _object(body)
    if found.get("type") == "Feature":
        return _wis2(_Reading(found, datasets), len(body))
    if "specversion" in found:
        return _cloudevent(_Reading(found, datasets))
    return _plain(_Reading(found, datasets))


_FORMS = (
    "send application/cloudevents+json, headers ce-..., application/geo+json or application/json"
)


@dataclass(slots=True)
class _Reading:
    """A message while it is read, and what was wrong so far."""

    content: Mapping[str, Any]
    datasets: Mapping[str, str]
    prefix: str = "/"
    faults: list[Fault] = field(default_factory=list)
    lost: bool = False

    def fault(self, place: str, what: str) -> None:
        """Note a fault at a place below the top."""
        self.faults.append(Fault(pointer=f"{self.prefix}{place}", what=what))

    def text(self, name: str, *, needed: bool = True) -> str:
        """Return a text of the message; empty where it is not there or cannot be used."""
        value = self.content.get(name)
        if value is None:
            if needed:
                self.fault(name, "is missing")
            return ""
        return self.usable(name, value)

    def usable(self, place: str, value: object) -> str:
        """Return a value that must be a text to keep."""
        if not isinstance(value, str) or not value.strip():
            self.fault(place, "is no text" if not isinstance(value, str) else "is empty")
        elif len(value) > TEXT_MAX:
            self.fault(place, f"has more than {TEXT_MAX} characters")
        elif not value.isprintable():
            self.fault(place, "holds characters that cannot be printed")
        else:
            return value
        return ""

    def instant(self, place: str, value: object) -> float | None:
        """Return an instant as POSIX seconds."""
        if value is None:
            return None
        if isinstance(value, str) and _INSTANT.fullmatch(value):
            try:
                return datetime.fromisoformat(value.upper()).timestamp()
            except (ValueError, OverflowError):
                pass
        self.fault(place, "is no instant of RFC 3339, as 2026-01-31T12:00:00Z")
        return None

    def dataset(self, place: str, named: str) -> str:
        """Return the identifier of a dataset that is named by alias or identifier."""
        if named in self.datasets:
            return self.datasets[named]
        if named in self.datasets.values():
            return named
        if named:
            self.lost = True
            near = get_close_matches(named, [*self.datasets, *self.datasets.values()], n=1)
            did = f". Did you mean {near[0]}?" if near else ""
            self.fault(place, f"names a dataset that is not served: {named!r}{did}")
        return ""

    def refuse(self) -> None:
        """Raise if there is any fault."""
        if self.faults:
            only_lost = self.lost and len(self.faults) == 1
            raise BadMessage(Refusal.UNKNOWN_DATASET if only_lost else Refusal.INVALID, self.faults)


def _plain(reading: _Reading) -> Announcement:
    announcement_id = reading.text("id")
    dataset = reading.dataset("dataset", reading.text("dataset"))
    at = reading.instant("at", reading.content.get("at"))
    subject = reading.text("subject", needed=False)
    for name in sorted(reading.content.keys() - {"id", "dataset", "at", "subject"}):
        reading.fault(_pointed(name), "is unknown; known are id, dataset, at and subject")
    reading.refuse()
    return Announcement(
        id=announcement_id, dataset=dataset, at=at, form=Form.PLAIN, subject=subject
    )


def _cloudevent(reading: _Reading) -> Announcement:
    version, kind = reading.text("specversion"), reading.text("type")
    if version and version != "1.0":
        reading.fault("specversion", f"is {version}; 1.0 is understood")
    if kind and kind not in CLOUDEVENT_TYPES:
        reading.fault("type", f"is unknown: {kind!r}; known are {', '.join(CLOUDEVENT_TYPES)}")
    source, event_id = reading.text("source"), reading.text("id")
    if " " in source:
        reading.fault("source", "is no URI")
    subject = reading.text("subject", needed=False)
    at = reading.instant("time", reading.content.get("time"))
    dataset = _of_cloudevent(reading, source, subject)
    reading.refuse()
    # Unique by both together, says CloudEvents; no source holds a blank.
    return Announcement(
        id=f"{source} {event_id}", dataset=dataset, at=at, form=Form.CLOUDEVENT, subject=subject
    )


def _of_cloudevent(reading: _Reading, source: str, subject: str) -> str:
    """Return the dataset: as the data say, else the subject, else the collection of the source."""
    data = reading.content.get("data")
    if isinstance(data, dict) and "dataset" in data:
        return reading.dataset("data/dataset", reading.usable("data/dataset", data["dataset"]))
    for place, said in (("subject", subject), ("source", source)):
        found = _COLLECTION.search(said)
        if found:
            return reading.dataset(place, unquote(found[1]))
    if not subject:
        reading.fault("subject", "is missing: it names the dataset, or data.dataset does")
    return reading.dataset("subject", subject)


def _wis2(reading: _Reading, size_bytes: int) -> Announcement:
    if size_bytes > WIS2_BYTES_MAX:
        raise _refused(
            Refusal.TOO_LARGE,
            f"has {size_bytes} bytes; a WIS2 notification message has {WIS2_BYTES_MAX} at most",
        )
    message_id = reading.text("id")
    if message_id and not _is_uuid(message_id):
        reading.fault("id", "is no UUID")
    conforms = reading.content.get("conformsTo")
    if not isinstance(conforms, list) or WIS2_CONFORMANCE not in conforms:
        reading.fault("conformsTo", f"does not name {WIS2_CONFORMANCE}")
    if "geometry" not in reading.content:
        reading.fault("geometry", "is missing; it may be null")
    _check_links(reading)
    at, dataset, data_id = _properties(reading)
    reading.refuse()
    return Announcement(id=message_id, dataset=dataset, at=at, form=Form.WIS2, subject=data_id)


def _properties(reading: _Reading) -> tuple[float | None, str, str]:
    """Return when a WIS2 notification message was published, the dataset, and what changed."""
    told = reading.content.get("properties")
    if not isinstance(told, dict):
        reading.fault("properties", "is no object")
        return None, "", ""
    if "pubtime" not in told:
        reading.fault("properties/pubtime", "is missing")
    at = reading.instant("properties/pubtime", told.get("pubtime"))
    if "data_id" not in told:
        reading.fault("properties/data_id", "is missing")
        return at, "", ""
    data_id = reading.usable("properties/data_id", told["data_id"])
    if told.get("metadata_id") is not None:
        place = "properties/metadata_id"
        return at, reading.dataset(place, reading.usable(place, told["metadata_id"])), data_id
    return at, reading.dataset("properties/data_id", _leading(data_id, reading.datasets)), data_id


def _leading(data_id: str, datasets: Mapping[str, str]) -> str:
    """Return the dataset whose name a data_id begins with, the longest; else the data_id."""
    names = [*datasets, *datasets.values()]
    found = [name for name in names if data_id == name or data_id.startswith(f"{name}/")]
    return max(found, key=len, default=data_id)


def _check_links(reading: _Reading) -> None:
    links = reading.content.get("links")
    if not isinstance(links, list):
        reading.fault("links", "is no list")
        return
    told = [link.get("rel") for link in links if isinstance(link, dict)]
    if not any(relation in WIS2_RELATIONS for relation in told):
        reading.fault("links", f"holds none of relation {', '.join(WIS2_RELATIONS)}")


def _attributes(headers: Mapping[str, str], data: object) -> dict[str, Any]:
    """Return a CloudEvent of binary mode as it is in structured mode."""
    told = {
        name.removeprefix("ce-"): unquote(value)
        for name, value in headers.items()
        if name.startswith("ce-")
    }
    return {**told, "data": data}


def _object(body: bytes) -> dict[str, Any]:
    found = _json(body)
    if not isinstance(found, dict):
        raise _refused(Refusal.INVALID, "is no JSON object")
    return found


def _json(body: bytes) -> Any:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise _refused(Refusal.INVALID, f"is no JSON: {error}") from error
    if _is_deep(found):
        raise _refused(Refusal.INVALID, f"is nested deeper than {DEPTH_MAX}")
    return found


def _is_deep(found: object) -> bool:
    level: list[Any] = [found]
    for _ in range(DEPTH_MAX + 1):
        level = [below for each in level for below in _below(each)]
    return bool(level)


def _below(found: object) -> list[Any]:
    if isinstance(found, dict):
        return list(found.values())
    return found if isinstance(found, list) else []


def _is_json(media: str) -> bool:
    return media in ("application/json", "application/geo+json", "text/json")


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _pointed(name: str) -> str:
    """Return a name as a step of a JSON pointer, no longer than may be told."""
    return name[:TEXT_MAX].replace("~", "~0").replace("/", "~1")


def _refused(refusal: Refusal, what: str) -> BadMessage:
    return BadMessage(refusal, [Fault(pointer="", what=what)])
