"""Everything that the report's pictures need, as plain arrays: it is gathered once, while model and data are at hand.

    items_*      (3, k, …)   best, median and worst held-out items by −ELBO: shown, rebuilt, error, score, place
    sample_*     (64, …)     prior samples, their nearest training items, distances; copy_rate (2,)
    walk_*       (d, 9, …)   one latent dimension at a time, the others those of the median item
    latent_*     (N, 2)      codes of held-out items: two most active dimensions, principal components
    kl, variance (D,)        of each latent dimension, in the order of `order`
    codebook     (3,)        of discrete codes in place of the latter two: share in use, perplexity, size
    quantile_*   (5, m)      columns of real and of sampled rows

A table has what `evidence_tables` says in place of items, samples, walks and quantiles; `evidence_verdict` says what
the verdict is judged by.

Beside these stand a few facts: which of them there are, and how many items were looked at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.data import Batch, Items, Kind, Table, TableSource
from vaekit.distributions import Noise, center, spread
from vaekit.evaluation.codebook import codebooks_use
from vaekit.evaluation.latents import Codes, codes
from vaekit.evaluation.likelihood import scores
from vaekit.model import VAE
from vaekit.operations import reconstruct, sample
from vaekit.priors import StandardNormal
from vaekit.report import evidence_tables, evidence_verdict
from vaekit.report.neighbors import copy_rate, nearest
from vaekit.report.view import View, values

SEEN, FEWEST = 2_000, 128  # held-out items that are looked at; of large ones fewer
SEEN_ROWS = 5_000  # of a table: errors of distributions need more
NUMBERS = 2_000_000  # values in all of them: each is decoded often, and a report must not take minutes
SHOWN = 8  # items in each of best, median and worst
SAMPLES, COMPARED = 64, 256  # samples that are drawn, and that the copy rate is taken over
STEPS, REACH = 9, 3.0  # of a traversal: points, and standard deviations of the prior to either side
DIMS = 10  # traversals at most
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
QUANTILE_COLUMNS = 16
POINTS = 1_000  # items of a plane that stand behind the others
NAME = 40  # characters kept of a label

Arrays = dict[str, np.ndarray]


@torch.no_grad()
def gather(model: VAE, kind: Kind, train: Items, heldout: Items, seed: int = 0) -> Arrays:
    """What the report's pictures need.

    Args:
        model: Trained; looked at in evaluation mode and left in the mode it was in.
        kind: What the data are.
        train: Training items, searched for the nearest ones of samples.
        heldout: Held-out items; of more than 2 000 so many (5 000 rows of a table), spread evenly, and of large ones
            fewer.
        seed: Of samples and random choices; the same seed gives the same arrays.

    Returns:
        Arrays by name, none of objects, some three megabytes at most. What the model does not have is missing.
    """
    was = model.training
    model.eval()
    try:
        most = SEEN_ROWS if isinstance(kind, Table) else SEEN
        seen = heldout.subset(_spaced(len(heldout), max(FEWEST, min(most, NUMBERS // math.prod(kind.shape)))))
        found, score, view = codes(model, seen), scores(model, seen), View(kind)
        order = _order(found, model)
        arrays = _facts(model, view, train, heldout, seen) | evidence_verdict.judged(
            model, view, train, seen, seed
        )
        discrete = model.bottleneck.discrete
        used = (
            found.active if len(seen) == len(heldout) else codes(model, heldout).active
        )  # as `evaluate` counts
        arrays |= _codebook(model, seen) if discrete else _latent(model, kind, seen, found, order, used)
        path = None if discrete else _path(model, seen, score, found, order)
        if isinstance(kind, Table):
            return arrays | _table(model, kind, view, train, seen, path, seed)
        arrays |= _items(model, view, seen, score)
        arrays |= {} if path is None else _walks(model, view, path)
        if _can_sample(model):
            arrays |= _samples(model, view, train, seen, seed)
            numbers = view.form not in ("pictures", "text") and view.part is None
            arrays |= _quantiles(model, kind, seen, seed) if numbers else {}
        return arrays
    finally:
        model.train(was)


def _facts(model: VAE, view: View, train: Items, heldout: Items, seen: Items) -> Arrays:
    facts = {
        "form": view.form, "stochastic": model.bottleneck.stochastic, "samples": _can_sample(model),
        "train_count": len(train), "heldout_count": len(heldout), "seen_count": len(seen),
        "shape": view.shape, "columns": view.columns, "prior_to_fit": _prior_to_fit(model),
    }  # fmt: skip
    return {name: np.asarray(value) for name, value in facts.items()}


def _can_sample(model: VAE) -> bool:
    return model.bottleneck.stochastic or _prior(model) is not None


def _prior_to_fit(model: VAE) -> str:
    """What prior `fit-prior` can fit to the model's latents; empty for those on a sphere, or one-hot."""
    if hasattr(_prior(model), "settle"):
        return ""
    return "autoregressive" if model.bottleneck.discrete else "diffusion"


def _prior(model: VAE) -> object:
    return getattr(model.bottleneck, "prior", None)


def _order(found: Codes, model: VAE) -> Tensor:
    """Latent dimensions by how much they carry: nats, or variance where there is no rate."""
    carried = found.kl if model.bottleneck.stochastic else _variance(found)
    return carried.argsort(descending=True, stable=True)


def _variance(found: Codes) -> Tensor:
    return found.mean.var(0) if len(found.mean) > 1 else torch.zeros(found.mean.shape[1])


# ---------------------------------------------------------------------- items


def _items(model: VAE, view: View, seen: Items, score: Tensor) -> Arrays:
    """The best, the median and the worst of the held-out items, best and worst first."""
    ranked, k = score.argsort(stable=True), min(SHOWN, max(1, len(score) // 3))
    middle = max(0, (len(score) - k) // 2)
    index = torch.cat([ranked[:k], ranked[middle : middle + k], ranked.flip(0)[:k]])
    batch = seen.batch(index).to(_device(model))
    x, rebuilt = values(batch), reconstruct(model, batch.x, batch.c, batch.mask)
    whole = batch.mask is None or view.form == "text"  # what follows the end of a line is no hole
    seen_only = rebuilt if batch.mask is None or whole else torch.where(batch.mask.bool(), rebuilt, x)
    shown = {"x": view.shown(x), "rebuilt": view.shown(rebuilt), "error": view.difference(x, seen_only)}
    shown |= {"score": score[index].numpy(), "index": index.numpy()}
    arrays = {f"items_{name}": array.reshape(3, k, *array.shape[1:]) for name, array in shown.items()}
    if view.form == "points":
        arrays["points"] = view.shown(values(seen.batch(torch.arange(min(len(seen), POINTS)))))
    return arrays


# ---------------------------------------------------------------------- samples


def _samples(model: VAE, view: View, train: Items, seen: Items, seed: int) -> Arrays:
    """Samples beside the nearest training items, and how near such items are to held-out ones."""
    count = min(COMPARED, max(SAMPLES, len(seen)))
    c = _conditions(model, view.kind, count, seed)
    drawn = sample(model, count, c, seed=seed)
    held = seen.batch(_spaced(len(seen), COMPARED))
    drawn_distance, _ = nearest(view.compared(drawn), train, view, seed)
    held_distance, _ = nearest(view.compared(values(held).to(drawn.device)), train, view, seed)
    text = view.form == "text"  # which has no mean
    shown = drawn[:SAMPLES] if text else _smooth(model, c, seed)
    distance, place = nearest(view.compared(shown), train, view, seed)
    return {
        "sample_x": view.shown(shown),
        "sample_nearest": view.shown(values(train.batch(torch.from_numpy(place)))),
        "sample_distance": distance,
        "copy_sample_distance": drawn_distance,
        "copy_heldout_distance": held_distance,
        "copy_rate": np.array(copy_rate(drawn_distance, held_distance)),
        **_apart(model, view, held, drawn, c, seed),
    }


def _apart(model: VAE, view: View, held: Batch, drawn: Tensor, c: Tensor | None, seed: int) -> Arrays:
    """Whether samples are told from held-out items, and from reconstructions: those come from other codes only."""
    held = held.to(drawn.device)
    real, again = values(held), reconstruct(model, held.x, held.c, held.mask)
    means = again if view.form == "text" else sample(model, len(drawn), c, seed=seed, mean=True)
    pairs = {"verdict_apart": (real, drawn)} | (
        {} if view.form == "text" else {"verdict_prior": (again, means)}
    )
    found = {
        name: evidence_verdict.apart(view.compared(a), view.compared(b), seed)
        for name, (a, b) in pairs.items()
    }
    return {name: array for name, array in found.items() if array is not None}


def _smooth(model: VAE, c: Tensor | None, seed: int) -> Tensor:
    """The centres of p(x | z) at the z of the first draws."""
    return sample(model, SAMPLES, None if c is None else c[:SAMPLES], seed=seed, mean=True)


def _conditions(model: VAE, kind: Kind, n: int, seed: int) -> Tensor | None:
    """Conditions as frequent as they were in training, (n, A); None for an unconditional model."""
    c = kind.conditions(n, None, Noise(seed, "report labels"))
    return None if c is None else c.to(_device(model))


def _quantiles(model: VAE, kind: Kind, seen: Items, seed: int) -> Arrays:
    """How each column is distributed, in its own units: real and sampled rows, the columns that differ most."""
    n = max(1, min(len(seen), 8_000_000 // math.prod(kind.shape)))
    drawn = sample(model, n, _conditions(model, kind, n, seed), seed=seed + 1)
    real, sampled = (
        np.quantile(np.asarray(kind.decode(x), dtype=np.float64).reshape(n, -1), QUANTILES, axis=0)
        for x in (values(seen.batch(torch.arange(n))), drawn)
    )
    apart = np.abs(real - sampled).max(0) / _span(real)
    columns = np.argsort(-apart, kind="stable")[:QUANTILE_COLUMNS]
    return {
        "quantile_columns": columns, "quantile_real": real[:, columns], "quantile_sampled": sampled[:, columns],
    }  # fmt: skip


def _span(quantiles: np.ndarray) -> np.ndarray:
    """The distance from the lowest to the highest quantile; 1 for a constant."""
    span = quantiles[-1] - quantiles[0]
    return np.where(span > 0, span, 1.0)


# ---------------------------------------------------------------------- tables


def _table(
    model: VAE, kind: Table, view: View, train: Items, seen: Items, path: _Path | None, seed: int
) -> Arrays:
    """Columns, pairs, holes and rows of samples; reconstructions; what each latent dimension does to columns."""
    arrays = evidence_tables.described(kind) | evidence_tables.rebuilt(model, kind, seen)
    if path is not None:
        ends = path.walk[:, [0, -1]].transpose(0, 1)
        arrays |= evidence_tables.changed(model, kind, ends, path.c) | {"change_dims": path.dims.numpy()}
    if not _can_sample(model):
        return arrays
    n = max(len(seen), min(COMPARED, len(train)))
    drawn = _new_rows(model, kind, n, seed)
    # as many as are drawn, so that chance has the same part in both errors
    trained = evidence_tables.frame_of(kind, train.subset(_spaced(len(train), len(drawn))))
    arrays |= evidence_tables.sampled(kind, evidence_tables.frame_of(kind, seen), drawn, trained)
    # of training rows there are more than of held-out ones, and correlations take many
    known = evidence_tables.frame_of(kind, train.subset(_spaced(len(train), SEEN)))
    numbers = [evidence_verdict.numbers_of(kind, frame) for frame in (known, drawn)]
    arrays |= evidence_verdict.correlation(numbers[0][0], numbers[0][1], numbers[1][1])
    # cells as they would be stored: a sampled row that repeats a training row is at distance 0 from it
    stored = Items(kind.store(TableSource(drawn)), kind)
    real, made = (view.compared(_all(items)) for items in (seen, stored))
    apart = evidence_verdict.apart(real, made, seed)
    arrays |= {} if apart is None else {"verdict_apart": apart}
    stored = stored.subset(torch.arange(min(COMPARED, len(stored))))
    return arrays | _copies(view, stored, seen.subset(_spaced(len(seen), COMPARED)), train, seed)


def _new_rows(model: VAE, kind: Table, n: int, seed: int) -> Any:
    """n sampled rows, without those that `Run.sample` draws again; with them where these are most of all."""
    c = _conditions(model, kind, n, seed)
    drawn = kind.decode(sample(model, n, c, seed=seed), c)
    keep = np.ones(n, dtype=bool)
    for known in kind.together:
        keep &= known.holds(
            {col.name: col.codes(drawn[col.name]) for col in kind.shown if col.name in known.columns}
        )
    return drawn[keep].reset_index(drop=True) if keep.sum() > n / 2 else drawn


def _copies(view: View, drawn: Items, held: Items, train: Items, seed: int) -> Arrays:
    """How near samples and held-out rows come to training rows."""
    both = [view.compared(_all(items)) for items in (drawn, held)]
    distance = nearest(torch.cat(both), train, view, seed)[0]
    return {
        "copy_sample_distance": distance[: len(drawn)], "copy_heldout_distance": distance[len(drawn) :],
        "copy_rate": np.array(copy_rate(distance[: len(drawn)], distance[len(drawn) :])),
    }  # fmt: skip


# ---------------------------------------------------------------------- latents


def _codebook(model: VAE, seen: Items) -> Arrays:
    """How much of the codebook is used: the share of its codes, the perplexity, and how many there are."""
    batches = [batch.to(_device(model)) for batch in seen.batches(1024)]
    levels = model.bottleneck.quantizer.levels  # type: ignore[union-attr]
    use = codebooks_use(torch.cat([model.encode(b.x, b.c, b.mask) for b in batches]), levels)  # type: ignore[arg-type]
    size = levels if isinstance(levels, int) else sum(levels) / len(levels)  # type: ignore[arg-type]
    return {"codebook": np.array([use.used, use.perplexity, size])}


def _latent(model: VAE, kind: Kind, seen: Items, found: Codes, order: Tensor, active: Tensor) -> Arrays:
    arrays = {
        "order": order.numpy(),
        "active": active[order].numpy(),
        "variance": _variance(found)[order].double().numpy(),
        "latent_two": found.mean[:, order[:2]].numpy(),
        "prior_circle": np.asarray(len(order) > 1 and isinstance(_prior(model), StandardNormal)),
    }
    if model.bottleneck.stochastic:
        arrays["kl"] = found.kl[order].numpy()
    used = found.mean[:, order[found.active[order]]]
    if used.shape[1] > 2:
        arrays |= _principal(used.double())
    if seen.labels is not None and kind.labels:
        arrays["latent_label"] = seen.labels.numpy()
        arrays["label_names"] = np.array([str(name)[:NAME] for name in kind.labels])
    return arrays


def _principal(mean: Tensor) -> Arrays:
    """The two principal components of codes (N, d), not centred, so that the prior stays around the origin."""
    variance, axes = torch.linalg.eigh(torch.cov(mean.T))
    axes = axes.flip(1)[:, :2]  # (d, 2), the largest first
    axes = axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()  # the same sign on every machine
    share = variance.flip(0)[:2] / variance.sum()
    return {"latent_pca": (mean @ axes).float().numpy(), "latent_pca_share": share.numpy()}


@dataclass(frozen=True)
class _Path:
    """Codes along the most active dimensions, from the median item's code.

    Attributes:
        walk: (d, 9, D).
        dims: (d,) which dimensions.
        start: (d,) where the item's own code lies, in standard deviations of the prior.
        c: (1, A) the item's condition, or None.
    """

    walk: Tensor
    dims: Tensor
    start: Tensor
    c: Tensor | None


def _path(model: VAE, seen: Items, score: Tensor, found: Codes, order: Tensor) -> _Path | None:
    """Where to walk; None for codes that are no vectors."""
    median = score.argsort(stable=True)[len(score) // 2 : len(score) // 2 + 1]
    batch = seen.batch(median).to(_device(model))
    z = model.encode(batch.x, batch.c, batch.mask)
    if not isinstance(z, Tensor) or z.dim() != 2:  # several variables, or maps of codes
        return None
    active = order[found.active[order]]
    dims = (active if len(active) else order[:3])[:DIMS]
    middle, scale = _reach(model.posterior(batch.x, batch.c, batch.mask)[-1].p, found, z)
    walk = z.repeat(len(dims), STEPS, 1)  # (d, 9, D)
    for i, dim in enumerate(dims):
        walk[i, :, dim] = middle[dim] + scale[dim] * _steps().to(z)
    return _Path(walk, dims, ((z[0] - middle) / scale)[dims.to(z.device)].cpu(), batch.c)


def _steps() -> Tensor:
    return torch.linspace(-REACH, REACH, STEPS)


def _walks(model: VAE, view: View, path: _Path) -> Arrays:
    """Traversals of the most active dimensions."""
    flat = path.walk.flatten(0, 1)  # (d · 9, D)
    shown = view.shown(center(model.decode(flat, None if path.c is None else path.c.expand(len(flat), -1))))
    return {
        "walk_x": shown.reshape(len(path.dims), STEPS, *shown.shape[1:]), "walk_dims": path.dims.numpy(),
        "walk_steps": _steps().numpy(), "walk_start": path.start.numpy(),
    }  # fmt: skip


def _reach(prior: Distribution | None, found: Codes, like: Tensor) -> tuple[Tensor, Tensor]:
    """Centre and standard deviation of each dimension, (D,): the prior's, or those of the codes without one."""
    try:
        if prior is not None:
            return center(prior).expand_as(like)[0], spread(prior).expand_as(like)[0]
    except NotImplementedError:  # a prior whose moments are not known
        pass
    return found.mean.mean(0).to(like), _variance(found).sqrt().clamp(min=1e-6).to(like)


def _all(items: Items) -> Tensor:
    """Every item's values, in order."""
    return values(items.batch(torch.arange(len(items))))


def _spaced(count: int, most: int) -> Tensor:
    """At most so many places, spread evenly over all of them."""
    return torch.linspace(0, count - 1, min(count, most)).round().long()


def _device(model: VAE) -> torch.device:
    return next(model.parameters()).device
