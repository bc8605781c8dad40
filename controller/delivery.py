"""Bringing a product to its destination, so that a reader sees all of it or nothing.

The product is copied under a temporary name in the destination's folder, read back, and moved to
its final name in one step; then its RO-Crate, if it has one, and at last the manifest likewise. The
manifest makes the product delivered: who finds it finds the others whole. Repeating a delivery
changes nothing, whatever stopped the last.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from controller.destinations import Destinations, without_user
from controller.errors import DeliveryError
from controller.product_files import (
    CRATE_ENDING,
    ENDINGS,
    MANIFEST_ENDING,
    crate_url,
    ending_of,
    file_name,
    manifest_url,
    product_id_of,
)
from planner.model import Product

BLOCK_BYTES = 4 * 2**20
"""Copied at once [bytes]: large enough for a far store, small beside a worker's memory."""

MANIFEST_BYTES_MAX = 256 * 2**20
"""A manifest above this [bytes] is none of ours: it names some 2 million source files."""

_TOKEN_BYTES = 4

_ENDING = re.compile(r"\.[A-Za-z0-9]{1,15}", re.ASCII)
"""What a command's product may end with, or a package: nearly anything, as the operator says."""

_FULL = "Free space there; it is tried again"
_CAUSES = {
    errno.ENOSPC: ("is full", _FULL, True),
    errno.EDQUOT: ("is over its quota", _FULL, True),
    errno.EROFS: ("is read-only", "Make it writable or name another destination", False),
    errno.EACCES: ("may not be written to", "Give this user the right to write there", False),
    errno.EPERM: ("may not be written to", "Give this user the right to write there", False),
    errno.ENOTDIR: ("is not a folder", "Name a folder", False),
    errno.EEXIST: ("is not a folder", "Name a folder", False),
    errno.EISDIR: ("has a folder where the product should be", "Move that folder away", False),
    errno.ENAMETOOLONG: ("has too long a name", "Name a shorter one", False),
}
"""What a failed write means: what happened, what to do, whether a retry may help."""


def deliver(
    product: Product,
    destination: str,
    destinations: Destinations,
    given_up: Callable[[], bool] = lambda: False,
) -> str:
    """Bring a staged product and its manifest to a folder; return the URL of the manifest there.

    They keep their names, and so does the RO-Crate beside them. If the folder holds the same
    content in the same format already, it is left as it is. If it holds the product in another
    format, that one goes when the new one stands.

    Parameters
    ----------
    product : Product
        The staged product; its manifest lies beside it.
    destination : str
        Folder; made if it is missing.
    destinations : Destinations
        What is allowed now.
    given_up : callable
        Asked before each block: whether nobody waits for the product any more.

    Raises
    ------
    DeliveryError
        With the cause, what to do about it and whether a retry may help. Nothing torn is visible.
    """
    staged = _Staging.of(product, given_up)
    url = destinations.resolve(destination)
    with _causes_named(staged.product_id, url):
        folder = _Folder.reached(url, staged.product_id)
        folder.prepare(ending_of(staged.path))
        told = folder.told()
        if not folder.holds(staged, told):
            replaced = folder.in_another_format(staged.name, told)
            folder.remove(f"{staged.product_id}{MANIFEST_ENDING}")
            folder.place(staged.name, staged.product_blocks())
            others = staged.others()
            if crate_url(staged.path) not in others:
                folder.remove(f"{staged.product_id}{CRATE_ENDING}")
            for path in others:
                folder.place(file_name(path), staged.blocks(path))
            if replaced:
                folder.remove(replaced)
    return f"{url}/{staged.product_id}{MANIFEST_ENDING}"


def fault_of_folder(url: str) -> str:
    """Return in words why nothing can be delivered to a folder, empty where nothing tells so yet.

    Nothing is made or written: a folder that is missing is judged by the nearest one above it. A
    store of objects, or a full disk, tells only when it is written to.

    Parameters
    ----------
    url : str
        As `Destinations.resolve` returned it.
    """
    try:
        filesystem, path = url_to_fs(url)
    except (ImportError, ValueError) as error:
        return _unopened(url, error)
    if not isinstance(filesystem, LocalFileSystem):
        return ""
    # What stands behind a folder that cannot be entered is missing, as far as anyone can see.
    there = next(each for each in (Path(path), *Path(path).parents) if os.path.exists(each))  # noqa: PTH110
    if not there.is_dir():
        cause = errno.ENOTDIR
    elif os.access(there, os.W_OK | os.X_OK, effective_ids=True):
        return ""
    else:
        cause = errno.EROFS if os.statvfs(there).f_flag & os.ST_RDONLY else errno.EACCES
    what, fix, _ = _CAUSES[cause]
    return f"destination {without_user(url)} {what}. {fix}"


def _unopened(url: str, error: ImportError | ValueError) -> str:
    return (
        f"destination {without_user(url)} cannot be opened: {error}. Install what its scheme needs"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Staging:
    """A product as combining left it. Its faults are told apart from those of the destination."""

    product: Product
    product_id: str
    filesystem: Any
    path: str
    given_up: Callable[[], bool]

    @classmethod
    def of(cls, product: Product, given_up: Callable[[], bool]) -> _Staging:
        filesystem, path = url_to_fs(product.url)
        return cls(
            product=product,
            product_id=product_id_of(path),
            filesystem=filesystem,
            path=path,
            given_up=given_up,
        )

    @property
    def name(self) -> str:
        """The name of the product's file."""
        return file_name(self.path)

    def others(self) -> tuple[str, ...]:
        """Return where the files beside the product lie; the manifest comes last."""
        crate = crate_url(self.path)
        there = (crate,) if self.filesystem.exists(crate) else ()
        return (*there, manifest_url(self.path))

    def product_blocks(self) -> Iterator[bytes]:
        """Yield the product's bytes; at the end they proved to be those that were combined."""
        found = hashlib.sha256()
        for block in self.blocks(self.path):
            found.update(block)
            yield block
        if found.hexdigest() != self.product.sha256:
            raise self._fault("is not the one that was combined (its sha256 differs)", retry=False)

    def blocks(self, path: str) -> Iterator[bytes]:
        """Yield the bytes of a file of the staging area."""
        with self._open(path) as file:
            while block := self._read(file):
                if self.given_up():
                    raise DeliveryError(f"delivery of product {self.product_id} was given up")
                yield block

    def _open(self, path: str) -> IO[bytes]:
        try:
            return cast("IO[bytes]", self.filesystem.open(path, "rb"))
        except FileNotFoundError as error:
            raise self._fault("is gone", retry=False) from error
        except OSError as error:
            raise self._fault(f"cannot be read ({error.strerror})", retry=True) from error

    def _read(self, file: IO[bytes]) -> bytes:
        try:
            return file.read(BLOCK_BYTES)
        except OSError as error:
            raise self._fault(f"cannot be read ({error.strerror})", retry=True) from error

    def _fault(self, what: str, *, retry: bool) -> DeliveryError:
        return DeliveryError(
            f"product {self.product_id} in the staging area {what}",
            fix="Its task must combine it again",
            retry=retry,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Folder:
    """The destination's folder, as far as one product is concerned."""

    filesystem: Any
    path: str
    product_id: str

    @classmethod
    def reached(cls, url: str, product_id: str) -> _Folder:
        try:
            filesystem, path = url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise DeliveryError(_unopened(url, error), retry=False) from error
        return cls(filesystem=filesystem, path=path.rstrip("/"), product_id=product_id)

    def prepare(self, ending: str) -> None:
        """Make the folder, and remove what an earlier crash left of this product."""
        self.filesystem.makedirs(self.path, exist_ok=True)
        ours = sorted({ending, *ENDINGS.values(), MANIFEST_ENDING, CRATE_ENDING})
        leftover = re.compile(
            rf"\.{re.escape(self.product_id)}({'|'.join(map(re.escape, ours))})"
            rf"\.[0-9a-f]{{{2 * _TOKEN_BYTES}}}\.part"
        )
        for path in self.filesystem.ls(self.path, detail=False):
            if leftover.fullmatch(file_name(path)):
                self._remove(path)

    def told(self) -> dict[str, Any]:
        """Return what the manifest here tells of the product, nothing where there is none."""
        manifest = self._final(f"{self.product_id}{MANIFEST_ENDING}")
        try:
            with self.filesystem.open(manifest, "rb") as file:
                told = json.loads(file.read(MANIFEST_BYTES_MAX))["product"]
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return {}
        return told if isinstance(told, dict) else {}

    def holds(self, staged: _Staging, told: Mapping[str, Any]) -> bool:
        """Tell whether a product of the same content and format stands here, all of it."""
        if told.get("digest") != staged.product.digest:
            return False
        if self.in_another_format(staged.name, told):
            return False
        try:
            found = self._sha256(self._final(staged.name))
        except FileNotFoundError:
            return False
        others = [file_name(path) for path in staged.others()]
        return found == told.get("sha256") and all(map(self._is_there, others))

    def in_another_format(self, name: str, told: Mapping[str, Any]) -> str:
        """Return the file of this product that its manifest here names, if it is not this one.

        Only a name that a product of this id can have is believed: the file will be removed.
        """
        other = told.get("file", name)
        if not isinstance(other, str) or other == name:
            return ""
        if other in {f"{self.product_id}{ending}" for ending in ENDINGS.values()}:
            return other
        return other if self._is_made_by_command(other, told) else ""

    def _is_made_by_command(self, name: str, told: Mapping[str, Any]) -> bool:
        """Tell whether a file is this product as a command named it: its bytes must prove that."""
        if not _ENDING.fullmatch(name.removeprefix(self.product_id)):
            return False
        with suppress(FileNotFoundError):
            return self._sha256(self._final(name)) == told.get("sha256")
        return False

    def remove(self, name: str) -> None:
        """Remove a file, if it is there.

        The manifest goes before its product is replaced: the two must never disagree.
        """
        self._remove(self._final(name))

    def place(self, name: str, blocks: Iterator[bytes]) -> None:
        """Write a file under a temporary name, read it back, and move it to its final name."""
        temporary = f"{self.path}/.{name}.{secrets.token_hex(_TOKEN_BYTES)}.part"
        try:
            written = self._write(temporary, blocks)
            if self._sha256(temporary) != written:
                raise DeliveryError(f"{name} was damaged on its way to {without_user(self.path)}")
            self._move(temporary, self._final(name))
        except BaseException:
            with suppress(OSError):
                self._remove(temporary)
            raise

    def _is_there(self, name: str) -> bool:
        return bool(self.filesystem.exists(self._final(name)))

    def _final(self, name: str) -> str:
        return f"{self.path}/{name}"

    def _write(self, path: str, blocks: Iterator[bytes]) -> str:
        written = hashlib.sha256()
        with self.filesystem.open(path, "wb") as file:
            for block in blocks:
                file.write(block)
                written.update(block)
            if self._is_local:
                file.flush()
                os.fsync(file.fileno())
        return written.hexdigest()

    def _sha256(self, path: str) -> str:
        found = hashlib.sha256()
        with self.filesystem.open(path, "rb") as file:
            while block := file.read(BLOCK_BYTES):
                found.update(block)
        return found.hexdigest()

    def _move(self, temporary: str, final: str) -> None:
        if not self._is_local:
            self.filesystem.mv(temporary, final)
            return
        # Not fsspec's move: where a rename fails it copies, and a copy is seen half-done.
        Path(temporary).replace(final)
        handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def _remove(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self.filesystem.rm_file(path)

    @property
    def _is_local(self) -> bool:
        return isinstance(self.filesystem, LocalFileSystem)


@contextmanager
def _causes_named(product_id: str, url: str) -> Iterator[None]:
    """Turn the system's errors into faults of delivery that say what to do."""
    try:
        yield
    except OSError as error:
        what, fix, retry = _CAUSES.get(
            error.errno or 0, (f"failed: {error.strerror or error}", "", True)
        )
        raise DeliveryError(
            f"product {product_id} not delivered: {without_user(url)} {what}", fix=fix, retry=retry
        ) from error
