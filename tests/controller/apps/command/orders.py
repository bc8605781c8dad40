"""Orders of the command application for the tests: small programs in the place of tools."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from controller.apps.command.orders import (
    CombineOrder,
    ExtractOrder,
    Form,
    Join,
    ListedFile,
    Selected,
    Tool,
)
from planner.extent import Box, Extent, Period
from planner.model import Fragment, Selection, UpdateSpan, View

CSV = Form(join=Join.LINES, header_lines=1, ending=".csv")
BINARY = Form(join=Join.BYTES, ending=".bin")
PACKAGE = Form(join=Join.PACKAGE, ending=".csv")

DATASET = "10.5066/example"
EXTENT = Extent(
    box=Box(west=170.0, south=-10.0, east=-170.0, north=10.5),
    period=Period(start_at=0.0, end_at=86400.0),
    parameters=("depth", "magnitude"),
)
UPDATES = UpdateSpan(after=None, upto=0)
VIEW = View(dataset=DATASET, application="command", extent=EXTENT)


def python(program: str, **settings: Any) -> Tool:
    """Return a tool that runs a program of Python; `fragment` is the path to write."""
    begin = "import os, sys; fragment = sys.argv[1]\n"
    words = (sys.executable, "-S", "-c", begin + program, "{fragment}")
    return replace(Tool(command=words, limit_s=30.0), **settings)


def shell(program: str, **settings: Any) -> Tool:
    """Return a tool that runs a script of the shell; `$1` is the path to write."""
    words = ("/bin/sh", "-c", program, "sh", "{fragment}")
    return replace(Tool(command=words, limit_s=30.0), **settings)


def part(folder: Path, tool: Tool, form: Form = CSV, name: str = "t1-1.a1") -> ExtractOrder:
    """Return the order to run a tool for a part."""
    return ExtractOrder(
        part=name,
        tool=tool,
        form=form,
        dataset=DATASET,
        archive="/data/quakes",
        extent=EXTENT,
        updates=UPDATES,
        options=(("magnitude_min", "4.5; rm -rf $HOME"),),
        files=(ListedFile(path="2020/01.csv", size_bytes=9, stamp="1.5"),),
        fragment_url=str(folder / "fragments" / f"{name}.part"),
    )


def product(folder: Path, fragments: tuple[Fragment, ...], form: Form = CSV) -> CombineOrder:
    """Return the order to combine fragments."""
    return CombineOrder(
        product_url=str(folder / f"p-v1-to-u0{form.product_ending}"),
        product_id="p-v1-to-u0",
        subscription_id="p",
        selected=(
            Selected(
                selection=Selection(view=VIEW, updates=UPDATES),
                fragments=fragments,
                form=form,
                tool=Tool(command=("cut", "{fragment}"), environment=(("KEY", "secret"),)),
            ),
        ),
    )


def also(order: CombineOrder, fragments: tuple[Fragment, ...], dataset: str) -> CombineOrder:
    """Return the order with the fragments of one more view."""
    selection = Selection(view=replace(VIEW, dataset=dataset), updates=UPDATES, place=1)
    more = replace(order.selected[0], selection=selection, fragments=fragments)
    return replace(order, selected=(*order.selected, more))
