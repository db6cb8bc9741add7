"""Pictures of fitted models, drawn with matplotlib (``pip install 'fusem[plot]'``).

Every function takes an optional matplotlib ``Axes`` (``ax=``), draws into it and returns it;
without one it makes a new figure. No global matplotlib setting is changed. Data may be anything
that `fusem.rows` accepts; large data is sampled, so a picture of ten million rows is quick.
"""

from fusem.plot.curves import loglik_scan, parameter_path, trace
from fusem.plot.density import density
from fusem.plot.ellipses import ellipses
from fusem.plot.responsibilities import responsibilities
from fusem.plot.states import states
from fusem.plot.transitions import transitions

__all__ = [
    "density",
    "ellipses",
    "loglik_scan",
    "parameter_path",
    "responsibilities",
    "states",
    "trace",
    "transitions",
]
