"""Variational autoencoders as scikit-learn estimators: a transformer and density, and an outlier detector.

They train in memory, on the processor, and leave no files. The same data give the same model at every fit: training
uses one thread, and a fitted model answers in float64, so that a row's result does not depend on the rows beside it.
"""

from vaekit.sklearn.detector import VAEOutlierDetector
from vaekit.sklearn.transformer import VAE

__all__ = ["VAE", "VAEOutlierDetector"]
