"""Train on ordinary items, find the odd ones among new ones: each gets a p-value against held-out data, and why."""

import tempfile

import numpy as np

import vaekit

numbers = np.random.default_rng(0)
mixing = numbers.normal(size=(2, 6))
ordinary = numbers.normal(size=(1_000, 2)) @ mixing + 0.1 * numbers.normal(size=(1_000, 6))
run = vaekit.fit(ordinary, latent=2, steps=1_000, out=tempfile.mkdtemp() + "/ordinary", quiet=True)

new = numbers.normal(size=(100, 2)) @ mixing + 0.1 * numbers.normal(size=(100, 6))
new[:5] = numbers.permuted(new[:5], axis=1)  # five rows with their columns shuffled
found = run.score(new, alpha=0.02)
for row in np.flatnonzero(found.flag):
    print(f"row {row}, p = {found.p_value[row]:.3f}:", found.why[row][0])
