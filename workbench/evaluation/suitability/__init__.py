"""Suitability: what land is fit for (ecology, farming, building), how sure that is, how many people it can carry."""

from workbench.evaluation.suitability.result import Suitability, evaluate
from workbench.evaluation.suitability.settings import Settings, load_settings, read_settings

__all__ = ["Settings", "Suitability", "evaluate", "load_settings", "read_settings"]
