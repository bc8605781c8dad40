"""The Argo application as the service sees it: from requests to loads and orders."""

from __future__ import annotations

from collections.abc import Callable, Collection

from controller.apps.argo.catalogue import Catalogue
from controller.apps.argo.combine import combine
from controller.apps.argo.extract import extract
from controller.apps.argo.formats.catalogue import FORMAT_OPTION, format_of
from controller.apps.argo.orders import ArchiveAddress, CombineOrder, ExtractOrder
from controller.apps.argo.parameters import BIOGEOCHEMICAL
from controller.apps.argo.policy import check_options
from controller.apps.argo.rows import CORE_PARAMETERS, Kind
from controller.errors import ArchiveError
from controller.product_files import ENDINGS
from planner.density import Density
from planner.errors import InvalidSubscription
from planner.extent import Extent
from planner.model import Fragment, Product, UpdateSpan, View

KIND_OPTION = "kind"
"""Option of a view that names the family of files to read: core, bio or synthetic."""

_NOT_FOR_PARTS = (KIND_OPTION, FORMAT_OPTION)
"""What the files of a part were chosen by, and what their product is written as."""


class ArgoApplication:
    """Reads an Argo archive by its index; implements `controller.ports.Application`.

    Parameters
    ----------
    archive : ArchiveAddress
    fragments_url, staging_url : str
        Folders for what parts leave and for products not yet delivered.
    catalogue : Catalogue
        What the archive holds; updates are applied to it elsewhere.
    """

    name = "argo"
    default_parameters = CORE_PARAMETERS

    def __init__(
        self,
        *,
        archive: ArchiveAddress,
        fragments_url: str,
        staging_url: str,
        catalogue: Catalogue,
    ) -> None:
        self.extract: Callable[[ExtractOrder], Fragment] = extract
        self.combine: Callable[[CombineOrder], Product] = combine
        self._archive = archive
        self._fragments_url = fragments_url.rstrip("/")
        self._staging_url = staging_url.rstrip("/")
        self._catalogue = catalogue

    def parameters(self) -> tuple[str, ...]:
        """Return the names that a subscription may ask for, sorted: Argo's and this archive's."""
        return tuple(sorted({*CORE_PARAMETERS, *BIOGEOCHEMICAL, *self._catalogue.parameters()}))

    def check_options(self, options: tuple[tuple[str, str], ...]) -> None:
        """Refuse options that cannot be, when a subscription is made.

        Raises
        ------
        InvalidSubscription
            Names the option, and what it may be.
        """
        named = dict(options)
        if KIND_OPTION in named:
            _named(named[KIND_OPTION])
        format_of(options)
        check_options(_for_parts(options))

    def density(self, view: View, updates: UpdateSpan) -> Density:
        """Return where the files lie that a request touches.

        Raises
        ------
        InvalidSubscription
            The view's kind is not one of Argo's.
        ArchiveError
            The archive lists no files of that kind.
        """
        return self._catalogue.density(view.extent, updates, self._kind(view))

    def part_order(
        self, view: View, extent: Extent, updates: UpdateSpan, fragment_stem: str
    ) -> ExtractOrder:
        """Return the order to read the files of one part.

        The index says which part a file belongs to; what is kept of it is told by the view, not by
        the part. The place in a file may differ from the index's by a rounding, and a profile that
        the cut runs beside must not fall between two parts.

        Raises
        ------
        InvalidSubscription, ArchiveError
            As `density`.
        """
        numbers = self._catalogue.select(extent, updates, self._kind(view))
        return ExtractOrder(
            archive=self._archive,
            files=self._catalogue.files(numbers),
            extent=view.extent,
            options=_for_parts(view.options),
            fragment_url=f"{self._fragments_url}/{fragment_stem}.npz",
        )

    def product_order(
        self,
        view: View,
        updates: UpdateSpan,
        fragments: tuple[Fragment, ...],
        product_id: str,
        subscription_id: str,
    ) -> CombineOrder:
        """Return the order to combine the fragments of one product."""
        superseded, withdrawn = self._catalogue.superseded(view.extent, updates, self._kind(view))
        return CombineOrder(
            product_url=f"{self._staging_url}/{product_id}{ENDINGS[format_of(view.options)]}",
            product_id=product_id,
            subscription_id=subscription_id,
            view=view,
            updates=updates,
            fragments=fragments,
            index_faults=tuple(map(str, self._catalogue.faults)),
            superseded=superseded,
            withdrawn=withdrawn,
        )

    def _kind(self, view: View) -> Kind:
        return kind_of(view, self._catalogue.kinds)


def _for_parts(options: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple(option for option in options if option[0] not in _NOT_FOR_PARTS)


def kind_of(view: View, there: Collection[Kind]) -> Kind:
    """Return the family of files that a view is read from.

    That is the one its option names; else core files serve core parameters, and synthetic files all
    others, or bio files in an archive that lists no synthetic ones.

    Parameters
    ----------
    view : View
    there : collection of Kind
        What the archive lists; empty while it lists nothing at all.

    Raises
    ------
    InvalidSubscription
        The option names no kind.
    ArchiveError
        The archive lists other kinds, but not this one.
    """
    asked = dict(view.options).get(KIND_OPTION)
    if asked is not None:
        kind = _named(asked)
    elif set(view.extent.parameters) <= set(CORE_PARAMETERS):
        kind = Kind.CORE
    else:
        kind = Kind.BIO if Kind.SYNTHETIC not in there and Kind.BIO in there else Kind.SYNTHETIC
    if there and kind not in there:
        raise ArchiveError(
            f"the archive lists no {kind} profiles, only {', '.join(sorted(there))}",
            fix=f"Ask for other parameters or for option {KIND_OPTION}",
        )
    return kind


def _named(kind: str) -> Kind:
    try:
        return Kind(kind)
    except ValueError:
        raise InvalidSubscription(
            f"option {KIND_OPTION} is {kind!r}", fix=f"Choose one of {', '.join(Kind)}"
        ) from None
