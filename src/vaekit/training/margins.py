"""The margins of a table's new rows: each category as frequent as in training, each cell as often empty."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vaekit.data import Kind, Table
from vaekit.data.together import Together
from vaekit.distributions import Columns, Noise
from vaekit.model import VAE

DRAWS, FEWEST, ROUNDS = 65_536, 2_048, 20
NUMBERS = 1 << 25  # parameters of all draws together: of wide tables there are fewer
LEAST = 1e-6  # share of a level that training had not
FARTHEST = 3.0  # a level whose logit would have to move farther is one that the model does not give


@torch.no_grad()
def match_margins(model: VAE, kind: Kind, seed: int = 0) -> bool:
    """Move the biases of a table's decoder until its categories are as frequent in new rows as in training, in place.

        b_k ← b_k + log π_k − log E[p_k | new row],  E over z ~ p(z), of softmax(f(z) + b), in rounds

    New rows keep to the combinations of columns of which one decides another, so a z counts by how probable that is.
    What goes with what is left to z; only how often is put right, which the mixture of the second stage and the
    smoothness of networks leave a little wrong.

    Args:
        model: A model with a prior whose decoder ends in a linear layer.
        kind: A table, which knows the shares of training; others have no margins.
        seed: Of the draws from the prior.

    Returns:
        Whether it could be done; a model that is not of this form, or conditional, is left as it is.

    Source: Deming, Stephan (1940), On a least squares adjustment of a sampled frequency table (proportional fitting).
    """
    net, family = getattr(model.decoder, "net", None), getattr(model.decoder, "family", None)
    last = getattr(net, "last", None)
    if not isinstance(kind, Table) or kind.conditional or not isinstance(family, Columns):
        return False
    if not isinstance(last, nn.Linear) or not isinstance(net, nn.Module):
        return False
    draws = min(DRAWS, max(FEWEST, NUMBERS // last.out_features))
    state, _ = model.bottleneck(n=draws, noise=Noise(seed, "margins"))
    px = family(net(state))  # (draws, P)
    there, bits = _bits(px, kind)
    heads = {column.name: kind.logits(px, column).clone() for column in kind.headed}  # (draws, K) each
    added = _levels(kind, heads, there, draws)
    last.bias.add_(_as_parameters(family, kind, bits, added).to(last.bias))
    return True


def _bits(px: Any, kind: Table) -> tuple[dict[str, Tensor], Tensor]:
    """How probable it is that each cell is there, made as frequent as in training, and what that adds (C,)."""
    if not kind.holed:
        return {}, torch.zeros(0)
    logits = px.parts["present"].logits
    target = (
        torch.tensor([1 - column.holes for column in kind.holed]).to(logits).clamp(LEAST, 1 - LEAST).logit()
    )
    added = torch.zeros_like(target)
    for _ in range(ROUNDS):
        now = (logits + added).sigmoid().mean(0).clamp(1e-6, 1 - 1e-6).logit()
        added = (added + target - now).clamp(-FARTHEST, FARTHEST)
    chances = (logits + added).sigmoid()
    return {column.name: chances[:, i] for i, column in enumerate(kind.holed)}, added


def _levels(kind: Table, heads: dict[str, Tensor], there: dict[str, Tensor], draws: int) -> dict[str, Tensor]:
    """What to add to the logits of each column so that its levels have their shares, (K,) by name."""
    shares = {
        c.name: torch.from_numpy(c.frequencies()).to(heads[c.name]).clamp(min=LEAST) for c in kind.headed
    }
    added = {name: torch.zeros_like(share) for name, share in shares.items()}
    pairs = [pair for known in kind.together if (pair := _pair(kind, known)) is not None]
    coupled = {name for a, b, _, _ in pairs for name in (a, b)}
    weight = torch.ones(draws) / draws
    for turn in range(ROUNDS):
        if turn == 0 or coupled:
            chances = {name: (heads[name] + added[name]).softmax(1) for name in coupled}
            joint = [
                chances[a][:, i] * chances[b][:, j] for a, b, i, j in pairs
            ]  # (draws, combinations) each
            kept = [part.sum(1).clamp(min=1e-12) for part in joint]
            weight = torch.stack([torch.ones(draws), *kept]).prod(0)
        for name, share in shares.items():
            own = weight * there.get(name, torch.ones(()))
            own = own / own.sum()
            now = own @ (heads[name] + added[name]).softmax(1)
            for (a, b, i, j), part, whole in zip(pairs, joint, kept, strict=True):
                if name in (a, b):  # as it is where the two go together
                    mass = (own / whole) @ part
                    now = torch.zeros_like(share).index_add_(0, i if name == a else j, mass)
                    break
            step = (share / share.sum()).log() - now.clamp(min=1e-9).log()
            # of two that decide each other both are moved in a round: half the way each
            added[name] = (added[name] + (step / 2 if name in coupled else step)).clamp(-FARTHEST, FARTHEST)
    return added


def _pair(kind: Table, known: Together) -> tuple[str, str, Tensor, Tensor] | None:
    """Two columns and the levels of their combinations; None where a code is no level of its own."""
    columns = [c for name in known.columns for c in kind.headed if c.name == name and not c.holes]
    if len(columns) != 2 or len(known.columns) != 2:
        return None
    places = []
    for place, column in enumerate(columns):
        codes = np.array([row[place] for row in known.rows], dtype=np.float64)
        level = column.level(codes)
        if len(np.unique(level)) < len(np.unique(codes)) or (
            column.scored and level.max() == column.levels - 1
        ):
            return None
        places.append(torch.from_numpy(np.asarray(level, dtype=np.int64)))
    return columns[0].name, columns[1].name, places[0], places[1]


def _as_parameters(family: Columns, kind: Table, bits: Tensor, added: dict[str, Tensor]) -> Tensor:
    """What is added to each column as what is added to the parameters of the whole row, (size,)."""
    parts, heads = [], iter(kind.headed)
    for name, own, width in zip(family.names, family.families, family.widths, strict=True):
        size: int = own.size(width)  # type: ignore[operator]
        if name == "present":
            parts.append(bits)
        elif name == "numbers":
            parts.append(torch.zeros(size))
        else:
            levels = size // width
            each = [added[column.name] for column in islice(heads, width)]
            parts += [torch.nn.functional.pad(part, (0, levels - len(part))) for part in each]
    return torch.cat(parts)
