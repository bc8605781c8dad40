"""The Argo application as the service sees it: from requests to loads and orders."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from difflib import get_close_matches

from controller.apps.argo.catalogue import Catalogue
from controller.apps.argo.combine import combine
from controller.apps.argo.derived.catalogue import DERIVED_OPTION, DerivedParameters
from controller.apps.argo.extract import extract
from controller.apps.argo.formats.catalogue import FORMAT_OPTION, format_of
from controller.apps.argo.orders import ArchiveAddress, CombineOrder, ExtractOrder
from controller.apps.argo.parameters import BIOGEOCHEMICAL
from controller.apps.argo.policy import OF_PROFILE, check_options, is_option, named_in
from controller.apps.argo.rows import CORE_PARAMETERS, Kind
from controller.errors import ArchiveError
from controller.product_files import ENDINGS
from planner.density import Density
from planner.errors import BrokenPlugin, InvalidSubscription
from planner.extent import Box, Extent, Period
from planner.model import Fragment, Options, Product, Selection, UpdateSpan, View

KIND_OPTION = "kind"
"""Option of a view that names the family of files to read: core, bio or synthetic."""

_NOT_FOR_PARTS = (KIND_OPTION, FORMAT_OPTION)
"""What the files of a part were chosen by, and what their product is written as."""


class ArgoApplication:
    """Reads an Argo archive by its index; implements `controller.ports.Application`.

    Parameters
    ----------
    dataset : str
        Persistent identifier of what the archive holds.
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
        dataset: str,
        archive: ArchiveAddress,
        fragments_url: str,
        staging_url: str,
        catalogue: Catalogue,
    ) -> None:
        self.extract: Callable[[ExtractOrder], Fragment] = extract
        self.combine: Callable[[CombineOrder], Product] = combine
        self._dataset = dataset
        self._archive = archive
        self._fragments_url = fragments_url.rstrip("/")
        self._staging_url = staging_url.rstrip("/")
        self._catalogue = catalogue
        self._derived = DerivedParameters()

    def parameters(self) -> tuple[str, ...]:
        """Return the names that a subscription may ask for, sorted.

        Those of Argo, of this archive, and the derived parameters that are installed.
        """
        return tuple(sorted({*self._measured(), *self._derived}))

    def takes(self, option: str) -> bool:
        """Tell whether an option of this name means anything here.

        One about a parameter that this archive does not list is left to those that list it.
        """
        if not is_option(option):
            return False
        named = {name for _, _, name in named_in(((option, ""),))}
        return named <= {*self.parameters(), *OF_PROFILE}

    def check_options(self, options: Options) -> None:
        """Refuse options that cannot be, when a subscription is made.

        Raises
        ------
        InvalidSubscription
            Names the option, and what it may be.
        ArchiveError
            The archive lists no files of the kind asked for.
        """
        named = dict(options)
        if KIND_OPTION in named:
            _refuse_unlisted(_named(named[KIND_OPTION]), self._catalogue.kinds)
        if DERIVED_OPTION in named:
            raise InvalidSubscription(
                f"option {DERIVED_OPTION!r} is unknown",
                fix="Name derived parameters among the parameters",
            )
        format_of(options)
        check_options(options)
        for option, sort, name in named_in(options):
            self._check_named(option, sort, name)

    def view(self, box: Box, period: Period, parameters: tuple[str, ...], options: Options) -> View:
        """Return the view that a request means; no parameters means the core ones.

        Its extent holds the measured parameters to read, with those that derived ones need, for
        updates are matched by what files hold; the derived ones are carried by an option.

        Raises
        ------
        InvalidSubscription
            An option is about a parameter that is not read.
        UnknownPlugin, BrokenPlugin
            A derived parameter cannot be used.
        """
        named = set(parameters or self.default_parameters)
        derived = sorted(name for name in named if name in self._derived)
        needed = {need for name in derived for need in self._needs(name)}
        measured = tuple(sorted(needed | named.difference(derived)))
        _refuse_idle(options, sorted({"PRES", *measured}))  # pressure is always read
        extra = ((DERIVED_OPTION, ",".join(derived)),) if derived else ()
        return View(
            dataset=self._dataset,
            application=self.name,
            extent=Extent(box=box, period=period, parameters=measured),
            options=tuple(sorted((*options, *extra))),
        )

    def period(self) -> Period | None:
        """Return None: the density tells what the archive spans."""
        return None

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

    def sample(self, view: View, updates: UpdateSpan, masses_max: int) -> Density:
        """Return the same in at most so many masses, quickly: for planning many tasks.

        Raises
        ------
        InvalidSubscription, ArchiveError
            As `density`.
        """
        return self._catalogue.sample(view.extent, updates, self._kind(view), masses_max)

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
            update=updates.upto,
        )

    def product_order(
        self,
        selection: Selection,
        fragments: tuple[Fragment, ...],
        product_id: str,
        subscription_id: str,
    ) -> CombineOrder:
        """Return the order to combine the fragments of one selection."""
        view = selection.view
        superseded, withdrawn = self._catalogue.superseded(
            view.extent, selection.updates, self._kind(view)
        )
        return CombineOrder(
            product_url=f"{self._staging_url}/{product_id}{ENDINGS[format_of(view.options)]}",
            product_id=product_id,
            subscription_id=subscription_id,
            selections=(selection,),
            fragments=(fragments,),
            index_faults=tuple(map(str, self._catalogue.faults)),
            superseded=superseded,
            withdrawn=withdrawn,
        )

    def joined(self, orders: Sequence[CombineOrder]) -> CombineOrder:
        """Return the order that makes one product of several archives."""
        return replace(
            orders[0],
            selections=tuple(selection for order in orders for selection in order.selections),
            fragments=tuple(fragments for order in orders for fragments in order.fragments),
            index_faults=tuple(fault for order in orders for fault in order.index_faults),
            superseded=tuple(former for order in orders for former in order.superseded),
            withdrawn=tuple(former for order in orders for former in order.withdrawn),
        )

    def _measured(self) -> set[str]:
        """Return what a subscription may ask for; of core files alone, nothing biogeochemical."""
        only_core = self._catalogue.kinds == {Kind.CORE}
        bgc = () if only_core else BIOGEOCHEMICAL
        return {*CORE_PARAMETERS, *bgc, *self._catalogue.parameters()}

    def _needs(self, derived: str) -> tuple[str, ...]:
        """Return what a derived parameter needs, if this archive may have it."""
        needs, measured = self._derived[derived].needs, self._measured()
        if derived in measured:
            raise BrokenPlugin(
                f"the derived parameter {derived!r} bears the name of one that the archive holds",
                fix="Uninstall it",
            )
        for need in needs:
            if need not in measured:
                raise BrokenPlugin(
                    f"the derived parameter {derived!r} needs {need!r}, which no float measures",
                    fix=_near(need, measured),
                )
        return needs

    def _check_named(self, option: str, sort: str, name: str) -> None:
        """Refuse an option about something that has no flag or data mode of its own."""
        if name in OF_PROFILE:
            if sort == "qc":
                return
            raise InvalidSubscription(
                f"option {option} cannot be: only parameters have a data mode",
                fix=f"Write qc_{name} for the flags of a profile's {name.lower()}",
            )
        if name in self._derived:
            raise InvalidSubscription(
                f"option {option} cannot be: {name} is derived, and is kept where what it needs is",
                fix=f"Write it of {', '.join(self._needs(name))}",
            )
        known = [*self._measured(), *(OF_PROFILE if sort == "qc" else ())]
        if name not in known:
            raise InvalidSubscription(
                f"option {option} names an unknown parameter {name!r}", fix=_near(name, known)
            )

    def _kind(self, view: View) -> Kind:
        return kind_of(view, self._catalogue.kinds)


def _near(name: str, known: Collection[str]) -> str:
    """Return which known names are near one that is not, in words, if any are."""
    near = get_close_matches(name, sorted(known), n=2)
    return f"Did you mean {' or '.join(near)}?" if near else ""


def _refuse_idle(options: Options, read: Sequence[str]) -> None:
    """Refuse options about parameters that are not read."""
    for option, _, name in named_in(options):
        if name not in (*read, *OF_PROFILE):
            raise InvalidSubscription(
                f"option {option} says nothing: {name} is not among the parameters read,"
                f" {', '.join(read)}",
                fix=f"Add {name} to the parameters, or leave the option out",
            )


def _for_parts(options: Options) -> Options:
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
    _refuse_unlisted(kind, there)
    return kind


def _refuse_unlisted(kind: Kind, there: Collection[Kind]) -> None:
    if there and kind not in there:
        raise ArchiveError(
            f"the archive lists no {kind} profiles, only {', '.join(sorted(there))}",
            fix=f"Ask for other parameters or for option {KIND_OPTION}",
        )


def _named(kind: str) -> Kind:
    try:
        return Kind(kind)
    except ValueError:
        raise InvalidSubscription(
            f"option {KIND_OPTION} is {kind!r}", fix=f"Choose one of {', '.join(Kind)}"
        ) from None
