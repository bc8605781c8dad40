"""Bringing a product to its destination, so that a reader sees all of it or nothing.

The product's file is stored at the destination so that it appears whole, proved to be what was
sent; then its RO-Crate, if it has one, and at last the manifest likewise. The manifest makes the
product delivered: who finds it finds the others whole. Repeating a delivery changes nothing,
whatever stopped the last.
"""

from __future__ import annotations

from collections.abc import Callable

from controller.delivery.folder import ProductFolder
from controller.delivery.opening import place_at
from controller.delivery.staging import Staged
from controller.destinations import Destinations
from controller.errors import DeliveryError
from controller.product_files import ending_of
from planner.model import Product


def deliver(
    product: Product,
    destination: str,
    destinations: Destinations,
    given_up: Callable[[], bool] = lambda: False,
    is_ours: Callable[[], bool] = lambda: True,
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
        What is allowed now, and how it is reached.
    given_up : callable
        Asked before each block: whether nobody waits for the product any more.
    is_ours : callable
        Asked before what stands there is replaced: whether no other service delivers it now.

    Raises
    ------
    DeliveryError
        With the cause, what to do about it and whether a retry may help. Nothing torn is visible.
    """
    staged = Staged.of(product, given_up)
    url = destinations.resolve(destination)
    with place_at(url, destinations, f"product {staged.product_id} not delivered") as place:
        folder = ProductFolder(place=place, product_id=staged.product_id)
        folder.prepare(ending_of(staged.path))
        told = folder.told()
        if not folder.holds(staged, told):
            if not is_ours():
                # It hung until it was replaced: what stands there may be the other one's by now.
                raise DeliveryError(
                    f"delivery of product {staged.product_id} was given up: another service has"
                    " taken over"
                )
            replaced = folder.in_another_format(staged.name, told)
            folder.replace(staged)
            if replaced:
                place.remove(replaced)
    return f"{url}/{folder.manifest}"
