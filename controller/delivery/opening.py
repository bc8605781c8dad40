"""Which implementation of a place serves a destination, and what it needs to be installed."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import cast

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from controller.delivery.causes import FORBIDDEN, Cause, system_cause
from controller.delivery.local import LocalPlace
from controller.delivery.other import OtherPlace
from controller.delivery.place import Place
from controller.destinations import Destinations, without_user
from controller.errors import DeliveryError

Open = Callable[[str, Mapping[str, object]], Place]

_BY_SCHEME: Mapping[str, tuple[str, str, str]] = {
    "s3": ("controller.delivery.s3", "s3fs", "s3"),
    "webdav": ("controller.delivery.webdav", "webdav4", "webdav"),
    "webdavs": ("controller.delivery.webdav", "webdav4", "webdav"),
    "sftp": ("controller.delivery.sftp", "paramiko", "sftp"),
}
"""The module that opens a place of a scheme, the library it needs and the extra that brings it."""


def open_place(url: str, options: Mapping[str, object]) -> Place:
    """Return the place that a URL names; nothing is asked of a server yet, unless it must greet.

    Parameters
    ----------
    url : str
        As `Destinations.resolve` returned it.
    options : mapping
        As `Destinations.options_for` returned it.

    Raises
    ------
    DeliveryError
    """
    scheme = url.partition("://")[0]
    if scheme in _BY_SCHEME:
        return _opener(url, scheme)(url, options)
    filesystem, path = _filesystem(url)
    if isinstance(filesystem, LocalFileSystem):
        return LocalPlace(path)
    return OtherPlace(filesystem, path)


@contextmanager
def place_at(url: str, destinations: Destinations, undone: str) -> Iterator[Place]:
    """Open a destination, and turn what goes wrong there into faults that say what to do.

    Parameters
    ----------
    url : str
        As `Destinations.resolve` returned it.
    destinations : Destinations
        How it is reached.
    undone : str
        What a message begins with: what was not done.

    Raises
    ------
    DeliveryError
    """
    place = open_place(url, destinations.options_for(url))
    try:
        yield place
    except place.faults as error:
        cause = place.cause(error)
        raise DeliveryError(
            f"{undone}: {without_user(url)} {cause.what}", fix=cause.fix, retry=cause.retry
        ) from error
    finally:
        place.close()


def fault_of_folder(url: str) -> str:
    """Return in words why nothing can be delivered to a folder, empty where nothing tells so yet.

    Nothing is made or written: a folder that is missing is judged by the nearest one above it. A
    server, or a full disk, tells only when it is written to.

    Parameters
    ----------
    url : str
        As `Destinations.resolve` returned it.
    """
    scheme = url.partition("://")[0]
    try:
        if scheme in _BY_SCHEME:
            _opener(url, scheme)
            return ""
        filesystem, path = _filesystem(url)
    except DeliveryError as error:
        return str(error)
    if not isinstance(filesystem, LocalFileSystem):
        return ""
    cause = _cause_of_local(path)
    return f"destination {without_user(url)} {cause.what}. {cause.fix}" if cause else ""


def _opener(url: str, scheme: str) -> Open:
    module, library, extra = _BY_SCHEME[scheme]
    try:
        return cast("Open", import_module(module).open_place)
    except ImportError as error:
        raise DeliveryError(
            f"destination {without_user(url)} needs {library}, which is not installed",
            fix=f"Install it: pip install 'slackwater[{extra}]'",
            retry=False,
        ) from error


def _filesystem(url: str) -> tuple[object, str]:
    try:
        filesystem, path = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise DeliveryError(
            f"destination {without_user(url)} cannot be opened: {error}",
            fix="Install what its scheme needs",
            retry=False,
        ) from error
    return filesystem, path


def _cause_of_local(path: str) -> Cause | None:
    # What stands behind a folder that cannot be entered is missing, as far as anyone can see.
    there = next(each for each in (Path(path), *Path(path).parents) if os.path.exists(each))  # noqa: PTH110
    if not there.is_dir():
        return system_cause(OSError(errno.ENOTDIR, ""))
    if os.access(there, os.W_OK | os.X_OK, effective_ids=True):
        return None
    if os.statvfs(there).f_flag & os.ST_RDONLY:
        return system_cause(OSError(errno.EROFS, ""))
    return FORBIDDEN
