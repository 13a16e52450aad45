"""What people read: tables, summaries, and what others' words mean here.

::

    table     plain text tables
    summary   a network as one
    words     what Keras, PyTorch and scikit-learn call otherwise
"""

from fastconv.models.text.summary import summarize
from fastconv.models.text.table import table
from fastconv.models.text.words import explained, unknown_attribute

__all__ = ["explained", "summarize", "table", "unknown_attribute"]
