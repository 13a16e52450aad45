"""What a network takes before it runs, and how a run keeps within a limit.

::

    plan            Plan, PlannedNode: the figures, and how they are shown
    making          make_plan: asks the layers and, if there is a limit, one of the two searches
    subject         the network that is planned, and what the plan is asked for
    prices          what operations take, for any number of rows and any limit
    tally, steps    what is alive while a schedule runs: in inference, and in a step of training
    fit_inference   the search for how many rows to run at a time, stage by stage
    fit_training    the search for what to compute again, segment by segment
    measure         what a run really took
"""

from fastconv.models.planning.making import make_plan
from fastconv.models.planning.measure import measure
from fastconv.models.planning.plan import Plan, PlannedNode
from fastconv.models.planning.prices import Shared
from fastconv.models.planning.subject import Asked, Subject

__all__ = ["Asked", "Plan", "PlannedNode", "Shared", "Subject", "make_plan", "measure"]
