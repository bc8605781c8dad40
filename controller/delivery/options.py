"""How destinations are reached: credentials, authorities and patience, from a file of their own.

The file is YAML. Each key is a scheme, or a scheme and a host (or bucket), as ``s3://ocean`` and
``webdavs://b2drop.eudat.eu``; under it stand options of that scheme. What a host says comes before
what its scheme says, and both before fsspec's own configuration and environment, which know
schemes only.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fsspec import config as fsspec_config
from pydantic import Field

from controller.config.checked import check, hint
from controller.config.mirror import build, model_of
from controller.config.yaml_lines import Document, Fault, Where, read_document
from controller.errors import FileFault

Seconds = Annotated[float, Field(gt=0, le=3600)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a destination may keep a delivery waiting.

    Parameters
    ----------
    connect_s : float
        For a connection [s].
    read_s : float
        For the next sign of life on it [s].
    """

    connect_s: Seconds = 10.0
    read_s: Seconds = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Options(Patience):
    """How a bucket is reached.

    Parameters
    ----------
    endpoint_url : str
        Of a store that is not Amazon's.
    region : str
        As the store names it.
    key, secret, token : str
        Access key; without one botocore looks where it always does (``AWS_...``, ``~/.aws``, role).
    profile : str
        A section of ``~/.aws/credentials``.
    ca_file : str
        Certificates to trust instead of the system's.
    """

    endpoint_url: str = ""
    region: str = ""
    key: str = ""
    secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    profile: str = ""
    ca_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebdavOptions(Patience):
    """How a WebDAV server is reached.

    Parameters
    ----------
    username, password : str
    token : str
        A bearer token instead of them.
    ca_file : str
        Certificates to trust instead of the system's.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    ca_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SftpOptions(Patience):
    """How an SSH server is reached.

    Parameters
    ----------
    username : str
        Without one, the name of the user that the service runs as.
    key_file, passphrase : str
        A private key; without one the agent and the keys of ``~/.ssh`` are tried.
    password : str
        Instead of a key.
    known_hosts : str
        Hosts and their keys; without it ``~/.ssh/known_hosts``. An unknown host is refused.
    """

    username: str = ""
    key_file: str = ""
    passphrase: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    known_hosts: str = ""


OptionsOfScheme = S3Options | WebdavOptions | SftpOptions
Options = TypeVar("Options", S3Options, WebdavOptions, SftpOptions)

KINDS: Mapping[str, type[OptionsOfScheme]] = {
    "s3": S3Options,
    "webdav": WebdavOptions,
    "webdavs": WebdavOptions,
    "sftp": SftpOptions,
}
"""The schemes that have options."""

_OF_FSSPEC: Mapping[str, Mapping[str, str]] = {
    "s3": {},  # s3fs reads its own.
    "webdav": {"username": "username", "password": "password", "token": "token"},
    "sftp": {
        "username": "username",
        "password": "password",
        "passphrase": "passphrase",
        "key_filename": "key_file",
    },
}
"""What fsspec's configuration calls our options, by its name of the scheme."""


def read_options(path: str | Path) -> dict[str, dict[str, object]]:
    """Read an options file: by scheme or scheme and host, what is said of it.

    Raises
    ------
    FileFault
        All faults of the file at once, each with its line; or others than its owner and group may
        read it.
    """
    document = read_document(path)
    if Path(path).stat().st_mode & stat.S_IROTH:
        raise FileFault(
            str(path), ["may be read by everybody, and holds credentials: chmod o-rwx it"]
        )
    value = document.value if document.value is not None else {}
    if not isinstance(value, dict):
        raise FileFault(str(path), ["line 1: must be a mapping of schemes and hosts"])
    document.refuse([fault for key in value for fault in _faults(document, key)])
    return {key: dict(said) for key, said in value.items() if isinstance(said, dict)}


def options_of(kind: type[Options], scheme: str, said: Mapping[str, object]) -> Options:
    """Return the options of a scheme, checked, with fsspec's configuration below what is said.

    Parameters
    ----------
    kind : type
        One of `KINDS`.
    scheme : str
        fsspec's name of it.
    said : mapping
        As `Destinations.options_for` returns it.
    """
    names = _OF_FSSPEC[scheme]
    below = {
        names[name]: value
        for name, value in fsspec_config.conf.get(scheme, {}).items()
        if name in names and isinstance(value, str)
    }
    model = model_of(kind, {}, {}).model_validate({**below, **said})
    return build(kind, model)


def _faults(document: Document, key: str) -> list[Fault]:
    assert isinstance(document.value, dict)
    scheme, _, host = key.partition("://")
    line = document.line((key,))
    if scheme not in KINDS:
        return [Fault(line, f"{key!r} is of no scheme that has options. {hint(scheme, KINDS)}")]
    if "/" in host or "@" in host or key.endswith("://"):
        return [Fault(line, f"{key!r} must be a scheme, or a scheme and a host or bucket")]
    value = document.value[key] if document.value[key] is not None else {}
    if not isinstance(value, dict):
        return [Fault(line, f"{key} must be a mapping of options")]
    part = replace(
        document,
        value=value,
        lines={(): line} | {at[1:]: n for at, n in document.lines.items() if at[0:1] == (key,)},
    )
    _, faults = check(part, model_of(KINDS[scheme], {}, {}), _of(key))
    return faults


def _of(key: str) -> Any:
    def describe(where: Where) -> tuple[str, Where]:
        return f"{key}: ", where

    return describe
