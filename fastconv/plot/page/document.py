"""The document around the figures; everything in it is ASCII, and nothing is fetched."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from typing import Any

from fastconv.plot.page.script import SCRIPT
from fastconv.plot.page.style import STYLE

__all__ = ["document", "embedded"]

#: The browser runs this script alone and loads nothing, whatever a name of a layer may contain.
_POLICY = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'"

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<header>
<h1>Memory of <bdi id="name"></bdi></h1>
<p id="subject"></p>
<noscript><p><strong>This page draws itself with a script, which is switched off here.</strong>
<code>fastconv plan</code> prints the same figures.</p></noscript>
<nav aria-label="On this page">
<a href="#run-title">The run</a>
<a href="#layers-title">Every layer</a>
<a href="#convolutions-title" id="to-convolutions">im2col beside direct</a>
<a href="#stops-title">Every limit</a>
</nav>
</header>
<main>
<h2 id="limit-title">Memory limit</h2>
<div id="control" role="group" aria-labelledby="limit-title">
<label for="limit">Most bytes for everything</label>
<strong id="chosen" aria-hidden="true"></strong>
<input id="limit" type="range" min="0" step="1" aria-describedby="hint" autocomplete="off">
<div id="ends" aria-hidden="true"><span id="least"></span><span>no limit</span></div>
</div>
<p id="hint" class="note"></p>
<p id="summary" role="status"></p>
<dl id="figures"></dl>
<figure>
<div id="price" class="chart low" role="img">
<svg viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true">
<path id="price-curve" class="curve"/></svg>
</div>
<figcaption id="price-text"></figcaption>
</figure>

<section aria-labelledby="run-title">
<h2 id="run-title">The run</h2>
<p class="note" id="run-note"></p>
<p><label><input id="scale" type="checkbox" autocomplete="off">
Let the bars of this limit fill the page</label></p>
<ul class="legend" id="legend"></ul>
<figure>
<div id="run" class="chart" role="img">
<svg viewBox="0 0 1000 300" preserveAspectRatio="none" aria-hidden="true">
{parts}
<path id="run-again" class="again-band"/>
<path id="run-free" class="free"/>
<path id="run-loss" class="loss"/>
<path id="run-bound" class="bound"/></svg>
</div>
<figcaption id="run-text"></figcaption>
</figure>
</section>

<section aria-labelledby="layers-title">
<h2 id="layers-title">Every layer</h2>
<p class="note" id="layers-note"></p>
<table id="layers" class="cards">
<thead><tr id="layers-head"></tr></thead>
<tbody></tbody>
</table>
</section>

<section aria-labelledby="convolutions-title" id="convolutions-section">
<h2 id="convolutions-title">im2col beside direct</h2>
<p class="note" id="convolutions-note"></p>
<table id="convolutions" class="cards">
<thead><tr id="convolutions-head"></tr></thead>
<tbody></tbody>
</table>
</section>

<section aria-labelledby="stops-title">
<h2 id="stops-title">Every limit</h2>
<p class="note">What the slider shows, one row for each place where it stops.</p>
<table id="stops" class="cards">
<thead><tr id="stops-head"></tr></thead>
<tbody></tbody>
</table>
</section>
</main>
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""


def document(figures: dict[str, Any]) -> str:
    """Return the page that shows `figures`, as `figures_of` gives them."""
    policy = f"{_POLICY}; script-src {_hash(SCRIPT)}; style-src {_hash(STYLE)}"
    page = _PAGE.format(
        policy=html.escape(policy, quote=True),
        title=html.escape(f"Memory of {figures['name']}"),
        style=STYLE,
        parts="".join(f'<path class="fill-{part}"/>' for part in figures["parts"]),
        data=embedded(figures),
        script=SCRIPT,
    )
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


def embedded(figures: Any) -> str:
    """Return `figures` as JSON that may stand inside of a script element: nothing can end it.

    Examples
    --------
    >>> print(embedded({"id": "</script>&\u2028"}))
    {"id":"\\u003c/script\\u003e\\u0026\\u2028"}
    """
    text = json.dumps(figures, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":  # JSON has them in strings alone
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _hash(text: str) -> str:
    """Return what a policy calls a script or a style that consists of `text`."""
    digest = hashlib.sha256(text.encode("ascii")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
