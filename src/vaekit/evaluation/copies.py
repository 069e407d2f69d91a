"""Are samples copies of training data?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vaekit.distributions import Noise
from vaekit.evaluation.samples import nearest


@dataclass(frozen=True)
class Copies:
    """How many samples are nearer to training data than held-out data are.

    Attributes:
        rate: Share of samples whose nearest training datum is within the threshold.
        control: The same share of held-out data that had no part in the threshold: what `rate` is if nothing is copied.
        threshold: A distance, in the units of the data.
    """

    rate: float
    control: float
    threshold: float


def copy_rate(samples: Any, train: Any, heldout: Any, share: float = 0.05, seed: int = 0) -> Copies:
    """The share of samples that are nearer to a training datum than all but few held-out data are.

        rate = mean over samples of [d(x) ≤ t],  d(x) = min over training data of ‖x − x'‖,
        t = the `share` quantile of d over one half of the held-out data;  control: the same mean over the other half

    A rate above the control says that samples lie closer to training data than new data do: copies, or blurred samples,
    since what is near the mean of the data is near many of them. A rate below it says nothing.

    Args:
        samples, train, heldout: (N, …), (M, …), (H, …) data or features; four or more held out.
        share: Which quantile; about the control where distances are all different.
        seed: Of the halves.

    Source: after Meehan, Chaudhuri, Dasgupta (2020), arXiv:2004.05675, who compare whole distributions of d.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> train, heldout = rng.normal(size=(100, 5)), rng.normal(size=(100, 5))
        >>> copy_rate(train[:50], train, heldout).rate
        1.0
    """
    samples, train, heldout = (np.asarray(t, dtype=np.float64) for t in (samples, train, heldout))
    samples, train, heldout = (t.reshape(len(t), -1) for t in (samples, train, heldout))
    if len(heldout) < 4 or not len(train) or not len(samples):
        raise ValueError("copies need a sample, a training datum and four held-out data")
    distances = nearest(heldout, train)[Noise(seed, "copies").permutation(len(heldout)).numpy()]
    half = len(heldout) // 2
    # a distance that occurs, so that the share of the half at or within it is at least `share`
    threshold = float(np.quantile(distances[:half], share, method="inverted_cdf"))
    return Copies(
        rate=float((nearest(samples, train) <= threshold).mean()),
        control=float((distances[half:] <= threshold).mean()),
        threshold=threshold,
    )
