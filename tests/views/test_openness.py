from types import SimpleNamespace

import pandas as pd
import pytest

from workbench.evaluation.problems import findings_sensitivity
from workbench.views.openness import guarded, sensitivity_of

CITY = SimpleNamespace(
    layers={
        "roads": SimpleNamespace(sensitivity="公开"),
        "land_use": SimpleNamespace(sensitivity="内部"),
        "heritage_line": SimpleNamespace(sensitivity="敏感"),
    }
)


@pytest.mark.parametrize(
    ("roles", "rows", "expected"),
    [
        (("roads",), (), "公开"),
        (("roads", "absent"), ({"sensitivity": "公开"},), "公开"),
        (("roads", "land_use"), (), "内部"),
        (("land_use", "heritage_line"), ({"sensitivity": "公开"},), "敏感"),
        ((), ({"sensitivity": "公开"}, {"sensitivity": None}), "内部"),
        ((), ({},), "内部"),
    ],
)
def test_the_strictest_counts(roles, rows, expected):
    assert sensitivity_of(SimpleNamespace(city=CITY), roles, rows) == expected


def test_findings_are_as_closed_as_what_they_rest_on():
    values = pd.DataFrame({"value_id": ["va", "vb"], "sensitivity": ["公开", "内部"]})

    def level(**row):
        return findings_sensitivity(
            CITY, values, pd.DataFrame([{"kind": "cap", "line": "", "value_id": "", **row}])
        )

    assert level(value_id="va") == "公开" and level(value_id="vb") == "内部"
    assert (
        level(kind="spatial_conflict", line="roads", value_id="va") == "内部"
    )  # the survey shows the change
    assert level(kind="spatial_conflict", line="heritage_line") == "敏感"
    assert level(value_id="vx") == "内部"  # rests on nothing known


def test_what_everybody_may_read_is_not_marked():
    assert guarded("p", "x", "公开") == "<p>x</p>"
    assert guarded("p", "x", "内部", css="lead") == '<p class="lead" data-sensitivity="内部">x</p>'
