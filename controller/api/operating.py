"""What operators do: policy and limits of the fleet, nodes sent away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool as aside

from controller.api.door import Door, TheDoor
from controller.api.problems import Problem, not_found
from controller.api.shapes import NodeTold, told_node
from controller.api.who import Operator
from controller.config.changing import changed_planner
from controller.config.yaml_lines import Where
from controller.store.listed import NodeRow
from planner.errors import SlackwaterError
from planner.events import (
    NodeDrainRequested,
    NodeRemovalRequested,
    SettingsChanged,
)
from planner.lifecycle import NodeState
from planner.settings import PlannerSettings

router = APIRouter(prefix="/v1", tags=["operate"])

FLEET = "the fleet"
"""What is held while settings are read and changed."""

Changes = Annotated[
    dict[str, Any],
    Body(description="Keys of planner.scaling, and `order`; what is left out stays as it is."),
]


class PolicyTold(BaseModel):
    """The policy in force, and what it goes by: the settings of planner.scaling."""

    model_config = ConfigDict(extra="allow")

    policy: str
    order: str
    nodes_min: int
    nodes_max: int
    threshold_s: float
    factor_s: float


class Scale(BaseModel):
    """How many nodes there are to be; "auto" leaves it to the policy, as the settings file says."""

    model_config = ConfigDict(extra="forbid")

    nodes: Annotated[int, Field(ge=1, le=100_000, strict=True)] | Literal["auto"]


class ScaleTold(BaseModel):
    """Between how many nodes the policy chooses, and how many are in each state."""

    nodes_min: int
    nodes_max: int
    auto: bool
    nodes: dict[str, int]


@router.get("/policy", response_model=PolicyTold)
def policy(door: TheDoor, _: Operator) -> dict[str, Any]:
    """Tell the policy in force and what it goes by."""
    return _told_policy(door.board.state.settings)


@router.put("/policy", response_model=PolicyTold)
async def change_policy(door: TheDoor, changes: Changes, _: Operator) -> dict[str, Any]:
    """Go on under another policy, order or limits, until the settings file says otherwise."""
    async with door.changing(FLEET):
        settings = await aside(_changed, door, changes)
        await door.post(SettingsChanged(at=door.clock(), settings=settings))
    return _told_policy(settings)


@router.delete("/policy", response_model=PolicyTold)
async def reset_policy(door: TheDoor, _: Operator) -> dict[str, Any]:
    """Go on under the policy, order and limits of the settings file."""
    async with door.changing(FLEET):
        filed, settings = door.settings, door.board.state.settings
        dispatch = replace(settings.dispatch, order=filed.dispatch.order)
        settings = replace(settings, scaling=filed.scaling, dispatch=dispatch)
        await door.post(SettingsChanged(at=door.clock(), settings=settings))
    return _told_policy(settings)


@router.get("/scale", response_model=ScaleTold)
def scale(door: TheDoor, _: Operator) -> dict[str, Any]:
    """Tell between how many nodes the policy chooses."""
    return _told_scale(door, door.board.state.settings)


@router.put("/scale", response_model=ScaleTold)
async def change_scale(door: TheDoor, wanted: Scale, _: Operator) -> dict[str, Any]:
    """Hold so many nodes, or leave it to the policy, until the settings file says otherwise."""
    async with door.changing(FLEET):
        settings = door.board.state.settings
        least, most = _auto(door) if wanted.nodes == "auto" else (wanted.nodes, wanted.nodes)
        scaling = replace(settings.scaling, nodes_min=least, nodes_max=most)
        settings = replace(settings, scaling=scaling)
        await door.post(SettingsChanged(at=door.clock(), settings=settings))
    return _told_scale(door, settings)


@router.post(
    "/nodes/{name}/drain", status_code=HTTPStatus.ACCEPTED, response_model=NodeTold, tags=["fleet"]
)
async def drain(door: TheDoor, name: str, _: Operator) -> dict[str, Any]:
    """Send a node nothing more, and let it go when its parts have ended."""
    await aside(_standing, door, name)
    await door.post(NodeDrainRequested(at=door.clock(), node_id=name))
    return told_node(await aside(_node, door, name))


@router.delete(
    "/nodes/{name}", status_code=HTTPStatus.ACCEPTED, response_model=NodeTold, tags=["fleet"]
)
async def remove(door: TheDoor, name: str, _: Operator) -> dict[str, Any]:
    """Let a node go now; what it runs is run elsewhere."""
    await aside(_standing, door, name)
    await door.post(NodeRemovalRequested(at=door.clock(), node_id=name))
    return told_node(await aside(_node, door, name))


def _changed(door: Door, changes: Mapping[str, object]) -> PlannerSettings:
    given: dict[str, dict[str, object]] = {"scaling": dict(changes), "dispatch": {}}
    if "order" in given["scaling"]:
        given["dispatch"]["order"] = given["scaling"].pop("order")
    settings, found = changed_planner(door.board.state.settings, given)
    # Sections are ours; whoever asked wrote the keys alone.
    faults: list[tuple[Where, str]] = [(where[1:], what) for where, what in found]
    named = changes.get("policy", "prefix")
    if isinstance(named, str) and (fault := _fault_of_policy(door, named)):
        faults.append((("policy",), fault))
    if settings is None or faults:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the policy cannot be", faults=faults)
    return settings


def _fault_of_policy(door: Door, name: str) -> str:
    """Return what is wrong with a policy's name, empty if it can be loaded."""
    try:
        _ = door.policies[name]
    except SlackwaterError as fault:
        return str(fault)
    except KeyError:
        return f"there is no policy {name!r}. Known: {', '.join(sorted(door.policies))}"
    return ""


def _auto(door: Door) -> tuple[int, int]:
    return door.settings.scaling.nodes_min, door.settings.scaling.nodes_max


def _standing(door: Door, name: str) -> None:
    """Refuse a node that is not there, or goes already."""
    row = _node(door, name)
    if row.state == NodeState.REMOVING.value:
        raise Problem(HTTPStatus.CONFLICT, f"node {name} is being removed already")


def _node(door: Door, name: str) -> NodeRow:
    found = door.store.rows("one_node", NodeRow, {"id": name}) if name.isprintable() else []
    if not found or found[0].gone_at is not None:
        raise not_found("node", name)
    return found[0]


def _told_policy(settings: PlannerSettings) -> dict[str, Any]:
    return {**asdict(settings.scaling), "order": settings.dispatch.order}


def _told_scale(door: Door, settings: PlannerSettings) -> dict[str, Any]:
    scaling = settings.scaling
    bounds = scaling.nodes_min, scaling.nodes_max
    return {
        "nodes_min": bounds[0],
        "nodes_max": bounds[1],
        "auto": bounds == _auto(door),
        "nodes": dict(door.board.state.nodes),
    }
