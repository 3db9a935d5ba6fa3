"""Learning from batches of a stream; the twin of the compiled kernel.

The model is y1 = b12 y2 + f1(x) + e1, y2 = b21 y1 + f2(x) + e2 with Var(e_j|x) = exp g_j(x) and
uncorrelated errors. Heads, linear in features of x, are the means m1, m2 of y given x and the log
variances g1, g2. With u = y - m, e1 = u1 - b12 u2, e2 = u2 - b21 u1 and w_j = exp(-g_j), the
quasi-log-likelihood of a row is log|1 - b12 b21| - sum_j (g_j + e_j^2 w_j) / 2, following Tanaka
(2025, arXiv:2511.05050); that means are those of the reduced form is ours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

RULES = ("adagrad", "rmsprop", "adam", "amsgrad", "sgd")
EFFECTS = ("held", "score", "gradient")
MOMENTS = 28  # sums over rows
RUNNING = 6  # those of them with a running average
PATH = 8  # sums over steps of the effects
LANES = 4
RUNNING_POWER = 0.7
MOST_PRODUCT = 0.99


class FeatureMap:
    """Features of rows x (k,), as many as a multiple of four; those of no use have scale zero.

    Attributes
    ----------
    columns : int
        k.
    size : int
        Number of features.
    """

    columns: int
    size: int

    def evaluate(self, x: FloatArray) -> FloatArray:
        """Return the features of rows, shape (n, size)."""
        if x.shape[1] != self.columns:
            raise ValueError(f"x must have {self.columns} columns")
        return self._features(x)

    def _features(self, x: FloatArray) -> FloatArray:
        raise NotImplementedError


class FourierMap(FeatureMap):
    """Random Fourier features scales cos(phases + x'frequencies).

    The cosine is right to 1e-14; sizes of angles above 1e6 are taken for 1e6.

    Parameters
    ----------
    frequencies : ndarray, shape (k, size)
    phases, scales : ndarray, shape (size,)

    Examples
    --------
    >>> features = FourierMap(np.array([[0.0, np.pi, 1.0, 1.0]]), np.zeros(4), np.ones(4))
    >>> features.evaluate(np.array([[1.0]])).round(4)
    array([[ 1.    , -1.    ,  0.5403,  0.5403]])
    """

    def __init__(self, frequencies: FloatArray, phases: FloatArray, scales: FloatArray) -> None:
        self.columns, self.size = frequencies.shape
        if self.columns < 1 or self.size < 1 or self.size % LANES:
            raise ValueError(f"features must come in {LANES}s")
        if phases.shape != (self.size,) or scales.shape != (self.size,):
            raise ValueError("the shapes do not go together")
        self._frequencies, self._phases, self._scales = frequencies, phases, scales

    def _features(self, x: FloatArray) -> FloatArray:
        size = np.minimum(np.abs(x @ self._frequencies + self._phases), 1e6)
        return np.cos(size) * self._scales


class MonomialMap(FeatureMap):
    """Products of columns: feature 0 is one, and each other an earlier one times a column.

    Parameters
    ----------
    parents : ndarray of intc, shape (size,)
        The earlier feature; the first entry is not read.
    factors : ndarray of intc, shape (size,)
        The column.
    scales : ndarray, shape (size,)
        What features are multiplied by in the end.
    columns : int

    Examples
    --------
    >>> parents, factors = np.array([[0, 0, 0, 1], [0, 0, 1, 1]], dtype=np.intc)
    >>> features = MonomialMap(parents, factors, np.ones(4), 2)
    >>> features.evaluate(np.array([[2.0, 3.0]]))
    array([[1., 2., 3., 6.]])
    """

    def __init__(
        self,
        parents: NDArray[np.intc],
        factors: NDArray[np.intc],
        scales: FloatArray,
        columns: int,
    ) -> None:
        self.columns, self.size = columns, len(scales)
        if columns < 1 or self.size < 1 or self.size % LANES:
            raise ValueError(f"features must come in {LANES}s")
        if parents.shape != scales.shape or factors.shape != scales.shape:
            raise ValueError("the shapes do not go together")
        for q in range(1, self.size):
            if not (0 <= parents[q] < q and 0 <= factors[q] < columns):
                raise ValueError("a monomial must be an earlier one times a column")
        self._parents, self._factors, self._scales = parents, factors, scales

    def _features(self, x: FloatArray) -> FloatArray:
        out = np.ones((len(x), self.size))
        for q in range(1, self.size):
            out[:, q] = out[:, self._parents[q]] * x[:, self._factors[q]]
        return out * self._scales


class Learner:
    """Heads and effects that learn from batches; all that it knows is in arrays of the caller.

    A batch gives one step along its mean gradient, whose length is at most `most_norm`. What is
    learned does not depend on how batches are spread over calls.

    Parameters
    ----------
    features : FeatureMap
    params : ndarray, shape (4 size + 2,)
        Weights of the heads m1, m2, g1, g2, then b12 and b21.
    memory : ndarray, shape (3, 4 size + 2)
        What the rule remembers: first moment, second moment, largest second moment.
    running : ndarray, shape (RUNNING,)
        Running averages of A, B, C (see `window`); batch k has the weight k^-0.7.
    window : ndarray, shape (MOMENTS,)
        Sums over rows, to which those of each batch are added before its step: w_1 and w_2 times
        q = (u1 u2, u1^2, u2^2), which are six; w1 / w2 and w2 / w1; w1^2, w1 w2 and w2^2 times
        q_a q_c, a >= c, which are 18; the quasi-log-likelihood; 1.
    param_sums : ndarray, shape (4 size + 2,)
        To which the parameters are added after each batch.
    path : ndarray, shape (PATH,)
        Of steps t = 1, ..., T of the effects: T, their average over all, the sums over t of t^2
        times products (11, 12, 22) of what the average at t was less the last one, and of t^2 times
        that itself.
    rule : str
        One of RULES: AdaGrad (Duchi, Hazan and Singer 2011), Adam (Kingma and Ba 2015,
        arXiv:1412.6980), RMSProp (Tieleman and Hinton 2012, here Adam without its first moment),
        AMSGrad (Reddi, Kale and Kumar 2018, arXiv:1904.09237), or plain steps.
    rate : float
        Size of steps; plain step k has rate k^-power.
    decay, second_decay : float
        Of the first and the second moment.
    epsilon : float
        Added to the roots that gradients are divided by.
    power : float
        Above 1/2 and below 1 for averages of plain steps to be normal in the limit.
    low, high : float
        Bounds of log variances.
    most_ratio : float
        Bound of e^2 w in gradients.
    most_norm : float

    Examples
    --------
    >>> features = MonomialMap(np.zeros(4, np.intc), np.zeros(4, np.intc), np.eye(4)[0], 1)
    >>> params, sums, window, path = np.zeros(18), np.zeros(18), np.zeros(MOMENTS), np.zeros(PATH)
    >>> learner = Learner(
    ...     features, params, np.zeros((3, 18)), np.zeros(RUNNING), window, sums, path, "sgd", 0.1
    ... )
    >>> learner.learn(np.array([[1.0, 0.0], [1.0, 2.0]]), np.zeros((2, 1)), 2, 0)
    >>> params[[0, 4, 8, 12]]
    array([0.1 , 0.1 , 0.  , 0.05])
    """

    def __init__(
        self,
        features: FeatureMap,
        params: FloatArray,
        memory: FloatArray,
        running: FloatArray,
        window: FloatArray,
        param_sums: FloatArray,
        path: FloatArray,
        rule: str,
        rate: float,
        *,
        decay: float = 0.9,
        second_decay: float = 0.999,
        epsilon: float = 1e-8,
        power: float = 0.51,
        low: float = -6.0,
        high: float = 6.0,
        most_ratio: float = 20.0,
        most_norm: float = 5.0,
    ) -> None:
        count = 4 * features.size + 2
        if rule not in RULES:
            raise ValueError(f"rule must be one of {RULES}")
        shapes = [(count,), (3, count), (RUNNING,), (MOMENTS,), (count,), (PATH,)]
        arrays = (params, memory, running, window, param_sums, path)
        if [array.shape for array in arrays] != shapes:
            raise ValueError("the shapes do not go together")
        if not (rate > 0.0 and low < high and most_ratio > 0.0 and most_norm > 0.0):
            raise ValueError("rate and bounds must be positive, and low below high")
        self._features, self._params, self._memory = features, params, memory
        self._running, self._window, self._param_sums, self._path = (
            running,
            window,
            param_sums,
            path,
        )
        self._rule, self._rate, self._power = rule, rate, power
        # RMSProp is Adam without its first moment.
        self._decay = 0.0 if rule == "rmsprop" else decay
        self._second_decay, self._epsilon = second_decay, epsilon
        self._low, self._high = low, high
        self._most_ratio, self._most_norm = most_ratio, most_norm

    def learn(
        self, y: FloatArray, x: FloatArray, batch: int, step: int, effects: str = "held"
    ) -> None:
        """Learn from whole batches of rows, of which `step` came before.

        The effects are held, or move along the efficient score e1 e2 w_j / (1 - b12 b21), or along
        the gradient of the quasi-likelihood; |b12 b21| then stays below one.
        """
        self._check(y, x)
        if batch < 1 or step < 0 or len(y) % batch:
            raise ValueError("rows must be whole batches")
        if effects not in EFFECTS:
            raise ValueError(f"effects must be one of {EFFECTS}")
        for start in range(0, len(y), batch):
            step += 1
            rows = slice(start, start + batch)
            sums, gradient = self._moments_and_gradient(y[rows], x[rows], effects)
            self._make_steps(gradient, step, effects)
            self._running += step**-RUNNING_POWER * (sums[:RUNNING] / batch - self._running)
            self._window += sums
            self._param_sums += self._params

    def measure(self, y: FloatArray, x: FloatArray, sums: FloatArray) -> None:
        """Add the moments of rows to `sums` (MOMENTS,), as they are added to `window`."""
        self._check(y, x)
        if sums.shape != (MOMENTS,):
            raise ValueError("the shapes do not go together")
        sums += self._moments_and_gradient(y, x, "held")[0]

    def _check(self, y: FloatArray, x: FloatArray) -> None:
        if y.shape != (len(x), 2) or x.shape[1] != self._features.columns:
            raise ValueError("the shapes do not go together")

    def _moments_and_gradient(
        self, y: FloatArray, x: FloatArray, effects: str
    ) -> tuple[FloatArray, FloatArray]:
        """Sums of moments over rows, and the mean gradient."""
        phi, b12, b21 = self._features.evaluate(x), self._params[-2], self._params[-1]
        determinant = 1.0 - b12 * b21
        heads = phi @ self._params[:-2].reshape(4, -1).T
        u, log_variances = y - heads[:, :2], np.clip(heads[:, 2:], self._low, self._high)
        e, w = u - u[:, ::-1] * [b12, b21], np.exp(-log_variances)
        scaled = e * w
        by_mean = scaled - scaled[:, ::-1] * [b21, b12]
        by_log = 0.5 * (np.minimum(e * scaled, self._most_ratio) - 1.0)
        # A log variance at its bound may only come back.
        above = log_variances > 0.5 * (self._low + self._high)
        by_log[(log_variances != heads[:, 2:]) & ((by_log > 0.0) == above)] = 0.0
        by_heads = np.hstack([by_mean, by_log]).T @ phi
        by_effects = np.zeros(2)
        if effects == "score":
            by_effects = (e[:, :1] * e[:, 1:] * w).sum(axis=0) / determinant
        elif effects == "gradient":
            by_effects = (scaled * u[:, ::-1]).sum(axis=0)
            by_effects -= len(y) * np.array([b21, b12]) / determinant
        q = np.column_stack([u[:, 0] * u[:, 1], u**2])
        pairs = np.tril_indices(3)
        squares = np.column_stack([w[:, 0] ** 2, w[:, 0] * w[:, 1], w[:, 1] ** 2])
        ratios = w / w[:, ::-1]
        likelihood = np.log(abs(determinant)) - 0.5 * np.sum(log_variances + e * scaled, axis=1)
        sums = np.concatenate(
            [
                (q.T @ w).ravel(),
                ratios.sum(axis=0),
                (squares.T @ (q[:, pairs[0]] * q[:, pairs[1]])).ravel(),
                [likelihood.sum(), len(y)],
            ]
        )
        return sums, np.append(by_heads.ravel(), by_effects) / max(len(y), 1)

    def _make_steps(self, gradient: FloatArray, step: int, effects: str) -> None:
        norm = np.sqrt(np.sum(gradient**2))
        if norm > self._most_norm:
            gradient = gradient * (self._most_norm / norm)
        heads, b = slice(0, len(gradient) - 2), slice(len(gradient) - 2, None)
        self._make_step(heads, gradient, step)
        if effects == "held":
            return
        # Their steps are counted from the first on which they move.
        self._make_step(b, gradient, int(self._path[0]) + 1)
        product = abs(np.prod(self._params[b]))
        if product > MOST_PRODUCT:
            self._params[b] *= np.sqrt(MOST_PRODUCT / product)
        self._extend_path(self._params[b])

    def _make_step(self, part: slice, gradient: FloatArray, step: int) -> None:
        first, second, largest = self._memory[:, part]
        slope, rate = gradient[part], self._rate
        unbiased = np.sqrt(1.0 - self._second_decay**step)
        change = slope
        if self._rule == "sgd":
            rate *= step**-self._power
        elif self._rule == "adagrad":
            second += slope**2
            change = slope / (np.sqrt(second) + self._epsilon)
        else:
            second += (1.0 - self._second_decay) * (slope**2 - second)
            largest[:] = np.maximum(largest, second) if self._rule == "amsgrad" else second
            first += (1.0 - self._decay) * (slope - first)
            unbiased_first = first / (1.0 - self._decay**step)
            change = unbiased_first / (np.sqrt(largest) / unbiased + self._epsilon)
        self._params[part] += rate * change

    def _extend_path(self, b: FloatArray) -> None:
        path = self._path
        t, average, centred, first = path[0] + 1.0, path[1:3], path[3:6], path[6:]
        before = (t - 1.0) * t * (2.0 * t - 1.0) / 6.0
        move = (average - b) / t
        path[0] = t
        average -= move
        # All deviations so far move by the same amount; the newest is zero.
        cross = np.outer(first, move)
        products = cross + cross.T + before * np.outer(move, move)
        centred += products[[0, 0, 1], [0, 1, 1]]
        first += before * move
