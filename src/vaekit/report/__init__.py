"""The report of a run: `gather` what the pictures need while the data are at hand, `write_report` at any time after."""

from vaekit.report.evidence import gather
from vaekit.report.page import write_report

__all__ = ["gather", "write_report"]
