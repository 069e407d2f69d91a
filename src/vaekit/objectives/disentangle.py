"""Terms that ask the latent dimensions to be independent of each other over all data.

q(z) = E_x[q(z | x)],  TC = KL(q(z) ‖ Π_d q(z_d))
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from vaekit.bottlenecks import Latent
from vaekit.data import Items
from vaekit.distributions import center, right
from vaekit.model import Pass
from vaekit.objectives.decomposition import decompose
from vaekit.objectives.schedule import Schedule
from vaekit.objectives.term import Term, mean


class DecomposedRate(Term):
    """α · mutual information + β · total correlation + γ · dimension-wise KL, nats per datum; all 1 is the rate.

        log q(z | x) − log p(z) = [log q(z|x) − log q(z)] + [log q(z) − Σ log q(z_d)] + [Σ log q(z_d) − log p(z)]

    q(z) is estimated from the batch: the datum that z came from counts 1/N, as it does among all N data, and the
    others share the rest. On the full batch that is the mixture q(z) itself. (The paper's weights give one of the
    others less; these are their average over which one.)

    Args:
        mutual_information, total_correlation, dimension: α, β, γ.
        dataset_size: N; None takes what `train` says. Until it has said so, the batch counts as all there is.

    Raises:
        ValueError: The dimensions of q are coupled, so that it has no density of single dimensions.

    Source: Chen, Li, Grosse, Duvenaud (2018), Isolating sources of disentanglement, arXiv:1802.04942 (β-TCVAE).

    Example:
        >>> DecomposedRate(total_correlation=6)
        DecomposedRate(mutual_information=1, total_correlation=6, dimension=1)
    """

    def __init__(
        self,
        mutual_information: float = 1.0,
        total_correlation: float = 1.0,
        dimension: float = 1.0,
        dataset_size: int | None = None,
    ) -> None:
        super().__init__()
        self.mutual_information, self.total_correlation = mutual_information, total_correlation
        self.dimension, self.dataset_size = dimension, dataset_size
        self._told: int | None = None

    def told(self, items: Items) -> None:
        self._told = len(items)

    def forward(self, out: Pass, step: int) -> Tensor:
        size = self._told if self.dataset_size is None else self.dataset_size
        parts = decompose(only(out, self), size, out.samples, out.weight)
        return (
            self.mutual_information * parts.mutual_information
            + self.total_correlation * parts.total_correlation
            + self.dimension * parts.dimension
        )

    def __repr__(self) -> str:
        return (
            f"DecomposedRate(mutual_information={self.mutual_information:g}, "
            f"total_correlation={self.total_correlation:g}, dimension={self.dimension:g})"
        )


class DensityRatioTC(Term):
    """The total correlation of z, nats, as a critic sees it: the logit f(z) ≈ log q(z) − Σ_d log q(z_d).

    The critic is the adversary: it learns to tell rows of z from rows whose columns were each shuffled across the
    batch, a draw of Π_d q(z_d) as far as one batch goes.

        −½ E[log σ(f(z))] − ½ E[log σ(−f(shuffled z))]

    Args:
        critic: (N, D) → (N, 1) logit.

    Raises:
        ValueError: The critic gives more than one number for a row.

    Source: Kim, Mnih (2018), Disentangling by factorising, arXiv:1802.05983 (FactorVAE).

    Example:
        >>> from vaekit.networks import MLP
        >>> 35 * DensityRatioTC(MLP(10, 1))
        35 * DensityRatioTC(MLP)
    """

    def __init__(self, critic: nn.Module) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, out: Pass, step: int) -> Tensor:
        return logit(self.critic, only(out, self).z.flatten(1))

    def adversary(self, out: Pass, step: int) -> Tensor:
        z = only(out, self).z.detach().flatten(1)
        real = functional.softplus(-logit(self.critic, z))
        # the shuffled rows were drawn by weight, so each counts once
        apart = functional.softplus(logit(self.critic, shuffled(z, out.weight)))
        return 0.5 * (mean(real, out) + apart.mean())

    def __repr__(self) -> str:
        return f"DensityRatioTC({type(self.critic).__name__})"


def logit(critic: nn.Module, z: Tensor) -> Tensor:
    """One number of a critic for each row, (N,)."""
    found = critic(z)
    if found.numel() != len(z):
        raise ValueError(f"a critic gives one number for each row, not {tuple(found.shape)}; e.g. MLP(D, 1)")
    return found.reshape(-1)


def shuffled(z: Tensor, weight: Tensor | None = None) -> Tensor:
    """Each column in a random order of its own: (N, D) → (N, D); with weights, each column drawn by them.

    Example:
        >>> z = torch.arange(6.0).view(3, 2)
        >>> bool((shuffled(z).sort(0).values == z).all())
        True
    """
    if weight is None:
        order = torch.rand(z.shape).argsort(0)
    else:
        columns = torch.multinomial(weight.cpu().expand(z.shape[1], -1), len(z), replacement=True)  # (D, N)
        order = columns.T
    return z.gather(0, order.to(z.device))  # drawn on the CPU, whose generator the step's key has seeded


class DIP(Term):
    """λ_o Σ_{i≠j} C_ij² + λ_d Σ_i (C_ii − 1)², for the batch: a covariance of the latent is held at the identity.

    Which covariance C is what `DIP1` and `DIP2` differ in.

    Args:
        off_diagonal, diagonal: λ_o and λ_d.

    Source: Kumar, Sattigeri, Balakrishnan (2018), arXiv:1711.00848 (DIP-VAE).
    """

    def __init__(self, off_diagonal: float = 10.0, diagonal: float = 100.0) -> None:
        super().__init__()
        self.off_diagonal, self.diagonal = off_diagonal, diagonal

    @abstractmethod
    def covariance(self, out: Pass) -> Tensor:
        """C, (D, D)."""

    def forward(self, out: Pass, step: int) -> Tensor:
        matrix = self.covariance(out)
        variances = matrix.diagonal()
        apart = matrix.square().sum() - variances.square().sum()
        return self.off_diagonal * apart + self.diagonal * (variances - 1).square().sum()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(off_diagonal={self.off_diagonal:g}, diagonal={self.diagonal:g})"


class DIP1(DIP):
    """DIP-VAE I: C = Cov_x(E_q[z]), of the posteriors' centres.

    Args:
        off_diagonal, diagonal: λ_o and λ_d of `DIP`.

    Source: Kumar, Sattigeri, Balakrishnan (2018), arXiv:1711.00848.

    Example:
        >>> DIP1()
        DIP1(off_diagonal=10, diagonal=100)
    """

    def covariance(self, out: Pass) -> Tensor:
        return covariance(center(only(out, self).q).flatten(1), out.weight)


class DIP2(DIP):
    """DIP-VAE II: C = Cov_x(E_q[z]) + E_x[Cov_q(z)], of the aggregated posterior.

    Args:
        off_diagonal, diagonal: λ_o and λ_d of `DIP`.

    Source: Kumar, Sattigeri, Balakrishnan (2018), arXiv:1711.00848.

    Example:
        >>> DIP2(5, 5)
        DIP2(off_diagonal=5, diagonal=5)
    """

    def covariance(self, out: Pass) -> Tensor:
        q = only(out, self).q
        own = getattr(q, "covariance_matrix", None)  # (N, D, D) of a full Gaussian
        within = q.variance.flatten(1).diag_embed() if own is None else own
        each = within.new_ones(len(within)) if out.weight is None else out.weight
        inside = (each[:, None, None] * within).sum(0) / each.sum()
        return covariance(center(q).flatten(1), out.weight) + inside


def covariance(rows: Tensor, weight: Tensor | None = None) -> Tensor:
    """Covariance of columns over the rows, divided by their number: (N, D) → (D, D)."""
    each = rows.new_ones(len(rows)) if weight is None else weight
    each = (each / each.sum()).unsqueeze(1)
    apart = rows - (each * rows).sum(0)
    return (each * apart).T @ apart


class LatentCapacity(Term):
    """|E[KL of one latent variable] − C(step)|, for a model of several that each have their own.

    Args:
        place: Which of the latent variables, counted from the top.
        target: C as a schedule, nats per datum.

    Source: Dupont (2018), Learning disentangled joint continuous and discrete representations, arXiv:1804.00104.

    Example:
        >>> from vaekit.objectives import linear
        >>> LatentCapacity(1, linear(0, 5, 1000))
        LatentCapacity(1, linear(0, 5, 1000))
    """

    def __init__(self, place: int, target: Schedule) -> None:
        super().__init__()
        self.place, self.target = place, target

    @property
    def finish(self) -> int:
        return self.target.finish

    def forward(self, out: Pass, step: int) -> Tensor:
        return (mean(right(out.latents[self.place].kl), out) - self.target(step)).abs()

    def __repr__(self) -> str:
        return f"LatentCapacity({self.place}, {self.target!r})"


def only(out: Pass, term: Term) -> Latent:
    """The one latent variable of a pass."""
    if len(out.latents) != 1:
        raise ValueError(
            f"{type(term).__name__} is about the dimensions of one latent variable, and this model has "
            f"{len(out.latents)}; use a model with one"
        )
    return out.latents[0]
