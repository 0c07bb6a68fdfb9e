"""Data governance: packs of checks, findings with their places, and gates that block what must not be used."""

from workbench.governance.inspection import QualityReport, check
from workbench.governance.packs import load_packs

__all__ = ["QualityReport", "check", "load_packs"]
