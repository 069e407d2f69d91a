"""What the verdict is judged by, as plain arrays: does the model reconstruct, are its samples like data, is z used?

    verdict_explained    (1,)  share of how items differ that comes back
    verdict_gain         (2,)  nats by which the distortion lies below that of one answer for all items; its error
    verdict_apart        (4,)  AUC of telling samples from held-out items, its 95 % interval, rows of each
    verdict_prior        (4,)  the same of samples and reconstructions, which differ by where the codes come from only
    verdict_correlation  (3,)  the pair of columns whose correlation is most off: held-out, sampled, p-value
    verdict_pair         (2,)  their names
    verdict_swapped      (2,)  nats by which the distortion rises with another item's code; its standard error
    verdict_information  (2,)  I(x; z) in nats, and the most that so few items can show

What a model or its data do not have is missing.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vaekit.conditional import Conditional
from vaekit.data import Batch, Items, Kind, Table
from vaekit.data.columns import Number
from vaekit.data.sequences import Sequences
from vaekit.distributions import Noise, center, log_prob, right
from vaekit.evaluation.distances import correlations
from vaekit.evaluation.latents import information
from vaekit.evaluation.separation import separation
from vaekit.model import VAE, pick
from vaekit.operations import bound
from vaekit.report.evidence_tables import varying
from vaekit.report.view import View, values

LOOKED, NUMBERS = 512, 400_000  # items whose codes are swapped, and values in all of them
FITTED, STEPS, RATE = 256, 40, 0.15  # of the one answer for all: training items, steps, learning rate
INFORMED = 256  # items that the information is estimated from: its cost grows as their square
COLUMNS = 60  # whose correlations are compared

Arrays = dict[str, np.ndarray]


@torch.no_grad()
def judged(model: VAE, view: View, train: Items, seen: Items, seed: int = 0) -> Arrays:
    """Reconstruction and use of the latent; samples are judged where they are drawn, by `apart`.

    Args:
        model: In evaluation mode.
        view: How items are compared.
        train: What it was trained on.
        seen: Held-out items.
        seed: Of every choice.
    """
    few = seen.subset(_some(len(seen), _most(view.kind, LOOKED)))
    batch = few.batch(torch.arange(len(few))).to(_device(model))
    z = model.encode(batch.x, batch.c, batch.mask)
    px = model.decode(z, batch.c)
    own = -right(log_prob(px, batch.x, batch.mask)).double()
    arrays = _swapped(model, batch, z, own, seed) | _informed(model, few, seed)
    share, constant = _explained(view, train, batch, center(px)), _constant(model, train, batch, seed)
    if share is not None:
        arrays["verdict_explained"] = np.array([share])
    if constant is not None:
        gain = (constant - bound(model, batch.x, batch.c, batch.mask, seed=seed)[0]).cpu()
        arrays["verdict_gain"] = np.array([float(gain.mean()), _error(gain)])
    return {name: array for name, array in arrays.items() if np.isfinite(array).all()}


def apart(a: Tensor, b: Tensor, seed: int = 0) -> np.ndarray | None:
    """The AUC of telling two sets of compared values apart, its interval and its rows, (4,)."""
    found = separation(a.float().cpu().numpy(), b.float().cpu().numpy(), seed)
    return None if found is None else np.array([found.auc, found.low, found.high, found.rows])


# ---------------------------------------------------------------------- reconstruction


def _explained(view: View, train: Items, batch: Batch, made: Tensor) -> float | None:
    """1 − Σ (x − x̂)² / Σ (x − mean)² over what was observed; of lines the same of places that are right."""
    x, mask = values(batch), None if batch.mask is None else batch.mask.bool().to(batch.x.device)
    if isinstance(view.kind, Table):
        return None  # column by column, as `evidence_tables.rebuilt` has it
    usual = values(train.batch(_some(len(train), _most(view.kind, 2_000)))).to(x.device)
    if isinstance(view.kind, Sequences):
        there = torch.ones_like(x, dtype=torch.bool) if mask is None else mask
        wrong = ((x != made) & there).sum()
        base = ((x != usual.mode(0).values) & there).sum()
    else:
        off, spread = (x - made).double().square(), (x - usual.float().mean(0)).double().square()
        wrong, base = (t.sum() if mask is None else t[mask].sum() for t in (off, spread))
    return None if float(base) <= 0 else 1 - float(wrong) / float(base)


def _constant(model: VAE, train: Items, batch: Batch, seed: int) -> Tensor | None:
    """−log p(x) of each item by the best member of the model's own family without a latent, (B,) nats.

    One set of parameters for all items is fitted to training items; None where the family sees x itself, or the
    decoder is of another make.
    """
    decoder = model.decoder
    if not isinstance(decoder, Conditional) or any(p.dim() > 1 for p in _parameters(decoder.family)):
        return None
    rows = train.batch(_some(len(train), max(16, min(FITTED, NUMBERS // math.prod(batch.x.shape[1:])))))
    rows = rows.to(batch.x.device)
    size = max(1, min(64, len(rows)))
    with torch.no_grad():
        z = model.encode(rows.x[:size], *(None if t is None else t[:size] for t in (rows.c, rows.mask)))
        seen: list[Tensor] = []
        hook = decoder.net.register_forward_hook(lambda _, __, out: seen.append(out))
        try:
            model.decode(z, None if rows.c is None else rows.c[:size], noise=Noise(seed, "verdict constant"))
        finally:
            hook.remove()
    if len(seen) != 1 or not isinstance(seen[0], Tensor):
        return None
    return _fitted(decoder.family, seen[0].float().mean(0, keepdim=True), rows, batch)


def _fitted(family: Any, begin: Tensor, rows: Batch, batch: Batch) -> Tensor | None:
    """The family's parameters, the same for every row, fitted by Adam; then what they cost each item of a batch."""
    family = copy.deepcopy(family)
    with torch.enable_grad():
        constant = nn.Parameter(begin.clone())
        learned = [constant, *_parameters(family)]
        optimizer = torch.optim.Adam(learned, lr=RATE)
        for step in range(STEPS):
            for group in optimizer.param_groups:
                group["lr"] = RATE * (1 - step / STEPS)
            optimizer.zero_grad()
            loss = _cost(family, constant, rows).mean()
            if not bool(torch.isfinite(loss)):
                return None
            loss.backward()
            optimizer.step()
    return _cost(family, constant.detach(), batch).detach()


def _cost(family: Any, constant: Tensor, batch: Batch) -> Tensor:
    px = family(constant.expand(len(batch.x), *constant.shape[1:]))
    own = getattr(family, "adapt", None)
    if own is not None:
        family.train()  # a scale that follows the data does so here too
        px = own(px, batch.x, batch.mask)
    return -right(log_prob(px, batch.x, batch.mask)).double()


def _parameters(family: Any) -> list[nn.Parameter]:
    return list(family.parameters()) if isinstance(family, nn.Module) else []


# ---------------------------------------------------------------------- the latent


def _swapped(model: VAE, batch: Batch, z: Any, own: Tensor, seed: int) -> Arrays:
    """How much worse each item is explained by the code of another one."""
    count = len(own)
    if count < 2:
        return {}
    order = Noise(seed, "verdict swap").permutation(count)
    places = torch.empty_like(order)
    places[order] = order.roll(1)  # nobody keeps their own
    px = model.decode(pick(z, places.to(batch.x.device)), batch.c)
    rise = (-right(log_prob(px, batch.x, batch.mask)).double() - own).cpu()
    return {"verdict_swapped": np.array([float(rise.mean()), _error(rise)])}


def _informed(model: VAE, few: Items, seed: int) -> Arrays:
    """What codes say about which item it is; nothing of models for which that is not defined."""
    if not model.bottleneck.stochastic or len(few) < 8:
        return {}
    try:
        found = information(model, few, INFORMED, seed)
    except (
        ValueError,
        NotImplementedError,
        RuntimeError,
    ):  # several latents, a conditional prior, shapes of its own
        return {}
    most = math.log(min(INFORMED, len(few)))
    return {"verdict_information": np.array([min(found.mutual_information, most), most])}


# ---------------------------------------------------------------------- correlations of columns


def numbers_of(kind: Table, frame: Any) -> tuple[list[str], np.ndarray]:
    """The columns of numbers of a table, at most 60, as floats."""
    columns = [c for c in varying(kind) if isinstance(c, Number)][:COLUMNS]
    found = [np.asarray(c.codes(frame[c.name]), dtype=np.float64) for c in columns]
    return [c.name for c in columns], np.stack(found, 1) if found else np.zeros((len(frame), 0))


def correlation(names: Sequence[str], real: np.ndarray, drawn: np.ndarray) -> Arrays:
    """The pair whose correlation differs most among those that differ by more than chance.

    The p-value is that of Fisher's z for the pair, times the number of pairs (Bonferroni).
    """
    count = real.shape[1]
    if count < 2 or min(len(real), len(drawn)) < 5:
        return {}
    one, other = correlations(real), correlations(drawn)
    i, j = np.triu_indices(count, 1)
    a, b = one[i, j], other[i, j]
    error = math.sqrt(1 / (len(real) - 3) + 1 / (len(drawn) - 3))
    z = np.abs(np.arctanh(a.clip(-0.999, 0.999)) - np.arctanh(b.clip(-0.999, 0.999))) / error
    p = np.minimum(1.0, len(a) * np.array([math.erfc(value / math.sqrt(2)) for value in z]))
    difference = np.abs(a - b) * np.where(p < 0.01, 1.0, 1e-3)
    worst = int(difference.argmax())
    return {
        "verdict_correlation": np.array([a[worst], b[worst], p[worst]]),
        "verdict_pair": np.array([str(names[i[worst]])[:80], str(names[j[worst]])[:80]]),
    }


# ---------------------------------------------------------------------- small things


def _some(count: int, most: int) -> Tensor:
    return torch.linspace(0, count - 1, min(count, most)).round().long()


def _most(kind: Kind, most: int) -> int:
    return max(16, min(most, 8 * NUMBERS // math.prod(kind.shape)))


def _error(t: Tensor) -> float:
    return float(t.std() / math.sqrt(len(t))) if len(t) > 1 else 0.0


def _device(model: VAE) -> torch.device:
    return next(model.parameters()).device
