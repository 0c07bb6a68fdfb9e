"""Lorenz, Gini and Theil against PySAL's inequality (a weight is so many equal people) and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inequality.gini import Gini
from inequality.theil import Theil, TheilD

from workbench.core.errors import ParameterError
from workbench.operators.inequality import gini, lorenz, theil, theil_parts

amounts = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 9), st.sampled_from("abc")), min_size=2, max_size=40
).filter(lambda rows: sum(v for v, _, _ in rows) > 0)


@settings(max_examples=60, deadline=None)
@given(rows=amounts)
def test_equal_to_pysal_on_people_written_out(rows):
    values, people, group = (np.array(column) for column in zip(*rows, strict=True))
    each, of = np.repeat(values, people).astype(float), np.repeat(group, people)
    assert gini(values, people) == pytest.approx(Gini(each).g, abs=1e-12)
    assert theil(values, people) == pytest.approx(Theil(each).T, abs=1e-12)
    parts, peer = theil_parts(values, group, people), TheilD(each, of)
    assert parts.between == pytest.approx(float(np.ravel(peer.bg)[0]), abs=1e-9)
    assert parts.within == pytest.approx(float(np.ravel(peer.wg)[0]), abs=1e-9)
    assert parts.between + parts.within == pytest.approx(parts.total, abs=1e-9)
    assert parts.groups["people"].sum() == len(each)


def test_by_hand():
    assert gini([5, 5, 5]) == pytest.approx(0)
    assert gini([0, 0, 0, 8]) == 0.75
    assert theil([0, 0, 0, 8]) == pytest.approx(np.log(4))
    curve = lorenz([4, 0, 1], [1, 2, 1])
    assert curve["people"].tolist() == [0, 0.5, 0.75, 1] and curve["amount"].tolist() == [0, 0, 0.2, 1]


def test_order_and_scale_do_not_matter_and_empty_places_do_not_count():
    rng = np.random.default_rng(1)
    values, people = rng.random(50), rng.integers(0, 5, 50)
    order = rng.permutation(50)
    for index in (gini, theil):
        assert index(values, people) == pytest.approx(index(1000 * values[order], people[order]))
        assert index(values, people) == pytest.approx(index(values[people > 0], people[people > 0]))


def test_nobody_or_nothing_gives_no_index():
    assert np.isnan(gini([1, 2], [0, 0])) and np.isnan(gini([0, 0])) and np.isnan(theil([0, 0]))
    assert lorenz([0, 0]).values.tolist() == [[0, 0]]
    parts = theil_parts([0, 0], ["a", "b"])
    assert np.isnan(parts.total) and np.isnan(parts.within)


@pytest.mark.parametrize(
    ("values", "people"), [([-1, 2], None), ([np.nan, 1], None), ([1, 2], [1]), ([1, 2], [1, -1])]
)
def test_impossible_amounts_are_refused(values, people):
    with pytest.raises(ParameterError):
        gini(values, people)
