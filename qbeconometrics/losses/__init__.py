"""Losses l(y, x'theta) of a linear index, for `QuasiBayesM`.

Each states its scale, since the learning rate of a Gibbs posterior refers to it: the squared loss
is (1/2) r^2 with r = y - x'theta. Each gives, row by row, its value, its score (the derivative by
the index) and its curvature (the derivative of the score); where the loss has a kink the score is
a subgradient. The gradient by theta of the loss of row i is its score times x_i.

Examples
--------
>>> import numpy as np
>>> from qbeconometrics import losses
>>> loss = losses.Quantile(0.25)
>>> y, index = np.array([1.0, 2.0]), np.array([0.0, 4.0])
>>> loss.value(y, index), loss.score(y, index)
(array([0.25, 1.5 ]), array([-0.25,  0.75]))
"""

from qbeconometrics.losses.base import Loss
from qbeconometrics.losses.custom import Custom
from qbeconometrics.losses.outcomes import Hinge, Logistic, Poisson
from qbeconometrics.losses.regression import Absolute, Expectile, Huber, Quantile, Squared

__all__ = [
    "Absolute",
    "Custom",
    "Expectile",
    "Hinge",
    "Huber",
    "Logistic",
    "Loss",
    "Poisson",
    "Quantile",
    "Squared",
]
