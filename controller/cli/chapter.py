"""`slackwater chapter`: the experiments of the source chapter, repeated on an archive's index."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape
from rich.padding import Padding

from controller.apps.argo.archive import INDEX_ENDINGS, Archive, open_archive
from controller.apps.argo.catalogue import INDEX_NAMES, read
from controller.apps.argo.orders import ArchiveAddress
from controller.apps.argo.rows import TICKS_PER_DEGREE, Kind, Rows, float_keys
from controller.cli import Exit
from controller.cli.chapter_hundred import (
    CASE_COLUMNS,
    STATIC_COLUMNS,
    case_rows,
    static_rows,
    surface_columns,
    surface_rows,
)
from controller.cli.chapter_study import Study, study_of
from controller.cli.chapter_told import (
    COVER,
    claims,
    speed_up_columns,
    speed_up_rows,
    table_1_columns,
    table_1_rows,
)
from controller.cli.display import messages, print_json, results, table
from controller.cli.pages import refuse_unwritable, write
from controller.errors import ArchiveError
from controller.ownership import check_names
from sim.chapter.profiles import Profiles
from sim.chapter.scaling import Hundred

WHERE = (
    "Give --archive with a folder that holds ar_index_global_prof.txt.gz, or that file itself; the"
    " Argo data centres serve it (https://doi.org/10.17882/42182), and no profile file is needed"
)
"""Where an index comes from."""


def run_chapter(*, archive: str | None, seed: int, html: Path | None, as_json: bool) -> Exit:
    """Run the command and return its exit code."""
    check_names()
    refuse_unwritable(html)
    if archive is None:
        raise ArchiveError("the chapter's experiments need the index of an Argo archive", fix=WHERE)
    with messages().status("reading the index") as status:
        profiles = profiles_of(archive)
        study = study_of(profiles, seed=seed, archive=archive, tell=status.update)
    if html is not None:
        from controller.cli.chapter_page import page_of  # noqa: PLC0415 - draws with matplotlib

        write(html, page_of(study, profiles))
    if as_json:
        print_json(study.result())
        return Exit.OK
    show(study)
    if html is not None:
        results().print(f"\nReport in {escape(str(html))}", highlight=False, soft_wrap=True)
    return Exit.OK


def profiles_of(archive: str) -> Profiles:
    """Return the located core profiles that an archive's index lists.

    Parameters
    ----------
    archive : str
        Folder or fsspec URL of an archive, or of an index file.

    Raises
    ------
    ArchiveError
        There is no index, or it cannot be read.
    """
    folder, name = archive, ""
    if archive.endswith(INDEX_ENDINGS):
        folder, _, name = archive.rpartition("/")
    reached = open_archive(ArchiveAddress(url=folder or ("/" if "/" in archive else ".")))
    rows = read(reached, name or _index_name(reached)).rows.by_kind().get(Kind.CORE)
    if rows is None:
        raise ArchiveError(f"the index of {reached.address.shown} lists no core file", fix=WHERE)
    return _columns(rows.taken(rows.located))


def _index_name(archive: Archive) -> str:
    there = archive.index_names()
    known = [name for name in INDEX_NAMES[Kind.CORE] if name in there]
    if not known and len(there) != 1:
        names = " and ".join(INDEX_NAMES[Kind.CORE])
        raise ArchiveError(
            f"the archive {archive.address.shown} has no index of profiles; looked for {names}",
            fix=WHERE,
        )
    return known[0] if known else there[0]


def _columns(rows: Rows) -> Profiles:
    return Profiles(
        time_s=rows.time_s.astype(float),
        longitude=rows.longitude_ticks / TICKS_PER_DEGREE,
        latitude=rows.latitude_ticks / TICKS_PER_DEGREE,
        float_number=float_keys(rows.profile),
    )


def show(study: Study) -> None:
    """Print what was found."""
    console = results()
    console.print(COVER.format(**study.about()), highlight=False)
    console.print()
    title = "Table 1: correlation of predicted execution time"
    console.print(table(title, table_1_columns(study), table_1_rows(study)))
    console.print()
    title = "Figs 5 and 6: speed-up, and efficiency, on so many VMs"
    console.print(table(title, speed_up_columns(), speed_up_rows(study)))
    console.print()
    _show_hundred(study.hundred)
    console.print()
    for claim in claims(study):
        colour = "green" if claim.holds else "yellow"
        console.print(
            f"{escape(claim.where)}: {escape(claim.said)}: [{colour}]{escape(claim.verdict)}[/].",
            highlight=False,
        )
        console.print(Padding(escape(claim.found), (0, 0, 0, 2)), highlight=False)


def _show_hundred(runs: Hundred) -> None:
    console, (_, *dynamic) = results(), runs.surfaces
    console.print(table("Figs 7 to 9, and prefix: 100 tasks", CASE_COLUMNS, case_rows(runs)))
    console.print()
    console.print(table("static: every threshold", STATIC_COLUMNS, static_rows(runs)))
    for surface in dynamic:
        title = f"{surface[0].case.name}: tasks late / VM-hours by threshold and factor"
        console.print()
        console.print(table(title, surface_columns(surface), surface_rows(surface)))
