"""The TLS context of SMTP listeners: TLS 1.2 and up. A new certificate is taken up by loading it into the
same context.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any


def server_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """Raises OSError and ssl.SSLError. Call `load_cert_chain` on it again after the files were renewed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


def describe(tls: Any) -> str:
    """Protocol and cipher of an `ssl_object`."""
    cipher = tls.cipher()
    return f"{tls.version()} {cipher[0]}" if cipher else str(tls.version())
