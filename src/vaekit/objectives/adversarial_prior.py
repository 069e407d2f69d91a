"""A critic that tells codes from draws of the prior, and an encoder that learns to deceive it."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from vaekit.model import Pass
from vaekit.objectives.disentangle import logit, only
from vaekit.objectives.divergence import prior_draws
from vaekit.objectives.term import Term, mean


class AdversarialPrior(Term):
    """−log σ(f(z)), nats: how surely a critic f tells codes from draws of the prior.

    The critic is the adversary; it never sees the gradient of the encoder, nor the encoder that of the critic's loss.

        −E_p[log σ(f(z))] − E_q[log σ(−f(z))]

    Args:
        critic: (N, D) → (N, 1) logit of "drawn from the prior".

    Raises:
        ValueError: The critic gives more than one number for a row, or the model has no prior.

    Source: Makhzani, Shlens, Jaitly, Goodfellow, Frey (2015), Adversarial autoencoders, arXiv:1511.05644; as a penalty
        of its own weight Tolstikhin, Bousquet, Gelly, Schölkopf (2018), arXiv:1711.01558 (WAE-GAN).

    Example:
        >>> from vaekit.networks import MLP
        >>> 10 * AdversarialPrior(MLP(8, 1))
        10 * AdversarialPrior(MLP)
    """

    def __init__(self, critic: nn.Module) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, out: Pass, step: int) -> Tensor:
        return functional.softplus(-logit(self.critic, only(out, self).z.flatten(1)))

    def adversary(self, out: Pass, step: int) -> Tensor:
        latent = only(out, self)
        codes = functional.softplus(logit(self.critic, latent.z.detach().flatten(1)))
        drawn = functional.softplus(-logit(self.critic, prior_draws(latent).detach().flatten(1)))
        return drawn.mean() + mean(codes, out)

    def __repr__(self) -> str:
        return f"AdversarialPrior({type(self.critic).__name__})"
