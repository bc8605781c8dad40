"""A product as combining left it; its faults are told apart from those of the destination."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, cast

from fsspec.core import url_to_fs

from controller.delivery.place import BLOCK_BYTES, Content
from controller.errors import DeliveryError
from controller.product_files import crate_url, file_name, manifest_url, product_id_of
from planner.model import Product


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """The files of a product in the staging area.

    Parameters
    ----------
    product : Product
    product_id : str
    filesystem : fsspec.AbstractFileSystem
    path : str
        Of the product's file there.
    given_up : callable
        Asked before each block: whether nobody waits for the product any more.
    """

    product: Product
    product_id: str
    filesystem: Any
    path: str
    given_up: Callable[[], bool]

    @classmethod
    def of(cls, product: Product, given_up: Callable[[], bool]) -> Staged:
        """Return where a product's files lie."""
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

    @property
    def crate(self) -> str:
        """Where the RO-Crate lies, empty where there is none."""
        crate = crate_url(self.path)
        return crate if self.filesystem.exists(crate) else ""

    def others(self) -> tuple[str, ...]:
        """Return where the files beside the product lie; the manifest comes last."""
        crate = self.crate
        return (*((crate,) if crate else ()), manifest_url(self.path))

    def product_content(self) -> Content:
        """Return what the product's file holds; at its end it proved to be what was combined."""
        return Content(size_bytes=self._size_bytes(self.path), blocks=self._product_blocks())

    def content(self, path: str) -> Content:
        """Return what a file beside it holds."""
        return Content(size_bytes=self._size_bytes(path), blocks=self._blocks(path))

    def _product_blocks(self) -> Iterator[bytes]:
        found = hashlib.sha256()
        for block in self._blocks(self.path):
            found.update(block)
            yield block
        if found.hexdigest() != self.product.sha256:
            raise self._fault("is not the one that was combined (its sha256 differs)", retry=False)

    def _blocks(self, path: str) -> Iterator[bytes]:
        with self._open(path) as file:
            while block := self._read(file):
                if self.given_up():
                    raise DeliveryError(f"delivery of product {self.product_id} was given up")
                yield block

    def _size_bytes(self, path: str) -> int:
        try:
            return int(self.filesystem.size(path))
        except FileNotFoundError as error:
            raise self._fault("is gone", retry=False) from error
        except OSError as error:
            raise self._fault(f"cannot be read ({error.strerror})", retry=True) from error

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
