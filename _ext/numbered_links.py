"""{numref} without reading a whole page from disk for each: the pages read are kept.

Sphinx loads the page that a numbered link points to every time it meets such a link, only to see
what kind of thing is numbered there. That was a third of the time after an edit to one chapter.
"""

from __future__ import annotations

from functools import cache

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.domains.std import StandardDomain
from sphinx.environment import BuildEnvironment


class RememberedPages:
    """The build environment, with pages that are read once. They must only be looked at."""

    def __init__(self, env: BuildEnvironment) -> None:
        self.env = env
        self.get_doctree = cache(env.get_doctree)

    def __getattr__(self, name: str):
        return getattr(self.env, name)


class NumberedLinks(StandardDomain):
    remembered: RememberedPages | None = None

    def _resolve_numref_xref(self, env: BuildEnvironment, *link) -> nodes.Element | None:
        if self.remembered is None:  # links are resolved when all pages have been read
            self.remembered = RememberedPages(env)
        return super()._resolve_numref_xref(self.remembered, *link)


def setup(app: Sphinx) -> dict:
    app.add_domain(NumberedLinks, override=True)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
