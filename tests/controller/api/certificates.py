"""Certificates for tests: an authority of one's own, and what it signs for this machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from controller.authority import key_pem, pem


class Signing:
    """An authority of the test's own; `ca_file` is for those who trust it."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.ca_file = folder / f"{name}.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        own = _begun(self._name, self._name, self._key, days=365)
        own = own.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.ca_file.write_bytes(pem(own.sign(self._key, hashes.SHA256())))

    def sign(self, certificate_file: Path, key_file: Path, days: float = 90.0) -> None:
        """Write a certificate for this machine, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        signed = _begun(_named("localhost"), self._name, key, days=days)
        signed = signed.add_extension(x509.SubjectAlternativeName(names), critical=False)
        key_file.touch(mode=0o600)
        key_file.write_bytes(key_pem(key))
        certificate_file.write_bytes(pem(signed.sign(self._key, hashes.SHA256())))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: float
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
    )
