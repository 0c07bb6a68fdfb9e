"""An aid to review cases found in images, in JupyterLab: picture, map, and a button for each verdict.

What is clicked goes into the case register by the checks a list from the field is put through.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from workbench.catalog.data import CityData
from workbench.dashboard.case_pictures import CasePictures
from workbench.dashboard.map_layers import WGS84
from workbench.interpretation.findings import IMAGES, field_rates
from workbench.rules.answers import record
from workbench.rules.register import STATUSES, VERDICTS
from workbench.rules.same_place import IMAGE_CASES, joins
from workbench.views.cells import change_text, level_chip, line_label, word
from workbench.views.html import Html, element, join
from workbench.views.interpretation import field_table
from workbench.views.numbers import format_number
from workbench.views.text import exempt, mark, plain, t

if TYPE_CHECKING:
    from pathlib import Path

    import geopandas as gpd

    from workbench.core.city import City
    from workbench.rules.register import Register

STYLES = {"属实": "danger", "误判": "success", "合法": "info", "无法认定": "warning"}
"""Verdict -> look of its button."""
CASE_LOOK = {"color": "#e22222", "weight": 3, "fillOpacity": 0.08}
ZOOM = 16


class Review:
    """Cases one after the other; its widget is shown, its methods answer the buttons.

    Parameters
    ----------
    register : Register
        Where verdicts go.
    cases : GeoDataFrame
        Cases to review, in order: rows of the register.
    pictures : CasePictures or mapping of space code to Path
        Pictures of cases; without what lies around a case no map is shown.
    lang : {"zh", "en"}
        Language.
    """

    def __init__(
        self,
        register: Register,
        cases: gpd.GeoDataFrame,
        pictures: CasePictures | Mapping[str, Path],
        lang: str,
    ) -> None:
        import ipywidgets as widgets

        self.register, self.lang, self.pictures = register, lang, pictures
        self.cases = cases.reset_index(drop=True)
        self._degrees = self.cases.to_crs(WGS84) if len(self.cases) else self.cases
        self.at = 0
        self.told, self.facts, self.rates = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.picture = widgets.Image(format="png", layout={"max_width": "890px"})
        self.person = widgets.Text(description=self._say("person"), layout={"width": "220px"})
        self.day = widgets.DatePicker(
            description=self._say("day"), value=date.today(), layout={"width": "240px"}
        )
        self.note = widgets.Text(description=self._say("note"), layout={"width": "360px"})
        self.buttons = {name: self._button(name) for name in VERDICTS}
        back, on = (
            widgets.Button(description=self._say(name), layout={"width": "90px"})
            for name in ("previous", "next")
        )
        back.on_click(lambda _: self.go(-1))
        on.on_click(lambda _: self.go(1))
        self.map = self._new_map()
        self.widget = widgets.VBox(
            [
                widgets.HBox([back, on, self.told]), self.facts, self.picture, self.map,
                widgets.HBox([self.person, self.day, self.note]), widgets.HBox(list(self.buttons.values())), self.rates,
            ]
        )  # fmt: skip
        self.show()

    def _say(self, name: str, **values: object) -> str:
        return plain(f"image.label.{name}", self.lang, **values)

    def _button(self, verdict: str) -> Any:
        import ipywidgets as widgets

        made = widgets.Button(
            description=word("case_verdict", verdict, self.lang),
            button_style=STYLES[verdict],
            layout={"width": "120px"},
        )
        made.on_click(lambda _: self.give(verdict))
        return made

    def _new_map(self) -> Any:
        import ipyleaflet

        made = ipyleaflet.Map(
            layers=(),
            zoom=ZOOM,
            attribution_control=False,
            scroll_wheel_zoom=True,
            layout={"height": "300px"},
        )
        made.add(ipyleaflet.ScaleControl(position="bottomleft", imperial=False))
        return made

    def go(self, by: int) -> None:
        """Show another case: so many on, or back."""
        if len(self.cases):
            self.at = (self.at + by) % len(self.cases)
            self.note.value = ""
            self.show()

    def give(self, verdict: str) -> list[str]:
        """Record a verdict on the case shown and go on; problems are told and nothing is recorded."""
        if not len(self.cases):
            return []
        code = str(self.cases.at[self.at, "space_code"])
        day = self.day.value
        problems = record(
            self.register, code, verdict, person=self.person.value.strip(),
            on_date=day.isoformat() if day is not None else "", note=self.note.value.strip(),
        )  # fmt: skip
        if problems:
            self.told.value = str(join([element("div", mark(one), css="wb-warning") for one in problems]))
            return problems
        kept = self._say("kept", code=code, verdict=word("case_verdict", verdict, self.lang))
        self.go(1)
        self.told.value = f"{mark(kept)} · {self.told.value}"
        return []

    @property
    def left(self) -> int:
        """Cases of the list that nobody has judged yet."""
        now = self.register.cases.set_index("space_code")["status"]
        return int((now.reindex(self.cases["space_code"]) == STATUSES[0]).sum())

    def show(self) -> None:
        """Show the case at the present place."""
        self.told.value = str(mark(self._say("left", left=self.left, all=len(self.cases))))
        self.rates.value = self._rates()
        if not len(self.cases):
            return
        case = {str(key): value for key, value in self.cases.iloc[self.at].items()}
        code = str(case["space_code"])
        path = self.pictures.get(code)
        self.facts.value = str(self._facts(case, path is not None))
        self.picture.value = path.read_bytes() if path is not None else b""
        self.picture.layout.display = None if path is not None else "none"
        self._mark()

    def _rates(self) -> str:
        """How often images were right so far, by month; nothing before the first verdict."""
        rates = field_rates(self.register, found=getattr(self.pictures, "found", None))
        return str(field_table(rates, self.lang)) if int(rates["checked"].iloc[0]) else ""

    def _facts(self, case: dict[str, Any], pictured: bool) -> Html:
        area = f"{format_number(float(case['area_m2']), 0)} m²"
        now = self.register.cases.set_index("space_code").loc[str(case["space_code"])]
        said = word("case_verdict", now["verdict"], self.lang) or word("status", now["status"], self.lang)
        words = [
            line_label(str(case["line"]), self.lang), change_text(case, self.lang), area,
            word("permit", case["permit_state"], self.lang), said,
        ]  # fmt: skip
        head = Html(f"{level_chip(case['level'], self.lang)} {element('b', mark(case['space_code']))}")
        rest = element("span", mark(" · ".join(str(one) for one in words if one)))
        missing = "" if pictured else f" ({self._say('no_picture')})"
        other = getattr(self.pictures, "same_place", {}).get(str(case["space_code"]), "")
        same = (
            element("div", t("image.label.same_place", self.lang, code=exempt(other)))
            if other not in ("", case["space_code"])
            else ""
        )
        return Html(f"{head} {rest}{mark(missing)}{same}")

    def _mark(self) -> None:
        """Put the outline of the case on the newest image of its place; without an image there is no map."""
        import ipyleaflet
        import shapely

        shape = self._degrees.geometry.iloc[self.at]
        middle = shape.centroid
        layer = ipyleaflet.GeoJSON(data=shapely.geometry.mapping(shape), style=CASE_LOOK)
        code = str(self.cases.at[self.at, "space_code"])
        under = self.pictures.backdrop(code) if isinstance(self.pictures, CasePictures) else None
        self.map.layout.display = None if under is not None else "none"
        images = () if under is None else (ipyleaflet.ImageOverlay(url=under.url, bounds=under.bounds),)
        self.map.layers = (*images, layer)
        self.map.center, self.map.zoom = (middle.y, middle.x), ZOOM


def to_review(register: Register, year: int, found: gpd.GeoDataFrame | None = None) -> gpd.GeoDataFrame:
    """Cases of a year that images found, those nobody has judged first, the gravest and largest of them first.

    A case of the surveys on whose place images found one too (``found``) is one of them. Where images found none, all.
    """
    cases = register.cases
    mine = cases[(cases["space_code"].str[2:6] == f"{year:04d}") & cases["listed"]].reset_index(drop=True)
    by_image = mine["source"].isin(IMAGES).to_numpy()
    if found is not None:
        by_image |= mine.index.isin(joins(mine, found)["left"])
    if by_image.any():
        mine = mine[by_image]
    return mine.assign(open=mine["status"] == STATUSES[0]).sort_values(
        ["open", "level", "area_m2", "space_code"], ascending=[False, False, False, True], kind="stable"
    )  # fmt: skip


def review(city: City, register: Register, year: int, lang: str = "zh") -> Any:
    """Open the aid for the cases of a year.

    Parameters
    ----------
    city : City
        Profile.
    register : Register
        The city's register.
    year : int
        Year of the cases.
    lang : {"zh", "en"}
        Language.

    Returns
    -------
    ipywidgets.VBox
        For JupyterLab. It has a case after the other with picture, outline and buttons.
    """
    data = CityData(city)
    found = data.vector(IMAGE_CASES, year) if data.has(IMAGE_CASES, year) else None
    cases = to_review(register, year, found)
    return Review(register, cases, CasePictures(data, cases, year, lang), lang).widget
