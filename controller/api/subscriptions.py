"""Subscriptions over HTTP: made, read, changed, paused and ended by those who own them."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Response
from pydantic import BaseModel

from controller.api.door import Door, TheDoor
from controller.api.pages import Paged
from controller.api.problems import Problem, not_found
from controller.api.shapes import Link, SubscriptionTold, told_subscription
from controller.api.who import Caller, Subscriber
from controller.config.subscriptions import read_wish
from controller.store.listed import SubscriptionRow
from planner.events import (
    AnyEvent,
    SubscriptionAdded,
    SubscriptionPaused,
    SubscriptionRemoved,
    SubscriptionResumed,
)
from planner.model import Subscription

router = APIRouter(prefix="/v1/subscriptions", tags=["subscriptions"])

Wish = Annotated[dict[str, Any], Body(description="The keys of an entry of a subscriptions file.")]
IfMatch = Annotated[str | None, Header()]


class SubscriptionPage(BaseModel):
    """Subscriptions, a page at a time."""

    items: list[SubscriptionTold]
    links: list[Link]


@router.post("", status_code=HTTPStatus.CREATED, response_model=SubscriptionTold)
async def make(door: TheDoor, wish: Wish, response: Response, caller: Subscriber) -> dict[str, Any]:
    """Make a subscription."""
    wanted = _read(door, wish, caller)
    async with door.changing(wanted.id):
        if door.subscription(wanted.id) is not None:
            raise Problem(
                HTTPStatus.CONFLICT,
                f"there is a subscription {wanted.id} already",
                fix="Change it with PUT, or take another id",
            )
        await _add(door, wanted)
        response.headers["Location"] = f"/v1/subscriptions/{wanted.id}"
        return _told(door, wanted.id, response)


@router.get("", response_model=SubscriptionPage)
def listed(door: TheDoor, caller: Subscriber, page: Paged) -> dict[str, Any]:
    """List one's own subscriptions; an operator sees all."""
    (name,) = page.after("")
    asked = {"after": name, "owner": caller.sees(), "count": page.limit}
    rows = door.store.rows("list_subscriptions", SubscriptionRow, asked)
    return page.told([told_subscription(row) for row in rows], *(row.id for row in rows[-1:]))


@router.get("/{name}", response_model=SubscriptionTold)
def one(door: TheDoor, name: str, response: Response, caller: Subscriber) -> dict[str, Any]:
    """Return one subscription, with an ETag to change it by."""
    _own(door, name, caller)
    return _told(door, name, response)


@router.put("/{name}", response_model=SubscriptionTold)
async def change(
    door: TheDoor,
    name: str,
    wish: Wish,
    *,
    response: Response,
    caller: Subscriber,
    if_match: IfMatch = None,
) -> dict[str, Any]:
    """Change a subscription: a new version, which goes on where the old one stood."""
    wanted = _read(door, {**wish, "id": wish.get("id", name)}, caller)
    if wanted.id != name:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "a subscription keeps its id",
            faults=[(("id",), f"id {wanted.id!r} is not {name!r}")],
        )
    async with door.changing(name):
        row = _own(door, name, caller)
        _must_match(row, if_match)
        wanted = replace(wanted, version=row.version + 1, owner=row.owner)
        await _add(door, wanted)
        return _told(door, name, response)


@router.delete("/{name}", status_code=HTTPStatus.NO_CONTENT)
async def end(door: TheDoor, name: str, caller: Subscriber, if_match: IfMatch = None) -> None:
    """End a subscription; its open tasks are dropped, its products stay."""
    async with door.changing(name):
        _must_match(_own(door, name, caller), if_match)
        await door.post(SubscriptionRemoved(at=door.clock(), subscription_id=name))


@router.post("/{name}/pause", response_model=SubscriptionTold)
async def pause(door: TheDoor, name: str, response: Response, caller: Subscriber) -> dict[str, Any]:
    """Let updates make no more tasks; what comes in between is one task on resuming."""
    event = SubscriptionPaused(at=door.clock(), subscription_id=name)
    return await _switched(door, name, event, response, caller)


@router.post("/{name}/resume", response_model=SubscriptionTold)
async def resume(
    door: TheDoor, name: str, response: Response, caller: Subscriber
) -> dict[str, Any]:
    """Let updates make tasks again."""
    event = SubscriptionResumed(at=door.clock(), subscription_id=name)
    return await _switched(door, name, event, response, caller)


async def _switched(
    door: Door, name: str, event: AnyEvent, response: Response, caller: Caller
) -> dict[str, Any]:
    async with door.changing(name):
        _own(door, name, caller)
        await door.post(event)
        return _told(door, name, response)


async def _add(door: Door, wanted: Subscription) -> None:
    event = SubscriptionAdded(at=door.clock(), subscription=wanted)
    await door.post(event)


def _read(door: Door, wish: dict[str, Any], caller: Caller) -> Subscription:
    wanted, faults = read_wish(
        wish, datasets=door.datasets, destinations=door.destinations, now=door.clock()
    )
    if wanted is None:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "the subscription cannot be made", faults=faults
        )
    return replace(wanted, owner=caller.name)


def _own(door: Door, name: str, caller: Caller) -> SubscriptionRow:
    """Return a subscription that somebody may see; one of others is as if it were not there."""
    row = door.subscription(name)
    if row is None or caller.sees() not in ("", row.owner):
        raise not_found("subscription", name)
    return row


def _told(door: Door, name: str, response: Response) -> dict[str, Any]:
    row = door.subscription(name)
    if row is None:
        raise not_found("subscription", name)
    response.headers["ETag"] = _etag(row)
    return told_subscription(row)


def _etag(row: SubscriptionRow) -> str:
    return f'"{row.version}-{row.paused}"'


def _must_match(row: SubscriptionRow, if_match: str | None) -> None:
    if if_match is not None and if_match not in ("*", _etag(row)):
        raise Problem(
            HTTPStatus.PRECONDITION_FAILED,
            f"subscription {row.id} was changed since you read it",
            fix="Read it again, and make your change to that",
        )
