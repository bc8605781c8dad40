"""`slackwater plugins`: what can be named in settings, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from controller import applications
from controller.apps.argo.derived import catalogue as derived
from controller.cli import Exit
from controller.cli.display import print_json, results, table
from controller.config import providers
from partitioners import catalogue as partitioners
from planner.plugins import installed
from planner.scaling import catalogue as policies
from planner.scaling import policy


def list_plugins(*, as_json: bool) -> Exit:
    """Run the command and return its exit code."""
    rows = [
        *_kind("policy", policies.GROUP, policy.BUILT_IN),
        *_kind("partitioner", partitioners.GROUP, partitioners.BUILT_IN),
        *_kind("application", applications.GROUP, applications.BUILT_IN),
        *_kind("derived", derived.GROUP, derived.BUILT_IN),
        *_kind("provider", providers.GROUP, (providers.HERE, *providers.BUILT_IN)),
    ]
    if as_json:
        names = ("kind", "name", "from")
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    else:
        results().print(table("Plug-ins", ("Kind", "Name", "From"), rows))
    return Exit.OK


def _kind(kind: str, group: str, builtins: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    yield from ((kind, name, "slackwater") for name in sorted(builtins))
    for name, entry in installed(group).items():
        origin = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown"
        yield kind, name, origin
