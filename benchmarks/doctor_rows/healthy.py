"""Healthy runs, in which nothing is to be found: what each is trained on, and options of `vaekit.fit`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from doctor_rows.data import breast_cancer, cancer_table, clusters, diabetes, digits, sheet, wine_table

HEALTHY: dict[str, tuple[Callable[[int], Any], dict[str, Any]]] = {
    "digits vae": (digits, {"preset": "vae", "steps": 600}),
    "digits beta_vae 4": (digits, {"preset": "beta_vae", "beta": 4.0, "steps": 600}),
    "digits beta_tc_vae": (digits, {"preset": "beta_tc_vae", "steps": 600}),
    "digits iaf_vae": (digits, {"preset": "iaf_vae", "steps": 1_200}),
    "digits vq_vae": (digits, {"preset": "vq_vae", "codes": 64, "steps": 600}),
    "digits top_down_vae": (digits, {"preset": "top_down_vae", "latent": 8, "steps": 600}),
    "digits mixture_prior_vae": (digits, {"preset": "mixture_prior_vae", "steps": 600}),
    "digits conditional_vae": (digits, {"preset": "conditional_vae", "steps": 600}),
    "digits sigma_vae": (digits, {"preset": "sigma_vae", "steps": 600}),
    "digits free_bits_vae": (digits, {"preset": "free_bits_vae", "steps": 600}),
    "clusters vae": (clusters, {"preset": "vae", "steps": 1_000}),
    "clusters mixture_prior_vae": (clusters, {"preset": "mixture_prior_vae", "steps": 1_000}),
    "clusters full_covariance_vae": (clusters, {"preset": "full_covariance_vae", "steps": 1_000}),
    "sheet vae": (sheet, {"preset": "vae", "latent": 4, "steps": 1_000}),
    "sheet iaf_vae": (sheet, {"preset": "iaf_vae", "latent": 4, "steps": 3_000}),
    "cancer vae": (breast_cancer, {"preset": "vae", "latent": 8, "steps": 1_000}),
    "cancer annealed_vae": (breast_cancer, {"preset": "annealed_vae", "latent": 8, "steps": 1_000}),
    "diabetes vae": (diabetes, {"preset": "vae", "latent": 3, "steps": 1_000}),
    "wine table vae": (wine_table, {"preset": "vae", "latent": 4, "steps": 600}),
    "cancer table vae": (cancer_table, {"preset": "vae", "latent": 8, "steps": 600}),
}  # fmt: skip
