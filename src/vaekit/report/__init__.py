"""The report of a run: `gather` what the pictures need while the data are at hand, `write_report` at any time after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaekit.report.evidence import gather as gather
    from vaekit.report.page import write_report as write_report

__all__ = ["gather", "write_report"]


def __getattr__(name: str) -> Any:  # a page of figures alone needs no torch, and gathering does
    if name not in __all__:
        raise AttributeError(f"module 'vaekit.report' has no attribute {name!r}")
    from importlib import import_module

    module = import_module("vaekit.report.evidence" if name == "gather" else "vaekit.report.page")
    return getattr(module, name)
