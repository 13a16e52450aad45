"""The plan of a network as one page of HTML, with a slider for the memory limit.

::

    making     plan_page: the plans for some limits between the least and what is taken freely
      |
    figures    what the page shows of these plans, as plain values
      |
    document   the page: text, style and script around the figures
      |
    style, script    what the document contains, as they are written into it
"""

from fastconv.plot.page.making import LIMITS, plan_page

__all__ = ["LIMITS", "plan_page"]
