"""A certificate as a pod has it."""

from __future__ import annotations

import ssl
from pathlib import Path

from localcluster.certificates import Authority, KeyPair


class MountedSecret:
    """A directory as the kubelet mounts a Secret: the files are links, and an update moves one link."""

    def __init__(self, directory: Path) -> None:
        self.directory, self._authority, self._count = directory, Authority(), 0
        directory.mkdir()
        for name in ("tls.crt", "tls.key"):
            (directory / name).symlink_to(Path("..data") / name)
        self.rotate()

    def issue(self) -> KeyPair:
        return self._authority.serving()

    def put(self, certificate: bytes, key: bytes) -> None:
        self._count += 1
        version = self.directory / f"..version-{self._count}"
        version.mkdir()
        (version / "tls.crt").write_bytes(certificate)
        (version / "tls.key").write_bytes(key)
        link = self.directory / "..data_tmp"
        link.symlink_to(version.name)
        link.rename(self.directory / "..data")

    def rotate(self) -> str:
        """The new certificate."""
        pair = self.issue()
        self.put(pair.certificate, pair.key)
        return pair.certificate.decode()

    @property
    def trust(self) -> ssl.SSLContext:
        """Of a client that trusts whoever issues these certificates."""
        return ssl.create_default_context(cadata=self._authority.certificate.decode())
