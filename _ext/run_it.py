"""Open in Colab or Jupyter, suggest an edit, report a problem: once the repository has an address.

Binder builds from `requirements.txt` and opens the notebook of the repository, with both languages.
Colab opens what the published branch holds for the download button: one language, and a first cell
that fetches bnlib and the recorded runs (see reader_notebook.py).
"""

from __future__ import annotations

from bilingual import is_appendix
from sphinx.application import Sphinx
from sphinx.config import Config
from words import WORDS

COLAB = "https://colab.research.google.com"
BINDER = "https://mybinder.org"
PUBLISHED_BRANCH = "gh-pages"  # what .ci/publish pushes the built site to


def configure(app: Sphinx, config: Config) -> None:
    options = config.html_theme_options
    if options.get("repository_url"):
        services = {"colab_url": COLAB, "binderhub_url": BINDER, "notebook_interface": "jupyterlab"}
        options |= {"use_edit_page_button": True, "use_issues_button": True}
        options["launch_buttons"] = services


def name_buttons(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    """The theme's buttons in our words, and Colab's with the notebook that runs there."""
    repository = app.config.html_theme_options.get("repository_url")
    if not repository:
        return
    words, language = WORDS[app.config.bilingual_lang], app.config.bilingual_lang
    published = f"{COLAB}/github/{owner_and_name(repository)}/blob/{PUBLISHED_BRANCH}"
    ours = {
        "Colab": {"url": f"{published}/{language}/_sources/{pagename}.ipynb"},
        "Binder": {"text": "Jupyter (Binder)"},
        "source-edit-button": {"text": words["edit"], "tooltip": words["edit"]},
        "source-issues-button": {"text": words["report"], "tooltip": words["report"]},
    }
    for group in context["header_buttons"]:
        for button in group.get("buttons", []):
            button |= ours.get(button.get("label"), ours.get(button["text"], {}))
            if group["label"] == "launch-buttons":
                button["tooltip"] = words["open_in"].format(button["text"])
    if is_appendix(pagename):  # nothing to run there
        buttons = context["header_buttons"]
        buttons[:] = [group for group in buttons if group["label"] != "launch-buttons"]


def owner_and_name(repository: str) -> str:
    return "/".join(repository.rstrip("/").split("/")[-2:])


def setup(app: Sphinx) -> dict:
    app.connect("config-inited", configure)
    app.connect("html-page-context", name_buttons, priority=900)  # after the theme made them
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
