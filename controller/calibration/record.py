"""Keeps a calibration as a file, and finds the one of an archive again.

By default in ``$XDG_STATE_HOME/slackwater/calibrations`` (``~/.local/state`` where that is unset),
one file for each archive, dataset and application.
"""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import msgspec

from controller.apps.argo.orders import ArchiveAddress
from controller.apps.storage import replacing
from controller.calibration.statistics import Accuracy
from controller.config.settings import ARGO_DOI
from controller.errors import CalibrationError
from partitioners.history import OBSERVATIONS_MAX, Observation
from planner.durations import COMMON_ERROR_PRIOR, DEFAULT_COSTS, SCATTER_PRIOR
from planner.errors import InvalidExtent
from planner.model import UnitCosts

FORMAT = 1
"""Version of the file; a newer one is refused."""

FILE_BYTES_MAX = 3_000_000
"""A calibration has a thousand, with a history as long as one may be two million; more is another
file."""

ENDING = ".json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What was measured of an archive, as it is kept.

    Parameters
    ----------
    calibration : int
        `FORMAT` of the writer.
    archive : str
        URL, without user and password.
    dataset, application : str
    made_at : str
        ISO 8601, UTC.
    build : str
        Program and version that made it.
    costs : UnitCosts
        Of a worker on the machine that measured, without declared latency [reference s].
    scatter, common_error : float
        Relative errors of predictions by them, see `planner.durations`.
    ratios : tuple of float
        Measured / predicted at 5, 10, 25, 50, 75, 90 and 95 %, out of sample.
    accuracy : Accuracy
        Out of sample.
    files : int
        Distinct readings of files that it rests on; of a dataset without an index, parts [count].
    history : tuple of Observation
        What strata of a dataset without an index are held to cost, besides what every part does;
        empty where an index tells the load. `costs` are then those of a map drawn from it.
    """

    calibration: int = FORMAT
    archive: str
    dataset: str
    application: str
    made_at: str
    build: str
    costs: UnitCosts
    scatter: float
    common_error: float
    ratios: tuple[float, ...]
    accuracy: Accuracy
    files: int
    history: tuple[Observation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """What reading is believed to cost before a run has measured it: what the planner is told.

    Parameters
    ----------
    costs : UnitCosts
        With the archive's declared latency [reference s].
    scatter, common_error : float
    source : str
        Where it is from, in words; empty for the defaults.
    warning : str
        Why a calibration that was found is not used; empty where all is well.
    history : tuple of Observation
        See `Calibration`.
    """

    costs: UnitCosts
    scatter: float = SCATTER_PRIOR
    common_error: float = COMMON_ERROR_PRIOR
    source: str = ""
    warning: str = ""
    history: tuple[Observation, ...] = ()


def calibrated(
    address: ArchiveAddress,
    application: str,
    dataset: str = ARGO_DOI,
    file: Path | None = None,
    costs: UnitCosts = DEFAULT_COSTS,
) -> Belief:
    """Return what reading an archive costs: as measured, or else the defaults.

    Parameters
    ----------
    address : ArchiveAddress
        Its declared latency is added to the cost of a file; what is kept is without.
    application, dataset : str
    file : Path or None
        A calibration to use; None takes the one that was kept for this archive, if any. That one
        is passed over with a warning where it cannot be used, for nobody asked for it.
    costs : UnitCosts
        The defaults.

    Raises
    ------
    CalibrationError
        The file that was asked for is not there, is broken or newer, or is of another archive.
    """
    if file is not None:
        return _believed(of_archive(read(file), file, address, application, dataset), address)
    kept = place_of(address.url, application, dataset)
    try:
        if not kept.exists():
            return supposed(address, costs)
        return _believed(of_archive(read(kept), kept, address, application, dataset), address)
    except (CalibrationError, OSError) as error:  # also a folder that may not be looked into
        return replace(supposed(address, costs), warning=f"{error}; the default costs are used")


def supposed(address: ArchiveAddress, costs: UnitCosts = DEFAULT_COSTS) -> Belief:
    """Return what is believed of an archive that nobody measured."""
    return Belief(costs=_with_latency(costs, address))


def _believed(found: Calibration, address: ArchiveAddress) -> Belief:
    judged, when = found.accuracy, found.made_at[:10]
    error = f"median error {100 * judged.median_error:.0f} %"
    source = f"run times are predicted by the calibration of {when}: {judged.requests} requests, "
    if found.history:
        source = (
            f"{found.dataset} is cut and predicted by the calibration of {when}: "
            f"{len(found.history)} strata, "
        )
    return Belief(
        # Strata were timed with what latency there is.
        costs=found.costs if found.history else _with_latency(found.costs, address),
        scatter=found.scatter,
        common_error=found.common_error,
        source=source + error,
        history=found.history,
    )


def _with_latency(costs: UnitCosts, address: ArchiveAddress) -> UnitCosts:
    return replace(costs, file_s=costs.file_s + address.read_latency_s)


def of_archive(
    found: Calibration, file: Path, address: ArchiveAddress, application: str, dataset: str
) -> Calibration:
    """Return the calibration if it is of this archive.

    Raises
    ------
    CalibrationError
        It is of another archive, dataset or application.
    """
    here = (plain_url(address.url), dataset, application)
    if (found.archive, found.dataset, found.application) == here:
        return found
    raise CalibrationError(
        f"calibration {file} is of {found.archive} ({found.dataset}, {found.application}), not of "
        f"{here[0]} ({dataset}, {application})",
        fix=(
            f"Make one: slackwater calibrate --archive {here[0].removeprefix('file://')}"
            if application == "argo"
            else "Make one: slackwater calibrate --config FILE --dataset ALIAS"
        ),
    )


def read(file: Path) -> Calibration:
    """Read a calibration.

    Raises
    ------
    CalibrationError
        It is not there, is no calibration, or was written by a newer version.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise CalibrationError(
            f"calibration {file} cannot be read: {error.strerror}",
            fix="Name a file that `slackwater calibrate` wrote",
        ) from error
    try:
        version = msgspec.json.decode(content, type=_Version).calibration
        if version > FORMAT:
            raise CalibrationError(
                f"calibration {file} has format {version}, this version reads {FORMAT}",
                fix="Calibrate again, or use the newer slackwater",
            )
        return _sane(msgspec.json.decode(content, type=Calibration))
    except (msgspec.MsgspecError, ValueError, InvalidExtent) as error:
        raise CalibrationError(
            f"calibration {file} is broken: {error}", fix="Calibrate again"
        ) from error


class _Version(msgspec.Struct):
    calibration: int


def _sane(found: Calibration) -> Calibration:
    costs = found.costs
    unit_costs = (costs.base_s, costs.file_s, costs.megabyte_s, costs.value_s)
    errors = (found.scatter, found.common_error)
    if not all(math.isfinite(number) and number >= 0 for number in (*unit_costs, *errors)):
        raise ValueError("a cost or an error in it is negative or no number")
    if not any(unit_costs):
        raise ValueError("nothing in it costs anything")
    if not all(math.isfinite(seen.cost_s) and seen.cost_s >= 0 for seen in found.history):
        raise ValueError("a stratum's cost in it is negative or no number")
    if any(seen.extent.period.span_s == math.inf for seen in found.history):
        raise ValueError("a stratum in it has an open end")
    if len(found.history) > OBSERVATIONS_MAX:
        raise ValueError(f"it has more than {OBSERVATIONS_MAX:,} strata")
    return found


def keep(found: Calibration, file: Path) -> None:
    """Write a calibration; the file is whole or is not there.

    Raises
    ------
    StorageError
        It cannot be written there.
    """
    with replacing(str(file)) as out:
        out.write(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")


def place_of(url: str, application: str, dataset: str = ARGO_DOI) -> Path:
    """Return where the calibration of an archive is kept."""
    home = os.environ.get("XDG_STATE_HOME", "")
    # A relative one is to be ignored (XDG Base Directory Specification).
    state = Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "state"
    key = "\n".join((plain_url(url), dataset, application))
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return state / "slackwater" / "calibrations" / f"{application}-{digest}{ENDING}"


def plain_url(url: str) -> str:
    """Return the URL of an archive as it is compared and kept: absolute, without secrets."""
    if "://" not in url:
        return Path(url).resolve().as_uri()
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(parts.path).resolve().as_uri()
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
