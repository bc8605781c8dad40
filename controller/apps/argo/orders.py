"""What travels to a worker of the Argo application: self-contained, picklable orders."""

from __future__ import annotations

from dataclasses import dataclass

from controller.destinations import without_user
from planner.extent import Extent
from planner.model import Fragment, Options, Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveAddress:
    """Where an archive lies.

    Parameters
    ----------
    url : str
        fsspec URL of the folder that holds the index files and ``dac/``.
    read_latency_s : float
        Declared latency added to every file read [s]; stands for an archive that is far away.
    """

    url: str
    read_latency_s: float = 0.0

    @property
    def shown(self) -> str:
        """Return the URL as messages and manifests show it: without user name and password."""
        return without_user(self.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One profile file as the index lists it.

    Parameters
    ----------
    path : str
        Below the archive's ``dac/`` folder, with forward slashes.
    date_update : str
        YYYYMMDDHHMMSS, as the index has it; may be empty.
    """

    path: str
    date_update: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractOrder:
    """Read these files and keep what lies inside the extent; the result is one fragment.

    `files` are those of the part, `extent` that of the whole view: a profile that the cut runs
    beside must not fall between two parts. `fragment_url` is where the fragment goes: it is written
    under a temporary name and renamed. `update` is the newest one that the part serves: parts of
    the same update share their reads, and one that names none reads for itself.
    """

    archive: ArchiveAddress
    files: tuple[SourceFile, ...]
    extent: Extent
    options: Options
    fragment_url: str
    update: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded:
    """What an earlier state of the index listed of a profile.

    Parameters
    ----------
    profile : tuple
        Float, cycle, direction and kind.
    path : str
        The file that held it, below ``dac/``.
    date_update : str
        YYYYMMDDHHMMSS, as that index had it; may be empty.
    data_mode : str
        "R" or "D", the letter of the file's name.
    """

    profile: tuple[int, int, str, str]
    path: str
    date_update: str
    data_mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CombineOrder:
    """Make one product file of these fragments.

    Parameters
    ----------
    product_url : str
        Where the file goes (staging area); its ending tells the format.
    product_id, subscription_id : str
    selections : tuple of Selection
        The request, written into the product; of each archive, with the same options.
    fragments : tuple of tuple of Fragment
        Of each selection.
    index_faults : tuple of str
        Rows of the index that could not be used, in words, for the manifest.
    superseded : tuple of Superseded
        What the state before the updates listed of the profiles that they brought.
    withdrawn : tuple of Superseded
        The same of profiles that are not where the view looks any more, or nowhere.
    """

    product_url: str
    product_id: str
    subscription_id: str
    selections: tuple[Selection, ...]
    fragments: tuple[tuple[Fragment, ...], ...]
    index_faults: tuple[str, ...] = ()
    superseded: tuple[Superseded, ...] = ()
    withdrawn: tuple[Superseded, ...] = ()

    @property
    def options(self) -> tuple[tuple[str, str], ...]:
        """The options of the request; of several archives, each has those that it understands."""
        return tuple(sorted({o for selection in self.selections for o in selection.view.options}))

    @property
    def datasets(self) -> tuple[str, ...]:
        """The identifiers of the archives."""
        return tuple(selection.view.dataset for selection in self.selections)
