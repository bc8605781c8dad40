"""The Typer application of `slackwater keys`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

keys_app = typer.Typer(
    help="Make, list and revoke the keys of the API; beside a running service or without one.",
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


@keys_app.command()
def add(
    owner: Annotated[str, typer.Argument(help="Who owns what is made with it.")],
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", help="subscribe (default), publish or operate; repeatable."),
    ] = None,
    data: Data = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Make a key and show it, this once."""
    from controller.cli.keys import add_key

    raise typer.Exit(add_key(owner, scope or ["subscribe"], data, config, as_json=json))


@keys_app.command("list")
def list_(data: Data = None, config: Config = None, json: Json = False) -> None:
    """List the keys: whose they are and what they allow, never the keys themselves."""
    from controller.cli.keys import list_keys

    raise typer.Exit(list_keys(data, config, as_json=json))


@keys_app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="Id of the key, as `keys list` shows it.")],
    data: Data = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Let a key open nothing any more, within two seconds also of a running service."""
    from controller.cli.keys import revoke_key

    raise typer.Exit(revoke_key(key, data, config, as_json=json))
