"""Every rule of the library: complete, in force on some day, and right on its own worked cases."""

from pathlib import Path

import pytest

from workbench.catalog.roles import ROLES
from workbench.core.errors import DefinitionError
from workbench.rules import messages
from workbench.rules.kinds import KINDS, OUTCOMES, Outcome, judge
from workbench.rules.library import PARAMETERS, REQUIRED, available_packs, load_rules, make_rule, read_pack
from workbench.rules.space_code import KIND_CODES

RULES = list(load_rules().values())
CASES = [(rule, at) for rule in RULES for at in range(len(rule.cases))]


@pytest.mark.parametrize(("rule", "at"), CASES, ids=[f"{rule.id}-{at}" for rule, at in CASES])
def test_worked_case(rule, at):
    case = rule.cases[at]
    outcome = judge(rule, **case.given)
    assert outcome.level == case.level
    if case.margin is not None:
        assert outcome.margin == pytest.approx(case.margin, abs=1e-9)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_record_is_complete(rule):
    assert rule.clause and rule.source and rule.confidence
    assert {case.level for case in rule.cases} & {0, 1}, "a case on the good side"
    assert max(case.level for case in rule.cases) >= 1, "a case on the bad side"
    assert any("\u4e00" <= letter <= "\u9fff" for letter in rule.title_zh)
    if rule.valid_from and rule.valid_to:
        assert rule.valid_from < rule.valid_to


@pytest.mark.parametrize("rule", [r for r in RULES if r.kind != "spatial_conflict"], ids=lambda rule: rule.id)
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_outcome_has_words_without_digits(rule, lang):
    for name in OUTCOMES[rule.kind]:
        text = messages.of_outcome(rule, Outcome(0, name), None, lang)
        assert text and not any(letter.isdigit() for letter in text)
        assert text != messages.of_outcome(rule, Outcome(-1, "no_data"), None, lang)


@pytest.mark.parametrize("rule", [r for r in RULES if r.kind == "spatial_conflict"], ids=lambda rule: rule.id)
@pytest.mark.parametrize("state", sorted(OUTCOMES["spatial_conflict"] - {"small", "sliver"}))
def test_cases_are_called_suspected_and_never_unlawful(rule, state):
    text = messages.of_case(rule, "旱地", "工业用地", state, "zh")
    assert "疑似" in text or "待核" in text
    assert "违法图斑" not in text


def test_all_eight_kinds_are_in_use():
    assert {rule.kind for rule in RULES} == set(KINDS)
    assert len(KINDS) == 8


PACKS = [
    "control_lines", "data_checks", "data_consistency", "development_boundary", "farmland", "flood", "heritage",
    "imagery", "industrial", "low_use", "minerals", "nature_reserves", "peers", "permits", "red_line_activities",
    "suitability", "targets", "three_lines", "trends", "urban_lines",
]  # fmt: skip


def test_every_line_of_a_plan_has_a_pack():
    lines = {rule.line for rule in RULES if rule.kind == "spatial_conflict"}
    assert lines == {
        "permanent_farmland", "ecological_red_line", "development_boundary", "green_line", "blue_line", "purple_line",
        "yellow_line", "nature_reserve", "flood_line", "heritage_line", "mineral_line", "industrial_line", "land_use", "permits",
    }  # fmt: skip
    assert lines <= set(ROLES) and lines <= set(KIND_CODES)


def test_refined_rules_are_there_and_look_at_the_same_change():
    by_id = load_rules()
    for rule in RULES:
        for other in rule.refines:
            assert (rule.line, rule.side) == (by_id[other].line, by_id[other].side)
            assert [rule.applies.get(key) for key in ("from", "to")] == [
                by_id[other].applies.get(key) for key in ("from", "to")
            ]


def test_differing_from_peers_is_never_more_than_a_note():
    assert all(max(rule.levels.values()) == 1 for rule in RULES if rule.kind == "peer_band")


def test_building_outside_the_boundary_is_red_only_where_a_text_forbids_it():
    red = {r.id for r in RULES if r.line == "development_boundary" and r.levels.get("无") == 4}
    assert red == {"db_urban_outside"}


def test_ten_activities_are_allowed_on_the_red_line():
    rules = load_rules(("red_line_activities",)).values()
    allowed = [rule.applies["activity"] for rule in rules if "plausible" in rule.applies]
    assert allowed == [f"HD{number:02d}" for number in range(1, 11)]


def test_packs_are_files():
    assert available_packs() == PACKS
    with pytest.raises(DefinitionError, match="unknown rule pack"):
        load_rules(("no_such_pack",))


GOOD = {
    "title_zh": "例", "title_en": "example", "kind": "floor", "clause": "c", "source": "s", "confidence": "c",
    "verifiability": "业务", "levels": {"met": 0, "near": 2, "breached": 4},
    "cases": [{"given": {"value": 1.0, "target": 2.0}, "level": 4}, {"given": {"value": 3.0, "target": 2.0}, "level": 0}],
}  # fmt: skip


SPATIAL = {
    "kind": "spatial_conflict", "line": "green_line", "parameters": {"min_area_m2": 200.0, "min_width_m": 3.0},
    "levels": dict.fromkeys(OUTCOMES["spatial_conflict"], 0),
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "flor"}, "unknown kind"),
        ({"levels": {"met": 0}}, "levels do not name the outcomes"),
        ({"levels": {"met": 0, "near": 2, "breached": 7}}, "unknown level"),
        ({"clause": ""}, "key missing or empty"),
        ({"clause": 7}, "'clause' is not text"),
        ({"parameters": {"naer": 0.1}}, "unknown parameters of the kind 'floor'"),
        ({"levels": [0, 2]}, "'levels' is not a table"),
        ({"cases": [{**GOOD["cases"][0], "marign": 1.0}, GOOD["cases"][1]]}, "unknown key in worked case 1"),
        ({"cases": [{"given": GOOD["cases"][0]["given"]}, GOOD["cases"][1]]}, "worked case 1 has no level"),
        ({"treshold": 1}, "unknown key"),
        ({"verifiability": "卫星"}, "unknown verifiability"),
        ({"cases": GOOD["cases"][:1]}, "two worked cases"),
        ({"cases": [{"given": {"value": 1.0}, "level": 4}, GOOD["cases"][1]]}, "does not fit the kind"),
        ({"valid_from": "2024"}, "is not a date"),
        ({"kind": "peer_band", "levels": {"inside": 0, "outside": 2}}, "a note only"),
        ({**SPATIAL, "applies": {"form": "cropland"}}, "unknown key in 'applies'"),
        ({**SPATIAL, "applies": {"from": "not crops"}}, "unknown group of land classes"),
        ({**SPATIAL, "applies": {"after": ["0601", "07XX"]}}, "neither a land class nor a group"),
        ({**SPATIAL, "parameters": {"min_area_m2": 200.0}}, "parameter missing"),
        (
            {"kind": "spatial_conflict", "levels": dict.fromkeys(OUTCOMES["spatial_conflict"], 0)},
            "'line' and 'side'",
        ),
    ],
)
def test_a_faulty_record_is_refused_by_name(change, words):
    assert make_rule("x", GOOD, pack="p").kind == "floor"
    with pytest.raises(DefinitionError, match=words) as caught:
        make_rule("x", {**GOOD, **change}, pack="p")
    assert "p.toml [x]" in str(caught.value)


def test_all_problems_of_a_rule_are_said_at_once():
    change = {"clause": "", "treshold": 1, "parameters": {"naer": 1}, "levels": {"met": 9}, "cases": []}
    with pytest.raises(DefinitionError) as caught:
        make_rule("x", {**GOOD, **change}, pack="p")
    said = str(caught.value)
    for words in (
        "(1)",
        "treshold",
        "'clause', 'cases'",
        "naer",
        "unknown level",
        "levels do not",
        "(5) unknown parameters",
    ):
        assert words in said


def test_a_broken_pack_of_ones_own_names_its_file(tmp_path):
    own = tmp_path / "our_rules.toml"
    for text, words in (
        ("[x", "not valid TOML"),
        ("x = 1", "must be a table"),
        ("[x]\nkind = 'floor'", "clause"),
    ):
        own.write_text(text, "utf-8")
        with pytest.raises(DefinitionError, match=words) as caught:
            read_pack(own)
        assert str(own) in str(caught.value)


GUIDE = (Path(__file__).parents[2] / "docs" / "add_a_rule.md").read_text("utf-8")


def test_the_examples_of_the_guide_load_and_give_their_worked_levels(tmp_path):
    own = tmp_path / "guide.toml"
    own.write_text("\n".join(part.split("```")[0] for part in GUIDE.split("```toml\n")[1:]), "utf-8")
    rules = list(read_pack(own))
    assert {rule.kind for rule in rules} == set(KINDS)
    for rule in rules:
        for case in rule.cases:
            outcome = judge(rule, **case.given)
            assert outcome.level == case.level
            assert case.margin is None or outcome.margin == pytest.approx(case.margin)


def test_the_guide_names_every_required_key_and_parameter():
    names = {*REQUIRED, *(name for known in PARAMETERS.values() for name in known)}
    assert [name for name in names if f"`{name}`" not in GUIDE] == []
