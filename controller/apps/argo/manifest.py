"""What is delivered beside a product: what it is, what it was made of, and what was left out."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.metadata import version

from controller.apps.argo.asked import asked
from controller.apps.argo.derived.account import account
from controller.apps.argo.formats.catalogue import FORMATS, format_of
from controller.apps.argo.fragment import Harvest
from controller.apps.argo.merge import KEY
from controller.apps.argo.orders import CombineOrder, Superseded
from controller.apps.argo.points import Points
from controller.apps.argo.policy import policy_of
from controller.apps.argo.provenance import ACKNOWLEDGEMENT
from controller.apps.argo.vocabulary import plain
from controller.apps.request import iso_instant
from controller.apps.storage import replacing
from controller.build import VERSION
from controller.product_files import crate_url, file_name, manifest_url
from planner.model import Product

FORMAT = 1
"""Grows when a reader of older manifests would misunderstand a new one."""


def manifest(
    order: CombineOrder, harvest: Harvest, points: Points, product: Product, *, created_at: float
) -> dict[str, object]:
    """Return the manifest of a product, fit for JSON; only `created` depends on when it was made.

    ``profiles`` names every profile that the product speaks for, [float, cycle, direction, kind]:
    what it says of one supersedes what earlier products said, also where it keeps no row of it.

    Parameters
    ----------
    order : CombineOrder
    harvest : Harvest
        As it was merged.
    points : Points
        As they were written.
    product : Product
    created_at : float
        [POSIX s]
    """
    return {
        "format": FORMAT,
        "product": {
            "id": order.product_id,
            "file": file_name(product.url),
            "format": format_of(order.options),
            "crate": file_name(crate_url(product.url)),
            "rows": product.rows,
            "size_bytes": product.size_bytes,
            "sha256": product.sha256,
            "digest": product.digest,
        },
        "subscription": order.subscription_id,
        "selections": [
            {**asked(selection.view), "updates": asdict(selection.updates)}
            for selection in order.selections
        ],
        "acknowledgement": ACKNOWLEDGEMENT,
        "policy": policy_of(order.options).describe(harvest.measured, harvest.derivations),
        "derived": account(harvest),
        "profiles": _profiles(harvest),
        "supersedes": [asdict(former) for former in superseded_by(order, harvest)],
        "withdrawn": [asdict(former) for former in order.withdrawn],
        "sources": [asdict(source) for source in harvest.sources],
        "left_out": [asdict(file) for file in harvest.left_out],
        "index_faults": list(order.index_faults),
        "variables": {name: plain(points.attributes(name)) for name in points.names},
        "software": {"slackwater": VERSION, **_versions(format_of(order.options))},
        "created": iso_instant(created_at),
    }


def write_manifest(product: Product, said: dict[str, object]) -> bytes:
    """Write the manifest beside its product, there whole or not at all, and return its bytes.

    Raises
    ------
    StorageError
        It cannot be written.
    """
    content = json.dumps(said, indent=1).encode()
    with replacing(manifest_url(product.url)) as file:
        file.write(content)
    return content


def superseded_by(order: CombineOrder, harvest: Harvest) -> tuple[Superseded, ...]:
    """Return what a product supersedes: nothing where the new file of a profile was left out."""
    spoken_for = set(_profiles(harvest))
    return tuple(former for former in order.superseded if former.profile in spoken_for)


def _profiles(harvest: Harvest) -> list[tuple[int, int, str, str]]:
    keys = dict.fromkeys(harvest.profiles[list(KEY)].tolist())
    return [
        (platform, cycle, direction.decode(), kind.decode())
        for platform, cycle, direction, kind in keys
    ]


def _versions(format_name: str) -> dict[str, str]:
    packages = ("netCDF4", "numpy", *FORMATS[format_name].needs)
    return {package: version(package) for package in packages}
