"""The formats by name, and whether what they need is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from controller.apps.argo.formats.content import Content
from controller.apps.argo.points import Column
from controller.product_files import DEFAULT_FORMAT, ENDINGS
from planner.errors import InvalidSubscription
from planner.model import Options

FORMAT_OPTION = "format"
"""Option of a view that names the format of its products."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format of products; what reads and writes it is imported when it is used.

    Parameters
    ----------
    module : str
        Holds `write`, `columns` and `FAULTS`.
    needs : tuple of str
        Packages that must be installed for it, beside those of every installation.
    """

    module: str
    needs: tuple[str, ...] = ()

    @property
    def write(self) -> Callable[[Path, Content], None]:
        """Write a product to a new file."""
        write: Callable[[Path, Content], None] = self._loaded.write
        return write

    @property
    def columns(self) -> Callable[[Path], Iterator[tuple[str, Column]]]:
        """Yield the columns that a product's file holds."""
        columns: Callable[[Path], Iterator[tuple[str, Column]]] = self._loaded.columns
        return columns

    @property
    def faults(self) -> tuple[type[Exception], ...]:
        """What reading or writing raises for a file that cannot be read or written."""
        faults: tuple[type[Exception], ...] = self._loaded.FAULTS
        return faults

    @property
    def _loaded(self) -> Any:
        return import_module(f"controller.apps.argo.formats.{self.module}")


FORMATS: Mapping[str, Format] = {
    DEFAULT_FORMAT: Format(module="netcdf"),
    "parquet": Format(module="parquet", needs=("pyarrow",)),
    "zarr": Format(module="zarr_zip", needs=("zarr",)),
    "csv": Format(module="csv_gz", needs=("pyarrow",)),
}
assert FORMATS.keys() == ENDINGS.keys()


def format_of(options: Options) -> str:
    """Return the name of the format that a view's options ask for.

    Raises
    ------
    InvalidSubscription
        There is no such format, or what it needs is not installed.
    """
    name = dict(options).get(FORMAT_OPTION, DEFAULT_FORMAT)
    if name not in FORMATS:
        near = get_close_matches(name.lower(), FORMATS, 1)
        meant = f"Did you mean {near[0]}? " if near else ""
        raise InvalidSubscription(
            f"option {FORMAT_OPTION} is {name!r}",
            fix=f"{meant}Choose one of {', '.join(FORMATS)}",
        )
    missing = [package for package in FORMATS[name].needs if find_spec(package) is None]
    if missing:
        raise InvalidSubscription(
            f"option {FORMAT_OPTION} is {name!r}, for which {', '.join(missing)} is not installed",
            fix="Run pip install 'slackwater[formats]', or leave the option out for NetCDF",
        )
    return name
