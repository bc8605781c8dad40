"""API keys: made, listed, revoked, and recognised when they are shown.

A key is ``slackwater_<id>_<secret>``. The id finds it and may be shown; the secret is 256 random
bits, shown once and never kept. What is kept is its SHA-256: nobody can guess 256 bits, however
fast the digest, so a slow one (which passwords need, because people choose them) would only let
strangers keep the service busy.

All of it works on a store that a service holds, and on one that none does: a key needs no lease.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass

from controller.api.scopes import ANYBODY, Caller, Scope
from controller.errors import StorageError
from controller.store.database import Database
from controller.store.named import queries
from planner.errors import SlackwaterError

KEYS_MAX = 10_000
"""Keys that a store holds, revoked ones included: far more than one service has users."""

CACHED_MAX = 1024
"""Keys, known and unknown, whose answer is remembered for `CACHE_S`."""

CACHE_S = 2.0
"""A revoked key opens nothing any more after this time [s]."""

USED_S = 600.0
"""When a key was last used is told to within this time [s]: a write each time would cost too
much."""

OWNER_CHARACTERS_MAX = 64

_KEY = re.compile(r"slackwater_([0-9a-f]{12})_([A-Za-z0-9_-]{43})", re.ASCII)
_OWNER = re.compile(r"[a-z0-9][a-z0-9._@-]*", re.ASCII)


class KeyFault(SlackwaterError):
    """A key of the API cannot be made or revoked as it was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key as it is listed: all but what opens.

    Parameters
    ----------
    id : str
        Stands in the key, and finds it.
    owner : str
        Owns what is made with it.
    scopes : frozenset of Scope
    made_at, used_at, revoked_at : float or None
        [POSIX s]; `used_at` to within `USED_S`.
    """

    id: str
    owner: str
    scopes: frozenset[Scope]
    made_at: float
    used_at: float | None = None
    revoked_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    id: str
    owner: str
    digest: str
    scopes: str
    made_at: float
    used_at: float | None
    revoked_at: float | None

    def key(self) -> Key:
        return Key(
            id=self.id,
            owner=self.owner,
            scopes=frozenset(map(Scope, self.scopes.split())),
            made_at=self.made_at,
            used_at=self.used_at,
            revoked_at=self.revoked_at,
        )


class Keys:
    """The keys of a store.

    Parameters
    ----------
    database : Database
        Of this program's schema.
    clock : callable
        Returns the time [POSIX s].

    Attributes
    ----------
    remembered : dict
        Who was found lately, or None, and when [POSIX s]; by the digest of what was shown.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._queries = queries("controller.api", "keys.sql")
        self.remembered: OrderedDict[str, tuple[float, Caller | None]] = OrderedDict()
        self._lock = threading.Lock()
        self._exist = False
        self._looked_at = -CACHE_S

    def add(self, owner: str, scopes: Collection[Scope]) -> tuple[Key, str]:
        """Make a key; return it, and the secret text to hand over, which is shown only here.

        Raises
        ------
        KeyFault
            Its owner or scopes cannot be, or there are too many keys.
        """
        if not _OWNER.fullmatch(owner) or len(owner) > OWNER_CHARACTERS_MAX:
            raise KeyFault(
                f"owner {owner!r} cannot be",
                fix=f"Use up to {OWNER_CHARACTERS_MAX} of a-z, 0-9, '-', '_', '.' and '@',"
                " beginning with a letter or digit",
            )
        if not scopes:
            raise KeyFault(f"a key of {owner} would allow nothing", fix=f"Name {_scopes_told()}")
        if len(self.all()) >= KEYS_MAX:
            raise KeyFault(f"there are {KEYS_MAX} keys already", fix="Use one store a service")
        key = Key(
            id=secrets.token_hex(6),
            owner=owner,
            scopes=frozenset(scopes),
            made_at=self._clock(),
        )
        text = f"slackwater_{key.id}_{secrets.token_urlsafe(32)}"
        row = {"id": key.id, "owner": owner, "digest": _digest(text), "at": key.made_at}
        self._change("add_key", {**row, "scopes": " ".join(sorted(scopes))})
        self._exist = True
        return key, text

    def all(self) -> list[Key]:
        """Return every key, revoked ones included, the oldest first."""
        return [row.key() for row in self._rows("list_keys", count=KEYS_MAX)]

    def revoke(self, key_id: str) -> Key:
        """Let a key open nothing any more; return it.

        A running service hears of it within `CACHE_S`.

        Raises
        ------
        KeyFault
            There is no such key.
        """
        self._change("revoke_key", {"id": key_id, "at": self._clock()})
        with self._lock:
            self.remembered.clear()
        found = self._rows("find_key", id=key_id)
        if not found:
            raise KeyFault(f"there is no key {key_id}", fix="See `slackwater keys list`")
        return found[0].key()

    def exist(self) -> bool:
        """Tell whether any key was ever made: revoking the last one opens no door."""
        now = self._clock()
        if not self._exist and not 0.0 <= now - self._looked_at < CACHE_S:
            with self._database.reading() as connection:
                ((count,),) = connection.fetch(self._queries["count_keys"], {})
            self._exist, self._looked_at = int(count) > 0, now
        return self._exist

    def entrance(self, *, required: bool) -> Callable[[str], Caller | None]:
        """Return what finds who asks: anybody, until a key is required or has been made."""

        def find(text: str) -> Caller | None:
            if not required and not self.exist():
                return ANYBODY
            return self.find(text)

        return find

    def find(self, text: str) -> Caller | None:
        """Return whose key this is; None of one that opens nothing."""
        digest, now = _digest(text), self._clock()
        with self._lock:
            found_at, caller = self.remembered.get(digest, (-CACHE_S, None))
            # A clock that was set back must not keep a revoked key alive.
            if 0.0 <= now - found_at < CACHE_S:
                return caller
        caller = self._look_up(text, digest, now)
        with self._lock:
            self.remembered[digest] = now, caller
            self.remembered.move_to_end(digest)
            while len(self.remembered) > CACHED_MAX:
                self.remembered.popitem(last=False)
        return caller

    def _look_up(self, text: str, digest: str, now: float) -> Caller | None:
        form = _KEY.fullmatch(text)
        rows = self._rows("find_key", id=form.group(1)) if form else []
        if not rows or not hmac.compare_digest(rows[0].digest, digest):
            return None
        key = rows[0].key()
        if key.revoked_at is not None:
            return None
        self._note_used(key, now)
        return Caller(name=key.owner, scopes=key.scopes)

    def _note_used(self, key: Key, now: float) -> None:
        if key.used_at is not None and 0.0 <= now - key.used_at < USED_S:
            return
        with suppress(StorageError):  # A store that is full still lets its readers in.
            self._change("use_key", {"id": key.id, "at": now})

    def _rows(self, query: str, **row: object) -> list[_Row]:
        with self._database.reading() as connection:
            found = connection.fetch(self._queries[query], row)
        names = _Row.__dataclass_fields__
        return [_Row(**dict(zip(names, values, strict=True))) for values in found]

    def _change(self, query: str, row: dict[str, object]) -> None:
        with self._database.transaction() as connection:
            connection.change(self._queries[query], row)


def scopes_of(names: Collection[str]) -> frozenset[Scope]:
    """Return scopes by their names.

    Raises
    ------
    KeyFault
        One of them is none.
    """
    strange = sorted(set(names) - {scope.value for scope in Scope})
    if strange:
        raise KeyFault(f"{strange[0]!r} is no scope", fix=f"Name {_scopes_told()}")
    return frozenset(map(Scope, names))


def _scopes_told() -> str:
    return "some of " + ", ".join(scope.value for scope in Scope)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
