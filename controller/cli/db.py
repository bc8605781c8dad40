"""`slackwater db`: backup, restore, upgrade, check and export of the service's store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from controller.cli import Exit
from controller.cli.display import print_json, results, size
from controller.cli.findings import told
from controller.config.settings import Settings, read_settings
from controller.destinations import without_user
from controller.serving import address_of
from controller.snapshotting import ARCHIVE
from controller.store.backup import back_up, restore
from controller.store.opening import Address
from controller.upkeep import check, export, move_on


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a service keeps its store and the journal's archived lines."""

    address: Address
    archive: Path
    name: str


def place_of(data: Path | None, config: Path | None) -> Place:
    """Return what the service finds under the same options."""
    settings = read_settings(config)
    return place_at(settings, (data or Path(settings.service.data_dir)).absolute())


def place_at(settings: Settings, folder: Path) -> Place:
    """Return where a service with such settings and data folder keeps its store."""
    address = address_of(settings, folder)
    return Place(
        address=address,
        archive=folder / ARCHIVE,
        name=without_user(settings.store.url) or address.path,
    )


def back_up_store(
    file: Path, data: Path | None, config: Path | None, *, overwrites: bool, as_json: bool
) -> Exit:
    """Run `db backup` and return its exit code."""
    place = place_of(data, config)
    size_bytes = back_up(place.address, file, overwrites=overwrites)
    if as_json:
        print_json({"file": str(file), "size_bytes": size_bytes})
    else:
        results().print(f"{file}: {size(size_bytes)}", highlight=False, soft_wrap=True)
    return Exit.OK


def restore_store(
    file: Path, data: Path | None, config: Path | None, *, overwrites: bool, as_json: bool
) -> Exit:
    """Run `db restore` and return its exit code."""
    place = place_of(data, config)
    restore(place.address, file, overwrites=overwrites)
    if as_json:
        print_json({"file": str(file), "store": place.name})
    else:
        text = (
            f"{place.name} is what {file} holds. Start the service, or look: `slackwater db check`"
        )
        results().print(text, highlight=False, markup=False, soft_wrap=True)
    return Exit.OK


def upgrade_store(data: Path | None, config: Path | None, *, as_json: bool) -> Exit:
    """Run `db upgrade` and return its exit code."""
    place = place_of(data, config)
    done = move_on(place.address, place.archive)
    if as_json:
        print_json({"migrations": done.migrations, "steps": done.steps, "build": done.build})
        return Exit.OK
    applied = ", ".join(map(str, done.migrations)) or "none was lacking"
    results().print(
        f"{place.name}: migrations: {applied}; the next service begins from a snapshot after step"
        f" {done.steps} (before: {done.build})",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    return Exit.OK


def check_store(data: Path | None, config: Path | None, *, as_json: bool) -> Exit:
    """Run `db check` and return its exit code."""
    place = place_of(data, config)
    return told(check(place.address, place.archive), as_json=as_json)


def export_journal(
    file: Path, data: Path | None, config: Path | None, *, overwrites: bool, as_json: bool
) -> Exit:
    """Run `db export` and return its exit code."""
    place = place_of(data, config)
    steps = export(place.address, place.archive, file, overwrites=overwrites)
    if as_json:
        print_json({"file": str(file), "steps": steps})
    else:
        results().print(f"{file}: {steps} steps", highlight=False, soft_wrap=True)
    return Exit.OK
