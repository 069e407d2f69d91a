"""Are the codes of a codebook in use?"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from vaekit.diagnosis.cure import Cure
from vaekit.diagnosis.finding import Finding, left_out
from vaekit.diagnosis.subject import Subject
from vaekit.evaluation.codebook import codebook_perplexity

SHARE = 0.5
MOST = 4_096  # items encoded for this
TITLE, THRESHOLD = "the codebook is in use", f"below {SHARE:.0%}"


@torch.no_grad()
def codebook(subject: Subject) -> Finding:
    """Share of the codes that occur, among those that would if all were as frequent as each other."""
    bottleneck: Any = subject.model.bottleneck
    if not bottleneck.discrete:
        return left_out("codebook", TITLE, THRESHOLD, "codes are numbers, not entries of a codebook.")
    most = MOST * subject.effort.items // 768
    items = subject.some(subject.seen, most)
    found = torch.cat([subject.model.encode(b.x, b.c, b.mask).cpu() for b in subject.chunks(items)])
    levels = bottleneck.quantizer.levels
    books = (
        [(found, levels)]
        if isinstance(levels, int)
        else [(found[..., i], size) for i, size in enumerate(levels)]
    )
    shares = [share_in_use(codes, size) for codes, size in books]
    share = sum(shares) / len(shares)
    alive = sum(codebook_perplexity(codes, size).used * size for codes, size in books)
    whole = sum(size for _, size in books)
    said = f"{alive:.0f} of {whole} codes occur in {len(items)} items, {share:.0%} of those that could"
    alarm = share < SHARE
    return Finding(
        "codebook", TITLE, share, THRESHOLD, alarm, f"{said}.", _cure(subject, alive) if alarm else None
    )


def share_in_use(codes: Tensor, size: int) -> float:
    """Codes that occur, divided by how many would in as many draws from all of them alike, K (1 − (1 − 1/K)^n).

    Example:
        >>> share_in_use(torch.tensor([0, 0, 0, 0, 0, 0, 0, 0]), 2) < 0.51
        True
    """
    used = codebook_perplexity(codes, size).used * size
    return used / (size * -math.expm1(codes.numel() * math.log1p(-1 / size))) if size > 1 else 1.0


def _cure(subject: Subject, alive: float) -> Cure:
    """A codebook that follows its codes and revives them, of a size that the data fill."""
    options: dict[str, Any] = {"preset": subject.preset if subject.preset == "rvq_vae" else "vq_vae"}
    asked = int(subject.arguments.get("codes", 512))
    tokens = len(subject.seen) * math.prod(subject.kind.grid)
    options["codes"] = max(8, min(asked, tokens // 16))  # each is to be chosen several times in an epoch
    return Cure(options | ({"moving_average": True} if options["preset"] == "vq_vae" else {}))
