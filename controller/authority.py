"""A small certificate authority of the service's own: who holds a certificate of it belongs.

It is made at first start and lies in one folder of mode 0700::

    authority.pem   its certificate; each process of ours has it, to judge the others by
    authority.key   its private key, mode 0600; only the service reads it
    <name>.pem      certificate and private key of one process in one file, mode 0600
    revoked.json    names whose certificates are refused though they are good, and since when

One file holds both halves of a process' credentials, and is replaced as a whole, so nobody ever
reads a certificate that does not fit its key. A process reads them again when they are new
(`controller.engines.connection.RenewableSecurity`).
"""

from __future__ import annotations

import datetime
import json
import os
import stat
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from urllib.parse import quote

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controller.errors import EngineError, NodeError, NodeFault

DAY_S = 86400.0

NAMED = "slackwater:"
"""Before the whole name of a process in its certificate; the common name holds 64 letters of it."""

VALID_S = 90 * DAY_S
"""A process' certificate is good for this long [s]."""

RENEWED_AT_FRACTION = 1 / 3
"""It is made anew when this fraction of its time is left: a month, to notice what went wrong."""

AUTHORITY_VALID_S = 3650 * DAY_S
"""The authority itself [s]; to replace it, end everything and remove its folder."""

BACKDATED_S = 3600.0
"""Certificates are good from this long before they are made [s]: clocks differ, and step back."""

CERTIFICATE, KEY, REVOKED = "authority.pem", "authority.key", "revoked.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Files by which a process proves that it belongs, and judges who else does.

    Parameters
    ----------
    authority : str
        Path of the certificate of the authority.
    own : str
        Path of the certificate and private key of the process; a secret.
    """

    authority: str
    own: str


class Authority:
    """Issues and renews certificates; made where there is none yet.

    Parameters
    ----------
    folder : Path
    valid_s : float
        How long what it issues is good for [s].
    clock : callable
        Tells the time [POSIX s].

    Raises
    ------
    EngineError
        Its files cannot be read or made, or others may read its key.
    """

    def __init__(
        self,
        folder: Path,
        *,
        valid_s: float = VALID_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._valid_s = valid_s
        self._clock = clock
        self._revoking = Lock()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (folder / KEY).exists():
                self._found()
            self._certificate, self._key = self._read()
        except (OSError, ValueError, TypeError) as error:
            raise EngineError(
                f"the certificates in {folder} cannot be read or made: {error}",
                fix="Give this user the folder; or end all processes, then remove it: "
                "it is made anew",
            ) from error

    def credentials(self, name: str, own: Path | None = None) -> Credentials:
        """Return the credentials of a process, made where they are missing, foreign or due.

        Parameters
        ----------
        name : str
            What the certificate says of the process.
        own : Path, optional
            Where its file lies, and a copy of the authority's certificate beside it; by default
            beside the authority itself.

        Raises
        ------
        NodeError
            Its name was revoked (retry: another name is not).
        OSError
            They cannot be written.
        """
        own = own or self._folder / f"{name}.pem"
        if name in revoked(self._folder):
            raise NodeError(
                f"node {name} was removed, and is given no certificate any more",
                fault=NodeFault.RETRY,
                fix="Give it another id",
            )
        if not self._is_good(own):
            write_secret(own, self._issue(name))
        authority, certificate = own.parent / CERTIFICATE, pem(self._certificate)
        if not authority.exists() or authority.read_bytes() != certificate:
            write_secret(authority, certificate)
        return Credentials(authority=str(authority.absolute()), own=str(own.absolute()))

    def revoke(self, name: str) -> None:
        """Have all certificates of a process refused from now on; it is given none any more.

        What lies longer back than a certificate is good for is forgotten.

        Raises
        ------
        NodeError
            It cannot be written (retry).
        """
        now = self._clock()
        # Nodes are removed side by side, and no one's removal may undo another's.
        with self._revoking:
            since = {name: now} | revoked(self._folder)
            kept = {each: at for each, at in since.items() if now - at <= self._valid_s}
            try:
                write_secret(self._folder / REVOKED, json.dumps(kept).encode())
            except OSError as error:
                raise NodeError(
                    f"the certificate of node {name} cannot be revoked: {error.strerror}",
                    fault=NodeFault.RETRY,
                    fix=f"Free space in {self._folder}; it is tried again",
                ) from error

    def _is_good(self, own: Path) -> bool:
        """Return whether a process' file is of this authority and has time enough left."""
        try:
            certificate = x509.load_pem_x509_certificate(own.read_bytes())
            certificate.verify_directly_issued_by(self._certificate)
        except (OSError, ValueError, TypeError, InvalidSignature):
            return False
        left_s = certificate.not_valid_after_utc.timestamp() - self._clock()
        return left_s > RENEWED_AT_FRACTION * self._valid_s

    def _found(self) -> None:
        """Make the authority; its key comes last, for it says that the rest is there."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed("slackwater authority", key, key, AUTHORITY_VALID_S, issuer=None)
        write_secret(self._folder / CERTIFICATE, pem(certificate))
        write_secret(self._folder / KEY, key_pem(key))

    def _read(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        path = self._folder / KEY
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise PermissionError(f"others than its owner may read or write {path}")
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{path} is no key of ours")
        certificate = x509.load_pem_x509_certificate((self._folder / CERTIFICATE).read_bytes())
        if certificate.public_key() != key.public_key():
            raise ValueError(f"{CERTIFICATE} and {KEY} do not fit each other")
        return certificate, key

    def _issue(self, name: str) -> bytes:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(name, key, self._key, self._valid_s, issuer=self._certificate)
        return pem(certificate) + key_pem(key)

    def _signed(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        by: ec.EllipticCurvePrivateKey,
        valid_s: float,
        *,
        issuer: x509.Certificate | None,
    ) -> x509.Certificate:
        """Return a certificate for a key, signed by another or, of an authority, by itself."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
        now = self._clock()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(utc(now - BACKDATED_S))
            .not_valid_after(utc(now + valid_s))
            .add_extension(
                x509.BasicConstraints(ca=issuer is None, path_length=None if issuer else 0),
                critical=True,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), False
            )
            .add_extension(usage(signs=issuer is None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(NAMED + quote(name))]),
                critical=False,
            )
        )
        if issuer is not None:
            # Every process of ours calls, and is called.
            both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            builder = builder.add_extension(x509.ExtendedKeyUsage(both), False)
        return builder.sign(by, hashes.SHA256())


def revoked(folder: Path) -> dict[str, float]:
    """Return whose certificates an authority has revoked, and when [POSIX s]."""
    try:
        told: dict[str, float] = json.loads((folder / REVOKED).read_bytes())
    except FileNotFoundError:
        return {}
    return told


def usage(*, signs: bool) -> x509.KeyUsage:
    """Return what a key may be used for: an authority's signs, all others talk."""
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate as text."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key as text; a secret."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def utc(at: float) -> datetime.datetime:
    """Return an instant [POSIX s] as certificates tell it."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC)


def write_secret(path: Path, content: bytes) -> None:
    """Write a file whole that only its owner may read."""
    descriptor, draft = tempfile.mkstemp(prefix=".", dir=path.parent)  # Of mode 0600.
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    Path(draft).replace(path)
