"""Distances of the codes of a batch to the prior, and what keeps a code without noise in place.

q(z) = E_x[q(z | x)] against p(z): both are known by draws alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from vaekit.bottlenecks import Latent
from vaekit.distributions import ambient, draw, right, rows
from vaekit.model import Pass
from vaekit.objectives.decomposition import siblings
from vaekit.objectives.disentangle import only
from vaekit.objectives.term import Term

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class MMD(Term):
    """The squared maximum mean discrepancy of q(z) and p(z), for the batch: unbiased, so it can be negative.

        E k(z, z′) + E k(p, p′) − 2 E k(z, p),  k(a, b) = Σ_s C_s / (C_s + ‖a − b‖²),  C_s = 2 D s

    2 D is the mean of ‖a − b‖² under N(0, I). Pairs of one row, or of two draws for one datum, are left out; draws of
    the prior come from p itself.

    Args:
        scales: The s of the inverse multiquadratic kernels that are summed.

    Raises:
        ValueError: The batch has only one datum, or the model has no prior.

    Source: Gretton, Borgwardt, Rasch, Schölkopf, Smola (2012); Tolstikhin, Bousquet, Gelly, Schölkopf (2018),
        Wasserstein auto-encoders, arXiv:1711.01558.

    Example:
        >>> MMD(scales=(1.0, 2.0))
        MMD(scales=(1, 2))
    """

    def __init__(self, scales: Sequence[float] = SCALES) -> None:
        super().__init__()
        self.scales = tuple(scales)

    def forward(self, out: Pass, step: int) -> Tensor:
        latent = only(out, self)
        n, z = len(latent.z), latent.z.flatten(1)
        if n < 2 * out.samples:
            raise ValueError("the discrepancy of a batch needs two data or more; use a larger batch")
        p = prior_draws(latent).flatten(1)
        each = z.new_ones(n) if out.weight is None else out.weight.to(z)
        apart = (~siblings(n, out.samples)).to(z)
        among = apart * each * each.unsqueeze(1)
        codes = (among * self.kernel(z, z)).sum() / among.sum()
        prior = self.kernel(p, p).fill_diagonal_(0).sum() / (n * (n - 1))
        return codes + prior - 2 * (each @ self.kernel(z, p)).sum() / (each.sum() * n)

    def kernel(self, a: Tensor, b: Tensor) -> Tensor:
        """k of each pair: (N, D), (M, D) → (N, M)."""
        square = squared_distances(a, b)
        widths = [2 * a.shape[1] * scale for scale in self.scales]
        return torch.stack([width / (width + square) for width in widths]).sum(0)

    def __repr__(self) -> str:
        return f"MMD(scales=({', '.join(f'{scale:g}' for scale in self.scales)}))"


class SlicedWasserstein(Term):
    """The mean squared distance of the sorted projections of codes and of draws from the prior, for the batch.

        E_θ W₂²(θ·z, θ·p),  θ uniform on the sphere

    Two finite samples of one distribution are still a little apart, by about the reciprocal of their size. Where data
    have weights, rows are drawn by them first.

    Args:
        projections: How many random directions.

    Raises:
        ValueError: There is no projection, or the model has no prior.

    Source: Kolouri, Pope, Martin, Rohde (2018), Sliced-Wasserstein autoencoder, arXiv:1804.01947.

    Example:
        >>> SlicedWasserstein(projections=100)
        SlicedWasserstein(projections=100)
    """

    def __init__(self, projections: int = 50) -> None:
        super().__init__()
        if projections < 1:
            raise ValueError(f"projections = {projections}: a slice needs one direction or more")
        self.projections = projections

    def forward(self, out: Pass, step: int) -> Tensor:
        latent = only(out, self)
        z, p = latent.z.flatten(1), prior_draws(latent).flatten(1)
        if out.weight is not None:
            z = z[torch.multinomial(out.weight.cpu(), len(z), replacement=True).to(z.device)]
        directions = ambient().normal((z.shape[1], self.projections), z)
        directions = directions / directions.norm(dim=0)
        return ((z @ directions).sort(0).values - (p @ directions).sort(0).values).square().mean()

    def __repr__(self) -> str:
        return f"SlicedWasserstein(projections={self.projections})"


class CodeNorm(Term):
    """½ ‖z‖² of each row, over all latent variables: what is left of the rate when q has no spread.

    Source: Ghosh, Sajjadi, Vergari, Black, Schölkopf (2020), From variational to deterministic autoencoders,
        arXiv:1903.12436 (RAE).
    """

    def forward(self, out: Pass, step: int) -> Tensor:
        return 0.5 * torch.stack([right(latent.z.square()) for latent in out.latents]).sum(0)


class GradientPenalty(Term):
    """½ ‖∂ decoder(z) / ∂z‖² of each row: the squared size of the decoder's Jacobian, at the codes.

        ‖J‖² = E_v ‖Jᵀ v‖²,  v ~ N(0, I), one v for each row

    The decoder's output is the parameters of p(x | z). The penalty moves the decoder and not the encoder: the codes are
    only where it is measured.

    Raises:
        ValueError: The decoder is not a network with a family, or does not receive one tensor.

    Source: Ghosh, Sajjadi, Vergari, Black, Schölkopf (2020), arXiv:1903.12436 (RAE-GP); the estimate of the squared
        size of a matrix from its products is Hutchinson's (1990).
    """

    def forward(self, out: Pass, step: int) -> Tensor:
        net = getattr(getattr(out.model, "decoder", None), "net", None)
        if net is None or not isinstance(out.state, Tensor):
            raise ValueError(
                "GradientPenalty needs a decoder that is a Conditional and receives one tensor; use CodeNorm"
            )
        train = torch.is_grad_enabled()
        with torch.enable_grad():
            z = out.state.detach().requires_grad_()
            y = net(z) if out.c is None else net(z, out.c)
            (slope,) = torch.autograd.grad((y * ambient().normal(y.shape, y)).sum(), z, create_graph=train)
        return 0.5 * right(slope.square())


class DecoderNorm(Term):
    """½ Σ θ² over the decoder's weights, biases left out; one number, however many data there are.

    Source: Ghosh, Sajjadi, Vergari, Black, Schölkopf (2020), arXiv:1903.12436 (RAE-L2).
    """

    def forward(self, out: Pass, step: int) -> Tensor:
        if out.model is None:
            raise ValueError("DecoderNorm needs the model that made the pass")
        weights = [p for p in out.model.decoder.parameters() if p.dim() > 1]
        return 0.5 * torch.stack([p.square().sum() for p in weights]).sum()


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """‖a_i − b_j‖² for each pair: (N, D), (M, D) → (N, M)."""
    square = a.square().sum(1, keepdim=True) + b.square().sum(1) - 2 * a @ b.T
    return functional.relu(square)


def prior_draws(latent: Latent) -> Tensor:
    """As many draws of p as there are rows of z, (N, *latent); of each row's own p where it has a condition."""
    p = latent.prior
    own = len(p.batch_shape) + len(p.event_shape) == latent.z.dim()
    return draw(p if own else rows(p, len(latent.z)), ambient())[0]
