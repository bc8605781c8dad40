"""`slackwater doctor`: whether a service could run here, and what to do where it could not."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import fsspec

from controller.api.server import listener
from controller.api.tls import certificate_of, days_left
from controller.cli import Exit
from controller.cli.db import Place, place_at
from controller.cli.findings import told
from controller.config.iso8601 import instant_text
from controller.config.settings import Settings, read_settings
from controller.delivery import fault_of_folder
from controller.destinations import Destinations, without_user
from controller.engines.launch import listens_at, recorded, reserve_port
from controller.errors import ApiError, DeliveryError
from controller.nodes.opening import Ground, NoConnection, open_provider
from controller.ownership import check_names
from controller.store.backup import is_begun
from controller.store.opening import opened
from controller.store.schema import newest, version
from controller.upkeep import Finding
from controller.wiring import listening
from planner.errors import SlackwaterError

DAYS_LEFT_MIN = 14.0
"""A certificate that ends sooner [days] should have been renewed: authorities' tools take 30."""

FREE_MB_MIN = 1000.0
"""Less free space than this is soon used up by a journal and staged products [MB]."""

CLOCK_MIN, CLOCK_MAX = 1_704_067_200.0, 4_102_444_800.0
"""A clock before 2024 or after 2100 was never set [POSIX s]."""

STEP_S_MAX = 0.5
"""A clock that moved by so much more than time passed is being set while we look [s]."""

CLOCK_LOOK_S = 0.2

ANSWER_S_MAX = 2.0
"""Who listens at our port and says nothing for so long is somebody else [s]."""

EXTRAS = {
    "postgres": ("psycopg",),
    "s3": ("s3fs",),
    "webdav": ("webdav4",),
    "sftp": ("paramiko",),
    "http": ("aiohttp",),
    "formats": ("pyarrow", "zarr"),
    "libcloud": ("libcloud",),
    "kubernetes": ("kubernetes",),
}
"""What each optional extra brings."""

NEEDED_BY = {
    "s3": "s3",
    "webdav": "webdav",
    "sftp": "sftp",
    "ssh": "sftp",
    "http": "http",
    "https": "http",
}
"""The extra without which addresses of a scheme lead nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is looked at."""

    settings: Settings
    folder: Path
    archive: str | None
    place: Place


def examine(archive: str | None, data: Path | None, config: Path | None, *, as_json: bool) -> Exit:
    """Run the command and return its exit code."""
    return told(_findings(archive, data, config), as_json=as_json)


def _findings(archive: str | None, data: Path | None, config: Path | None) -> Iterator[Finding]:
    yield from _kept("names", _names)
    try:
        settings = read_settings(config)
    except SlackwaterError as fault:
        yield Finding(what="settings", ok=False, told=str(fault), fix=_SETTINGS)
        return
    yield Finding(what="settings", ok=True, told=f"read from {config}" if config else "defaults")
    folder = (data or Path(settings.service.data_dir)).absolute()
    place = place_at(settings, folder)
    patient = Patient(settings=settings, folder=folder, archive=archive, place=place)
    for what, look in _LOOKS.items():
        yield from _kept(what, partial(look, patient))


def _kept(what: str, look: Callable[[], str | Iterator[Finding]]) -> Iterator[Finding]:
    """Yield what a look found; a fault of the world is a finding too."""
    try:
        found = look()
        if isinstance(found, str):
            yield Finding(what=what, ok=True, told=found)
        else:
            yield from found
    except SlackwaterError as fault:
        yield Finding(what=what, ok=False, told=fault.what, fix=fault.fix)
    except OSError as fault:
        yield Finding(what=what, ok=False, told=str(fault.strerror or fault), fix=_ACCESS)


_SETTINGS = "Correct them; `slackwater config` shows all that hold"

_ACCESS = "See to its rights and its disk"


def _names() -> str:
    check_names()
    return "planner, partitioners, sim and controller lead here"


def _data_folder(patient: Patient) -> Iterator[Finding]:
    folder = patient.folder
    what = "data folder"
    if not folder.exists():
        parent = next(each for each in folder.parents if each.exists())
        ok = os.access(parent, os.W_OK | os.X_OK)
        words = f"{folder} is not there yet" + ("" if ok else f", and {parent} lets nobody make it")
        yield Finding(what=what, ok=ok, told=words, fix="" if ok else "Make it for this user")
        folder = parent
    elif not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        fix = "Make it a folder of the user who serves: chown, chmod 700"
        yield Finding(what=what, ok=False, told=f"{folder} cannot be written to", fix=fix)
    else:
        mode = stat.S_IMODE(folder.stat().st_mode)
        ok = not mode & 0o077
        words = f"{folder}, mode {mode:o}"
        fix = "" if ok else f"Others can look in: chmod 700 {folder}"
        yield Finding(what=what, ok=ok, told=words, fix=fix)
    free_mb = shutil.disk_usage(folder).free / 1e6
    ok = free_mb >= FREE_MB_MIN
    words = f"{free_mb:,.0f} MB free in {folder}"
    fix = "" if ok else f"Free some: below {FREE_MB_MIN:,.0f} MB a service soon stops taking work"
    yield Finding(what="space", ok=ok, told=words, fix=fix)


def _store(patient: Patient) -> str:
    place = patient.place
    if not place.address.url and not Path(place.address.path).exists():
        return f"{place.name} is made by the first start"
    with opened(place.address) as database:
        lives = not database.hold()
        with database.reading() as connection:
            has = version(connection) if is_begun(connection, place.address) else 0
    if has > newest():
        raise SlackwaterError(
            f"{place.name} has schema {has}, this program knows up to {newest()}",
            fix="Install the version that wrote it, or a newer one",
        )
    return f"{place.name} answers, schema {has}{', a service runs on it' if lives else ''}"


def _archives(patient: Patient) -> Iterator[Finding]:
    given = patient.archive
    for alias, dataset in patient.settings.datasets.items():
        url = dataset.archive or given
        if not dataset.archive:
            given = None
        what = f"archive of {alias}"
        if not url:
            fix = f"Give --archive, or set datasets.{alias}.archive"
            yield Finding(what=what, ok=False, told="none is named", fix=fix)
            continue
        yield from _kept(what, partial(_reached, url))


def _reached(url: str) -> str:
    try:
        files, path = fsspec.core.url_to_fs(url)
        count = len(files.ls(path, detail=False))
    except ImportError as error:
        raise SlackwaterError(f"{without_user(url)}: {error}", fix=_extra_fix(url)) from error
    except (OSError, ValueError) as error:
        raise SlackwaterError(
            f"{without_user(url)} cannot be listed: {error}", fix="See the address and the network"
        ) from error
    return f"{without_user(url)} holds {count} entries"


def _extra_fix(url: str) -> str:
    extra = NEEDED_BY.get(urlsplit(url).scheme, "")
    return f"pip install 'slackwater[{extra}]'" if extra else "See fsspec's file systems"


def _destinations(patient: Patient) -> Iterator[Finding]:
    said = patient.settings.delivery
    roots = said.roots or (str(patient.folder / "products"),)
    allowed = Destinations(roots=roots, schemes=said.schemes)
    for root in roots:
        yield from _kept(f"destination {without_user(root)}", partial(_taken, allowed, root))


def _taken(allowed: Destinations, root: str) -> str:
    url = allowed.resolve(root)
    if fault := fault_of_folder(url):
        raise DeliveryError(fault, retry=False)
    scheme = urlsplit(url).scheme
    return "may be written to" if scheme == "file" else f"{scheme} tells only when it is written to"


def _providers(patient: Patient) -> Iterator[Finding]:
    """Ask each provider what it offers: so credentials, node types and limits are tried."""
    settings = patient.settings
    with TemporaryDirectory(prefix="slackwater-") as folder:
        ground = Ground(
            near=NoConnection(),
            connection=NoConnection(),
            folder=Path(folder) / "nodes",
            near_urls=(),
            reachable_urls=(),
            preload=(),
            orphan_s=None,
            service_id="doctor",  # Nobody's: an empty one would name what all services share.
        )
        for name in settings.providers:
            yield from _kept(f"provider {name}", partial(_offered, settings, name, ground))


def _offered(settings: Settings, name: str, ground: Ground) -> Iterator[Finding]:
    provider = open_provider(settings, name, ground)
    found = provider.describe()
    what = f"provider {name}"
    if not found:
        fix = f"Add one to nodes, with provider: {name}"
        yield Finding(what=what, ok=True, told="has no node type", fix=fix)
    for offer in found:
        words = f"{offer.nodes_max} more of {offer.node_type} can be had"
        fix = "" if offer.nodes_max else "Its quota is used up: free some, or have it raised"
        yield Finding(what=what, ok=offer.nodes_max > 0, told=words, fix=fix)


def _clock(_: Patient) -> str:
    """Tell whether the clock was ever set, and stands while we look."""
    began, ticks = time.time(), time.monotonic()
    time.sleep(CLOCK_LOOK_S)
    stepped_s = time.time() - began - (time.monotonic() - ticks)
    fix = "Set it, and let chrony or ntpd keep it: deadlines are instants"
    if not CLOCK_MIN < began < CLOCK_MAX:
        raise SlackwaterError(f"it says {time.ctime(began)}", fix=fix)
    if abs(stepped_s) > STEP_S_MAX:
        raise SlackwaterError(f"it stepped by {stepped_s:.1f} s while we looked", fix=fix)
    return f"{instant_text(began)}, steady"


def _port(patient: Patient) -> str:
    said = patient.settings.service
    if said.port == 0:
        return "any free one is taken"
    try:
        with closing(listener(said.host, said.port)):
            return f"{said.host} port {said.port} is free"
    except ApiError:
        if _ours_answers(said.host, said.port, tls=bool(patient.settings.api.certificate_file)):
            return f"a slackwater service answers at {said.host} port {said.port}"
        raise


def _ours_answers(host: str, port: int, *, tls: bool) -> bool:
    import httpx  # noqa: PLC0415 - only where somebody else listens

    try:
        # Whether it is ours is all that is asked; a certificate is of a name, not of an address.
        url = f"{'https' if tls else 'http'}://{host}:{port}/livez"
        answer = httpx.get(url, timeout=ANSWER_S_MAX, verify=False)
        return bool(answer.json() == {"status": "live"})
    except (httpx.HTTPError, ValueError):
        return False


def _certificate(patient: Patient) -> str:
    said = patient.settings.api
    certificate = certificate_of(said)
    if certificate is None:
        return "the API speaks HTTP"
    left = days_left(certificate)
    words = f"{said.certificate_file} holds until {certificate.ends_at:%Y-%m-%d}"
    if left < DAYS_LEFT_MIN:
        raise SlackwaterError(words, fix="Have it renewed; the service reads it again by itself")
    return f"{words}, {left:.0f} days"


def _engine(patient: Patient) -> str:
    said = patient.settings.engine
    where = listening(said)
    folder = patient.folder / "engine"
    before = recorded(folder)
    runs = bool(before and before.process.runs() and listens_at(folder) is not None)
    try:
        reserve_port(said.host, 0 if runs else said.port).close()
    except OSError as fault:
        raise SlackwaterError(
            f"the engine cannot listen at {said.host} port {said.port}: {fault.strerror}",
            fix="Give engine.host an address of this machine, engine.port a free port",
        ) from fault
    port = f"port {said.port}" if said.port else "any free port"
    words = f"{said.host} {port}" + (", where one runs" if runs else " is free")
    if is_loopback(where.far):
        return f"{words}; nodes on other machines would not reach it"
    return f"{words}; nodes on other machines call it {where.far}"


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine to itself only."""
    return host == "localhost" or host.startswith("127.")


def _extras(patient: Patient) -> Iterator[Finding]:
    there = [e for e, modules in EXTRAS.items() if all(map(find_spec, modules))]
    settings = patient.settings
    urls = [each.archive for each in settings.datasets.values()] + list(settings.delivery.roots)
    schemes = {urlsplit(url).scheme for url in [*urls, patient.archive or ""]}
    wanted = {NEEDED_BY[scheme] for scheme in schemes if scheme in NEEDED_BY}
    if settings.store.url:
        wanted.add("postgres")
    wanted |= {each.kind for each in settings.providers.values() if each.kind in EXTRAS}
    for extra in sorted(wanted - set(there)):
        fix = f"pip install 'slackwater[{extra}]'"
        yield Finding(what=f"extra {extra}", ok=False, told="is needed and not there", fix=fix)
    yield Finding(what="extras", ok=True, told=", ".join(there) or "none is installed")


_LOOKS: dict[str, Callable[[Patient], str | Iterator[Finding]]] = {
    "data folder": _data_folder,
    "store": _store,
    "archives": _archives,
    "destinations": _destinations,
    "providers": _providers,
    "clock": _clock,
    "port": _port,
    "certificate": _certificate,
    "engine": _engine,
    "extras": _extras,
}
