"""Spatial structure: urban area, land-use transitions, landscape, clusters and ranks of people, transit, low-efficiency land."""

from workbench.evaluation.structure.result import Structure, structure
from workbench.evaluation.structure.settings import Settings, load_settings

__all__ = ["Settings", "Structure", "load_settings", "structure"]
