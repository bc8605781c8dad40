"""Every option of every kind of provider has a row with its default."""

from __future__ import annotations

from dataclasses import MISSING, fields

import pytest

from controller.nodes.libcloud_options import CloudOptions, CloudTypeOptions
from controller.nodes.slurm_options import SlurmOptions, SlurmTypeOptions
from tests.docs.pages import coded, page, rows


@pytest.mark.parametrize(
    ("kind", "shapes"),
    [
        ("libcloud", (CloudOptions, CloudTypeOptions)),
        ("slurm", (SlurmOptions, SlurmTypeOptions)),
    ],
)
def test_every_option_is_described(kind: str, shapes: tuple[type, ...]) -> None:
    section = page("reference/providers.md").section(kind)
    tables = section.partition("### What its ")[0]
    told = {name: cells[1] for cells in rows(tables) for name in coded(cells[0])}
    assert told == {one.name: shown(one.default) for shape in shapes for one in fields(shape)}


def shown(default: object) -> str:
    match default:
        case None:
            return "unset"
        case "" | ():
            return "empty"
        case float():
            return f"{default:g}"
        case _ if default is MISSING:
            return "required"
    return str(default)
