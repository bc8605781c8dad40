"""Opens the file system of a URL: as fsspec does, and folders behind WebDAV by their plain URL.

fsspec wants the server of a WebDAV folder told apart from the path. Here it is the URL's own, so
that a dataset names its folder in one piece, and a worker reaches it by that alone. Credentials
come from fsspec's configuration (a file or the environment), never from the URL.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from importlib import import_module
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import fsspec.config
from fsspec.core import url_to_fs

WEBDAV = {"webdav": "http", "webdavs": "https"}
"""Schemes of WebDAV folders, and what they are spoken over."""

WEB = ("http", "https")
"""Schemes of servers that need not tell what is in a folder."""

TIMEOUT_S = 30.0
"""Of each step over the network to a WebDAV server: they make listings of thousands of files."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def reach(url: str) -> tuple[Any, str]:
    """Return the file system that a URL is of, and the path of the URL in it.

    Raises
    ------
    ImportError
        A library that it needs is not installed here.
    ValueError
        There is no such protocol, or a password would travel unencrypted.
    """
    parts = urlsplit(url)
    if parts.scheme not in WEBDAV:
        found: tuple[Any, str] = url_to_fs(url)
        return found
    if "@" in parts.netloc:
        raise ValueError("a WebDAV URL holds a user's name; give it to fsspec's configuration")
    options = _options(parts.scheme, parts.netloc)
    if options.get("auth") and parts.scheme == "webdav" and parts.hostname not in _LOOPBACK:
        raise ValueError("a password would travel unencrypted; write webdavs://")
    base = f"{WEBDAV[parts.scheme]}://{parts.netloc}{parts.path}"
    try:
        opened = import_module("webdav4.fsspec").WebdavFileSystem(base, **options)
    except ImportError as error:
        raise ImportError("WebDAV wants the package webdav4: install slackwater[webdav]") from error
    return opened, ""


def is_there(url: str) -> bool:
    """Tell whether the folder of a URL is there, as seen from here.

    A web server need not list its folders, and answers 403 or 404 where files are that it serves;
    so of one it is enough that it answers.

    Raises
    ------
    OSError, ImportError, ValueError
        It is out of reach, or as `reach`.
    """
    if urlsplit(url).scheme in WEB:
        return _answers(url)
    files, path = reach(url)
    return bool(files.exists(path))


def _answers(url: str) -> bool:
    """Return True if a web server answers; what a proxy says of one that does not is raised."""
    try:
        urlopen(url, timeout=TIMEOUT_S).close()
    except HTTPError as answer:
        answer.close()
        if answer.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
    return True


def _options(scheme: str, host: str) -> dict[str, Any]:
    """Return what fsspec's configuration says of a host, or else of the scheme."""
    said: Mapping[str, Any] = fsspec.config.conf
    options = {"timeout": TIMEOUT_S, **said.get(f"{scheme}://{host}", said.get(scheme, {}))}
    if isinstance(options.get("auth"), list):
        options["auth"] = tuple(options["auth"])  # what JSON has no word for
    return options
