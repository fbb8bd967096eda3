"""A listener's certificate, from a directory whose files may change at any time, as those of a mounted Secret do.

`server.serving` takes the context. The files are looked at when a client connects: what is new is used from that
connection on, and those that are open go on. Who writes the files is no concern of this module.
"""

from __future__ import annotations

import ssl
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

_FILES = ("tls.crt", "tls.key")


class TlsError(Exception):
    """A directory without a usable certificate; the sentence says what is wrong with which file."""


class Certificate:
    """`context` is for the listener, for as long as that lives.

    A new pair that cannot be used, such as one that is half written, is logged and the last good one stays in use.
    """

    def __init__(self, directory: Path) -> None:
        """Load the pair. Raises TlsError where there are no `tls.crt` and `tls.key`, PEM, that belong together."""
        self._directory = directory
        self._loaded = self._complained = _stamp(directory)
        self.context = self._current = load(directory)
        # Called for each handshake, also of clients that send no name; it is where OpenSSL lets the context be chosen.
        self.context.sni_callback = self._choose

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _listening: ssl.SSLContext) -> None:
        self._refresh()
        connection.context = self._current

    def _refresh(self) -> None:
        """Load what has changed. The stamp is taken before: what changes meanwhile is seen by the next connection."""
        stamp = _stamp(self._directory)
        if stamp == self._loaded:
            return
        try:
            self._current = load(self._directory)
        except TlsError as error:
            if stamp != self._complained:
                log.error("the new certificate cannot be used, the old one stays", error=str(error))  # noqa: TRY400
            self._complained = stamp
        else:
            self._loaded = stamp
            log.info("a new certificate is in use", directory=str(self._directory))


def load(directory: Path) -> ssl.SSLContext:
    """Load the pair of a directory. Raises TlsError."""
    certificate, key = (directory / name for name in _FILES)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        for file in (certificate, key):
            file.open("rb").close()  # OpenSSL would not say which of the two it cannot read
        # With a password of its own, OpenSSL does not ask the terminal for that of an encrypted key.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        wrong = "do not belong together" if error.reason == "KEY_VALUES_MISMATCH" else "must both be PEM, unencrypted"
        raise TlsError(f"{certificate} and {key.name} {wrong}") from error
    except OSError as error:
        raise TlsError(f"cannot read {error.filename}: {error.strerror}") from error
    return context


def _stamp(directory: Path) -> tuple[tuple[int, int] | None, ...]:
    """Take what changes when a file is written or replaced, a link on the way to it moved, and by chmod."""
    return tuple(_file_stamp(directory / name) for name in _FILES)


def _file_stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns
