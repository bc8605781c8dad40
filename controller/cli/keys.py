"""`slackwater keys`: the keys of the API, in the store of a service that runs or does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from controller.api.keys import Key, Keys, scopes_of
from controller.cli import Exit
from controller.cli.display import messages, print_json, results, table
from controller.config.iso8601 import instant_text
from controller.config.settings import read_settings
from controller.serving import address_of, data_folders
from controller.store.opening import opened
from controller.store.schema import upgrade


@contextmanager
def _keys(data: Path | None, config: Path | None) -> Iterator[Keys]:
    """Open the keys of the store that a service with these options has; made if it is missing."""
    settings = read_settings(config)
    folder = (data or Path(settings.service.data_dir)).absolute()
    data_folders(folder)
    with opened(address_of(settings, folder)) as database:
        upgrade(database, database.name)
        yield Keys(database)


def add_key(
    owner: str, scopes: Sequence[str], data: Path | None, config: Path | None, *, as_json: bool
) -> Exit:
    """Make a key, print it and return the exit code."""
    with _keys(data, config) as keys:
        key, text = keys.add(owner, scopes_of(scopes))
    if as_json:
        print_json({**_told(key), "key": text})
        return Exit.OK
    messages().print(
        f"Key {key.id} of {owner} allows to {', '.join(sorted(key.scopes))}."
        " It is shown this once; put it into SLACKWATER_KEY, or a file of mode 0600:",
        soft_wrap=True,
        highlight=False,
    )
    results().print(text, highlight=False, markup=False, soft_wrap=True)
    return Exit.OK


def list_keys(data: Path | None, config: Path | None, *, as_json: bool) -> Exit:
    """Print the keys and return the exit code."""
    with _keys(data, config) as keys:
        found = keys.all()
    if as_json:
        print_json([_told(key) for key in found])
    elif not found:
        results().print("There are no keys: on this machine nobody needs one.")
    else:
        columns = ("=Id", "Owner", "Allows", "Made", "Last used", "Revoked")
        results().print(table("Keys", columns, [_row(key) for key in found]))
    return Exit.OK


def revoke_key(key_id: str, data: Path | None, config: Path | None, *, as_json: bool) -> Exit:
    """Revoke a key and return the exit code."""
    with _keys(data, config) as keys:
        key = keys.revoke(key_id)
    if as_json:
        print_json(_told(key))
    else:
        results().print(f"Key {key.id} of {key.owner} opens nothing any more.", highlight=False)
    return Exit.OK


def _told(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "owner": key.owner,
        "scopes": sorted(key.scopes),
        "made_at": instant_text(key.made_at),
        "used_at": None if key.used_at is None else instant_text(key.used_at),
        "revoked_at": None if key.revoked_at is None else instant_text(key.revoked_at),
    }


def _row(key: Key) -> tuple[str, ...]:
    told = _told(key)
    return (
        key.id,
        key.owner,
        " ".join(told["scopes"]),
        told["made_at"][:10],
        (told["used_at"] or "-")[:10],
        (told["revoked_at"] or "-")[:10],
    )
