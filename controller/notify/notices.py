"""What is told: a notice, and the product that it is about."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from planner.model import NoticeKind, View
from planner.results import ENDS

_OF_THE_PRODUCT = (NoticeKind.DELIVERED, NoticeKind.LATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A product as it stands at its destination.

    Parameters
    ----------
    at : float
        When its manifest was visible [POSIX s].
    url, manifest_url : str
        Where product and manifest lie.
    rows : int
        Observations in it [count].
    size_bytes : int
    sha256, digest : str
        Checksum of the file, and canonical digest of its content.
    """

    at: float
    url: str
    manifest_url: str
    rows: int
    size_bytes: int
    sha256: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """How a task stands, whole enough to be told without looking anything up.

    Parameters
    ----------
    id : str
        The same however often it is told; see `notice_id`.
    kind : NoticeKind
    at : float
        When it became so [POSIX s].
    subscription_id, task_id, product_id : str
    version : int
        Of the subscription.
    views : tuple of View
        What the subscription asks for.
    deadline_at : float or None
        [POSIX s]
    slack_s : float or None
        Deadline minus the (predicted) delivery [s]; negative is late.
    text : str
        The same in words, with the reason.
    delivered : Delivered or None
        Of the kinds "delivered" and "late".
    """

    id: str
    kind: NoticeKind
    at: float
    subscription_id: str
    task_id: str
    product_id: str
    version: int
    views: tuple[View, ...]
    deadline_at: float | None = None
    slack_s: float | None = None
    text: str = ""
    delivered: Delivered | None = None


def notice_id(product_id: str, kind: NoticeKind, step: int) -> str:
    """Return the id of a notice, which is the same whenever its step is taken again.

    Parameters
    ----------
    product_id : str
    kind : NoticeKind
        What ends a task is told once; what may come again has the number of its step.
    step : int
        Of the journal.
    """
    if kind in _OF_THE_PRODUCT:
        return product_id
    return f"{product_id}:{kind}" if kind in ENDS else f"{product_id}:{kind}:{step}"


def encode(notice: Notice) -> str:
    """Return a notice as JSON."""
    return msgspec.json.encode(notice).decode()


def decode(text: str) -> Notice:
    """Return the notice that `encode` wrote."""
    return msgspec.json.decode(text, type=Notice)
