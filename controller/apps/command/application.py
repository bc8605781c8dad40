"""The command application as the service sees it: from requests to loads and orders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from controller.apps.command.combine import combine
from controller.apps.command.extract import extract
from controller.apps.command.listing import Listing
from controller.apps.command.orders import CombineOrder, ExtractOrder, Form, Selected, Tool
from planner.density import Density
from planner.errors import InvalidSubscription
from planner.extent import ALWAYS, Box, Extent, Period
from planner.model import Fragment, Options, Product, Selection, UpdateSpan, View

OPTION_CHARACTERS_MAX = 1000
"""Of one option's value: all that a command is told also travels in its environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandDataset:
    """A dataset that a command serves, as the operator has defined it.

    Parameters
    ----------
    identifier : str
        Persistent identifier.
    archive : str
        Folder or URL; handed to the command.
    period : Period
        What the data span.
    parameters : tuple of str
        What subscribers may ask for, sorted.
    options : tuple of str
        Names of the options that subscribers may set.
    tool : Tool
    form : Form
    """

    identifier: str
    archive: str
    period: Period = ALWAYS
    parameters: tuple[str, ...]
    options: tuple[str, ...] = ()
    tool: Tool
    form: Form


class CommandApplication:
    """Serves one dataset by a command line; implements `controller.ports.Application`.

    Parameters
    ----------
    dataset : CommandDataset
    fragments_url, staging_url : str
        Folders for what parts leave and for products not yet delivered.
    listing : Listing or None
        What the dataset's folder holds, if it is listed; updated elsewhere.
    """

    name = "command"

    def __init__(
        self,
        *,
        dataset: CommandDataset,
        fragments_url: str,
        staging_url: str,
        listing: Listing | None = None,
    ) -> None:
        self.extract: Callable[[ExtractOrder], Fragment] = extract
        self.combine: Callable[[CombineOrder], Product] = combine
        self._dataset = dataset
        self._fragments_url = fragments_url.rstrip("/")
        self._staging_url = staging_url.rstrip("/")
        self._listing = listing

    def parameters(self) -> tuple[str, ...]:
        """Return the names that a subscription may ask for, sorted."""
        return self._dataset.parameters

    def takes(self, option: str) -> bool:
        """Tell whether the operator has named an option so."""
        return option in self._dataset.options

    def check_options(self, options: Options) -> None:
        """Refuse options that the dataset does not have, when a subscription is made.

        Raises
        ------
        InvalidSubscription
            Names the option, and which there are.
        """
        known = self._dataset.options
        for name, value in options:
            if name not in known:
                raise InvalidSubscription(
                    f"unknown option {name}", fix=f"Known: {', '.join(known) or 'none'}"
                )
            if len(value) > OPTION_CHARACTERS_MAX or not value.isprintable():
                raise InvalidSubscription(
                    f"option {name} is too long or holds control characters",
                    fix=f"Give up to {OPTION_CHARACTERS_MAX} printable characters",
                )

    def view(self, box: Box, period: Period, parameters: tuple[str, ...], options: Options) -> View:
        """Return the view that a request means; no parameters means all."""
        return View(
            dataset=self._dataset.identifier,
            application=self.name,
            extent=Extent(box=box, period=period, parameters=parameters or self.parameters()),
            options=options,
        )

    def period(self) -> Period | None:
        """Return what the data span, as the operator has said it."""
        return self._dataset.period

    def density(self, view: View, updates: UpdateSpan) -> Density | None:
        """Return where the files lie that a request touches; None where no index says so."""
        return None if self._listing is None else self._listing.density(view.extent, updates)

    def part_order(
        self, view: View, extent: Extent, updates: UpdateSpan, fragment_stem: str
    ) -> ExtractOrder:
        """Return the order to run the command for one part.

        Where an index places the files, it says which part a file belongs to, and the view what is
        kept of it (ADR 9). Else the part has all files, and keeps what lies in its own extent.
        """
        placed = self._listing is not None and self._listing.has_places
        return ExtractOrder(
            part=fragment_stem,
            tool=self._dataset.tool,
            form=self._dataset.form,
            dataset=self._dataset.identifier,
            archive=self._dataset.archive,
            extent=view.extent if placed else extent,
            updates=updates,
            options=view.options,
            files=None if self._listing is None else self._listing.select(extent, updates),
            fragment_url=f"{self._fragments_url}/{fragment_stem}.part",
        )

    def product_order(
        self,
        selection: Selection,
        fragments: tuple[Fragment, ...],
        product_id: str,
        subscription_id: str,
    ) -> CombineOrder:
        """Return the order to combine the fragments of one selection."""
        selected = Selected(
            selection=selection,
            fragments=fragments,
            form=self._dataset.form,
            tool=self._dataset.tool,
        )
        return self._combining(product_id, subscription_id, (selected,))

    def joined(self, orders: Sequence[CombineOrder]) -> CombineOrder:
        """Return the order that makes one product of several datasets."""
        selected = tuple(each for order in orders for each in order.selected)
        return self._combining(orders[0].product_id, orders[0].subscription_id, selected)

    def _combining(
        self, product_id: str, subscription_id: str, selected: tuple[Selected, ...]
    ) -> CombineOrder:
        order = CombineOrder(
            product_url="",
            product_id=product_id,
            subscription_id=subscription_id,
            selected=selected,
        )
        name = f"{product_id}{order.form.product_ending}"
        return replace(order, product_url=f"{self._staging_url}/{name}")
