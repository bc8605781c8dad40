"""The tables that go with the points: the profiles they come from, and the files left out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from controller.apps.argo.formats.content import Table, TableColumn
from controller.apps.argo.fragment import Harvest, ProfileTable
from controller.apps.argo.orders import Superseded
from controller.apps.argo.points import POINTS

LEFT_OUT = "profiles/left_out"
"""Below the other, for compliance-checker 6.1 fails on groups side by side that have no time."""


def tables_of(harvest: Harvest, superseded: tuple[Superseded, ...]) -> dict[str, Table]:
    """Return the tables of a product by name."""
    return {"profiles": _profiles(harvest, superseded), LEFT_OUT: _left_out(harvest)}


def _profiles(harvest: Harvest, superseded: tuple[Superseded, ...]) -> Table:
    """Return one line a profile: what it is, where its rows are, which files it is and was in."""
    profiles = harvest.profiles
    sources = [harvest.sources[number] for number in profiles["source"].tolist()]
    columns = {
        "profile_id": TableColumn(
            values=_profile_ids(profiles), attributes={"cf_role": "profile_id"}
        ),
        "row_size": TableColumn(
            values=profiles["rows"].astype(np.int32),
            attributes={
                "long_name": "Number of rows of the profile",
                "sample_dimension": POINTS,
            },
        ),
    }
    columns |= {name: TableColumn(values=profiles[name]) for name in ("platform", "cycle")}
    for name in ("direction", "kind"):
        columns[name] = TableColumn(values=[word.decode() for word in profiles[name].tolist()])
    for name, field in {
        "dataset": "dataset",
        "source_file": "read_path",
        "date_update": "date_update",
        "sha256": "sha256",
    }.items():
        columns[name] = TableColumn(values=[getattr(source, field) for source in sources])
    return Table(
        along="profile",
        comment="The rows of each profile follow each other along N_POINTS, in this order.",
        columns=columns | _former(profiles, {former.profile: former for former in superseded}),
    )


def _former(
    profiles: ProfileTable, by_profile: Mapping[tuple[int, int, str, str], Superseded]
) -> dict[str, TableColumn]:
    """Return which file each profile was in before, empty where it is new."""
    keys = profiles[["platform", "cycle", "direction", "kind"]].tolist()
    formers = [by_profile.get((p, c, way.decode(), kind.decode())) for p, c, way, kind in keys]
    return {
        f"superseded_{name}": TableColumn(
            values=["" if former is None else getattr(former, name) for former in formers],
            attributes={"long_name": f"{what} that this one supersedes, empty for a new profile"},
        )
        for name, what in {"path": "File", "date_update": "Date of update of the file"}.items()
    }


def _left_out(harvest: Harvest) -> Table:
    return Table(
        along="file",
        comment="Files that the product should have been made of too, and why it was not.",
        columns={
            name: TableColumn(values=[getattr(file, name) for file in harvest.left_out])
            for name in ("path", "date_update", "reason")
        },
    )


def _profile_ids(profiles: ProfileTable) -> list[str]:
    fields = ("platform", "cycle", "direction", "kind", "place")
    return [
        f"{platform}_{cycle:03d}_{direction.decode()}_{kind.decode()}_{place}"
        for platform, cycle, direction, kind, place in profiles[list(fields)].tolist()
    ]
