"""Every score of codes beside known factors, in one table."""

from __future__ import annotations

import numpy as np

from vaekit.evaluation.disentanglement.interventions import irs
from vaekit.evaluation.disentanglement.prediction import dci, explicitness, infoe, sap
from vaekit.evaluation.disentanglement.shared_information import infoc, infom, mig, modularity


def disentanglement(
    codes: np.ndarray, factors: np.ndarray, seed: int = 0, categories: frozenset[int] = frozenset()
) -> dict[str, float]:
    """The scores that need no generator.

    Codes that give every factor a dimension of its own reach 1, or nearly, in all but three: `explicitness` and `infoe`
    ask for linear rules, and `irs` gives 1 as well where factors are left out. Binned scores stay below it where a
    factor has more than 20 values. Noise in spare dimensions lowers `modularity`, `irs` and `infom`.

    Args:
        codes: (N, D) real codes: posterior means.
        factors: (N, F) integers; a factor that does not vary does not count.
        seed: Of the splits and the forests.
        categories: Columns of `factors` whose values have no order (for `sap`).

    Returns:
        `mig sap modularity explicitness irs infom infoc infoe dci_disentanglement dci_completeness
        dci_informativeness`.

    Example:
        >>> v = np.random.default_rng(0).integers(0, 2, (200, 2))
        >>> scores = disentanglement(v - 0.5, v)
        >>> round(scores["mig"], 2), round(scores["dci_disentanglement"], 2)
        (1.0, 1.0)
    """
    parts = dci(codes, factors, seed)
    return {
        "mig": mig(codes, factors),
        "sap": sap(codes, factors, categories),
        "modularity": modularity(codes, factors),
        "explicitness": explicitness(codes, factors, seed),
        "irs": irs(codes, factors),
        "infom": infom(codes, factors),
        "infoc": infoc(codes, factors),
        "infoe": infoe(codes, factors, seed),
        "dci_disentanglement": parts.disentanglement,
        "dci_completeness": parts.completeness,
        "dci_informativeness": parts.informativeness,
    }
