"""Answer for the public CDN from the same packages, so that pages keep their real addresses.

A file that the packages do not hold is a failed request, and so a failed test. Where there is
neither npm nor the mirror, the real CDN answers.
"""

from __future__ import annotations

import mimetypes
import sys
from pathlib import Path

from playwright.sync_api import Route

sys.path.insert(0, str(Path(__file__).parents[2] / "_ext"))
from cdn import CDN, local_file  # noqa: E402


def answer(route: Route) -> None:
    path = route.request.url.removeprefix(CDN).split("?")[0]
    file = local_file(path)
    if file is None:
        route.continue_()
    elif file.is_file():
        kind = (
            "text/javascript" if file.suffix in {".js", ".mjs"} else mimetypes.guess_type(file)[0]
        )
        headers = {
            "content-type": kind or "application/octet-stream",
            "access-control-allow-origin": "*",
        }
        route.fulfill(body=file.read_bytes(), headers=headers)
    else:
        route.fulfill(status=404, body=f"not in the mirror: {path}")
