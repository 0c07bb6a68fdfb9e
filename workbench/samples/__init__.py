"""Places to try things on: a hand-drawn small town and the generated demo city.

The town (``land_cover``, ``parcels``, ``points``, ``roads``) is for docstrings and tests; the demo
city lives in ``workbench.samples.demo`` and is imported from there.
"""

from workbench.samples.town import land_cover, parcels, points, roads, zones

__all__ = ["land_cover", "parcels", "points", "roads", "zones"]
