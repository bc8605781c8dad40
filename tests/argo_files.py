"""Small Argo files for tests: what a float of ten levels measures, and archives of such files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from controller.apps.argo.combine import combine
from controller.apps.argo.extract import extract
from controller.apps.argo.orders import ArchiveAddress, CombineOrder, ExtractOrder, SourceFile
from controller.demo.profiles import Cast, Measured, profile_file
from controller.product_files import DEFAULT_FORMAT, ENDINGS
from planner.extent import Extent
from planner.model import Fragment, Product, Selection, UpdateSpan, View

LEVELS = 10
DAY_D = 25000.5
"""2018-06-13T12:00:00Z in days since 1950."""

WANTED = Extent(parameters=("PSAL", "TEMP"))

PRESSURE = np.arange(LEVELS) * 10.0
TEMPERATURE = 20.0 - np.arange(LEVELS)
SALINITY = 38.0 + np.arange(LEVELS) / 10


def a_cast(**changes: object) -> Cast:
    """Return a real-time profile of ten good levels, changed as told."""
    measured = {
        "PRES": Measured(values=PRESSURE),
        "TEMP": Measured(values=TEMPERATURE),
        "PSAL": Measured(values=SALINITY),
    }
    plain = Cast(
        platform=6990001,
        cycle=1,
        time_d=DAY_D,
        latitude=35.0,
        longitude=20.0,
        measured=measured,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def measuring(cast: Cast, **measured: Measured | None) -> Cast:
    """Return the cast with these parameters as given; None takes one away."""
    all_measured = {**cast.measured, **measured}
    return replace(cast, measured={n: one for n, one in all_measured.items() if one is not None})


def in_delayed_mode(cast: Cast, by: float = 0.5) -> Cast:
    """Return the cast with all values adjusted by so much."""
    adjusted = {
        name: replace(one, adjusted=np.asarray(one.values) + by, error=0.25)
        for name, one in cast.measured.items()
    }
    return replace(cast, data_mode="D", measured=adjusted)


def path_of(cast: Cast, mode: str = "") -> str:
    """Return the path below ``dac/`` that a data centre gives to a profile."""
    letter = "D" if (mode or cast.data_mode) == "D" else "R"
    descending = "D" if cast.direction == "D" else ""
    name = f"{letter}{cast.platform}_{cast.cycle:03d}{descending}.nc"
    return f"coriolis/{cast.platform}/profiles/{name}"


def archive_with(folder: Path, files: Mapping[str, bytes]) -> ArchiveAddress:
    """Write files below ``dac/`` and return where the archive lies."""
    for path, content in files.items():
        place = folder / "dac" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    folder.mkdir(exist_ok=True)
    (folder / "ar_index_global_prof.txt").touch()
    return ArchiveAddress(url=str(folder))


def archive_of(folder: Path, casts: Iterable[Cast]) -> tuple[ArchiveAddress, list[SourceFile]]:
    """Write one file a cast; return where the archive lies and the files as an index lists them."""
    files = {path_of(cast): profile_file([cast]) for cast in casts}
    return archive_with(folder, files), listed(files)


def listed(paths: Iterable[str], date_update: str = "20240101000000") -> list[SourceFile]:
    """Return files as an index lists them."""
    return [SourceFile(path=path, date_update=date_update) for path in paths]


def extracted(
    address: ArchiveAddress,
    files: Sequence[SourceFile],
    fragment: Path,
    extent: Extent = WANTED,
    **options: str,
) -> Fragment:
    """Extract some files into one fragment."""
    return extract(
        ExtractOrder(
            archive=address,
            files=tuple(files),
            extent=extent,
            options=tuple(sorted(options.items())),
            fragment_url=str(fragment),
        )
    )


def combining(
    fragments: Sequence[Fragment], product: Path, extent: Extent = WANTED, **options: str
) -> CombineOrder:
    """Return the order to combine fragments."""
    return CombineOrder(
        product_url=str(product),
        product_id="mediterranean-v1-u7",
        subscription_id="mediterranean",
        selections=(
            Selection(
                view=View(
                    dataset="10.17882/42182",
                    application="argo",
                    extent=extent,
                    options=tuple(sorted(options.items())),
                ),
                updates=UpdateSpan(after=6, upto=7),
            ),
        ),
        fragments=(tuple(fragments),),
        index_faults=("line 12: no date",),
    )


def product_of(
    address: ArchiveAddress,
    files: Sequence[SourceFile],
    folder: Path,
    extent: Extent = WANTED,
    parts: int = 1,
    **options: str,
) -> Product:
    """Extract files in so many parts and combine them to ``folder/product.nc``, or in a format."""
    fragments = [
        extracted(address, files[part::parts], folder / f"p{part}.npz", extent, **options)
        for part in range(parts)
    ]
    name = f"product{ENDINGS[options.get('format', DEFAULT_FORMAT)]}"
    return combine(combining(fragments, folder / name, extent, **options))
