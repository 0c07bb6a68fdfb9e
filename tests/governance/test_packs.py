"""Every check gives what its worked cases say; packs that contradict themselves are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.core.errors import DefinitionError
from workbench.governance.examples import run_case
from workbench.governance.inspection import checks_of, state_of
from workbench.governance.kinds import KINDS
from workbench.governance.packs import NAMES, load_packs, read_pack

CHECKS = checks_of()
CASES = [(name, at) for name, check in CHECKS.items() for at in range(len(check.cases))]


@pytest.mark.parametrize(("name", "at"), CASES)
def test_worked_case(name: str, at: int) -> None:
    check = CHECKS[name]
    case = check.cases[at]
    outcome = run_case(check, case, KINDS)
    assert len(outcome.hits) == case.findings, [hit.message_zh for hit in outcome.hits]
    assert (state_of(check, outcome) == "blocked") == case.blocked
    if case.measured is not None:
        assert outcome.hits[0].measured == pytest.approx(case.measured, rel=1e-4)
    assert all(hit.message_zh and hit.message_en.isascii() is not None for hit in outcome.hits)


def test_every_check_has_a_case_on_each_side_and_a_source() -> None:
    assert tuple(load_packs()) == NAMES
    for check in CHECKS.values():
        assert {bool(case.findings) for case in check.cases} == {True, False}, check.id
        assert check.kind in KINDS and check.source and check.confidence and check.clause
        if check.gate and check.gate_share < 1:
            assert check.severity == "error", "only errors close a gate"


GOOD = """[pack]
title_zh = "甲"
title_en = "A"
[one]
title_zh = "一"
title_en = "one"
kind = "present"
roles = ["parks"]
severity = "error"
clause = "c"
source = "s"
confidence = "f"
cases = [{ given = {}, findings = 0 }, { given = {}, findings = 1 }]
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('severity = "error"', 'severity = "grave"', "unknown severity"),
        ('kind = "present"', "", "keys are missing"),
        ('clause = "c"', 'clause = "c"\nlevel = 4', "unknown keys"),
        (", { given = {}, findings = 1 }", "", "two worked cases"),
        ('title_en = "A"', "", "no titles"),
        ("[one]", "[one", "no TOML"),
    ],
)
def test_a_faulty_pack_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(GOOD, encoding="utf-8")
    assert read_pack(path).checks[0].id == "one"
    path.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DefinitionError, match=words):
        read_pack(path)
