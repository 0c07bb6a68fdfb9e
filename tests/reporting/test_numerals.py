"""The numeral rule: every digit of a page comes from the value table or is marked as no result."""

import pandas as pd
import pytest

from .numerals import Page, faults

VALUES = pd.DataFrame({"value_id": ["va", "vb", "vc"], "value": [1234.56, None, -0.25]})


@pytest.mark.parametrize(
    "page",
    [
        '<p>耕地 <span class="num" data-v="va">1,234.6</span> 公顷</p>',
        '<p><span class="num missing" data-v="vb" title="缺 3 层">无数据</span></p>',
        '<p><span class="x">TD/T 1063-2021</span></p><figcaption>图 1 2025年</figcaption>',
        '<p data-n="5">no digit in the text</p><style>p { margin: 3px }</style>',
        '<p><span data-v="vc">−0.3</span></p>',
        '<div class="failure x"><p>line 3<br>line 4</p></div>',
    ],
)
def test_accounted_digits_pass(page):
    assert faults(page, VALUES) == []


@pytest.mark.parametrize(
    ("page", "word"),
    [
        ("<p>共 12 项</p>", "without a value id"),
        ('<p><span class="x">2025</span> 年 3 项</p>', "without a value id"),
        ("<p>&#49;2 项</p>", "without a value id"),
        ('<span data-v="vz">1</span>', "not in the value table"),
        ('<span data-v="va">1,234.7</span>', "the table has"),
        ('<span data-v="vb">0</span>', "has no value"),
        ('<span data-v="va">about 1,235</span>', "no number"),
    ],
)
def test_unaccounted_digits_are_found(page, word):
    found = faults(page, VALUES)
    assert len(found) == 1
    assert word in found[0]


def test_exemption_ends_with_its_element():
    assert Page('<span class="x">1</span><br>2').loose == ["2"]
