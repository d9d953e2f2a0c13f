"""A real slapd on loopback, with TLS, in a folder of its own: for people who log in by a directory."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.peers import require
from tests.serving import free_port

BASE = "dc=example,dc=org"
CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/pid
TLSCertificateFile {folder}/cert.pem
TLSCertificateKeyFile {folder}/key.pem
security simple_bind=128
database mdb
suffix "dc=example,dc=org"
rootdn "cn=root,dc=example,dc=org"
directory {folder}/db
access to attrs=userPassword by anonymous auth by * none
access to * by dn.base="cn=lookup,dc=example,dc=org" read by * auth
"""
PEOPLE = """
dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: cn=lookup,dc=example,dc=org
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: lookup
userPassword: look up a lot

dn: uid=dora,dc=example,dc=org
objectClass: inetOrgPerson
uid: dora
cn: Dora
sn: Dora
mail: Dora@Example.org
mail: dora.smith@example.org
ou: cn=postmasters,dc=example,dc=org
userPassword: dora's own password

dn: uid=emil,dc=example,dc=org
objectClass: inetOrgPerson
uid: emil
cn: Emil
sn: Emil
mail: emil@example.org
userPassword: emil's own password

dn: uid=ann,dc=example,dc=org
objectClass: inetOrgPerson
uid: ann
cn: Another Ann
sn: Ann
mail: other.ann@example.org
userPassword: the other ann's password

dn: cn=twin,dc=example,dc=org
objectClass: inetOrgPerson
uid: emilia
cn: twin
sn: Twin
userPassword: a twin's password

dn: cn=twin2,dc=example,dc=org
objectClass: inetOrgPerson
uid: emilia
cn: twin2
sn: Twin
userPassword: a twin's password
"""


@dataclass(frozen=True)
class Slapd:
    """A running server; `ca` is the certificate to trust."""

    host: str
    port: int
    tls_port: int
    ca: Path
    password_file: Path

    @property
    def url(self) -> str:
        return f"ldap://localhost:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://localhost:{self.tls_port}"


@contextmanager
def slapd(folder: Path) -> Iterator[Slapd]:
    program = require("slapd", package="slapd")
    (folder / "db").mkdir()
    config, people = folder / "slapd.conf", folder / "people.ldif"
    config.write_text(CONFIG.format(folder=folder))
    people.write_text(PEOPLE.lstrip())
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    add = [program, "-T", "add", "-f", str(config), "-l", str(people)]
    subprocess.run(add, check=True, capture_output=True)
    (folder / "secret").write_text("look up a lot\n")
    (host, port), (_, tls_port) = free_port(), free_port()
    listen = f"ldap://{host}:{port} ldaps://{host}:{tls_port}"
    server = subprocess.Popen([program, "-d", "0", "-f", str(config), "-h", listen], stderr=subprocess.DEVNULL)
    try:
        _wait(host, tls_port)
        yield Slapd(host, port, tls_port, folder / "cert.pem", folder / "secret")
    finally:
        server.terminate()
        server.wait(20)


def _wait(host: str, port: int) -> None:
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        try:
            socket.create_connection((host, port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("slapd did not start")
