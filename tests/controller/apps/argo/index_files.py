"""Writes small index files and archives by hand, quirks and all."""

from __future__ import annotations

import gzip
import io
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.apps.argo.index import Index, read_index

SHARED = Path(__file__).parents[4] / ".." / "shared" / "data" / "argo"

COMMENTS = """\
# Title : Profile directory file of the Argo Global Data Assembly Center
# Date of update : 20230427112425
# GDAC node : CORIOLIS
"""
CORE_HEADER = "file,date,latitude,longitude,ocean,profiler_type,institution,date_update"
BGC_HEADER = (
    "file,date,latitude,longitude,ocean,profiler_type,institution,"
    "parameters,parameter_data_mode,date_update"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of an index, as text."""

    file: str = "aoml/13857/profiles/R13857_001.nc"
    date: str = "19970729200300"
    latitude: str = "0.267"
    longitude: str = "-16.032"
    parameters: str = ""
    date_update: str = "20181011180520"

    def core(self) -> str:
        return ",".join(
            (
                self.file,
                self.date,
                self.latitude,
                self.longitude,
                "A",
                "845",
                "AO",
                self.date_update,
            )
        )

    def bgc(self) -> str:
        place = (self.file, self.date, self.latitude, self.longitude)
        modes = "R" * len(self.parameters.split())
        return ",".join((*place, "A", "845", "AO", self.parameters, modes, self.date_update))


def core_index(*lines: Line | str) -> str:
    """Return the text of a core index."""
    rows = [line if isinstance(line, str) else line.core() for line in lines]
    return COMMENTS + "\n".join([CORE_HEADER, *rows]) + "\n"


def bgc_index(*lines: Line) -> str:
    """Return the text of a bio or synthetic index."""
    return COMMENTS + "\n".join([BGC_HEADER, *(line.bgc() for line in lines)]) + "\n"


def index_of(text: str | bytes, name: str = "ar_index_global_prof.txt") -> Index:
    """Read an index from its text."""
    return read_index(io.BytesIO(text.encode() if isinstance(text, str) else text), name)


def archive_of(folder: Path, **indexes: str) -> Path:
    """Write an archive with indexes of the kinds named, and return its folder."""
    names = {
        "core": "ar_index_global_prof.txt",
        "bio": "argo_bio-profile_index.txt",
        "synthetic": "argo_synthetic-profile_index.txt",
    }
    (folder / "dac").mkdir(parents=True, exist_ok=True)
    for kind, text in indexes.items():
        (folder / names[kind]).write_text(text)
    return folder


def packed(text: str) -> bytes:
    """Return a text as gzip packs it."""
    return gzip.compress(text.encode(), mtime=0)


def instant(year: int, month: int = 1, day: int = 1) -> float:
    """Return the beginning of a day, UTC [POSIX s]."""
    return datetime(year, month, day, tzinfo=UTC).timestamp()


def unpacked_subset(folder: Path) -> Path:
    """Unpack the real subset of the archive, or skip the test where it is absent."""
    script = SHARED / "unpack.sh"
    if not script.exists():
        pytest.skip(f"the real archive subset is not at {SHARED}")
    subprocess.run(["bash", str(script), str(folder)], check=True, timeout=60)
    return folder


def global_index() -> Path:
    """Return the real global index, or skip the test where it is absent."""
    path = SHARED / "global-index.csv.gz"
    if not path.exists():
        pytest.skip(f"the real global index is not at {SHARED}")
    return path
