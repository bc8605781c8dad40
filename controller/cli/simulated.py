"""What the pages of simulations have in common: their words, and what they were made from."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Mapping
from html import escape
from importlib.metadata import version
from typing import Any

from controller.build import BUILD
from controller.cli.pages import command_line
from controller.cli.scenarios import Chosen
from sim.page import paragraph, section, table

WORDS = (
    ("Deadline met", "The product was delivered in time. The clock starts when its data arrive."),
    ("Hit rate", "Deadlines met, over tasks that had one."),
    ("Slack", "Time left at delivery; negative is late."),
    ("Node", "A machine that is paid for from the request until it is gone."),
    ("Worker", "A slot of a node: it runs one part of a task at a time."),
    ("Boot", "From the request until the node works. It is paid for too."),
    ("Idle", "Share of the workers' time in which they ran nothing that finished."),
    ("Cap", "Most nodes that may stand at the same time."),
    (
        "Bound",
        "What the same tasks cost at least, if all was known beforehand and work could be split at"
        " will, and all deadlines are met that can be. No schedule is cheaper.",
    ),
    (
        "Regret",
        "Cost over the bound: 1 is perfect, 1.10 is ten percent more than the least conceivable."
        " Read it beside the hit rate: who misses deadlines may leave out work and cost less.",
    ),
    ("Seed", "Number that luck is drawn under: runs of the same seed met the same."),
)
"""The words of a page, for who has not read any other."""

LIBRARIES = ("numpy", "scipy", "simpy")


def words() -> str:
    """Return the section that explains the words."""
    return section("Words", table(("Word", "What it means"), WORDS))


def inputs_of(chosen: Chosen, seeds: list[int]) -> dict[str, Any]:
    """Return what a page was made from, fit for JSON."""
    return {
        "command": command_line(),
        "build": BUILD,
        "versions": {"python": platform.python_version(), **{n: version(n) for n in LIBRARIES}},
        "seeds": seeds,
        "source": list(chosen.source),
        "scenario": chosen.scenario.model_dump(mode="json"),
    }


def origin(inputs: Mapping[str, Any], text: str, held: str) -> str:
    """Return the section that tells what a page was made from.

    Parameters
    ----------
    inputs : mapping of str to object
        Of `inputs_of`.
    text : str
        The scenario as it was written; empty where it was a trace.
    held : str
        Ids under which the page holds its numbers.
    """
    libraries = ", ".join(f"{name} {number}" for name, number in inputs["versions"].items())
    blocks = [
        paragraph(f"Made by {inputs['build']} ({libraries}), with"),
        f"<pre>{escape(shlex.join(inputs['command']))}</pre>",
    ]
    if text:
        blocks += [paragraph("from this scenario:"), f"<pre>{escape(text)}</pre>"]
    blocks.append(paragraph(f"The page holds its inputs and all numbers as JSON, under {held}."))
    return section("Made from", *blocks)
