"""How a list of checks looks: a tick or a cross for each, and what helps."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from rich.markup import escape

from controller.cli import Exit
from controller.cli.display import print_json, results
from controller.upkeep import Finding


def told(findings: Iterable[Finding], *, as_json: bool) -> Exit:
    """Print findings as they come; return 1 if any is a fault."""
    found: list[Finding] = []
    console = results()
    for each in findings:
        found.append(each)
        if as_json:
            continue
        mark = "[green]✓[/]" if each.ok else "[red]✗[/]"
        console.print(f"{mark} {each.what}: {escape(each.told)}", highlight=False)
        if each.fix:
            console.print(f"  [dim]{escape(each.fix)}.[/]", highlight=False)
    ok = all(each.ok for each in found)
    if as_json:
        print_json({"ok": ok, "checks": [msgspec.to_builtins(each) for each in found]})
    return Exit.OK if ok else Exit.FAILED
