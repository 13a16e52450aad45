"""Pictures: of networks, of what they have learned, and of what they take.

Each function returns a figure of matplotlib, which the extra ``plot`` installs, and which shows
itself in a notebook; ``figure.savefig("picture.png")`` writes it. `filters_text` and `plan_page`
return text, and need nothing.

::

    filter_grid   filters, before and after learning
    maps          an image on its way through the layers
    excitation    what excites a filter most
    responses     filters made by hand on a photograph
    curves        loss and accuracy over the epochs
    mistakes      the confusion matrix, and images that are misclassified
    graphs        a network as boxes and arrows; layering says where they stand
    plans         memory, node by node
    prices        what each algorithm takes in every layer
    times         how long each takes, against its bytes
    page          plans for many limits, as a page of HTML with a slider
    blocks        filters as text in a terminal

    mosaic, weights, networks, figure   what these have in common
"""

from __future__ import annotations

from fastconv.plot.blocks import draws_blocks, filters_text
from fastconv.plot.curves import history
from fastconv.plot.excitation import activation_maximization
from fastconv.plot.filter_grid import filters, filters_png
from fastconv.plot.graphs import graph
from fastconv.plot.maps import feature_maps
from fastconv.plot.mistakes import confusion_matrix, misclassified
from fastconv.plot.page import plan_page
from fastconv.plot.plans import memory, plan_png
from fastconv.plot.prices import algorithms
from fastconv.plot.responses import EXAMPLE_FILTERS, filter_responses
from fastconv.plot.times import time_against_memory

__all__ = [
    "EXAMPLE_FILTERS",
    "activation_maximization",
    "algorithms",
    "confusion_matrix",
    "draws_blocks",
    "feature_maps",
    "filter_responses",
    "filters",
    "filters_png",
    "filters_text",
    "graph",
    "history",
    "memory",
    "misclassified",
    "plan_page",
    "plan_png",
    "time_against_memory",
]
