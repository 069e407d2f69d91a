"""vaekit: variational autoencoders on PyTorch, as compositions of an encoder, a bottleneck and a decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaekit import presets as presets
    from vaekit.launch import fit as fit
    from vaekit.model import VAE as VAE
    from vaekit.model import Pass as Pass
    from vaekit.recipes import configurable as configurable
    from vaekit.run import Run as Run
    from vaekit.run import open_run as open  # noqa: A004

__version__ = "0.1.0"

# name here -> (module, name there); nothing is imported before it is used, so that `import vaekit` costs nothing
_WHERE = {
    "VAE": ("vaekit.model", "VAE"),
    "Pass": ("vaekit.model", "Pass"),
    "Run": ("vaekit.run", "Run"),
    "configurable": ("vaekit.recipes", "configurable"),
    "fit": ("vaekit.launch", "fit"),
    "open": ("vaekit.run", "open_run"),
    "presets": ("vaekit.presets", None),
}
__all__ = ["VAE", "Pass", "Run", "configurable", "fit", "open", "presets"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'vaekit' has no attribute {name!r}")
    from importlib import import_module

    module, there = _WHERE[name]
    found = import_module(module)
    return found if there is None else getattr(found, there)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
