"""What a network takes before it runs, and how a run keeps within a limit.

::

    plan            Plan, PlannedNode, Moment: the figures, and how they are shown
    making          plan_of: asks the layers and, if there is a limit, one of the two searches
    moments         what is alive at each moment of a run, the peak, and the seconds
    subject         the network that is planned, and what the plan is asked for
    prices          what operations take, for any number of rows and any limit
    tally, steps    what is alive while a schedule runs: in inference, and in a step of training
    fit_inference   the search for how many rows to run at a time, stage by stage
    fit_training    the search for what to compute again, segment by segment
    measure         what a run really took
"""

from fastconv.models.planning.making import plan_of
from fastconv.models.planning.measure import measure
from fastconv.models.planning.plan import Moment, Plan, PlannedNode
from fastconv.models.planning.subject import Asked, measured_of

__all__ = ["Asked", "Moment", "Plan", "PlannedNode", "measure", "measured_of", "plan_of"]
