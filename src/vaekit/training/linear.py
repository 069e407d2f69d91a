"""Begin at the linear solution: probabilistic PCA, with everything nonlinear at zero.

    x = mean + W z + noise,  W = U (Λ − σ²)^½,  q(z | x) = N(M⁻¹ Wᵀ (x − mean), σ² M⁻¹),  M = Wᵀ W + σ² = Λ

Λ and U are the largest eigenvalues of the covariance and their vectors, σ² is the mean of the others. A model that
begins there begins at the best that a linear one can reach, and training only has to improve on it. A code
without noise begins at the principal components themselves. Given a condition c the mean is linear in c, and all else
is about what that leaves. Vectors with holes have no covariance to trust, each pair of columns having its own rows:
there it is the linear model that explains the cells that are there (`factors`), with a noise for each column.

Source: Tipping, Bishop (1999), Probabilistic principal component analysis.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.bottlenecks import Bottleneck, Deterministic, Variational
from vaekit.conditional import Conditional
from vaekit.data import Batch, Items
from vaekit.model import VAE
from vaekit.networks import MLP, Cells
from vaekit.training.factors import factor_analysis

SMALLEST_CELL = 0.03  # units below which what seldom differs is not blown up
ROWS, WIDEST = 50_000, 2_048  # rows looked at, spread evenly; features beyond which the start is left out
CHUNK = 4_096
SMALLEST = 1e-2  # of the noise's standard deviation, as a share of the features'
FACTOR_ROWS = 5_000  # rows that factor analysis looks at
ABOVE = 1.05  # the noise begins so far above the floor of its scale, whose inverse there has no end


@dataclass(frozen=True)
class Linear:
    """The solution of probabilistic PCA with L latent dimensions for F features.

    Attributes:
        mean: (F,).
        weights: W, (F, L).
        encoder: M⁻¹ Wᵀ, (L, F).
        std: (L,) standard deviation of q(z | x).
        noise: σ, (); or (F,) where each feature has its own.
        residual: (F,) root mean square of what W z does not explain, under q.
    """

    mean: Tensor
    weights: Tensor
    encoder: Tensor
    std: Tensor
    noise: Tensor
    residual: Tensor


@dataclass(frozen=True)
class Moments:
    """What the data say about a linear model, in float64.

    Attributes:
        mean: (F,) where the condition is zero.
        slopes: (F, A) the mean's change with the condition, in least squares; A is 0 where there is none.
        covariance: (F, F) of what is left, over the rows that have both features.
        together: (F, F) share of the rows that have both, or None where nothing is missing.
    """

    mean: Tensor
    slopes: Tensor
    covariance: Tensor
    together: Tensor | None


def probabilistic_pca(mean: Tensor, covariance: Tensor, latent: int, least: float = 0.0) -> Linear:
    """The most likely linear model, from moments in float64.

    Args:
        mean: (F,).
        covariance: (F, F).
        latent: L.
        least: The noise's standard deviation is not below this, nor below a hundredth of the features'.

    Source: Tipping, Bishop (1999), Probabilistic principal component analysis.

    Example:
        >>> found = probabilistic_pca(torch.zeros(3), torch.diag(torch.tensor([9.0, 1.0, 1.0])).double(), 1)
        >>> round(float(found.noise), 3), (found.weights**2).sum().round().item()
        (1.0, 8.0)
    """
    size = len(mean)
    values, vectors = _axes(covariance)
    kept = min(latent, size)
    rest = values[kept:].mean() if kept < size else values.new_zeros(())
    noise = rest.clamp(min=SMALLEST**2 * values.mean()).clamp(min=max(1e-8, least**2))
    strength = (values[:kept] - noise).clamp(min=0)  # Λ − σ²
    weights = mean.new_zeros(size, latent, dtype=torch.float64)
    weights[:, :kept] = vectors[:, :kept] * strength.sqrt()
    m = weights.square().sum(0) + noise  # the diagonal of M, (L,)
    encoder = (weights / m).T
    variance = noise / m
    left = torch.eye(size, dtype=torch.float64) - weights @ encoder
    residual = (left @ covariance * left).sum(1) + (weights.square() * variance).sum(1)
    return Linear(mean, weights, encoder, variance.sqrt(), noise.sqrt(), residual.clamp(min=1e-12).sqrt())


def principal_components(mean: Tensor, covariance: Tensor, latent: int) -> Linear:
    """The linear autoencoder with the least squared error; its code has variance 1. Arguments as above.

    Source: Baldi, Hornik (1989), Neural networks and principal component analysis.
    """
    values, vectors = _axes(covariance)
    kept = min(latent, len(mean))
    size = values[:kept].clamp(min=1e-12 * values[:1].clamp(min=1e-12)).sqrt()
    weights = mean.new_zeros(len(mean), latent, dtype=torch.float64)
    encoder = weights.T.clone()
    weights[:, :kept], encoder[:kept] = vectors[:, :kept] * size, (vectors[:, :kept] / size).T
    left = (covariance.diagonal() - (weights @ encoder * covariance).sum(1)).clamp(min=1e-12)
    return Linear(mean, weights, encoder, mean.new_zeros(latent), left.mean().sqrt(), left.sqrt())


def _axes(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, largest first, and the vectors, (F,) and (F, F)."""
    values, vectors = torch.linalg.eigh(covariance)
    values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
    signs = vectors.gather(0, vectors.abs().argmax(0, keepdim=True)).sign()  # the same everywhere
    return values, vectors * signs


def through_holes(found: Linear, together: Tensor) -> Linear:
    """The same model with the encoder that is best where values are missing at random and 0 stands in their place.

        E[z | x] ≈ mean + Wᵀ S (T ∘ (W Wᵀ + σ² I))⁻¹ (x − mean),  S = diag(T)

    Args:
        found: The model of complete rows.
        together: T, (F, F) share of the rows that have both features.
    """
    size, shares = len(found.mean), together.diagonal()
    noise = found.noise.expand(size)
    model = found.weights @ found.weights.T + torch.diag(noise.square())
    seen = together * model + torch.diag((shares == 0).double())  # what is never there needs no inverse
    across = found.weights * shares.unsqueeze(1)  # (F, L)
    encoder = torch.linalg.lstsq(seen, across).solution.T
    # the width that the ELBO asks for is the posterior's own; that its mean is a guess makes it no wider
    precision = ((found.weights / noise.unsqueeze(1)).square() * shares.unsqueeze(1)).sum(0) + 1
    return replace(found, encoder=encoder, std=precision.rsqrt())


@torch.no_grad()
def pca_start(model: VAE, items: Items) -> bool:
    """Put a model at the solution of probabilistic PCA, in place.

    Args:
        model: Encoder and decoder must have a linear path (`MLP(linear=True)`, alone or on `Cells`), the likelihood a
            `begin`; the posterior may be Gaussian, or the code deterministic.
        items: Training data.

    Returns:
        Whether it could be done; a model that is not of this form is left as it is.

    Example:
        >>> from vaekit import presets
        >>> from vaekit.data import Vectors
        >>> model, _ = presets.vae(Vectors(4), latent=2)
        >>> pca_start(model, Items(torch.randn(100, 4), Vectors(4)))
        True
    """
    encoder, decoder = _path(model.encoder), _path(getattr(model.decoder, "net", None))
    family: Any = getattr(model.decoder, "family", None)
    if encoder is None or decoder is None or not hasattr(family, "begin") or not _plain(model.bottleneck):
        return False
    features, latent = encoder.inputs if isinstance(encoder.inputs, int) else 0, decoder.inputs
    if not 0 < features <= WIDEST or not isinstance(latent, int) or latent > int(encoder.last.out_features):
        return False
    if encoder.condition != decoder.condition:
        return False
    seen = _moments(model, items, features, encoder.condition)
    found = _solve(model, items, seen, latent)
    _begin_encoder(encoder, found, seen.slopes, latent)
    if isinstance(model.bottleneck, Variational) and isinstance(model.bottleneck.posterior, Conditional):
        _begin_head(model.bottleneck.posterior.net, model.bottleneck.posterior.family, found)
        _begin_prior(model.bottleneck.prior)
    # the columns of plain vectors have one scale, as probabilistic PCA has; the cells of a table have their own
    scale = found.residual if isinstance(model.encoder, Cells) else found.noise.expand(features)
    both = torch.cat([found.weights, seen.slopes], 1)  # what z and what the condition adds, (F, L + A)
    bias, weight = family.begin(found.mean.float(), both.float(), scale.float())
    _set(decoder, bias, weight[:, :latent], weight[:, latent:])
    return True


def _solve(model: VAE, items: Items, seen: Moments, latent: int) -> Linear:
    """The linear model of this form that is best for these data."""
    if isinstance(model.bottleneck, Deterministic):
        return principal_components(seen.mean, seen.covariance, latent)
    if isinstance(model.encoder, Cells):
        sizes = _sizes(model.encoder, seen)
        found = probabilistic_pca(seen.mean / sizes, seen.covariance / torch.outer(sizes, sizes), latent)
        found = found if seen.together is None else through_holes(found, seen.together)
        return _stretched(found, sizes)
    family: Any = model.decoder.family
    least = ABOVE * getattr(getattr(family, "scale", None), "floor", 0.0) * getattr(family, "spread", 1.0)
    found = probabilistic_pca(seen.mean, seen.covariance, latent, least)
    if seen.together is None:
        return found
    return through_holes(_factors(model, items, seen, found, least), seen.together)


def _factors(model: VAE, items: Items, seen: Moments, found: Linear, least: float) -> Linear:
    """The model of the cells that are there, from one of pairs of columns."""
    places = torch.linspace(0, len(items) - 1, min(len(items), FACTOR_ROWS)).round().long()
    size, width = seen.slopes.shape
    x, there = _features(model, items.batch(places), width)
    rows = x[:, :size] - x[:, size:] @ seen.slopes.T
    there = torch.ones_like(rows) if there is None else there[:, :size]
    mean, weights, noise = factor_analysis(rows, there, found.weights, found.noise.expand(size))
    return replace(found, mean=mean, weights=weights, noise=noise.clamp(min=least))


def _sizes(cells: Cells, seen: Moments) -> Tensor:
    """Units in which the cells of a table are alike: standard deviations of numbers, √p for a level of probability p.

    Source: Greenacre (1984), Theory and applications of correspondence analysis (the metric of categories).
    """
    plain, levels = seen.covariance.diagonal()[: cells.numbers], seen.mean[cells.numbers :]
    return torch.cat([plain.clamp(min=0).sqrt(), levels.clamp(min=0).sqrt()]).clamp(min=SMALLEST_CELL)


def _stretched(found: Linear, sizes: Tensor) -> Linear:
    """The model of features that were divided by their sizes, for the features themselves."""
    return replace(
        found,
        mean=found.mean * sizes,
        weights=found.weights * sizes.unsqueeze(1),
        encoder=found.encoder / sizes,
        residual=found.residual * sizes,
    )


def _path(net: Any) -> MLP | None:
    """The network with the linear path, if this is or holds one."""
    net = net.net if isinstance(net, Cells) else net
    return net if isinstance(net, MLP) and net.across is not None else None


def _plain(bottleneck: Bottleneck) -> bool:
    """Whether the code is the features themselves, or drawn from a distribution that a linear map of them gives."""
    if isinstance(bottleneck, Deterministic):
        return True
    posterior: Any = getattr(bottleneck, "posterior", None)
    linear = isinstance(posterior, Conditional) and isinstance(posterior.net, nn.Linear)
    return isinstance(bottleneck, Variational) and linear and hasattr(posterior.family, "begin")


def _begin_prior(prior: nn.Module) -> None:
    """A prior that a network gives begins at zero parameters: N(0, I) for a Gaussian."""
    net = getattr(prior, "net", None)
    if isinstance(net, MLP):
        size = int(net.last.out_features)
        _set(net, torch.zeros(size), torch.zeros(size, 0), torch.zeros(size, 0))


def _moments(model: VAE, items: Items, features: int, condition: int) -> Moments:
    """Of what the encoder takes, over at most `ROWS` rows: F features and A numbers of the condition."""
    device = next(model.parameters()).device
    places = torch.linspace(0, len(items) - 1, min(len(items), ROWS)).round().long()
    width = features + condition
    total = torch.zeros(width, dtype=torch.float64, device=device)
    square = torch.zeros(width, width, dtype=torch.float64, device=device)
    count, origin, holes = torch.zeros_like(square), torch.zeros_like(total), False
    for start in range(0, len(places), CHUNK):
        x, seen = _features(model, items.batch(places[start : start + CHUNK]).to(device), condition)
        if start == 0:
            origin = x.mean(0)  # squares of what is near zero lose no digits
        x = x - origin
        if seen is None:
            count += len(x)
        else:
            x, holes = x * seen, True
            count += seen.T @ seen
        total += x.sum(0)
        square += x.T @ x
    mean = total / count.diagonal().clamp(min=1)
    covariance = torch.where(count > 0, square / count.clamp(min=1) - torch.outer(mean, mean), 0.0).cpu()
    together = (count[:features, :features] / len(places)).cpu() if holes else None
    return _given(condition, (mean + origin).cpu(), covariance, together)


def _given(condition: int, mean: Tensor, covariance: Tensor, together: Tensor | None) -> Moments:
    """The moments of the first features given the last `condition` ones."""
    size = len(mean) - condition
    cross, own = covariance[:size, size:], covariance[size:, size:]
    slopes = cross @ torch.linalg.pinv(own, hermitian=True) if condition else cross
    return Moments(
        mean[:size] - slopes @ mean[size:], slopes, covariance[:size, :size] - slopes @ cross.T, together
    )


def _features(model: VAE, batch: Batch, condition: int) -> tuple[Tensor, Tensor | None]:
    """What the linear path of the encoder sees, (B, F + A), and 1 where it was observed or None where all was."""
    cells = model.encoder if isinstance(model.encoder, Cells) else None
    x, mask = batch.x.flatten(1), batch.mask
    c = x.new_zeros(len(x), condition) if batch.c is None else batch.c[:, :condition]
    if mask is None:
        return torch.cat([x if cells is None else cells.features(x), c], 1).double(), None
    mask = mask.flatten(1).bool()
    x = torch.where(mask, x, torch.zeros_like(x))
    if cells is not None:
        x, mask = cells.features(x, mask), _observed(cells, mask)
    return torch.cat([x, c], 1).double(), torch.cat([mask, torch.ones_like(c)], 1).double()


def _observed(cells: Cells, mask: Tensor) -> Tensor:
    """Which features were observed, of which cells were: a category is all of its one-hot vector."""
    numbers, categories = mask.split([cells.numbers, mask.shape[1] - cells.numbers], 1)
    levels = torch.tensor(cells.levels, dtype=torch.long, device=mask.device)
    return torch.cat([numbers, categories.repeat_interleave(levels, 1)], 1)


def _begin_encoder(encoder: MLP, found: Linear, slopes: Tensor, latent: int) -> None:
    """The first L features are the posterior's mean; the others begin at zero and are heard from the first step on."""
    size = int(encoder.last.out_features)
    bias = torch.zeros(size)
    weight, condition = torch.zeros(size, found.encoder.shape[1]), torch.zeros(size, slopes.shape[1])
    weight[:latent], bias[:latent] = found.encoder.float(), -(found.encoder @ found.mean).float()
    condition[:latent] = -(found.encoder @ slopes).float()
    _set(encoder, bias, weight, condition)


def _begin_head(head: Any, family: Any, found: Linear) -> None:
    """The posterior's mean is the first features themselves, its scale the same for all data."""
    latent = len(found.std)
    bias, weight = family.begin(torch.zeros(latent), torch.eye(latent), found.std.float())
    head.weight[:, :latent] = weight
    head.bias.copy_(bias)


def _set(net: MLP, bias: Tensor, weight: Tensor, condition: Tensor) -> None:
    """The linear path alone: the nonlinear one ends in zeros."""
    across = net.across
    if across is not None:
        across.weight.zero_()
        across.weight[:, : weight.shape[1]].copy_(weight)  # the marks of a masked network begin unheard
        across.weight[:, across.in_features - condition.shape[1] :].copy_(condition)
    net.last.weight.zero_()
    net.last.bias.copy_(bias)
