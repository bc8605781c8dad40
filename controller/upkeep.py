"""What an operator does to a store besides serving from it: look it over, move it on, take it out.

A store is looked over as a copy, which a service that lives on it neither sees nor changes.
"""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from controller.build import BUILD
from controller.errors import Fenced, StorageError
from controller.outbox import is_wanted
from controller.recording import STANDING_NODES, move_rows_out, replayed
from controller.snapshotting import Order, archived_lines, take
from controller.store.backup import back_up, faults_of, refuse_absent
from controller.store.listed import NodeRow, SubscriptionRow, TaskRow
from controller.store.opening import Address, opened
from controller.store.schema import newest, upgrade, version
from controller.store.sqlite import SqliteDatabase
from controller.store.store import Kept, Store, header_write
from planner.core import Planner
from planner.errors import BrokenJournal
from planner.journal import Header, decode_command, decode_step, encode_header
from planner.keeping import holds_rows
from planner.scaling.catalogue import Policies

HOLDER = "db upgrade"

ROWS_AT_ONCE = 10_000
"""Subscriptions compared at a time."""

CATCH_UPS_MAX = 10
"""Times that an export begins anew because lines moved from the store into the archive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a look at one thing found.

    Parameters
    ----------
    what : str
        What was looked at.
    ok : bool
    told : str
        What was found, in words.
    fix : str
        What helps, where anything is wrong.
    """

    what: str
    ok: bool
    told: str
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgraded:
    """What an upgrade did: the migrations, and the step that the next service begins from."""

    migrations: tuple[int, ...]
    steps: int
    build: str


# --- check


def check(address: Address, archive: Path) -> list[Finding]:
    """Look a store over: the file, its schema, its journal, its listings.

    Parameters
    ----------
    address : Address
    archive : Path
        Folder of the journal's archived lines.

    Raises
    ------
    StorageError
        There is no store, or it cannot be read at all.
    """
    refuse_absent(address)
    with tempfile.TemporaryDirectory(prefix="slackwater-check-") as name:
        copy = Path(name, "copy.db")
        back_up(address, copy)
        if faults := faults_of(copy):
            fix = "Restore a backup (`slackwater db restore`)"
            return [Finding(what="file", ok=False, told="; ".join(faults), fix=fix)]
        with closing(SqliteDatabase(copy)) as database:
            return [
                Finding(what="file", ok=True, told="every page and index is whole"),
                *_looked_over(Store(database, "check"), archive),
            ]


def _looked_over(store: Store, archive: Path) -> Iterator[Finding]:
    with store.database.reading() as connection:
        has = version(connection)
    told = f"version {has}, this program's is {newest()}"
    fix = "" if has == newest() else "`slackwater db upgrade`, or start the service"
    yield Finding(what="schema", ok=True, told=told, fix=fix)
    if has != newest():
        return
    kept = store.snapshot()
    if kept is None:
        yield Finding(what="journal", ok=True, told="nothing was ever served from here")
        return
    try:
        planner, seq = replayed(store, kept, BUILD, Policies())
    except BrokenJournal as fault:
        yield Finding(what="journal", ok=False, told=fault.what, fix=fault.fix)
        return
    told = f"{seq - kept.seq} steps since the snapshot after step {kept.seq}, all decided alike"
    yield Finding(what="journal", ok=True, told=told)
    yield _archived(store, archive, kept.seq)
    yield from _listed(store, planner)


def _archived(store: Store, archive: Path, seq: int) -> Finding:
    first = next(store.lines(0), None)
    wanted = seq if first is None else first[0] - 1
    last = 0
    fault = ""
    try:
        for number, line in archived_lines(archive):
            decode_step(line, number)
            last = number
    except (BrokenJournal, OSError, EOFError) as error:
        fault = getattr(error, "what", "") or f"{archive}: {error}"
    if not fault and last < wanted:
        fault = f"{archive} lacks the steps {last + 1} to {wanted}"
    fix = "Restore the folder from a backup. The service runs without it; an export is not whole"
    told = f"{last} steps lie whole in {archive}" if last else "none yet"
    return Finding(what="archive", ok=not fault, told=fault or told, fix=fix if fault else "")


def _listed(store: Store, planner: Planner) -> Iterator[Finding]:
    """Compare what listings show with what the planner holds."""
    books = planner.books
    tasks = {row.id for row in store.rows("open_tasks", TaskRow, {})}
    yield _compared("open tasks", tasks, set(books.backlog.tasks))
    nodes = {row.id for row in store.rows("list_nodes", NodeRow, STANDING_NODES)}
    yield _compared("nodes", nodes, set(books.fleet.nodes))
    rows = ((row.id, row.version, bool(row.paused)) for row in _subscriptions(store))
    held = {
        (row.subscription.id, row.subscription.version, row.paused)
        for row in books.registry.state.rows.values()
    }
    yield _compared("subscriptions", set(rows), held)
    commands = [decode_command(text) for _, text in store.open_commands()]
    wanted = sum(is_wanted(command, books) for command in commands)
    told = f"{wanted} under way, {len(commands) - wanted} that nobody waits for any more"
    yield Finding(what="commands", ok=True, told=told)


def _subscriptions(store: Store) -> Iterator[SubscriptionRow]:
    after = ""
    while True:
        asked = {"owner": "", "after": after, "count": ROWS_AT_ONCE}
        rows = store.rows("list_subscriptions", SubscriptionRow, asked)
        yield from rows
        if len(rows) < ROWS_AT_ONCE:
            return
        after = rows[-1].id


def _compared(what: str, listed: set[Any], held: set[Any]) -> Finding:
    differ = sorted(map(str, listed ^ held))
    if not differ:
        return Finding(what=what, ok=True, told=f"{len(held)}, listed as the planner holds them")
    told = f"{len(differ)} are listed otherwise than the planner holds them, as {differ[0]}"
    fix = "Restore a backup, and report how it came to this"
    return Finding(what=what, ok=False, told=told, fix=fix)


# --- upgrade


def move_on(address: Address, archive: Path) -> Upgraded:
    """Bring a store forward to this program, so that a service of it begins from a snapshot.

    Raises
    ------
    StorageError
        There is no store, it is damaged, or a newer program wrote it; nothing of it has changed.
    Fenced
        A service lives on it.
    BrokenJournal
        Another build wrote steps since the last snapshot, and this one decides them otherwise.
    """
    refuse_absent(address)
    with opened(address) as database:
        if not database.hold():
            raise Fenced(f"a service runs on store {database.name}", fix="End it first (SIGTERM)")
        applied = upgrade(database, database.name)
        store = Store(database, HOLDER)
        kept = store.snapshot()
        if kept is None:
            return Upgraded(migrations=applied, steps=0, build=BUILD)
        planner, seq = _moved(store, kept)
        store.take_lease()
        if holds_rows(kept.state):
            move_rows_out(store, planner, seq)
        order = Order(
            address=address,
            holder=HOLDER,
            epoch=store.epoch,
            upto=seq,
            archive=str(archive),
            at=store.last_at(),
        )
        if kept.build != BUILD:
            store.commit([header_write(seq, Header(build=BUILD, settings=planner.settings))])
        take(database, order)
        return Upgraded(migrations=applied, steps=seq, build=kept.build)


def _moved(store: Store, kept: Kept) -> tuple[Planner, int]:
    try:
        return replayed(store, kept, BUILD, Policies())
    except BrokenJournal as fault:
        raise BrokenJournal(
            fault.what,
            fix=f"Start {kept.build} once more and end it with SIGTERM, which leaves a snapshot"
            " and nothing behind it; then upgrade",
        ) from fault


# --- export


def export(address: Address, archive: Path, file: Path, *, overwrites: bool = False) -> int:
    """Write the whole journal as one file, also beside a service; return its steps.

    Raises
    ------
    StorageError
        There is no store, or the file cannot be written or is there already.
    BrokenJournal
        Steps are missing.
    """
    refuse_absent(address)
    if file.exists() and not overwrites:
        raise StorageError(f"{file} is there", fix="Name another file, or --force", retry=False)
    draft = file.with_name(f".{file.name}.draft")
    try:
        with opened(address) as database, _packing(draft, file.suffix) as lines:
            store = Store(database, "export")
            header = store.header(0)
            if header is None:
                raise StorageError(f"nothing was ever served from {database.name}", retry=False)
            lines.write(encode_header(header))
            steps = 0
            for steps, line in _all_lines(store, archive):  # noqa: B007 - the last is wanted
                lines.write(line)
        draft.replace(file)
    except OSError as error:
        raise StorageError(
            f"{file} cannot be written: {error.strerror}",
            fix="Name a file in a folder that this user may write to, on a disk with space",
            retry=False,
        ) from error
    finally:
        if file.parent.is_dir():
            draft.unlink(missing_ok=True)
    return steps


def _packing(file: Path, suffix: str) -> IO[bytes]:
    if suffix == ".gz":
        return cast("IO[bytes]", gzip.open(file, "wb"))
    return file.open("wb")


def _all_lines(store: Store, archive: Path) -> Iterator[tuple[int, bytes]]:
    """Yield number and line of all steps, though a service move some to the archive meanwhile."""
    last = 0
    for _ in range(CATCH_UPS_MAX):
        for number, line in archived_lines(archive):
            if number == last + 1:
                yield number, line
                last = number
        moved = False
        for number, line in store.lines(last):
            if number != last + 1:
                moved = True
                break
            yield number, line
            last = number
        if not moved:
            return
    raise BrokenJournal(
        f"{archive} and the store lack the steps from {last + 1} on",
        fix="Restore the folder from a backup",
    )
