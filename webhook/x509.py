"""X.509: issues a certificate for the webhook with a CA of its own, and says what is wrong with one that was found.

Values only: where they are kept, who is made to trust them, and when they are replaced, is in `rotation`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

# A machine whose clock is late must not take a new certificate for one of the future.
_CLOCK_SKEW = timedelta(hours=1)
_AUTHORITY = "experiment-operator webhook CA"


@dataclass(frozen=True, slots=True)
class Issued:
    """A serving certificate and its key, PEM, and the CAs to trust: its own and, for a while, earlier ones."""

    certificate: bytes
    key: bytes
    authorities: tuple[x509.Certificate, ...]

    @property
    def leaf(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate)

    @property
    def since(self) -> datetime:
        return self.leaf.not_valid_before_utc + _CLOCK_SKEW

    @property
    def until(self) -> datetime:
        return self.leaf.not_valid_after_utc

    def authority(self, hosts: Iterable[str], at: datetime) -> x509.Certificate:
        """Find the CA by which who calls any of `hosts` at that time trusts it; ValueError says why nobody would."""
        if at >= self.until:
            raise ValueError(f"it expires at {self.until:%Y-%m-%d %H:%M:%S} UTC")
        policy = PolicyBuilder().store(Store(list(self.authorities))).time(at)
        try:
            chains = [policy.build_server_verifier(_name(host)).verify(self.leaf, []) for host in hosts]
        except VerificationError as error:
            raise ValueError(str(error).partition(" (")[0]) from error
        return chains[0][-1]


def issue(hosts: Iterable[str], valid: timedelta) -> Issued:
    """Issue a certificate for DNS names and IP addresses. The CA's private key is forgotten here."""
    expires = datetime.now(UTC) + valid
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = sign_authority(_AUTHORITY, authority_key, expires)
    names = x509.SubjectAlternativeName([_name(host) for host in hosts])
    subject = common_name("experiment-operator webhook")
    usage = ExtendedKeyUsageOID.SERVER_AUTH
    leaf = sign_leaf(subject, key.public_key(), (authority, authority_key), expires, usage, names)
    return Issued(pem([leaf]), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), (authority,))


def sign_authority(name: str, key: ec.EllipticCurvePrivateKey, expires: datetime) -> x509.Certificate:
    """Sign the certificate of a CA by itself."""
    return (
        _builder(common_name(name), common_name(name), key.public_key(), key.public_key(), expires)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def sign_leaf(
    subject: x509.Name,
    key: ec.EllipticCurvePublicKey,
    authority: tuple[x509.Certificate, ec.EllipticCurvePrivateKey],
    expires: datetime,
    usage: x509.ObjectIdentifier,
    *extensions: x509.ExtensionType,
) -> x509.Certificate:
    """Sign the certificate of a server or a client, as `usage` says, by a CA."""
    issuer, authority_key = authority
    builder = (
        _builder(subject, issuer.subject, key, authority_key.public_key(), expires)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(authority_key, hashes.SHA256())


def read(certificate: bytes, key: bytes, authorities: bytes) -> Issued:
    """Read PEM. ValueError says what cannot be read or does not belong together."""
    found = Issued(certificate, key, tuple(x509.load_pem_x509_certificates(authorities)))
    try:
        matches = load_pem_private_key(key, None).public_key() == found.leaf.public_key()
    except (TypeError, UnsupportedAlgorithm) as error:  # a key that is encrypted, or of a strange kind
        raise ValueError(str(error)) from error
    if not matches:
        raise ValueError("the key is not that of the certificate")
    return found


def pem(certificates: Iterable[x509.Certificate]) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def _name(host: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
    expires: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - _CLOCK_SKEW)
        .not_valid_after(expires)
        # Two CAs of one name are told apart by these, and Python 3.13 refuses certificates without them.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def common_name(name: str) -> x509.Name:
    """Make a name of nothing else."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
