"""Pictures, as text in a terminal and as PNG with matplotlib: filters, and plans of networks."""

from __future__ import annotations

from fastconv.plot.filters import draws_blocks, filters_png, filters_text
from fastconv.plot.plans import plan_png

__all__ = ["draws_blocks", "filters_png", "filters_text", "plan_png"]
