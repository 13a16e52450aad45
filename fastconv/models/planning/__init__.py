"""What a network takes before it runs, and how a run keeps within a limit.

::

    plan            Plan, PlannedNode: the figures, and how they are shown
    making          make_plan: asks layers, and the two searches where there is a limit
    subject         what a plan is of, and what it is asked for
    prices          what operations take, for any rows and limit
    tally, steps    what is alive while a schedule runs, forward, or in a step of training
    fit_inference   rows at a time, stage by stage
    fit_training    what is computed again, by segments
    measure         what a run took
"""

from fastconv.models.planning.making import make_plan
from fastconv.models.planning.measure import measure
from fastconv.models.planning.plan import Plan, PlannedNode
from fastconv.models.planning.prices import Shared
from fastconv.models.planning.subject import Asked, Subject

__all__ = ["Asked", "Plan", "PlannedNode", "Shared", "Subject", "make_plan", "measure"]
