"""The built book at an address of this machine: for the tests, the printed book, measurements."""

from __future__ import annotations

import contextlib
import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

HTML = Path(__file__).parents[1] / "_build" / "html"


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # a page that is closed hangs up
            super().handle()

    def log_message(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def served(folder: Path = HTML, handler: type = QuietHandler) -> Iterator[str]:
    """The address, while the folder is served there."""
    if not (folder / "index.html").exists():
        raise SystemExit("The book is not built: run `make book SERVE=0`")
    answer = functools.partial(handler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
