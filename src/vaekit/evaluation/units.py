"""The units of figures: log densities of the user's values, whatever scale the model sees them on."""

from __future__ import annotations

from torch import Tensor

from vaekit.data import Batch, Kind
from vaekit.model import VAE


def log_volume(model: VAE, kind: Kind | None, batch: Batch) -> float | Tensor:
    """Nats to add to the model's log p(x) so that it is one of the user's values, levels 0..255 of most pictures.

    A mass of levels stands as it is; a density of levels divided by 255 is one of levels after −log 255 for each. So
    are figures of different likelihoods on the same data comparable: a density that is nearly constant over a level
    is that level's mass.

    Args:
        model: Its likelihood says whether log p(x) is of a mass or of a density.
        kind: How the model's values came from the user's; None where they are the same.
        batch: Rows as the model sees them.

    Returns:
        One number for all rows, or (B,).

    Source: Theis, van den Oord, Bethge (2016), arXiv:1511.01844, section 3.1.

    Example:
        >>> import torch
        >>> from vaekit import presets
        >>> from vaekit.data import Images
        >>> kind, batch = Images(1, 2, 2, levels=256), Batch(torch.zeros(3, 1, 2, 2))
        >>> for preset in (presets.vae, presets.sigma_vae):
        ...     print(round(log_volume(preset(kind).model, kind, batch), 2))
        0.0
        -22.17
    """
    return 0.0 if kind is None else kind.log_volume(batch, getattr(model.decoder, "family", None))
