"""Single cells: held-out −ELBO of a VAE over counts beside one distribution for each gene; prints nats per cell.

    python benchmarks/counts.py MATRIX.npz [--seconds 150] [--latent 10] [--samples 100]

A fifth of the cells is held out, by seed 0, and a tenth of the others chooses the weights that are kept. The
independent Poisson and negative binomial are fitted to all the others, the negative binomial's inverse dispersion by
maximum likelihood for each gene.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from scipy import optimize, special

from vaekit import presets
from vaekit.data import Items
from vaekit.data.counts import detect_counts
from vaekit.data.matrix_files import read_csr_npz
from vaekit.distributions import Noise
from vaekit.distributions.counts import NegativeBinomialDistribution, PoissonDistribution
from vaekit.evaluation import evaluate
from vaekit.training import averaged, train, warm_cosine


def inverse_dispersion(counts: np.ndarray) -> float:
    """log θ of the negative binomial most likely for one gene, its mean being the counts' own."""
    mean, values, times = max(counts.mean(), 0.5 / len(counts)), *np.unique(counts, return_counts=True)

    def surprise(t: float) -> float:
        theta = np.exp(t)
        some = (
            special.gammaln(values + theta) - special.gammaln(theta) + values * np.log(mean / (mean + theta))
        )
        return -float(times @ (some - theta * np.log1p(mean / theta)))

    return optimize.minimize_scalar(surprise, bounds=(-7, 9), method="bounded").x


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("matrix", type=Path)
    parser.add_argument("--seconds", type=float, default=150)
    parser.add_argument("--latent", type=int, default=10)
    parser.add_argument("--samples", type=int, default=100)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    source = read_csr_npz(chosen.matrix)
    assert source is not None, "this is no matrix of compressed rows"
    order = Noise(0, "split").permutation(len(source))
    held, rest = order[: len(order) // 5].sort().values, order[len(order) // 5 :].sort().values
    source.values, whole = source.values.subset(rest), source.values
    kind, reasons = detect_counts(source)
    print(*reasons, sep="\n")

    x, dense = whole[held].double(), source.values[:].double()
    log_mean = torch.tensor(kind.log_mean, dtype=torch.float64)
    log_theta = torch.tensor([inverse_dispersion(column) for column in dense.numpy().T])
    poisson = -PoissonDistribution(log_mean.expand_as(x)).log_prob(x).sum(1)
    binomial = -NegativeBinomialDistribution(log_mean.expand_as(x), log_theta).log_prob(x).sum(1)
    print(f"independent Poisson {poisson.mean():.2f}, negative binomial {binomial.mean():.2f} nats per cell")

    with Noise(0, "weights").torch():
        model, objective = presets.vae(kind, latent=chosen.latent)
    chosen_by = len(rest) // 10
    items, heldout = Items(source.values, kind), Items(whole.subset(held), kind)
    part = Noise(0, "choice").permutation(len(items))
    items, choice = items.subset(part[chosen_by:]), items.subset(part[:chosen_by])
    print(f"before training {-evaluate(model.eval(), heldout)['elbo']:.2f}")
    began = time.perf_counter()
    clock = lambda: (time.perf_counter() - began) / chosen.seconds  # noqa: E731
    best: tuple = (float("inf"), 0, model.state_dict())
    for now in train(
        model, objective, items, steps=2**62, decay=warm_cosine, average=0.999, seed=0, clock=clock
    ):
        last = now
        if now.step % 250 == 0:
            with averaged(model.eval(), now.state.average):
                value = -evaluate(model, choice)["elbo"]
                if value < best[0]:
                    best = (value, now.step, {name: t.clone() for name, t in model.state_dict().items()})
    model.load_state_dict(best[2])
    found = evaluate(model.eval(), heldout, samples=chosen.samples)
    print(
        f"best at step {best[1]} of {last.step} in {chosen.seconds:.0f} s:"
        f" −ELBO {-found['elbo']:.2f} (rate {found['rate']:.2f}),"
        f" −log p {found['nll']:.2f} ± {found['nll_se']:.2f}, {found['active_units']} active"
    )


if __name__ == "__main__":
    main()
