"""Texts for people: tables, summaries, and what the words of other libraries are here.

::

    table     plain text tables
    summary   a network as such a table
    words     what Keras, PyTorch and scikit-learn have other words for
"""

from fastconv.models.text.summary import summarize, summary_html
from fastconv.models.text.table import table
from fastconv.models.text.words import explained, unknown_attribute

__all__ = ["explained", "summarize", "summary_html", "table", "unknown_attribute"]
