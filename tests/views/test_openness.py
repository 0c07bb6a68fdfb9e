from types import SimpleNamespace

import pytest

from workbench.views.openness import sensitivity_of

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
