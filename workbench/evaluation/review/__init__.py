"""Plan conformity review (规划符合性审查) and planning conditions (规划条件提取).

>>> from workbench.evaluation.review import Reviewer, conditions            # doctest: +SKIP
>>> reviewer = Reviewer.open("demo", 2025)                                  # doctest: +SKIP
>>> reviewer.review(polygon, use="0601").items                              # doctest: +SKIP
"""

from workbench.evaluation.review.conditions_of import Conditions, conditions
from workbench.evaluation.review.items import VERDICTS, Item, Review
from workbench.evaluation.review.proposals import Proposals, read_proposals
from workbench.evaluation.review.reviewer import Reviewer

__all__ = [
    "VERDICTS", "Conditions", "Item", "Proposals", "Review", "Reviewer", "conditions", "read_proposals",
]  # fmt: skip
