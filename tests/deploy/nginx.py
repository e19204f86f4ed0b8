"""A real nginx with the files of `deploy/nginx`, as a process of nobody's, on loopback."""

import datetime
import ipaddress
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests import postgres

FILES = Path(__file__).parents[2] / "deploy" / "nginx"
# Where Debian puts it, which is not on everybody's PATH.
PROGRAM = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
REASON = "nginx: apt-get install nginx-light"
NAME = "flows.example.com"
# What is installed has these round the files; here all lies in one folder.
_ROUND = """
pid nginx.pid;
error_log error.log notice;
daemon off;
worker_processes 1;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include stepwell.conf;
}
"""


class Nginx:
    """Use it as a context manager: it leaves nothing behind."""

    def __init__(self, server_port: int, path: str = "/") -> None:
        """`server_port`: where Stepwell listens; `path`: below which nginx has it."""
        assert PROGRAM is not None
        self.port, self.plain_port = free_port(), free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="sw-nginx-"))
        self.certificate = _certify(self.folder)
        (self.folder / "nginx.conf").write_text(_ROUND)
        shutil.copy(FILES / "stepwell-proxy.conf", self.folder)
        (self.folder / "stepwell.conf").write_text(self._placed(server_port, path))
        user = postgres.unprivileged_user()
        if user is not None:
            for file in (self.folder, *self.folder.iterdir()):
                os.chown(file, user, -1)
        self._process = subprocess.Popen(
            [PROGRAM, "-p", self.folder, "-c", "nginx.conf", "-e", "error.log"], stderr=subprocess.PIPE, user=user
        )
        self._wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=30)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self) -> str:
        """Where it is reached over TLS."""
        return f"https://127.0.0.1:{self.port}"

    def trusting(self) -> ssl.SSLContext:
        """Return what takes its certificate for good, and no other."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def _placed(self, server_port: int, path: str) -> str:
        """Return the file as it is installed, but for ports, the place of the certificate, and what is IPv6."""
        text = (FILES / "stepwell.conf").read_text()
        for old, new in (
            ("    listen [::]:80;\n", ""),
            ("    listen [::]:443 ssl http2;\n", ""),
            ("listen 80;", f"listen 127.0.0.1:{self.plain_port};"),
            ("listen 443 ssl http2;\n    server", f"listen 127.0.0.1:{self.port} ssl http2;\n    server"),
            ("/etc/ssl/flows.example.com/", ""),
            ("server 127.0.0.1:8787;", f"server 127.0.0.1:{server_port};"),
        ):
            assert old in text, old
            text = text.replace(old, new)
        head, _, tls = text.rpartition("    location / {")
        return f"{head}    location {path} {{{tls}"

    def _wait(self) -> None:
        end = time.monotonic() + 30
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError((self.folder / "error.log").read_text())
            time.sleep(0.01)

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


def free_port() -> int:
    """Return a port that is free by now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def _certify(folder: Path) -> Path:
    """Write a key and a certificate of its own for the name and this machine, and return the latter."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(NAME), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    (folder / "privkey.pem").write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
    file = folder / "fullchain.pem"
    file.write_bytes(certificate.public_bytes(encoding))
    return file
