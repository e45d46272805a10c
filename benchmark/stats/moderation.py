"""Variances over seeds, each borrowing from those of the other rows: empirical Bayes after Smyth (2004)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_CAUTION = 0.25  # standard errors

MIN_ROWS = 4
"""From so many rows with a random part on, variances are borrowed."""


def moderated(variances: FloatArray, freedom: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return each row's variance, drawn towards those of the others, and its degrees of freedom.

    Parameters
    ----------
    variances : ndarray, shape (rows,)
        Of the scores of each row's runs (``ddof=1``); 0 where the runs do not differ.
    freedom : ndarray, shape (rows,)
        Their degrees of freedom, the number of runs less 1.

    Returns
    -------
    ndarray, shape (rows,)
        ``(d0 s0² + d s²) / (d0 + d)``, where the prior, ``s0²`` on ``d0`` degrees of freedom, is fitted to
        the other rows.
    ndarray, shape (rows,)
        ``d0 + d``, and no more than all rows have together; those of a row of variance 0 are its own.

    Notes
    -----
    Three runs know their spread badly; ten rows of three runs each know together what spread is usual, and
    how much it differs from row to row (``d0``, fitted to the moments of the logarithms). Rows of variance
    0 take no part, and with fewer than `MIN_ROWS` of the rest nothing is borrowed. The prior is robust in the
    sense of Phipson et al. (2016): a row that spreads more than the prior of the others allows (with p
    below 1 / rows, in the upper tail) borrows less, in proportion to that p, and so keeps its own variance.
    That a row cannot speak for itself in its own prior is ours; it is simpler than their Winsorised
    moments, and fits few rows of unequal sizes. So is a little caution, since few rows may look alike by
    chance: a quarter of its standard error is added to the variance of the logarithms. It was chosen by
    simulation: where spreads differ from row to row it takes 0.6 points off the errors of a board of ten
    rows, for 2 points of power.

    References
    ----------
    Smyth (2004), "Linear models and empirical Bayes methods for assessing differential expression in
    microarray experiments", Statistical Applications in Genetics and Molecular Biology 3(1). Phipson, Lee,
    Majewski, Alexander and Smyth (2016), "Robust hyperparameter estimation protects against hypervariable
    genes and improves power to detect differential expression", Annals of Applied Statistics 10(2),
    946-963.
    """
    from scipy.special import fdtrc

    random = np.flatnonzero(variances > 0)
    found, degrees = variances.astype(np.float64), freedom.astype(np.float64)
    if random.size < MIN_ROWS:
        return found, degrees
    for row in random:
        others = random[random != row]
        own, d = float(variances[row]), float(freedom[row])
        prior, d0 = _prior(variances[others], freedom[others])
        d0 *= min(1.0, random.size * float(fdtrc(d, d0, own / prior)))
        found[row] = (d0 * prior + d * own) / (d0 + d)
        degrees[row] = d0 + d
    return found, degrees


def _prior(variances: FloatArray, freedom: FloatArray) -> tuple[float, float]:
    """Return ``s0²`` and ``d0`` of the rows of a section; d0 is at most what they have together."""
    from scipy.special import polygamma, psi

    half, most = freedom / 2, float(freedom.sum())
    logarithms = np.log(variances) - psi(half) + np.log(half)
    spread = float(logarithms.var(ddof=1)) * (1 + _CAUTION * np.sqrt(2 / (logarithms.size - 1)))
    beyond = spread - float(polygamma(1, half).mean())
    d0 = 2 * _trigamma_inverse(beyond) if beyond > 0 else np.inf
    if d0 >= most:  # no more different than chance makes them
        return float((freedom * variances).sum() / most), most
    return float(np.exp(logarithms.mean() + psi(d0 / 2) - np.log(d0 / 2))), d0


def _trigamma_inverse(value: float) -> float:
    """Solve ``trigamma(x) = value`` by Newton's method on its reciprocal, from above (Smyth, appendix)."""
    from scipy.special import polygamma

    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-10 * x:
            break
    return x
