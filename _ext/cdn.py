"""The public CDN's files without the CDN: for the tests, the offline site and the printed book.

`npm/PACKAGE@VERSION/FILE` comes from the npm package itself, fetched once by `npm pack` into
`_build/cdn`; `pyodide/…` from `../shared/pyodide`. Where a machine has neither, there is no file.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import http.server
import mimetypes
import re
import shutil
import ssl
import subprocess
import sys
import tarfile
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
PACKAGES = ROOT / "_build" / "cdn"
PYODIDE = ROOT.parent / "shared" / "pyodide"
CDN = "https://cdn.jsdelivr.net/"
# All that a page may load from the CDN. Exact versions, so that a file never changes.
PINNED = (
    "npm/mathjax@3.2.2/es5/",
    "npm/@pyscript/core@0.6.60/dist/",
    "pyodide/v0.27.7/full/",
)
NPM_FILE = re.compile(r"npm/((?:@[\w.-]+/)?[\w.-]+@[\w.-]+)/(.+)")


def local_file(path: str) -> Path | None:
    """Where this machine keeps a CDN path; None if it cannot have it."""
    if path.startswith("pyodide/"):
        return PYODIDE / path.removeprefix("pyodide/") if PYODIDE.is_dir() else None
    package, file = NPM_FILE.fullmatch(path).groups()
    folder = package_folder(package)
    return folder and folder / file


@functools.cache  # where the registry does not answer, asking takes a minute
def package_folder(package: str) -> Path | None:
    """The unpacked npm package, such as mathjax@3.2.2; None, saying why, where there is none."""
    folder = PACKAGES / package.replace("/", "+")
    if not folder.is_dir():
        if shutil.which("npm") is None:
            print(f"{package}: npm is not installed", file=sys.stderr)
            return None
        try:
            fetch(package, folder)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            print(f"{package}: {npm_reason(error)}", file=sys.stderr)
            return None
    return folder / "package"


def npm_reason(error: subprocess.SubprocessError) -> str:
    """The first sentence of what npm said; codes stand before it, its log's place is the last."""
    lines = (error.stderr or b"").decode(errors="replace").splitlines()
    return next((line for line in lines if len(line.split()) > 4), str(error))


def fetch(package: str, folder: Path) -> None:
    PACKAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PACKAGES) as unfinished:
        command = ["npm", "pack", "--loglevel=error", "--pack-destination", unfinished, package]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        unpacked = Path(unfinished, "unpacked")
        with tarfile.open(next(Path(unfinished).glob("*.tgz"))) as archive:
            archive.extractall(unpacked, filter="data")
        try:
            unpacked.rename(folder)
        except OSError:  # another process was faster
            if not folder.is_dir():
                raise


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers like the CDN; a file that the packages do not hold is a failed request."""

    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # a page that is closed hangs up
            super().handle()

    def do_GET(self) -> None:
        file = local_file(self.path.lstrip("/").split("?")[0])
        found = file is not None and file.is_file()
        body = file.read_bytes() if found else b"not in the mirror"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", content_type(file) if found else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Cache-Control", "public, max-age=31536000, immutable")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def content_type(file: Path) -> str:
    if file.suffix in {".js", ".mjs"}:
        return "text/javascript"
    return mimetypes.guess_type(file)[0] or "application/octet-stream"


def served_here() -> list[str]:
    """Answer for the CDN on this machine, and return what tells Chromium to ask here.

    Pages keep their public addresses, and the browser fetches and caches as it does elsewhere.
    Where npm or the copy of Pyodide is missing, the real CDN answers: no flags.
    """
    if not all(local_file(folder) for folder in PINNED):  # fetched now: no page waits for npm
        return []
    import trustme
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    certificate = trustme.CA().issue_cert(urlsplit(CDN).hostname)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(
        server.socket,
        server_side=True,
        do_handshake_on_connect=False,  # but in the thread of its connection
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()

    public_key = x509.load_pem_x509_certificate(certificate.cert_chain_pems[0].bytes()).public_key()
    encoded = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = base64.b64encode(hashlib.sha256(encoded).digest()).decode()
    return [
        "--no-proxy-server",
        f"--host-resolver-rules=MAP {urlsplit(CDN).hostname} 127.0.0.1:{server.server_port}",
        f"--ignore-certificate-errors-spki-list={digest}",
    ]
