"""The Typer application of `slackwater db`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

db_app = typer.Typer(
    help="Look after the service's store: back it up, look it over, move it to a new version.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Data = Annotated[
    Path | None,
    typer.Option("--data", help="Data folder, instead of the settings' service.data_dir."),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", envvar="SLACKWATER_CONFIG", help="Settings (slackwater.yaml)."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there already.")]


@db_app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="Where the backup goes: one file of SQLite.")],
    data: Data = None,
    config: Config = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write the store as it stands into one file, while the service goes on."""
    from controller.cli.db import back_up_store

    raise typer.Exit(back_up_store(file, data, config, overwrites=force, as_json=json))


@db_app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A backup, of either kind of store.")],
    data: Data = None,
    config: Config = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Make the store what a backup holds; never while a service lives on it."""
    from controller.cli.db import restore_store

    raise typer.Exit(restore_store(file, data, config, overwrites=force, as_json=json))


@db_app.command()
def upgrade(data: Data = None, config: Config = None, json: Json = False) -> None:
    """Bring the store forward to this version, so that its service can start from it."""
    from controller.cli.db import upgrade_store

    raise typer.Exit(upgrade_store(data, config, as_json=json))


@db_app.command()
def check(data: Data = None, config: Config = None, json: Json = False) -> None:
    """Look the store over: file, schema, journal, archive, listings; the service may go on."""
    from controller.cli.db import check_store

    raise typer.Exit(check_store(data, config, as_json=json))


@db_app.command()
def export(
    file: Annotated[Path, typer.Argument(help="Where the journal goes: .jsonl or .jsonl.gz.")],
    data: Data = None,
    config: Config = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write the whole journal as one file, which `slackwater replay` reads."""
    from controller.cli.db import export_journal

    raise typer.Exit(export_journal(file, data, config, overwrites=force, as_json=json))
