"""Subscriptions: made, listed, changed, paused, ended."""

from __future__ import annotations

from dataclasses import asdict, replace
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Header, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool as aside

from controller.api.door import IDEMPOTENCY_CHARACTERS_MAX, Door, TheDoor
from controller.api.estimating import Estimate
from controller.api.pages import Paged
from controller.api.problems import Problem, not_found
from controller.api.scopes import Caller
from controller.api.shapes import (
    AccountTold,
    EstimateTold,
    Link,
    SubscriptionInFull,
    SubscriptionTold,
    told_subscription,
)
from controller.api.who import Subscriber
from controller.config.bbox import is_counted_to_360, parse_bbox
from controller.config.subscriptions import is_an_id, read_wish
from controller.errors import Overloaded
from controller.store.listed import AccountRow, SubscriptionRow
from planner.errors import SlackwaterError
from planner.events import (
    AnyEvent,
    FullProductRequested,
    SubscriptionAdded,
    SubscriptionPaused,
    SubscriptionRemoved,
    SubscriptionResumed,
)
from planner.model import Subscription

router = APIRouter(prefix="/v1", tags=["subscriptions"])

Wish = Annotated[dict[str, Any], Body(description="The keys of an entry of a subscriptions file.")]
IfMatch = Annotated[str | None, Header()]
IdempotencyKey = Annotated[
    str | None,
    Header(
        max_length=IDEMPOTENCY_CHARACTERS_MAX,
        description="Names this request: sent again under the same name, it changes nothing.",
    ),
]


class SubscriptionPage(BaseModel):
    """Subscriptions, a page at a time."""

    items: list[SubscriptionTold]
    links: list[Link]


@router.post("/subscriptions", status_code=HTTPStatus.CREATED, response_model=SubscriptionInFull)
async def make(
    door: TheDoor,
    wish: Wish,
    response: Response,
    caller: Subscriber,
    idempotency_key: IdempotencyKey = None,
) -> dict[str, Any]:
    """Make a subscription; `warnings` tell of a deadline that is at risk."""
    wanted = await aside(_read, door, wish, caller)
    message_id = f"post {caller.name} {idempotency_key}" if idempotency_key else ""
    response.headers["Location"] = f"/v1/subscriptions/{wanted.id}"
    async with door.changing(wanted.id):
        if await aside(_is_known, door, message_id):
            return await aside(_told_again, door, wanted, response)
        if await aside(door.subscription, wanted.id) is not None:
            raise Problem(
                HTTPStatus.CONFLICT,
                f"there is a subscription {wanted.id} already",
                fix="Change it with PUT, or take another id",
            )
        warnings = await aside(_warnings, door, wish, wanted)
        await door.post(SubscriptionAdded(at=door.clock(), subscription=wanted), message_id)
        return await aside(_told, door, wanted.id, response, warnings)


@router.get("/subscriptions", response_model=SubscriptionPage)
def listed(door: TheDoor, caller: Subscriber, page: Paged) -> Response:
    """List one's own subscriptions; an operator sees all."""
    (name,) = page.after("")
    asked = {"after": name, "owner": caller.sees(), "count": page.limit}
    rows = door.store.rows("list_subscriptions", SubscriptionRow, asked)
    return page.told([told_subscription(row) for row in rows], *(row.id for row in rows[-1:]))


@router.get("/subscriptions/{name}", response_model=SubscriptionInFull)
def one(door: TheDoor, name: str, response: Response, caller: Subscriber) -> dict[str, Any]:
    """Return one subscription, what it has cost so far, and an ETag to change it by."""
    _own(door, name, caller)
    return _told(door, name, response)


@router.put("/subscriptions/{name}", response_model=SubscriptionInFull)
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
    await aside(_own, door, name, caller)
    wanted = await aside(_read, door, {**wish, "id": wish.get("id", name)}, caller)
    if wanted.id != name:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "a subscription keeps its id",
            faults=[(("id",), f"id {wanted.id!r} is not {name!r}")],
        )
    async with door.changing(name):
        row = await aside(_own, door, name, caller)
        _must_match(row, if_match)
        wanted = replace(wanted, version=row.version + 1, owner=row.owner)
        warnings = await aside(_warnings, door, wish, wanted)
        await door.post(SubscriptionAdded(at=door.clock(), subscription=wanted))
        return await aside(_told, door, name, response, warnings)


@router.delete("/subscriptions/{name}", status_code=HTTPStatus.NO_CONTENT)
async def end(door: TheDoor, name: str, caller: Subscriber, if_match: IfMatch = None) -> None:
    """End a subscription; its open tasks are dropped, its products stay."""
    async with door.changing(name):
        _must_match(await aside(_own, door, name, caller), if_match)
        await door.post(SubscriptionRemoved(at=door.clock(), subscription_id=name))
        await aside(door.forget_recipients, name)


@router.post("/subscriptions/{name}/pause", response_model=SubscriptionInFull)
async def pause(door: TheDoor, name: str, response: Response, caller: Subscriber) -> dict[str, Any]:
    """Let updates make no more tasks; what comes in between is one task on resuming."""
    event = SubscriptionPaused(at=door.clock(), subscription_id=name)
    return await _switched(door, name, event, response, caller)


@router.post("/subscriptions/{name}/resume", response_model=SubscriptionInFull)
async def resume(
    door: TheDoor, name: str, response: Response, caller: Subscriber
) -> dict[str, Any]:
    """Let updates make tasks again."""
    event = SubscriptionResumed(at=door.clock(), subscription_id=name)
    return await _switched(door, name, event, response, caller)


@router.post(
    "/subscriptions/{name}/full",
    status_code=HTTPStatus.ACCEPTED,
    response_model=SubscriptionInFull,
)
async def make_full(
    door: TheDoor, name: str, response: Response, caller: Subscriber
) -> dict[str, Any]:
    """Make one product of all that was delivered so far; nothing more while one is being made."""
    event = FullProductRequested(at=door.clock(), subscription_id=name)
    return await _switched(door, name, event, response, caller)


@router.post("/estimates", response_model=EstimateTold, tags=["estimates"])
def estimate(door: TheDoor, wish: Wish, caller: Subscriber) -> dict[str, Any]:
    """Tell what a subscription would take and whether its deadline is met; nothing is made."""
    found = door.estimate(_read(door, wish, caller))
    if found is None:
        raise Problem(HTTPStatus.NOT_IMPLEMENTED, "this service foresees nothing")
    return asdict(found)


async def _switched(
    door: Door, name: str, event: AnyEvent, response: Response, caller: Caller
) -> dict[str, Any]:
    async with door.changing(name):
        await aside(_own, door, name, caller)
        await door.post(event)
        return await aside(_told, door, name, response)


def _read(door: Door, wish: dict[str, Any], caller: Caller) -> Subscription:
    wanted, faults = read_wish(
        wish, datasets=door.datasets, destinations=door.destinations, now=door.clock()
    )
    if wanted is None:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "the subscription cannot be made", faults=faults
        )
    return replace(wanted, owner=caller.name)


def _warnings(door: Door, wish: dict[str, Any], wanted: Subscription) -> list[str]:
    """Return what its maker should know; refuse it where the operator wants that.

    Raises
    ------
    Problem
        Its deadline is at risk, and such ones are refused.
    """
    warnings = []
    if "bbox" in wish and is_counted_to_360(wish["bbox"]):
        warnings.append(f"bbox with longitudes of 0..360 is read as {parse_bbox(wish['bbox'])}")
    if wanted.deadline_s is None and wanted.deadline_at is None:
        return warnings
    found = _foreseen(door, wanted, warnings)
    if found is not None and found.in_trouble:
        if door.at_risk == "refuse":
            raise Problem(
                HTTPStatus.CONFLICT,
                found.verdict,
                fix="This service makes no subscription whose deadline is at risk",
                faults=[(("deadline",), found.verdict)],
            )
        warnings.append(found.verdict)
    return warnings


def _foreseen(door: Door, wanted: Subscription, warnings: list[str]) -> Estimate | None:
    try:
        return door.estimate(wanted)
    except Overloaded:
        if door.at_risk == "refuse":
            raise
        warnings.append("nobody looked whether its deadline can be met: too many ask")
    except SlackwaterError as fault:
        warnings.append(f"whether its deadline can be met could not be told: {fault}")
    return None


def _own(door: Door, name: str, caller: Caller) -> SubscriptionRow:
    """Return a subscription that somebody may see; one of others is as if it were not there."""
    row = door.subscription(name) if is_an_id(name) else None
    if row is None or caller.sees() not in ("", row.owner):
        raise not_found("subscription", name)
    return row


def _told(
    door: Door, name: str, response: Response, warnings: list[str] | None = None
) -> dict[str, Any]:
    row = door.subscription(name)
    if row is None:
        raise not_found("subscription", name)
    response.headers["ETag"] = _etag(row)
    (account,) = door.store.rows("account", AccountRow, {"subscription_id": name})
    told = AccountTold(**asdict(account)).model_dump()
    return {**told_subscription(row), "account": told, "warnings": warnings or []}


def _is_known(door: Door, message_id: str) -> bool:
    return bool(message_id) and door.store.knows(message_id)


def _told_again(door: Door, wanted: Subscription, response: Response) -> dict[str, Any]:
    """Answer a request that was carried out before.

    Raises
    ------
    Problem
        It was another request that had this name.
    """
    row = door.subscription(wanted.id)
    made = None if row is None else msgspec.json.decode(row.document, type=Subscription)
    if made is None or (made.version == 1 and made != wanted):
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "another request had this Idempotency-Key, or what it made is gone",
            fix="Give each request a key of its own",
        )
    if made.owner != wanted.owner:
        raise not_found("subscription", wanted.id)
    return _told(door, wanted.id, response)


def _etag(row: SubscriptionRow) -> str:
    return f'"{row.version}-{row.paused}"'


def _must_match(row: SubscriptionRow, if_match: str | None) -> None:
    if if_match is None:
        return
    given = {each.strip() for each in if_match.split(",")}
    if not given & {"*", _etag(row)}:
        raise Problem(
            HTTPStatus.PRECONDITION_FAILED,
            f"subscription {row.id} was changed since you read it",
            fix="Read it again, and make your change to that",
        )
