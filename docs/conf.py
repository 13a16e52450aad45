"""How Sphinx makes the site; `make docs` runs it over what `docs/site/stage.py` has written."""

import os
import sys
from pathlib import Path

from docutils.utils import get_source_line

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "site"))

import names  # noqa: E402

import fastconv  # noqa: E402

project = "fastconv"
author = "The fastconv developers"
version = release = fastconv.__version__
copyright = f"{author}. BSD-3-Clause"
language = "en"

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_design",
]
if any((HERE / "gallery").glob("plot_*.py")):
    extensions.append("sphinx_gallery.gen_gallery")
root_doc = "index"
exclude_patterns = ["extra"]  # which is copied as it is
templates_path = [str(HERE / "site" / "templates")]
html_static_path = ["site/static"]
default_role = "py:obj"  # `conv2d` in a docstring is a link where there is such a page

highlight_language = "none"  # of blocks that name none: diagrams and commands

myst_enable_extensions = ["colon_fence", "attrs_block"]
myst_heading_anchors = 4

autodoc_typehints = "none"  # docstrings say more than annotations
autodoc_member_order = "groupwise"
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

sphinx_gallery_conf = {
    "examples_dirs": str(HERE / "gallery"),
    "gallery_dirs": "gallery",
    "plot_gallery": os.environ.get("GALLERY") != "0",
    "filename_pattern": "/plot_",
    "ignore_pattern": r"^(?!plot_)",  # beside the scripts stands what they share
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,  # a page that fetches scripts from other hosts
    "matplotlib_animations": False,
}

html_theme = "pydata_sphinx_theme"
html_title = f"fastconv {release}"
html_logo = html_favicon = "site/static/logo.svg"
html_css_files = ["site.css"]
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "fastconv"},
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "show_nav_level": 1,
    "show_toc_level": 2,
    "back_to_top_button": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "navbar_end": ["theme-switcher"],
}
html_sidebars = {"index": []}


def setup(app):
    """Connect what the site does for itself."""
    app.connect("config-inited", _extra)
    app.connect("html-page-context", _language)
    app.connect("missing-reference", _last_part)
    app.connect("missing-reference", _of_scikit_learn)


def _extra(app, config):
    """Say where the files are that HTML names."""
    config.html_extra_path = [str(app.srcdir / "extra")]


def _language(app, pagename, templatename, context, doctree):
    """Say which pages are Japanese."""
    if pagename.startswith("ja/"):
        context["language"] = "ja"


def _last_part(app, env, node, contnode):
    """Let `conv2d` in a docstring be a link wherever it stands, as readers know it by that name."""
    full = LAST_PARTS.get(node["reftarget"])
    if full is None or node.get("reftype") != "obj":
        return None
    python = env.get_domain("py")
    return python.resolve_xref(env, node["refdoc"], app.builder, "obj", full, node, contnode)


def _of_scikit_learn(app, env, node, contnode):
    """Leave as text what inherited docstrings of scikit-learn refer to: pages of its own site."""
    source, _ = get_source_line(node)
    return contnode if "docstring of sklearn." in (source or "") else None


LAST_PARTS = names.by_last_part()
