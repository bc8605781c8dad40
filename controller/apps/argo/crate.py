"""The RO-Crate of a product: what lies here and where it comes from, for any discipline's tools.

A folder holds the products of many tasks, so each crate has its product's id before its name and is
what RO-Crate 1.2 calls detached. Such a crate may hold no relative references: its files are named
by identifiers of its own, and ``localPath`` says how they are called beside it (ADR 13).
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from controller.apps.argo.provenance import link_of
from controller.apps.storage import replacing
from controller.build import VERSION
from controller.product_files import crate_url, file_name, manifest_url
from planner.model import Product

SPECIFICATION = "https://w3id.org/ro/crate/1.2"

MEDIA_TYPES = {
    "netcdf": "application/x-netcdf",
    "parquet": "application/vnd.apache.parquet",
    "zarr": "application/zip",
    "csv": "application/gzip",
}

Entity = dict[str, Any]


def write_crate(
    product: Product,
    attributes: Mapping[str, Any],
    manifest: Mapping[str, Any],
    manifest_bytes: bytes,
) -> None:
    """Write the RO-Crate beside its product, there whole or not at all.

    Parameters
    ----------
    product : Product
    attributes : mapping
        What the product says of itself (see `provenance`).
    manifest : mapping
    manifest_bytes : bytes
        As it was written.

    Raises
    ------
    StorageError
        It cannot be written.
    """
    crate = {
        "@context": f"{SPECIFICATION}/context",
        "@graph": [
            _descriptor(),
            _dataset(product, attributes, manifest),
            _product_file(product, manifest),
            _manifest_file(product, manifest_bytes),
            *_sources(attributes, manifest),
            *_making(product, manifest),
        ],
    }
    with replacing(crate_url(product.url)) as file:
        file.write(json.dumps(crate, indent=1).encode())


def _descriptor() -> Entity:
    return {
        "@id": "ro-crate-metadata.json",
        "@type": "CreativeWork",
        "conformsTo": _to(SPECIFICATION),
        "about": _to("./"),
    }


def _dataset(
    product: Product, attributes: Mapping[str, Any], manifest: Mapping[str, Any]
) -> Entity:
    """Return the root: the product as a whole."""
    coverage = [attributes.get(f"time_coverage_{edge}", "..") for edge in ("start", "end")]
    derived = [one["name"] for one in manifest["derived"]]
    parameters = [*manifest["policy"]["data_mode"], *dict.fromkeys(derived)]
    return {
        "@id": "./",
        "@type": "Dataset",
        "identifier": manifest["product"]["id"],
        "name": attributes["title"],
        "description": attributes["summary"],
        "datePublished": manifest["created"],
        "license": _to("#terms"),
        "creditText": attributes["acknowledgement"],
        "creator": _to(attributes["creator_url"]),
        "isBasedOn": list(map(_to, _archives(manifest))),
        "temporalCoverage": "/".join(coverage),
        "variableMeasured": parameters,
        "mainEntity": _to(_product_id(product)),
        "hasPart": [_to(_product_id(product)), _to(_manifest_id(product))],
        "mentions": _to("#making"),
    }


def _product_file(product: Product, manifest: Mapping[str, Any]) -> Entity:
    return {
        "@id": _product_id(product),
        "@type": "File",
        "name": "Measurements",
        "description": f"{product.rows} levels, one row each",
        "localPath": file_name(product.url),
        "encodingFormat": MEDIA_TYPES[manifest["product"]["format"]],
        "contentSize": str(product.size_bytes),
        "sha256": product.sha256,
    }


def _manifest_file(product: Product, content: bytes) -> Entity:
    return {
        "@id": _manifest_id(product),
        "@type": "File",
        "name": "Manifest",
        "description": "Request, profiles, source files with checksums, and what was left out",
        "localPath": file_name(manifest_url(product.url)),
        "encodingFormat": "application/json",
        "contentSize": str(len(content)),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _sources(attributes: Mapping[str, Any], manifest: Mapping[str, Any]) -> list[Entity]:
    """Return what the product was made of, who made that, and on what terms it may be used."""
    files = Counter(source["dataset"] for source in manifest["sources"])
    archives = [
        {
            "@id": url,
            "@type": "CreativeWork",
            "name": f"Argo float archive, {files[identifier]} files of it",
            "identifier": identifier,
            "creator": _to(attributes["creator_url"]),
        }
        for url, identifier in _archives(manifest).items()
    ]
    return [
        *archives,
        {
            "@id": attributes["creator_url"],
            "@type": "Organization",
            "name": attributes["creator_name"],
            "url": attributes["creator_url"],
        },
        {
            "@id": "#terms",
            "@type": "CreativeWork",
            "name": attributes["license"],
            "description": attributes["acknowledgement"],
        },
    ]


def _making(product: Product, manifest: Mapping[str, Any]) -> list[Entity]:
    """Return how the product was made: of what, by which software, at whose request."""
    return [
        {
            "@id": "#making",
            "@type": "CreateAction",
            "name": f"Selection for subscription {manifest['subscription']}",
            "instrument": _to("#slackwater"),
            "object": [*map(_to, _archives(manifest)), _to("#request")],
            "result": [_to(_product_id(product)), _to(_manifest_id(product))],
            "endTime": manifest["created"],
        },
        {
            "@id": "#slackwater",
            "@type": "SoftwareApplication",
            "name": "slackwater",
            "softwareVersion": VERSION,
        },
        {
            "@id": "#request",
            "@type": "PropertyValue",
            "name": "Request",
            "value": json.dumps(manifest["selections"], sort_keys=True),
        },
    ]


def _archives(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the identifiers of the datasets by where they are told of."""
    identifiers = (selection["dataset"] for selection in manifest["selections"])
    return {link_of(identifier) or f"#{identifier}": identifier for identifier in identifiers}


def _product_id(product: Product) -> str:
    return f"#{file_name(product.url)}"


def _manifest_id(product: Product) -> str:
    return f"#{file_name(manifest_url(product.url))}"


def _to(entity: str) -> dict[str, str]:
    return {"@id": entity}
