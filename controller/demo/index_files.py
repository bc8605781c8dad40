"""Writes the index files of an Argo archive, plain and packed, each in one step."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable
from pathlib import Path

from controller.demo.archived import DemoProfile, Quirk, stamp

INDEX_NAMES = {
    "core": "ar_index_global_prof.txt",
    "synthetic": "argo_synthetic-profile_index.txt",
}

_TITLES = {
    "core": "Profile directory file of a demonstration archive (invented data)",
    "synthetic": "Synthetic-Profile directory file of a demonstration archive (invented data)",
}
_COLUMNS = ("file", "date", "latitude", "longitude", "ocean", "profiler_type", "institution")
_PROFILER_TYPE = "846"


def write_indexes(folder: Path, profiles: Iterable[DemoProfile], written_at: float) -> None:
    """Write the index of each kind of files that there are any of, in the order of their paths.

    Parameters
    ----------
    folder : Path
        The archive.
    profiles : iterable of DemoProfile
        Those that are listed.
    written_at : float
        POSIX seconds.
    """
    lines: dict[str, list[str]] = {}
    for profile in profiles:
        for kind in profile.kinds:
            lines.setdefault(kind, []).append(_line(profile, kind))
    for kind, listed in lines.items():
        text = "".join(f"{line}\n" for line in (*_head(kind, written_at), *sorted(listed)))
        content = text.encode("ascii")
        _replace(folder / INDEX_NAMES[kind], content)
        _replace(folder / f"{INDEX_NAMES[kind]}.gz", gzip.compress(content, mtime=0))


def _head(kind: str, written_at: float) -> list[str]:
    more = ("parameters", "parameter_data_mode") if kind == "synthetic" else ()
    return [
        f"# Title : {_TITLES[kind]}",
        "# Description : The directory file describes all individual profile files of the archive.",
        "# Project : ARGO",
        "# Format version : 2.0",
        f"# Date of update : {stamp(written_at)}",
        "# FTP root number 1 : none",
        "# FTP root number 2 : none",
        "# GDAC node : SLACKWATER",
        ",".join((*_COLUMNS, *more, "date_update")),
    ]


def _line(profile: DemoProfile, kind: str) -> str:
    latitude, longitude = profile.position
    names = profile.owner.parameters(with_oxygen=True)
    more = (" ".join(names), profile.mode * len(names)) if kind == "synthetic" else ()
    return ",".join(
        (
            profile.path(kind),
            "" if profile.time_s is None else stamp(profile.time_s),
            "" if latitude is None else f"{latitude:.3f}",
            "" if longitude is None else f"{longitude:.3f}",
            "" if profile.quirk is Quirk.NO_OCEAN else _ocean(longitude),
            _PROFILER_TYPE,
            profile.owner.track.sea.institution,
            *more,
            stamp(profile.updated_at),
        )
    )


def _ocean(longitude: float | None) -> str:
    """Return the letter of the ocean: Atlantic with the Mediterranean, Indian, Pacific."""
    if longitude is None or longitude < -180.0:
        return ""
    if -65.0 <= longitude < 40.0:
        return "A"
    return "I" if 40.0 <= longitude < 120.0 else "P"


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
