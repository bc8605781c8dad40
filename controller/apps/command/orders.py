"""What travels to a worker of the command application: self-contained, picklable orders."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from controller.product_files import PACKAGE_ENDING
from planner.extent import Extent
from planner.model import Fragment, Options, Selection, UpdateSpan


class Join(StrEnum):
    """How the fragments of a product are put together."""

    LINES = "lines"
    BYTES = "bytes"
    PACKAGE = "package"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A command line that an operator has chosen, and what it may use.

    Parameters
    ----------
    command : tuple of str
        The program and its arguments, with placeholders; never read by a shell.
    version_command : tuple of str
        Prints the version of the tool; empty where nobody asks.
    environment : tuple of (str, str)
        Variables that it is given besides those that every command gets.
    limit_s : float
        It is ended after this long [s].
    output_bytes_max : int
        No file that it writes may be larger [bytes].
    memory_bytes_max : int or None
        Address space of each of its processes [bytes]; None is no bound.
    processes_max : int
        Processes that it may run at the same time.
    """

    command: tuple[str, ...]
    version_command: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    limit_s: float = 3600.0
    output_bytes_max: int = 4 * 2**30
    memory_bytes_max: int | None = None
    processes_max: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What the fragments and the product of a dataset are.

    Parameters
    ----------
    join : Join
    header_lines : int
        Lines that each fragment begins with and the product has once; of `Join.LINES` only.
    ending : str
        What the name of a fragment ends with, as ``.csv``.
    """

    join: Join
    header_lines: int = 0
    ending: str

    @property
    def product_ending(self) -> str:
        """Return what the name of the product ends with."""
        return PACKAGE_ENDING if self.join is Join.PACKAGE else self.ending


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedFile:
    """One file of a dataset's folder, as it was when the folder was listed.

    Parameters
    ----------
    path : str
        Below the folder, with forward slashes.
    size_bytes : int
    stamp : str
        Changes when the file does: its time of change or the store's tag.
    """

    path: str
    size_bytes: int
    stamp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractOrder:
    """Run the command for one part; what it leaves is one fragment.

    Parameters
    ----------
    part : str
        Names the part and the attempt.
    tool : Tool
    form : Form
    dataset : str
        Persistent identifier.
    archive : str
        Folder or URL that the command reads.
    extent : Extent
        What the command is to keep: with places known that of the view, else that of the part.
    updates : UpdateSpan
    options : tuple of (str, str)
        Of the subscription.
    files : tuple of ListedFile or None
        The files to read; None where the folder is not listed.
    fragment_url : str
    """

    part: str
    tool: Tool
    form: Form
    dataset: str
    archive: str
    extent: Extent
    updates: UpdateSpan
    options: Options
    files: tuple[ListedFile, ...] | None
    fragment_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """What was read of one dataset.

    Parameters
    ----------
    selection : Selection
    fragments : tuple of Fragment
        In the order of the cut.
    form : Form
    tool : Tool
        For the manifest.
    """

    selection: Selection
    fragments: tuple[Fragment, ...]
    form: Form
    tool: Tool

    @property
    def parameters(self) -> tuple[str, ...]:
        """Return what was asked for."""
        return self.selection.view.extent.parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class CombineOrder:
    """Make one product file of what was read of these datasets, those of the first first.

    Parameters
    ----------
    product_url : str
        Where it goes (staging area).
    product_id, subscription_id : str
    selected : tuple of Selected
        At least one.
    """

    product_url: str
    product_id: str
    subscription_id: str
    selected: tuple[Selected, ...]

    @property
    def form(self) -> Form:
        """How all is put together: as each dataset has it, or as a package if they differ.

        Lines of different parameters have different columns.
        """
        first = self.selected[0]
        for other in self.selected[1:]:
            same = other.form == first.form
            if first.form.join is Join.LINES:
                same &= other.parameters == first.parameters
            if not same:
                return Form(join=Join.PACKAGE, ending=first.form.ending)
        return first.form
