"""Certificates, keys and kubeconfigs of one local control plane, made fresh at each start.

`ControlPlane` writes them into its data directory before anything runs, so that every component starts with TLS that
is verified in both directions. Users are client certificates, as kubeadm makes them: the common name is the user, the
organisations are the groups. Nothing here is meant to outlive the cluster.
"""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from webhook.x509 import common_name, sign_authority, sign_leaf

_LIFETIME = dt.timedelta(days=365)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes

    @property
    def pem(self) -> bytes:
        """Both in one file."""
        return self.certificate + self.key


class Authority:
    """A certificate authority that lives as long as this object; its own private key is never written."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._expires = dt.datetime.now(dt.UTC) + _LIFETIME
        self._certificate = sign_authority("localcluster", self._key, self._expires)

    @property
    def certificate(self) -> bytes:
        """The authority's certificate, PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def serving(self, *hosts: str) -> KeyPair:
        """Issue a certificate for a server on 127.0.0.1 or localhost, which others may also know as one of `hosts`."""
        names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), *map(x509.DNSName, ("localhost", *hosts))]
        usage = ExtendedKeyUsageOID.SERVER_AUTH
        return self._issue(common_name("kube-apiserver"), usage, x509.SubjectAlternativeName(names))

    def client(self, user: str, groups: tuple[str, ...]) -> KeyPair:
        """Issue a certificate for the Kubernetes user `user`, member of `groups`."""
        organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject = x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, user)])
        return self._issue(subject, ExtendedKeyUsageOID.CLIENT_AUTH)

    def _issue(self, subject: x509.Name, usage: x509.ObjectIdentifier, *extensions: x509.ExtensionType) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        authority = (self._certificate, self._key)
        certificate = sign_leaf(subject, key.public_key(), authority, self._expires, usage, *extensions)
        return KeyPair(certificate.public_bytes(serialization.Encoding.PEM), _private_pem(key))


def signing_key() -> bytes:
    """Make a private key, PEM, with which the API server signs service account tokens."""
    return _private_pem(ec.generate_private_key(ec.SECP256R1()))


def write_kubeconfig(path: Path, server: str, authority: Authority, user: str, groups: tuple[str, ...]) -> Path:
    """Write a kubeconfig that needs no other file, readable by its owner only."""
    pair = authority.client(user, groups)
    cluster = {"server": server, "certificate-authority-data": _base64(authority.certificate)}
    credentials = {"client-certificate-data": _base64(pair.certificate), "client-key-data": _base64(pair.key)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "localcluster", "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": "localcluster", "context": {"cluster": "localcluster", "user": user}}],
        "current-context": "localcluster",
    }
    return write_private(path, yaml.safe_dump(content).encode())


def write_private(path: Path, content: bytes) -> Path:
    """Write a file that from its first byte on only its owner can read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    return path


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    # Not PKCS#8: in that form the API server does not take an EC key for service accounts.
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
