"""Products as combining leaves them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from planner.model import Product

NAME = "med-v1-u2"
CONTENT = bytes(range(256)) * 1024  # 256 KiB
PRODUCT, MANIFEST = f"{NAME}.nc", f"{NAME}.manifest.json"
CRATE = f"{NAME}-ro-crate-metadata.json"


def staged(
    folder: Path,
    content: bytes = CONTENT,
    *,
    digest: str = "d1",
    name: str = NAME,
    created: str = "2026-01-01T00:00:00Z",
    crate: bytes = b"",
) -> Product:
    """Leave a product, its manifest and, if there is one, its crate in a folder."""
    folder.mkdir(exist_ok=True)
    sha256 = hashlib.sha256(content).hexdigest()
    (folder / f"{name}.nc").write_bytes(content)
    told = {"id": name, "digest": digest, "sha256": sha256, "file": f"{name}.nc"}
    manifest = {"format": 1, "product": told, "created": created}
    (folder / f"{name}.manifest.json").write_text(json.dumps(manifest))
    if crate:
        (folder / f"{name}-ro-crate-metadata.json").write_bytes(crate)
    return Product(
        url=f"file://{folder}/{name}.nc",
        rows=1,
        size_bytes=len(content),
        sha256=sha256,
        digest=digest,
    )
