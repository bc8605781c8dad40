"""Makes one product of the fragments of a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from controller.apps.argo.crate import write_crate
from controller.apps.argo.derived.catalogue import names_in
from controller.apps.argo.formats.content import Content
from controller.apps.argo.fragment import Harvest, read_fragment
from controller.apps.argo.manifest import manifest, superseded_by
from controller.apps.argo.merge import merge
from controller.apps.argo.orders import CombineOrder
from controller.apps.argo.points import Points
from controller.apps.argo.policy import policy_of
from controller.apps.argo.product import write_product
from controller.apps.argo.provenance import global_attributes
from controller.apps.argo.rows import CORE_PARAMETERS
from controller.apps.argo.tables import tables_of
from controller.apps.manifests import write_beside
from planner.model import Product


def combine(order: CombineOrder) -> Product:
    """Write the product of these fragments, and its manifest and RO-Crate beside it.

    Doing it again with the same fragments makes the same file. A product of no rows is valid.

    Raises
    ------
    InvalidSubscription
        The options of the view are not understood.
    StorageError
        A fragment is gone or was changed, or the product cannot be written.
    """
    policy = policy_of(order.options)
    harvests = [
        _of_dataset(selection.view.dataset, read_fragment(fragment))
        for selection, fragments in zip(order.selections, order.fragments, strict=True)
        for fragment in fragments
    ]
    wanted = {name for s in order.selections for name in s.view.extent.parameters}
    derived = names_in(order.options)
    parameters = [*_measured(wanted, harvests), *derived]
    harvest = merge(harvests, parameters, both_versions=policy.both_versions, derived=derived)
    content = Content(
        points=Points(harvest),
        attributes=global_attributes(order, harvest),
        tables=tables_of(harvest, superseded_by(order, harvest)),
    )
    written = write_product(order.product_url, content)
    product = Product(
        url=order.product_url,
        rows=harvest.rows,
        size_bytes=written.size_bytes,
        sha256=written.sha256,
        digest=written.digest,
        left_out=len(harvest.left_out),
    )
    now = datetime.now(UTC).timestamp()
    said = manifest(order, harvest, content.points, product, created_at=now)
    write_crate(product, content.attributes, said, write_beside(product, said))
    return product


def _of_dataset(dataset: str, harvest: Harvest) -> Harvest:
    """Return a harvest whose files say which archive they are of."""
    return replace(
        harvest,
        sources=tuple(replace(source, dataset=dataset) for source in harvest.sources),
        left_out=tuple(replace(file, dataset=dataset) for file in harvest.left_out),
        failures=tuple(replace(one, dataset=dataset) for one in harvest.failures),
    )


def _measured(wanted: set[str], harvests: Sequence[Harvest]) -> list[str]:
    """Return the measured parameters of the product, pressure first: those wanted, or all."""
    found = {name for harvest in harvests for name in harvest.measured} or set(CORE_PARAMETERS)
    return ["PRES", *sorted((wanted or found) - {"PRES"})]
