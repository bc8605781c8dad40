"""The destination's folder, as far as one product is concerned."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from controller.delivery.place import Place
from controller.delivery.staging import Staged
from controller.product_files import CRATE_ENDING, ENDINGS, MANIFEST_ENDING, file_name

MANIFEST_BYTES_MAX = 256 * 2**20
"""A manifest above this [bytes] is none of ours: it names some 2 million source files."""

_ENDING = re.compile(r"\.[A-Za-z0-9]{1,15}", re.ASCII)
"""What a command's product may end with, or a package: nearly anything, as the operator says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductFolder:
    """One product's files at a place.

    Parameters
    ----------
    place : Place
    product_id : str
    """

    place: Place
    product_id: str

    @property
    def manifest(self) -> str:
        """The name of the product's manifest."""
        return f"{self.product_id}{MANIFEST_ENDING}"

    @property
    def crate(self) -> str:
        """The name of the product's RO-Crate."""
        return f"{self.product_id}{CRATE_ENDING}"

    def prepare(self, ending: str) -> None:
        """Make the folder, and remove what an earlier crash left of this product."""
        endings = {ending, *ENDINGS.values(), MANIFEST_ENDING, CRATE_ENDING}
        ours = {f"{self.product_id}{each}" for each in endings}
        self.place.prepare(ours.__contains__)

    def told(self) -> dict[str, Any]:
        """Return what the manifest here tells of the product, nothing where there is none."""
        with suppress(ValueError, KeyError, TypeError):
            told = json.loads(self.manifest_bytes())["product"]
            return told if isinstance(told, dict) else {}
        return {}

    def manifest_bytes(self) -> bytes:
        """Return the manifest as it stands here, empty where there is none."""
        content = bytearray()
        with suppress(FileNotFoundError):
            for block in self.place.blocks(self.manifest):
                content += block
                if len(content) > MANIFEST_BYTES_MAX:
                    return b""
        return bytes(content)

    def holds(self, staged: Staged, told: Mapping[str, Any]) -> bool:
        """Tell whether a product of the same content and format stands here, all of it."""
        if told.get("digest") != staged.product.digest:
            return False
        if self.in_another_format(staged.name, told):
            return False
        try:
            found = self.place.sha256(staged.name)
        except FileNotFoundError:
            return False
        others = [file_name(path) for path in staged.others()]
        return found == told.get("sha256") and all(map(self.place.has, others))

    def in_another_format(self, name: str, told: Mapping[str, Any]) -> str:
        """Return the file of this product that its manifest here names, if it is not this one."""
        other = self.believed_file(told)
        return other if other != name else ""

    def believed_file(self, told: Mapping[str, Any]) -> str:
        """Return the product's file that a manifest names, empty if that cannot be.

        Only a name that a product of this id can have is believed: the file will be removed.
        """
        name = told.get("file")
        if not isinstance(name, str):
            return ""
        if name in {f"{self.product_id}{ending}" for ending in ENDINGS.values()}:
            return name
        return name if self._is_made_by_command(name, told) else ""

    def replace(self, staged: Staged) -> None:
        """Put the staged product's files here, the manifest last."""
        # The manifest goes before its product is replaced: the two must never disagree.
        self.place.remove(self.manifest)
        self.place.put(staged.name, staged.product_content())
        if not staged.crate:
            self.place.remove(self.crate)
        for path in staged.others():
            self.place.put(file_name(path), staged.content(path))

    def _is_made_by_command(self, name: str, told: Mapping[str, Any]) -> bool:
        """Tell whether a file is this product as a command named it: its bytes must prove that."""
        if not _ENDING.fullmatch(name.removeprefix(self.product_id)):
            return False
        with suppress(FileNotFoundError):
            return self.place.sha256(name) == told.get("sha256")
        return False
