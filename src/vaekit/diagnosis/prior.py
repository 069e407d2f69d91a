"""Does the prior lie where codes lie? A classifier that can tell the two apart says no."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vaekit.diagnosis.cure import Cure
from vaekit.diagnosis.finding import Finding, left_out
from vaekit.diagnosis.subject import Subject
from vaekit.distributions import Noise, draw, rows
from vaekit.evaluation.two_samples import two_sample_test
from vaekit.priors.fitted_mixture import FittedMixture

AUC = 0.85
TITLE, THRESHOLD = "the prior covers the codes", f"AUC above {AUC}"


def prior(subject: Subject) -> Finding:
    """AUC with which codes are told from draws of the prior, on halves that the classifier has not seen."""
    reason = _reason(subject)
    if reason:
        return left_out("prior", TITLE, THRESHOLD, f"{reason}.")
    codes, drawn = both(subject)
    if len(codes) < 16:
        return left_out("prior", TITLE, THRESHOLD, f"{len(codes)} items are too few.")
    with torch.enable_grad():  # the classifier's own
        auc = two_sample_test(codes.numpy(), drawn.numpy(), steps=subject.effort.classifier).auc
    alarm = auc > AUC
    said = f"a classifier tells codes from draws of the prior with an AUC of {auc:.2f}; 0.5 is chance"
    said += ": samples come from where no code is" if alarm else ""
    return Finding("prior", TITLE, auc, THRESHOLD, alarm, f"{said}.", _cure(subject) if alarm else None)


def _reason(subject: Subject) -> str:
    """Why the check does not apply, if so."""
    bottleneck: Any = subject.model.bottleneck
    latent = subject.passes[0].latents[bottleneck.prior_of]
    if latent.p is None:
        return "the code has no prior"
    if bottleneck.discrete:
        return "codes of a codebook have a uniform prior by design, and fit-prior gives them another"
    return ""


@torch.no_grad()
def both(subject: Subject) -> tuple[Tensor, Tensor]:
    """Codes of training items and as many draws from the prior, (N, D) each."""
    place = subject.model.bottleneck.prior_of
    codes, drawn = [], []
    for number, out in enumerate(subject.passes):
        latent = out.latents[place]
        p, noise = latent.prior, Noise(0, "diagnosis: prior", number)
        alone = len(p.batch_shape) + len(p.event_shape) < latent.z.dim()  # one row for all
        codes.append(latent.z.flatten(1).cpu())
        drawn.append(draw(rows(p, len(latent.z)) if alone else p, noise)[0].flatten(1).cpu())
    return torch.cat(codes), torch.cat(drawn)


def _cure(subject: Subject) -> Cure:
    """A prior fitted to the codes, the cheapest first; a richer one in training where latents are on a sphere."""
    own: Any = getattr(subject.model.bottleneck, "prior", None)
    if hasattr(own, "settle"):
        return Cure({"preset": "mixture_prior_vae" if subject.takes("mixture_prior_vae") else "vae"})
    if subject.kind.conditional or isinstance(own, FittedMixture):
        return Cure(prior="diffusion")
    return Cure(prior="mixture")
