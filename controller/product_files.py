"""How the files of a product are named: it and, beside it, its manifest and its RO-Crate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

DEFAULT_FORMAT = "netcdf"

ENDINGS: Mapping[str, str] = {
    DEFAULT_FORMAT: ".nc",
    "parquet": ".parquet",
    "zarr": ".zarr.zip",
    "csv": ".csv.gz",
}
"""The formats that have a name, and how their files end."""

PACKAGE_ENDING = ".zip"
"""Of a product that is a package of files: no one format holds them all."""

MANIFEST_ENDING = ".manifest.json"

CRATE_ENDING = "-ro-crate-metadata.json"
"""RO-Crate 1.2 has a prefix before the name where a folder may hold several (ADR 13)."""


def ending_of(product_url: str) -> str:
    """Return how a product's file ends: as its format has it, else with its last suffix."""
    name = product_url.rsplit("/", 1)[-1]
    known = (ending for ending in ENDINGS.values() if name.endswith(ending))
    return next(known, PurePosixPath(name).suffix)


def product_id_of(product_url: str) -> str:
    """Return the id of the product in a file."""
    return file_name(product_url).removesuffix(ending_of(product_url))


def file_name(url: str) -> str:
    """Return the last part of a URL."""
    return url.rsplit("/", 1)[-1]


def manifest_url(product_url: str) -> str:
    """Return where the manifest of a product lies: beside it."""
    return product_url.removesuffix(ending_of(product_url)) + MANIFEST_ENDING


def crate_url(product_url: str) -> str:
    """Return where the RO-Crate of a product lies: beside it."""
    return product_url.removesuffix(ending_of(product_url)) + CRATE_ENDING


def beside(url: str, name: str) -> str:
    """Return where the file of a name lies in the folder of another."""
    return url.removesuffix(file_name(url)) + name
