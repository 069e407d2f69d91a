"""How much of a codebook is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class CodebookUse:
    """Of the codes of many data.

    Attributes:
        perplexity: exp of the entropy of the codes' frequencies: how many equally frequent codes would be as varied.
        used: Share of the codebook that occurs at all.
    """

    perplexity: float
    used: float


def codebook_perplexity(codes: Tensor, size: int) -> CodebookUse:
    """exp(−Σ_v p_v log p_v), p_v the frequency of code v over all data and places.

    Args:
        codes: (N, …) integers 0 … size − 1 of one codebook.
        size: Codes in the codebook.

    Raises:
        ValueError: There are no codes, or one is outside the codebook.

    Source: van den Oord, Vinyals, Kavukcuoglu (2017), arXiv:1711.00937.

    Example:
        >>> codebook_perplexity(torch.tensor([[0, 1], [2, 3]]), 8)
        CodebookUse(perplexity=4.0, used=0.5)
    """
    flat = codes.flatten().cpu()
    if flat.is_floating_point() or not len(flat) or int(flat.min()) < 0 or int(flat.max()) >= size:
        raise ValueError(f"codes must be integers from 0 to {size - 1}, one or more of them")
    counts = torch.bincount(flat, minlength=size).double()
    entropy = torch.special.entr(counts / counts.sum()).sum()
    return CodebookUse(round(float(entropy.exp()), 12), float((counts > 0).double().mean()))


def codebooks_use(codes: Tensor, levels: int | Sequence[int]) -> CodebookUse:
    """The mean use of the codebooks that a quantizer has.

    Args:
        codes: (N, …) as `encode` gives them.
        levels: Codes in the one codebook, or in that of each place on the last axis.

    Example:
        >>> codebooks_use(torch.tensor([[0, 0], [0, 1]]), [2, 2])
        CodebookUse(perplexity=1.5, used=0.75)
    """
    if isinstance(levels, int):
        return codebook_perplexity(codes, levels)
    each = [codebook_perplexity(codes[..., i], size) for i, size in enumerate(levels)]
    return CodebookUse(
        sum(use.perplexity for use in each) / len(each), sum(use.used for use in each) / len(each)
    )
