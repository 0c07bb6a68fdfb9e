"""Life circles: who has what within five, ten and fifteen minutes, how fairly it is shared, what would help most."""

from workbench.evaluation.life_circle.result import LifeCircle, life_circle
from workbench.evaluation.life_circle.settings import Settings, load_settings

__all__ = ["LifeCircle", "Settings", "life_circle", "load_settings"]
