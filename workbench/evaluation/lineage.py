"""What each value of a checkup is made of.

Values of indicators bring their inputs from their computation. What is derived from them (counts, changes, cases, accounts)
is made of the inputs of everything it is derived from: :class:`Ancestry` says for each kind of row what that is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.catalog import published
from workbench.core.lineage import ABSENT, input_name, join, layer_of, pack, unpack
from workbench.evaluation.quotas import chain
from workbench.evaluation.states import Inputs, States
from workbench.rules.evaluate import rules_of

if TYPE_CHECKING:
    from workbench.evaluation.checkup import Checkup

OF_LEVELS = frozenset({"rated", "unrated", *(f"level_{level}" for level in range(5))})
OF_TARGETS = frozenset({"targets_valued", "targets_met", "verdicts"})
OF_PATHS = frozenset(
    {"expected", "deviation", "base", "since_base", "projected", "done_pct", "time_pct", "verdict"}
)
OF_GAPS = frozenset({"computed", "missing", "state", "on_layers", "gaps", "unlocks_alone", "unlocks_more"})
SERIES_KINDS = frozenset({"floor", "cap", "path", "trend"})
DISTRICT_KINDS = frozenset({"peer_band", "consistency"})


@cache
def families() -> dict[str, frozenset[str]]:
    """Kind of derived rows -> heads of their names, the part behind ``report.``."""
    from workbench.evaluation.ledger import VALUES

    accounts = frozenset(name.removeprefix("report.") for name in VALUES.values())
    return {
        "none": frozenset({"total", "targets"}),
        "scope": frozenset({"scope_km2"}),
        "gaps": OF_GAPS | {"inapplicable"},
        "levels": OF_LEVELS,
        "findings": frozenset({"rules", "findings_no_data", *(f"findings_{n}" for n in range(5))}),
        "cases": frozenset({"cases", "cases_ha", "cases_mu", "cases_open", "permit"})
        | {f"cases_{n}" for n in range(5)},
        "changes": frozenset({"change", "change_pct"}),
        "paths": OF_PATHS | {"gap", "gap_pct"},
        "targets": OF_TARGETS,
        "accounts": accounts | {"quota_share", "quota_transfer"},
        "peers": frozenset({"peers"}),
        "transmission": frozenset({"assigned", "parts_assigned", "quota_gap"}),
        "register": frozenset({"register"}),
        "former": frozenset({"former"}),
        "projects": frozenset({"projects"}),
        "quarter": frozenset({"quarter"}),
        "problems": frozenset({"problems", "problem_findings"}),
        "parts": frozenset({"parts", "parts_count"}),
    }


def family_of(head: str) -> str:
    """Kind of the rows ``report.<head>``; empty for those named after a rule.

    >>> family_of("cases_open"), family_of("change"), family_of("dc_covers_city")
    ('cases', 'changes', '')
    """
    return next((family for family, heads in families().items() if head in heads), "")


class Ancestry:
    """Inputs of the derived rows of a checkup.

    Parameters
    ----------
    checkup : Checkup
        With all its values and findings.
    own : mapping of value id to str
        What the values of indicators are made of.
    states : States
        Hashes of the inputs.
    """

    def __init__(self, checkup: Checkup, own: Mapping[str, str], states: States) -> None:
        self.city, self.data, self.year = checkup.city, checkup.data, checkup.year
        self.states, self.own = states, own
        self.findings = checkup.findings.drop(columns="geometry")
        self.before = checkup.before
        computed = checkup.values[checkup.values["value_id"].isin(own)]
        self._ids: dict[tuple[str, int], list[tuple[str, str]]] = {}
        for row in computed.to_dict("records"):
            self._ids.setdefault((str(row["indicator"]), int(row["year"])), []).append(
                (str(row["level"]), str(row["value_id"]))
            )
        self._dimensions = {
            name: one.dimension
            for name, one in checkup.definitions.items()
            if (name, checkup.year) in self._ids
        }
        self._memo: dict[Any, Inputs] = {}
        self._rules = {rule.id: rule for rule in rules_of(self.city, self.year)}

    def of(self, row: Mapping[str, Any]) -> Inputs:
        """Inputs of a row of the value table."""
        if row["value_id"] in self.own:
            return {**unpack(self.own[str(row["value_id"])]), **self.states.of(["profile"])}
        name, zone, level = str(row["indicator"]), str(row["zone"]), str(row["level"])
        if level == "target":
            return self.states.of(["targets"])
        key = (name, zone)
        if key not in self._memo:
            self._memo[key] = {**self._derived(name, zone), **self.states.of(["profile"])}
        return self._memo[key]

    def _derived(self, name: str, zone: str) -> Inputs:
        kind, _, rest = name.partition(".")
        head, _, subject = rest.partition(".")
        if kind == "case":
            return self._case(head, zone)
        if family := family_of(head):
            return FAMILIES[family](self, head, subject, zone)
        if head in self._rules:
            return self._of_rule(head, zone)
        return self._everything()

    def _once(self, key: tuple[Any, ...], make: Callable[[], Inputs]) -> Inputs:
        if key not in self._memo:
            self._memo[key] = make()
        return self._memo[key]

    def values(self, indicator: str, *years: int, levels: tuple[str, ...] = ("city",)) -> Inputs:
        """Inputs of the values of an indicator; of all years there are when none is named."""
        wanted = years or tuple(year for name, year in self._ids if name == indicator)
        return join(
            self.own[id_]
            for year in wanted
            for level, id_ in self._ids.get((indicator, year), ())
            if not levels or level in levels
        )

    def _all_values(self, dimension: str = "all") -> Inputs:
        def make() -> Inputs:
            names = [n for n, one in self._dimensions.items() if dimension in ("all", one)]
            found: Inputs = {}
            for name in names:
                found |= self.values(name, self.year)
            return found

        return self._once(("values", dimension), make)

    def _layer(self, role: str, year: int | None = None) -> str:
        """Name of a layer's edition: of the year, when the layer is dated."""
        return input_name(role, (year or self.year) if self.data.years(role) else None)

    def _everything(self) -> Inputs:
        dated: list[tuple[str, int | None]] = []
        for role in self.city.layers:
            dated += [(role, year) for year in self.data.years(role)] or [(role, None)]
        layers = [input_name(role, year) for role, year in dated if self.data.has(role, year)]
        return self.states.of([*layers, "targets", "rules"])

    def _zone_layers(self, *levels: str) -> list[str]:
        named = [self.city.levels[one].role for one in levels if one in self.city.levels]
        if "city" in levels or not named:
            roles = ["boundary", "districts", *(one.role for one in self.city.levels.values())]
            named += [role for role in roles if self.data.has(role)][:1]
        return named

    def _scope(self, head: str, subject: str, zone: str) -> Inputs:
        value = self.city.scopes.get(zone, "city")
        if value == "city":
            return self.states.of(self._zone_layers("city"))
        return self.states.of([value if value in self.city.layers else "scopes"])

    def _levels(self, head: str, subject: str, zone: str) -> Inputs:
        def make() -> Inputs:
            found = dict(self._all_values(zone)) | self.states.of(["rules", "targets"])
            for row in self.findings[self.findings["indicator"] != ""].to_dict("records"):
                if zone in ("all", self._dimensions.get(str(row["indicator"]), "")):
                    found |= self._judged(str(row["indicator"]), str(row["kind"]))
            return found

        return self._once(("levels", zone), make)

    def _judged(self, indicator: str, kind: str) -> Inputs:
        """Inputs of what a rule of a kind says of an indicator."""
        if kind in SERIES_KINDS:
            return self._once(("series", indicator), lambda: self.values(indicator))
        if kind in DISTRICT_KINDS:
            both = ("city", "district")
            found = self._once(
                ("districts", indicator), lambda: self.values(indicator, self.year, levels=both)
            )
            peers = [self._layer("peers")] if kind == "peer_band" and "peers" in self.city.layers else []
            return {**found, **self.states.of(peers)}
        return self._once(("now", indicator), lambda: self.values(indicator, self.year))

    def _findings(self, head: str, subject: str, zone: str) -> Inputs:
        def make() -> Inputs:
            found = self.states.of(["rules", "targets"])
            rows = self.findings[self.findings["kind"] != "spatial_conflict"]
            for row in rows.drop_duplicates(["rule", "indicator", "kind", "zone"]).to_dict("records"):
                found |= self._finding(row)
            return found

        return self._once(("findings",), make)

    def _finding(self, row: Mapping[str, Any]) -> Inputs:
        if row["indicator"]:
            return self._judged(str(row["indicator"]), str(row["kind"]))
        return self._of_rule(str(row["rule"]), str(row["zone"]))

    def _of_rule(self, rule_id: str, zone: str) -> Inputs:
        """Inputs of what a rule on a layer, on permits or on projects says."""
        rule = self._rules[rule_id]
        if "figure" in rule.applies:
            made_of = published.made_of(self.city.name, published.TOPIC_FIGURES, self.year)
            return {**made_of, **self.states.of([input_name(published.TOPIC_FIGURES, self.year), "rules"])}
        if "paper" in rule.applies:
            layers = ["permits"]
            layers += ["projects"] if rule.applies["paper"] == "stuck" else []
            layers += (
                [self._layer("land_use")] if str(rule.applies["paper"]).startswith("temporary_unr") else []
            )
            return self.states.of([*layers, "rules"])
        check = str(rule.applies.get("check", ""))
        layers = [str(one) for one in rule.applies.get("between", ())] or [zone or rule.line]
        if check not in ("paper_dates", "unique_codes", "lines_apart"):
            layers = ["change_patches" if "patch" in check else "land_use"]
        layers += self._zone_layers("city") if check == "covers_city" else []
        return self.states.of([*map(self._layer, layers), "rules"])

    def _cases(self, head: str, subject: str, zone: str) -> Inputs:
        line = zone.partition("/")[0]
        return self.cases(None if line == "all" else line, self.year)

    def cases(self, line: str | None, year: int) -> Inputs:
        """Inputs of the suspected patches of a year on a line, or on all of them."""

        def make() -> Inputs:
            spatial = [one for one in self._rules.values() if one.kind == "spatial_conflict"]
            mine = [one for one in spatial if line in (None, one.line)]
            lines = {one.line for one in mine if one.side != "anywhere"}
            lines |= {str(other) for one in mine for other in one.applies.get("yields_to", ())}
            earlier = [one for one in self.data.years("land_use") if one < year][-1:]
            names = [input_name("land_use", one) for one in [*earlier, year]]
            names += [input_name("change_patches", year), "permits", "projects"]
            names += self._zone_layers("district") + [
                self.city.levels[one].role for one in ("unit",) if one in self.city.levels
            ]
            names += [one for one in lines if one in self.city.layers]
            known = [name for name in names if layer_of(name)[0] in self.city.layers]
            found = self.states.of([*known, "rules"])
            return found | self.states.of(["register"] if self.states["register"] != ABSENT else [])

        return self._once(("cases", line, year), make)

    def _case(self, head: str, zone: str) -> Inputs:
        if head in ("age_days", "register_mu"):
            return self.states.of(["register"])
        if head in ("days_in_stage", "quarter_days"):
            return self.states.of(["projects", "permits"])
        if head in ("former_m2", "still_pct"):
            found = self.cases(self._line_of(self.before, "before").get(zone), self.year - 1)
            return found | self.states.of([self._layer("land_use")] if head == "still_pct" else [])
        return self.cases(self._line_of(self.findings, "now").get(zone), self.year)

    def _line_of(self, findings: pd.DataFrame | None, when: str) -> Inputs:
        """Line of each finding by its number."""
        if findings is None:
            return {}
        return self._once(
            ("lines", when), lambda: dict(zip(findings["finding_id"], findings["line"], strict=True))
        )

    def _changes(self, head: str, subject: str, zone: str) -> Inputs:
        return self.values(subject, self.year, self.year - 1)

    def _paths(self, head: str, subject: str, zone: str) -> Inputs:
        rules = ["rules"] if head in ("expected", "deviation") else []
        years = (self.year,) if head in ("gap", "gap_pct") else ()
        return self.values(subject, *years) | self.states.of(["targets", *rules])

    def _targets(self, head: str, subject: str, zone: str) -> Inputs:
        found = self.states.of(["targets"])
        years = () if head == "verdicts" else (self.year,)
        for target in self.city.targets:
            found |= self.values(target.indicator, *years)
        return found

    def _tree(self) -> list[str]:
        return self._zone_layers(*chain(self.city)) + (["quotas"] if "quotas" in self.city.layers else [])

    def _accounts(self, head: str, subject: str, zone: str) -> Inputs:
        base = self.city.base_year
        years = [one for one in self.data.years("land_use") if base <= one <= self.year]
        land = [input_name("land_use", one) for one in years]
        return self.states.of([*self._tree(), *land, "development_boundary"])

    def _transmission(self, head: str, subject: str, zone: str) -> Inputs:
        found = self.states.of([*self._tree(), "targets"])
        if head == "quota_gap":
            found |= self.values(subject, self.year, levels=())
        return found

    def _of_register(self, head: str, subject: str, zone: str) -> Inputs:
        return self.states.of(["register"])

    def _former(self, head: str, subject: str, zone: str) -> Inputs:
        if zone == "patches":
            return self.cases(None, self.year - 1)

        def make() -> Inputs:
            found = self.states.of(["rules", "targets"])
            for name, _ in list(self._ids):
                found |= self.values(name, levels=("city",))
            return found

        return self._once(("former",), make)

    def _peers(self, head: str, subject: str, zone: str) -> Inputs:
        found = self.states.of(["rules"])
        for name in self._dimensions:
            found |= self._judged(name, "peer_band")
        return found

    def _projects(self, head: str, subject: str, zone: str) -> Inputs:
        return self.states.of(["projects", "permits"])

    def _quarter(self, head: str, subject: str, zone: str) -> Inputs:
        if subject == "patches":
            return self.cases(None, self.year)
        papers = subject.startswith(("permits", "projects"))
        return self.states.of(["projects", "permits"] if papers else ["register"])

    def _problems(self, head: str, subject: str, zone: str) -> Inputs:
        kind, _, about = zone.partition("/")
        if kind == "all":
            return join(
                pack(self._problems(head, "", one)) for one in ("line", "indicator", "permits", "ledger")
            )
        if kind == "line":
            return self.cases(about or None, self.year)
        if kind == "ledger":
            return self._accounts("", "", "")
        rows = self.findings[self.findings["kind"] != "spatial_conflict"]
        if kind == "data":
            rows = rows[rows["kind"].isin(["freshness", "consistency"])]
        elif kind == "permits":
            rows = rows[(rows["line"] == "permits") & (rows["indicator"] == "")]
        else:
            rows = rows[(rows["indicator"] != "") & ~rows["kind"].isin(["freshness", "consistency"])]
        if about:
            rows = rows[rows["indicator" if kind == "indicator" else "rule"] == about]
        found = self.states.of(["rules", *(["targets"] if kind == "indicator" else [])])
        for row in rows.drop_duplicates(["rule", "indicator", "kind", "zone"]).to_dict("records"):
            found |= self._finding(row)
        return found

    def _parts(self, head: str, subject: str, zone: str) -> Inputs:
        if head == "parts_count":
            names = [name for name in self._dimensions if (name, self.year - 1) in self._ids]
            return self._once(
                ("parts",), lambda: join(pack(self._parts("parts", f"all.{name}", "")) for name in names)
            )
        indicator = subject.partition(".")[2]

        def make() -> Inputs:
            before = self.values(indicator, self.year - 1)
            dated = [layer_of(name)[:2] for name in before if not name.startswith("definition:")]
            revised = [(role, year) for role, year in dated if len(self.data.editions(role, year)) > 1]
            more = [input_name(role, year, "original") for role, year in revised]
            more += ["definition_revisions"] if "definition_revisions" in self.city.layers else []
            found = before | self.values(indicator, self.year)
            return found | self.states.of([*more, f"report-{self.year - 1}"])

        return self._once(("parts", indicator), make)

    def _gaps(self, head: str, subject: str, zone: str) -> Inputs:
        return self._all_values(zone if head in ("computed", "missing") else "all")

    def _none(self, head: str, subject: str, zone: str) -> Inputs:
        return self.states.of(["targets"] if head == "targets" else [])


FAMILIES: dict[str, Callable[[Ancestry, str, str, str], Inputs]] = {
    "none": Ancestry._none,
    "scope": Ancestry._scope,
    "gaps": Ancestry._gaps,
    "levels": Ancestry._levels,
    "findings": Ancestry._findings,
    "cases": Ancestry._cases,
    "changes": Ancestry._changes,
    "paths": Ancestry._paths,
    "targets": Ancestry._targets,
    "accounts": Ancestry._accounts,
    "transmission": Ancestry._transmission,
    "register": Ancestry._of_register,
    "former": Ancestry._former,
    "peers": Ancestry._peers,
    "projects": Ancestry._projects,
    "quarter": Ancestry._quarter,
    "problems": Ancestry._problems,
    "parts": Ancestry._parts,
}
"""Kind of derived rows -> what they are derived from."""


def lineage(checkup: Checkup, own: Mapping[str, str]) -> pd.DataFrame:
    """What every value of a checkup is made of.

    Parameters
    ----------
    checkup : Checkup
        With all its values and findings.
    own : mapping of value id to str
        What the values of indicators are made of, as their computation found it.

    Returns
    -------
    DataFrame
        ``value_id, made_of`` (see :mod:`workbench.core.lineage`), one row a value.
    """
    ancestry = Ancestry(checkup, own, States(checkup.city, checkup.data, checkup.year))
    columns = ["value_id", "indicator", "level", "zone"]
    texts = [pack(ancestry.of(row)) for row in checkup.values[columns].to_dict("records")]  # type: ignore[arg-type]
    return pd.DataFrame({"value_id": checkup.values["value_id"].to_numpy(), "made_of": texts})


__all__ = ["Ancestry", "lineage"]
