"""What is kept of the files of a part, in columns; on its way to the service an ``.npz`` file."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.apps.argo.columns import Column
from controller.apps.storage import read_whole, replacing
from controller.errors import StorageError
from planner.model import Fragment

Letters = NDArray[np.bytes_]
ProfileTable = NDArray[np.void]

PROFILE = np.dtype(
    [
        ("platform", "<i4"),
        ("cycle", "<i4"),
        ("direction", "S1"),
        ("kind", "S9"),
        ("place", "<i4"),
        ("time_d", "<f8"),
        ("time_flag", "i1"),
        ("latitude", "<f8"),
        ("longitude", "<f8"),
        ("position_flag", "i1"),
        ("source", "<i4"),
        ("rows", "<i8"),
    ]
)
"""One profile: as `profile.Profile`, with its place in its file (N_PROF, from 0), the number of its
file in `Harvest.sources` and how many rows are kept of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file that was read.

    Parameters
    ----------
    path : str
        As the index lists it.
    read_path : str
        As it was found: a file that was renamed in delayed mode differs.
    date_update : str
        YYYYMMDDHHMMSS as the index has it, or empty.
    sha256 : str
        Of the bytes read.
    rows : int
        Kept of it [count].
    dataset : str
        The archive that it is of; told when fragments are combined.
    """

    path: str
    read_path: str
    date_update: str
    sha256: str
    rows: int
    dataset: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A file that was left out, and why; `dataset` as in `Source`."""

    path: str
    date_update: str
    reason: str
    dataset: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """How a derived parameter was computed.

    Parameters
    ----------
    name, version : str
    plugin : str
        The distribution it comes from and its version.
    software : tuple of str
        What it computes with ("gsw 3.6.23").
    needs : tuple of str
        What it is computed from.
    attributes : dict of str to str
        What it says of itself, for the product.
    per_profile : bool
        Whether it is one value a profile.
    """

    name: str
    version: str
    plugin: str
    software: tuple[str, ...]
    needs: tuple[str, ...]
    attributes: dict[str, str]
    per_profile: bool


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Failure:
    """A profile of which a derived parameter could not be computed, and why.

    Parameters
    ----------
    name : str
        The derived parameter.
    reason : str
    path, dataset : str
        The file, as `Source`.
    place : int
        Of the profile in the file (N_PROF, from 0).
    """

    name: str
    reason: str
    path: str
    place: int
    dataset: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Harvest:
    """What was kept of some files.

    Parameters
    ----------
    profiles : structured array of shape (profiles,)
        See `PROFILE`; their rows follow each other in this order.
    modes : dict of str to array of S1, shape (profiles,)
        Data mode of each parameter that any file has; empty where a file lacks it.
    columns : dict of str to array of shape (rows,)
        See `columns.column_names`.
    sources : tuple of Source
    left_out : tuple of LeftOut
    derivations : tuple of Derivation
        Of the derived parameters among them; one may be there twice, in different versions.
    failures : tuple of Failure
    """

    profiles: ProfileTable
    modes: dict[str, Letters]
    columns: dict[str, Column]
    sources: tuple[Source, ...]
    left_out: tuple[LeftOut, ...]
    derivations: tuple[Derivation, ...] = ()
    failures: tuple[Failure, ...] = ()

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.profiles["rows"].sum())

    @property
    def measured(self) -> tuple[str, ...]:
        """The parameters that were measured, not derived."""
        derived = {one.name for one in self.derivations}
        return tuple(name for name in self.modes if name not in derived)


def write_fragment(url: str, harvest: Harvest) -> Fragment:
    """Write a harvest where a fragment goes; equal harvests make equal bytes.

    Raises
    ------
    StorageError
        The place cannot be written to.
    """
    content = _packed(harvest)
    with replacing(url) as file:
        file.write(content)
    return Fragment(
        url=url,
        rows=harvest.rows,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        left_out=len(harvest.left_out),
    )


def read_fragment(fragment: Fragment) -> Harvest:
    """Return the harvest that a fragment holds.

    Raises
    ------
    StorageError
        The fragment is gone, or is not what its part reported.
    """
    content = read_whole(fragment.url)
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != fragment.sha256:
        raise StorageError(
            f"fragment {fragment.url} has checksum {sha256}, its part reported {fragment.sha256}",
            fix="The part must be run again",
            retry=False,
        )
    try:
        return _unpacked(content)
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise StorageError(
            f"fragment {fragment.url} cannot be understood: {error}",
            fix="Workers and service must be of the same version of slackwater",
            retry=False,
        ) from error


def _packed(harvest: Harvest) -> bytes:
    files = {
        "sources": [asdict(source) for source in harvest.sources],
        "left_out": [asdict(file) for file in harvest.left_out],
        "derivations": [asdict(one) for one in harvest.derivations],
        "failures": [asdict(one) for one in harvest.failures],
    }
    arrays: dict[str, Any] = {
        "profiles": harvest.profiles,
        "files": np.frombuffer(json.dumps(files).encode(), np.uint8),
        **{f"mode/{name}": modes for name, modes in harvest.modes.items()},
        **{f"column/{name}": column for name, column in harvest.columns.items()},
    }
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _unpacked(content: bytes) -> Harvest:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        files = json.loads(arrays["files"].tobytes())
        return Harvest(
            profiles=arrays["profiles"],
            modes=_under("mode/", arrays),
            columns=_under("column/", arrays),
            sources=tuple(Source(**source) for source in files["sources"]),
            left_out=tuple(LeftOut(**file) for file in files["left_out"]),
            derivations=tuple(map(_derivation, files["derivations"])),
            failures=tuple(Failure(**one) for one in files["failures"]),
        )


def _derivation(said: dict[str, Any]) -> Derivation:
    lists = {name: tuple(said[name]) for name in ("software", "needs")}
    return Derivation(**said | lists)


def _under(prefix: str, arrays: Any) -> dict[str, Any]:
    return {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}
