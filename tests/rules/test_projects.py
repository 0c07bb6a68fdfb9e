"""The chain of projects on dossiers written by hand."""

import pandas as pd
import pytest

from workbench.core.errors import DataQualityError, ParameterError
from workbench.rules.projects import CHAIN, project_chain

TODAY = pd.Timestamp("2025-12-31")


def papers(*rows):
    frame = pd.DataFrame(rows, columns=["project_code", "kind", "approved", "ended"])
    return frame.assign(approved=pd.to_datetime(frame["approved"]), ended=pd.to_datetime(frame["ended"]))


def projects(*codes, **more):
    return pd.DataFrame({"project_code": list(codes), "name": [f"项目{code}" for code in codes], **more})


def chain(permits, *codes, **more):
    return project_chain(projects(*codes, **more), permits, TODAY).set_index("project_code")


def test_where_each_project_stands_and_why_it_is_stuck():
    found = chain(
        papers(
            *[("done", kind, f"2023-{at + 1:02d}-01", None) for at, kind in enumerate(CHAIN)],
            ("fresh", "预审", "2025-10-01", "2028-10-01"),
            ("slow", "预审", "2022-01-01", "2030-01-01"), ("slow", "农转用", "2023-01-01", None),
            ("ended", "预审", "2020-01-01", "2023-01-01"),
            ("later", "预审", "2026-03-01", None),
            ("tent", "临时用地", "2022-06-01", "2024-05-31"),
            ("jump", "预审", "2025-01-01", None), ("jump", "规划许可", "2025-11-01", None),
            ("order", "农转用", "2025-02-01", None), ("order", "预审", "2025-03-01", None),
        ),
        "done", "fresh", "slow", "ended", "later", "tent", "jump", "order",
    )  # fmt: skip
    assert found["stage"].to_dict() == {
        "done": "核实", "fresh": "预审", "slow": "农转用", "ended": "预审", "later": "", "tent": "临时用地",
        "jump": "规划许可", "order": "农转用",
    }  # fmt: skip
    assert found.index[found["stuck"]].tolist() == ["ended", "slow", "tent"]
    assert found.at["done", "next_stage"] == "" and found.at["slow", "next_stage"] == "供地"
    assert found.at["slow", "days_in_stage"] == (TODAY - pd.Timestamp("2023-01-01")).days
    assert found["reason"].to_dict() == {
        "done": "", "fresh": "", "slow": "农转用停留超过期限，未取得供地", "ended": "预审已到期，未取得农转用",
        "later": "无任何批准记录", "tent": "临时用地已到期", "jump": "缺少农转用、供地", "order": "农转用早于预审",
    }  # fmt: skip


def test_a_stage_granted_twice_ends_when_the_last_grant_ends():
    twice = papers(("a", "预审", "2020-01-01", "2023-01-01"), ("a", "预审", "2023-02-01", "2026-02-01"))
    row = chain(twice, "a").loc["a"]
    assert row["stage"] == "预审" and row["since"] == pd.Timestamp("2020-01-01")
    assert "已到期" not in row["reason"]


def test_a_project_without_any_permit_is_stuck_by_its_start():
    row = chain(papers(), "a", start_date=pd.to_datetime(["2023-01-01"])).loc["a"]
    assert row["stuck"] and row["reason"] == "无任何批准记录；超过期限未启动审批"


def test_what_the_register_of_projects_says_is_held_against_the_permits():
    found = chain(
        papers(("a", "预审", "2025-10-01", None), ("b", "预审", "2025-10-01", None)), "a", stage=["施工"]
    )
    assert found["reason"].to_dict() == {"a": "登记阶段为施工", "b": "项目库中无此项目"}
    undated = chain(papers(("a", "预审", None, None)), "a").loc["a"]
    assert undated["stage"] == "" and "批准日期缺失" in undated["reason"]


def test_limits_are_the_bureaus():
    rows = papers(("a", "预审", "2025-10-01", None))
    found = project_chain(projects("a"), rows, TODAY, limits={"预审": 30})
    assert found["stuck"].tolist() == [True]
    assert not project_chain(projects("a"), rows, TODAY, limits={})["stuck"].any()


def test_faults_are_named():
    with pytest.raises(DataQualityError, match="appear twice"):
        chain(papers(), "a", "a")
    with pytest.raises(ParameterError, match="unusable day or limit"):
        project_chain(projects("a"), papers(), pd.NaT)
    with pytest.raises(ParameterError, match="unusable day or limit"):
        project_chain(projects("a"), papers(), TODAY, limits={"立项": 5})
    assert project_chain(projects(), papers(), TODAY).empty
