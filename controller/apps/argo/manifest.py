"""What is delivered beside a product: what it is, what it was made of, and what was left out."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import PurePosixPath

from controller.apps.argo.asked import asked
from controller.apps.argo.derived.account import account
from controller.apps.argo.fragment import Harvest
from controller.apps.argo.merge import KEY
from controller.apps.argo.orders import CombineOrder
from controller.apps.argo.policy import policy_of
from controller.apps.argo.provenance import ACKNOWLEDGEMENT
from controller.apps.request import iso_instant
from controller.apps.storage import replacing
from controller.build import VERSION
from controller.product_files import manifest_url
from planner.model import Product

FORMAT = 1
"""Grows when a reader of older manifests would misunderstand a new one."""


def manifest(
    order: CombineOrder, harvest: Harvest, product: Product, *, created_at: float
) -> dict[str, object]:
    """Return the manifest of a product, fit for JSON; only `created` depends on when it was made.

    ``profiles`` names every profile that the product speaks for, [float, cycle, direction, kind]:
    what it says of one supersedes what earlier products said, also where it keeps no row of it.

    Parameters
    ----------
    order : CombineOrder
    harvest : Harvest
        As it was merged and written.
    product : Product
    created_at : float
        [POSIX s]
    """
    return {
        "format": FORMAT,
        "product": {
            "id": order.product_id,
            "file": PurePosixPath(product.url).name,
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
        "sources": [asdict(source) for source in harvest.sources],
        "left_out": [asdict(file) for file in harvest.left_out],
        "index_faults": list(order.index_faults),
        "software": {
            "slackwater": VERSION,
            "netCDF4": version("netCDF4"),
            "numpy": version("numpy"),
        },
        "created": iso_instant(created_at),
    }


def write_manifest(order: CombineOrder, harvest: Harvest, product: Product) -> None:
    """Write the manifest beside its product, there whole or not at all.

    Raises
    ------
    StorageError
        It cannot be written.
    """
    now = datetime.now(UTC).timestamp()
    said = manifest(order, harvest, product, created_at=now)
    with replacing(manifest_url(product.url)) as file:
        file.write(json.dumps(said, indent=1).encode())


def _profiles(harvest: Harvest) -> list[tuple[object, ...]]:
    keys = dict.fromkeys(harvest.profiles[list(KEY)].tolist())
    return [
        (platform, cycle, direction.decode(), kind.decode())
        for platform, cycle, direction, kind in keys
    ]
