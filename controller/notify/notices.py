"""What is told: a notice, and the product that it is about."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from controller.destinations import without_user
from controller.product_files import beside, file_name
from planner.model import NoticeKind, Product, View

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

    @classmethod
    def of(cls, product: Product, manifest_url: str, at: float) -> Delivered:
        """Return what is told of a product whose manifest has become visible."""
        manifest_url = without_user(manifest_url)
        return cls(
            at=at,
            url=beside(manifest_url, file_name(product.url)),
            manifest_url=manifest_url,
            rows=product.rows,
            size_bytes=product.size_bytes,
            sha256=product.sha256,
            digest=product.digest,
        )


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


def notice_id(product_id: str, kind: NoticeKind, count: int = 1) -> str:
    """Return the id of a notice: that of its product, with the kind where none was delivered.

    Parameters
    ----------
    product_id : str
    kind : NoticeKind
    count : int
        Of the notices of this kind about this product: one that is at risk again is news.
    """
    if kind in _OF_THE_PRODUCT:
        return product_id
    again = f":{count}" if count > 1 else ""
    return f"{product_id}:{kind}{again}"


def encode(notice: Notice) -> str:
    """Return a notice as JSON."""
    return msgspec.json.encode(notice).decode()


def decode(text: str) -> Notice:
    """Return the notice that `encode` wrote."""
    return msgspec.json.decode(text, type=Notice)
