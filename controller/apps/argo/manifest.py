"""What is delivered beside a product: what it is, what it was made of, and what was left out."""

from __future__ import annotations

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
from controller.apps.manifests import FORMAT, made, product_entry
from controller.product_files import crate_url, file_name
from planner.model import Product


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
            **product_entry(order.product_id, product),
            "format": format_of(order.options),
            "crate": file_name(crate_url(product.url)),
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
        **made(created_at, **_versions(format_of(order.options))),
    }


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
