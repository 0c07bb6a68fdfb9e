"""The limited activities that the ecological red line admits, as the pack ``red_line_activities`` has them."""

from __future__ import annotations

from functools import cache

from workbench.rules.library import load_rules

PACK = "red_line_activities"
NONE_OF_THEM = "HD00"
"""Code for an activity that is none of those allowed."""


@cache
def activities(lang: str = "zh") -> dict[str, str]:
    """Code and name of each activity that may be stated for a case.

    Parameters
    ----------
    lang : {"zh", "en"}
        Language of the names.

    Examples
    --------
    >>> len(activities()), activities("en")["HD04"]
    (11, 'tending and change of planted forest')
    """
    found = {}
    for rule in load_rules((PACK,)).values():
        title = rule.title_en if lang == "en" else rule.title_zh
        found[str(rule.applies["activity"])] = title.split("：", 1)[-1].split(": ", 1)[-1]
    return found
