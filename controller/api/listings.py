"""What became of things: tasks, products, updates, nodes, and why the fleet changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel

from controller.api.door import Door, TheDoor
from controller.api.pages import Page, Paged
from controller.api.problems import not_found
from controller.api.scopes import Caller
from controller.api.shapes import (
    DecisionTold,
    Link,
    NodeTold,
    ProductTold,
    TaskTold,
    UpdateTold,
    told_decision,
    told_node,
    told_product,
    told_task,
    told_update,
)
from controller.api.who import Operator, Subscriber
from controller.store.listed import DecisionRow, NodeRow, TaskRow, UpdateRow

router = APIRouter(prefix="/v1")

NEWEST_FIRST = 2**62
"""A place behind every other."""

NEVER = 1e300
"""An instant behind every other [POSIX s]."""


class TaskPage(BaseModel):
    """Tasks, a page at a time."""

    items: list[TaskTold]
    links: list[Link]


class ProductPage(BaseModel):
    """Products, a page at a time."""

    items: list[ProductTold]
    links: list[Link]


class UpdatePage(BaseModel):
    """Updates, a page at a time."""

    items: list[UpdateTold]
    links: list[Link]


class NodePage(BaseModel):
    """Nodes."""

    items: list[NodeTold]
    links: list[Link]


class DecisionPage(BaseModel):
    """Decisions, the newest first."""

    items: list[DecisionTold]
    links: list[Link]


@router.get("/tasks", response_model=TaskPage, tags=["tasks"])
def tasks(
    door: TheDoor,
    caller: Subscriber,
    page: Paged,
    subscription: str = "",
    open_only: bool = False,
) -> Response:
    """List tasks in order of arrival."""
    rows = _tasks(door, caller, page, subscription, open_only=int(open_only))
    return page.told([told_task(row) for row in rows], *_last(rows))


@router.get("/tasks/{name}", response_model=TaskTold, tags=["tasks"])
def task(door: TheDoor, name: str, caller: Subscriber) -> dict[str, Any]:
    """Return one task."""
    found = door.store.rows("one_task", TaskRow, {"id": name}) if name.isprintable() else []
    if not found or caller.sees() not in ("", found[0].owner):
        raise not_found("task", name)
    return told_task(found[0])


@router.get("/products", response_model=ProductPage, tags=["products"])
def products(door: TheDoor, caller: Subscriber, page: Paged, subscription: str = "") -> Response:
    """List delivered products in the order of their tasks."""
    rows = _tasks(door, caller, page, subscription, delivered_only=1)
    return page.told([told_product(row) for row in rows], *_last(rows))


@router.get("/updates", response_model=UpdatePage, tags=["updates"])
def updates(door: TheDoor, _: Subscriber, page: Paged) -> Response:
    """List the updates of each dataset."""
    dataset, number = page.after("", -1)
    asked = {"dataset": dataset, "number": number, "count": page.limit}
    rows = door.store.rows("list_updates", UpdateRow, asked)
    last = (rows[-1].dataset, rows[-1].number) if rows else ()
    return page.told([told_update(row) for row in rows], *last)


@router.get("/nodes", response_model=NodePage, tags=["fleet"])
def nodes(door: TheDoor, _: Operator, page: Paged, standing_only: bool = True) -> Response:
    """List nodes, the newest first."""
    before, after = page.after(NEVER, "")
    asked = {"before": before, "after": after, "count": page.limit}
    asked["standing_only"] = int(standing_only)
    rows = door.store.rows("list_nodes", NodeRow, asked)
    last = (rows[-1].requested_at, rows[-1].id) if rows else ()
    return page.told([told_node(row) for row in rows], *last)


@router.get("/decisions", response_model=DecisionPage, tags=["fleet"])
def decisions(door: TheDoor, _: Operator, page: Paged) -> Response:
    """Tell why the fleet changed, the newest first."""
    (before,) = page.after(NEWEST_FIRST)
    asked = {"before": before, "count": page.limit}
    rows = door.store.rows("list_decisions", DecisionRow, asked)
    return page.told([told_decision(row) for row in rows], *_last(rows))


def _tasks(door: Door, caller: Caller, page: Page, subscription: str, **only: int) -> list[TaskRow]:
    (place,) = page.after(0)
    whose = {"owner": caller.sees(), "subscription_id": subscription}
    which = {"open_only": 0, "delivered_only": 0, **only}
    return door.store.rows(
        "list_tasks", TaskRow, {"after": place, "count": page.limit, **whose, **which}
    )


def _last(rows: Sequence[TaskRow] | Sequence[DecisionRow]) -> tuple[int, ...]:
    return tuple(row.place for row in rows[-1:])
