"""TLS for the API: certificate and key from files, read again when they are renewed."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from cryptography import x509

from controller.config.serving import ApiSettings
from controller.errors import ApiError

LOOK_S = 60.0
"""The files are looked at so often [s]: certificates are renewed days before they end."""

Found = TypeVar("Found")

_log = logging.getLogger(__name__)

_STAMP = tuple[int, int, int, int]
"""What tells that a file is another one: device, inode, time of change, size."""


@dataclass(slots=True, kw_only=True)
class Certificate:
    """What the API shows who connects.

    Parameters
    ----------
    certificate_file, key_file : Path
        PEM; the first holds the chain too, the second may be the same file.
    look_s : float
        How often renewal is looked for [s].

    Raises
    ------
    ApiError
        They cannot be read, do not belong together, or others may read the key.
    """

    certificate_file: Path
    key_file: Path
    look_s: float = LOOK_S
    context: ssl.SSLContext = field(init=False)
    _loaded: tuple[_STAMP, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._loaded = self._stamps()
        self._load(self.context)

    @property
    def ends_at(self) -> datetime:
        """When the certificate ends."""
        content = _of_file(self.certificate_file, Path.read_bytes)
        try:
            return x509.load_pem_x509_certificate(content).not_valid_after_utc
        except ValueError as error:
            raise ApiError(f"{self.certificate_file} holds no certificate", fix=_FIX) from error

    def renew(self) -> None:
        """Show another certificate from now on, if the files are others.

        Raises
        ------
        ApiError
            They are of no use; the one before stays.
        """
        if (stamps := self._stamps()) == self._loaded:
            return
        self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))  # A half must not replace a whole.
        self._load(self.context)
        self._loaded = stamps
        _log.info("the certificate %s was read again", self.certificate_file)

    async def keep_new(self) -> None:
        """Look for renewal again and again, until cancelled."""
        told = ""
        while True:
            await asyncio.sleep(self.look_s)
            try:
                self.renew()
                told = ""
            except ApiError as fault:
                if str(fault) != told:
                    _log.warning("the certificate before stays: %s", fault)
                told = str(fault)

    def _stamps(self) -> tuple[_STAMP, ...]:
        found = [_of_file(each, Path.stat) for each in (self.certificate_file, self.key_file)]
        return tuple((s.st_dev, s.st_ino, s.st_mtime_ns, s.st_size) for s in found)

    def _load(self, context: ssl.SSLContext) -> None:
        _refuse_open(self.key_file)
        try:
            # Asked for a pass phrase, the service would wait at a terminal that nobody sits at.
            context.load_cert_chain(self.certificate_file, self.key_file, password=lambda: "")
        except (OSError, ValueError) as error:
            raise ApiError(
                f"{self.certificate_file} and {self.key_file} cannot be used: {error}", fix=_FIX
            ) from error


def _of_file(path: Path, ask: Callable[[Path], Found]) -> Found:
    """Return what a file answers; its faults are those of the settings."""
    try:
        return ask(path)
    except OSError as error:
        raise ApiError(f"{path} cannot be read: {error.strerror}", fix=_FIX) from error


_FIX = "Give the PEM files of a certificate with its chain, and of its key without pass phrase"


def certificate_of(settings: ApiSettings) -> Certificate | None:
    """Return what the settings have the API show; None is plain HTTP.

    Raises
    ------
    ApiError
        Only one of the two files is named, or they are of no use.
    """
    files = settings.certificate_file, settings.key_file
    if not any(files):
        return None
    if not all(files):
        raise ApiError(
            "only one of api.certificate_file and api.key_file is set",
            fix="Set both, or none to speak HTTP; they may name the same file",
        )
    certificate, key = (Path(each).expanduser() for each in files)
    return Certificate(certificate_file=certificate, key_file=key)


def _refuse_open(key_file: Path) -> None:
    """Refuse a key that others may read; a group may read root's, as system certificates are."""
    found = _of_file(key_file, Path.stat)
    open_to = 0o027 if found.st_uid == 0 and os.getuid() != 0 else 0o077
    if stat.S_IMODE(found.st_mode) & open_to:
        raise ApiError(f"others may read the key {key_file}", fix=f"Run: chmod 600 {key_file}")


def days_left(certificate: Certificate) -> float:
    """Return how long a certificate holds [days]; below 0 it has ended."""
    return (certificate.ends_at - datetime.now(UTC)).total_seconds() / 86400.0
