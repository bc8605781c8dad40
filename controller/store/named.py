"""Statements by name, from files of SQL that both databases understand."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_NAMED = re.compile(r"^-- name: (\w+)\n(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL)


@cache
def queries(package: str, file: str = "queries.sql") -> dict[str, str]:
    """Return the statements of a package's file; parameters stand in them as ``:name``."""
    text = files(package).joinpath(file).read_text()
    return {name: statement.strip() for name, statement in _NAMED.findall(text)}


@cache
def migrations(package: str = "controller.store") -> tuple[tuple[int, str], ...]:
    """Return the numbered scripts that bring a store forward, in order."""
    scripts = files(package).joinpath("migrations").iterdir()
    found = sorted((int(each.name[:4]), each) for each in scripts if each.name.endswith(".sql"))
    return tuple((number, each.read_text()) for number, each in found)


def statements(script: str) -> list[str]:
    """Return the statements of a script; none of ours has a semicolon within."""
    bare = re.sub(r"--[^\n]*", "", script)
    return [statement.strip() for statement in bare.split(";") if statement.strip()]
