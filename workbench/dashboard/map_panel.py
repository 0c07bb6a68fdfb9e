"""The dashboard's map: no base map of the web, the city's own layers in EPSG:4326, a picture warped to EPSG:3857."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.dashboard import legend
from workbench.dashboard.map_layers import (
    LINE_LOOKS,
    WGS84,
    case_points,
    control_lines,
    degrees,
    district_values,
    features,
    inner_point,
    land_use_overlay,
    names_of_districts,
    present_groups,
    surroundings,
    zoom_for,
)
from workbench.views import style
from workbench.views.cartography import districts
from workbench.views.cells import change_text, level_chip, role_label, titles_of, word
from workbench.views.html import Html, element, join
from workbench.views.maps import class_colours, class_edges
from workbench.views.numbers import num_of, records
from workbench.views.rows import cases_of, definition_of
from workbench.views.text import exempt, mark, plain

if TYPE_CHECKING:
    from workbench.views.source import CheckupView

NO_DATA = "#e5e7eb"
"""Colour of a district without a value."""
CASES_SHOWN = 400
"""Most patches drawn as points, the largest first; a browser stays quick with them."""
PANES = {"wbfill": 330, "wbland": 340, "wbbase": 360, "wblines": 380}
"""Panes below Leaflet's own, in which patches lie at 400: what is redrawn stays under what is clicked. Shapes of a
GeoJSON layer take theirs from their style; the layer's own ``pane`` does not reach them."""
CASE_ZOOM = 15.0
"""Nearest zoom at which a patch is shown, so that its surroundings are still seen."""


def case_popup(
    row: Mapping[str, Any], areas: Mapping[str, Mapping[str, Any]], names: Mapping[str, str], lang: str
) -> Html:
    """What a click on a patch tells: line, change of class, area, permit, level."""
    area = areas.get(str(row["finding_id"]))
    head = Html(f"{level_chip(row['level'], lang)} {element('b', mark(role_label(str(row['line']), lang)))}")
    facts = [
        ("column.case", exempt(row["finding_id"])),
        ("column.district", mark(names.get(str(row.get("district")), ""))),
        ("column.change", mark(change_text(row, lang))),
        ("column.area_mu", num_of(area, lang=lang) if area else Html("")),
        ("column.permit", mark(word("permit", row.get("permit_state"), lang))),
        ("column.status", mark(word("status", row.get("status"), lang))),
    ]
    lines = [
        element("tr", element("th", plain(key, lang)) + element("td", value)) for key, value in facts if value
    ]
    note = element("div", plain("common.suspected", lang), css="wb-muted")
    return element("div", head + element("table", join(lines)) + note, css="wb-popup")


class MapPanel:
    """The map and its layers; its methods answer the controls.

    Parameters
    ----------
    checkup : Checkup
        City, values, findings.
    lang : {"zh", "en"}
        Language.
    """

    LAYERS = ("fill", "land_use", "lines", "base", "cases", "names")

    def __init__(self, checkup: CheckupView, lang: str) -> None:
        import ipywidgets as widgets

        self.checkup, self.lang = checkup, lang
        self.zones = districts(checkup)
        shown = degrees(self.zones, 15)
        self._whole = tuple(float(edge) for edge in shown.total_bounds)
        self._size = (860, 540)
        self._zones_json = features(shown, ["code", "name"])
        self.groups: dict[str, list[Any]] = {name: [] for name in self.LAYERS}
        self.legend, self.info = widgets.HTML(), widgets.HTML()
        self._keys: dict[str, Html] = {}
        self._rows: dict[str, dict[str, Any]] = {}
        self._fills: dict[str, str] = {}
        self._popup: Any = None
        self._mark: Any = None
        self._made: set[str] = set()
        self.visible = {
            "fill": True, "land_use": False, "lines": False, "base": True, "cases": True, "names": True
        }  # fmt: skip
        self.map = self._new_map()
        self._add_fill()
        self._add_cases()
        self._add_names()
        self._draw()
        self.map.observe(self._measure, names="pixel_bounds")

    def _new_map(self) -> Any:
        import ipyleaflet
        import ipywidgets as widgets

        west, south, east, north = self._whole
        made = ipyleaflet.Map(
            center=((south + north) / 2, (west + east) / 2), layers=(), zoom_snap=0.25, zoom_delta=0.5,
            zoom=zoom_for(west, south, east, north, width=self._size[0], height=self._size[1]),
            panes={name: {"zIndex": height} for name, height in PANES.items()},
            attribution_control=False, scroll_wheel_zoom=True, zoom_control=False, max_zoom=18, min_zoom=7,
        )  # fmt: skip
        made.add_class("wb-map")
        zoom = ipyleaflet.ZoomControl(
            position="topleft",
            zoom_in_title=plain("dashboard.zoom_in", self.lang),
            zoom_out_text="−",
            zoom_out_title=plain("dashboard.zoom_out", self.lang),
        )
        arrow = widgets.HTML(legend.north_arrow(self.lang))
        made.controls = (
            zoom,
            ipyleaflet.ScaleControl(position="bottomleft", imperial=False, max_width=140),
            ipyleaflet.WidgetControl(widget=arrow, position="topright", transparent_bg=True),
            ipyleaflet.WidgetControl(widget=self.info, position="topright", transparent_bg=True),
        )
        return made

    def _add_fill(self) -> None:
        import ipyleaflet

        self._fill = ipyleaflet.GeoJSON(
            data=self._zones_json,
            style_callback=self._district_style,
            hover_style={"weight": 3, "color": "#1f4e79"},
        )
        self._fill.on_hover(self._hover)
        self.groups["fill"] = [self._fill]
        self._border = ipyleaflet.GeoJSON(
            data=self._zones_json,
            style={
                "color": "#374151",
                "weight": 1.3,
                "dashArray": "6 3",
                "fill": False,
                "interactive": False,
                "pane": "wblines",
            },
        )

    def _make(self, name: str) -> None:
        """Layers that are made when they are first wanted."""
        import ipyleaflet

        if name in self._made:
            return
        self._made.add(name)
        if name == "land_use" and (overlay := land_use_overlay(self.checkup)):
            self.groups[name] = [
                ipyleaflet.ImageOverlay(url=overlay.url, bounds=overlay.bounds, pane="wbland")
            ]
            self._keys[name] = legend.land(present_groups(overlay), self.lang)
        elif name == "lines":
            found = control_lines(self.checkup)
            for role, data in found.items():
                edge, fill, strength = LINE_LOOKS[role]
                look = {"color": edge, "weight": 1.2, "fillColor": fill, "fillOpacity": strength}
                quiet = {**look, "interactive": False, "pane": "wblines"}
                self.groups[name].append(ipyleaflet.GeoJSON(data=data, style=quiet))
            self._keys[name] = legend.lines(found, self.lang)
        elif name == "base":
            looks: dict[str, dict[str, Any]] = {
                "water": {"stroke": False, "fillColor": "#a9d3ee", "fillOpacity": 0.9},
                "roads": {"color": "#8d7a66", "opacity": 0.75, "fill": False},
                "rail": {"color": "#3b3f46", "weight": 1.4, "dashArray": "5 3", "fill": False},
            }
            for role, data in surroundings(self.checkup).items():
                quiet = {**looks[role], "interactive": False, "pane": "wbbase"}
                made = ipyleaflet.GeoJSON(data=data, style=quiet)
                if role == "roads":
                    made.style_callback = lambda feature: {"weight": feature["properties"]["width"]}
                self.groups[name].append(made)

    def _add_cases(self) -> None:
        import ipyleaflet

        cases = cases_of(self.checkup).head(CASES_SHOWN)
        self._cases: dict[str, dict[str, Any]] = {}
        if not len(cases):
            return
        values = self.checkup.values
        areas = {str(r["zone"]): r for r in records(values[values["indicator"] == "case.mu"])}
        names = names_of_districts(self.checkup, self.lang)
        rows = records(cases)
        ids = [str(row["finding_id"]) for row in rows]
        points = case_points(cases).assign(id=ids).to_crs(WGS84)
        for row, point in zip(rows, points.geometry, strict=True):
            bounds = cases.geometry.iloc[len(self._cases)]
            self._cases[str(row["finding_id"])] = {
                "popup": str(case_popup(row, areas, names, self.lang)),
                "place": (point.y, point.x),
                "shape": bounds,
            }
        dots = ipyleaflet.GeoJSON(
            data=features(points, ["level", "id"]),
            point_style={"radius": 6, "color": "#fff", "weight": 1.5, "fillOpacity": 1.0},
            style_callback=lambda feature: {
                "fillColor": style.LEVEL_COLOURS.get(int(feature["properties"]["level"]), "#c62828")
            },
        )
        dots.on_click(self._click)
        outlines = ipyleaflet.GeoJSON(
            data=features(degrees(cases[["geometry"]], 2), []),
            style={"color": "#7f0000", "weight": 1, "fillColor": "#c62828", "fillOpacity": 0.75},
        )
        self.groups["cases"] = [outlines, dots]
        self._keys["cases"] = legend.levels([int(row["level"]) for row in rows], self.lang)

    def _add_names(self) -> None:
        import ipyleaflet

        self._name_icons: dict[str, Any] = {}
        points = self.zones.assign(geometry=[inner_point(shape) for shape in self.zones.geometry])
        english = self.lang == "en" and "name_en" in points
        for code, name, point in zip(
            points["code"],
            points["name_en" if english else "name"],
            points.to_crs(WGS84).geometry,
            strict=True,
        ):
            marker = ipyleaflet.Marker(
                location=(point.y, point.x), icon=_name_icon(str(name)), draggable=False, keyboard=False,
                z_index_offset=-1000,
            )  # fmt: skip
            self._name_icons[str(code)] = (marker, str(name))
            self.groups["names"].append(marker)

    def _draw(self) -> None:
        for name, on in self.visible.items():
            if on:
                self._make(name)
        wanted = [one for name in self.LAYERS if self.visible[name] for one in self.groups[name]]
        wanted.insert(len(self.groups["fill"]) if self.visible["fill"] else 0, self._border)
        self.map.layers = tuple(one for one in (*wanted, self._mark, self._popup) if one is not None)
        shown = [
            self._keys[name] for name in ("fill", "lines", "cases", "land_use") if self.visible[name] and name in self._keys
        ]  # fmt: skip
        self.legend.value = element("div", join(shown), css="wb-legend") if shown else Html("")

    def toggle(self, name: str, on: bool) -> None:
        """Show or hide a layer: ``fill``, ``land_use``, ``lines``, ``base``, ``cases``, ``names``."""
        self.visible[name] = on
        self._draw()

    def show_indicator(self, indicator: str) -> None:
        """Colour the districts by an indicator, and write its classes into the legend."""
        rows = district_values(self.checkup, indicator)
        self._rows = rows
        title = titles_of(definition_of(self.checkup, indicator), self.lang, indicator)
        known = np.array([float(row["value"]) for row in rows.values() if not pd.isna(row["value"])])
        fills: dict[str, str] = {}
        if len(known):
            some = next(iter(rows.values()))
            decimals = int(some["decimals"] or 0)
            edges = class_edges(known, decimals)
            colours = class_colours(len(edges) - 1)
            fills = {
                code: colours[
                    int(np.clip(np.digitize(float(row["value"]), edges[1:-1]), 0, len(colours) - 1))
                ]
                for code, row in rows.items()
                if not pd.isna(row["value"])
            }
            self._keys["fill"] = legend.classes(title, edges, colours, decimals, str(some["unit"]), self.lang)
        else:
            self._keys["fill"] = legend.no_values(title, self.lang)
        self._fills = fills
        self._fill.data = self._zones_json  # without styles: the layer asks for them again
        for code, (marker, name) in self._name_icons.items():
            value = num_of(rows[code], lang=self.lang) if code in rows else ""
            marker.icon = _name_icon(name, str(value))
        self.info.value = Html("")
        self._draw()

    def _district_style(self, feature: Mapping[str, Any]) -> dict[str, Any]:
        colour = self._fills.get(str(feature["properties"]["code"]))
        look = {"fillColor": colour or NO_DATA, "fillOpacity": 0.82 if colour else 0.6}
        return {"color": "#4b5563", "weight": 1.2, "pane": "wbfill", **look}

    def focus(self, code: str | None) -> None:
        """Move to a district; None shows the whole city."""
        shapes = self.zones if code is None else self.zones[self.zones["code"].astype(str) == code]
        west, south, east, north = (float(edge) for edge in shapes.to_crs(WGS84).total_bounds)
        if self._popup is not None:
            self._popup = self._mark = None
            self._draw()
        self._move(west, south, east, north)

    def _move(self, west: float, south: float, east: float, north: float, *, most: float = 18.0) -> None:
        width, height = self._size
        zoom = zoom_for(west, south, east, north, width=width - 40, height=height - 30)
        self.map.center = ((south + north) / 2, (west + east) / 2)
        self.map.zoom = min(zoom, most)

    def _measure(self, change: Mapping[str, Any]) -> None:
        """Note the size of the map on the screen; fit the city to it once it is known."""
        corners = change["new"]
        if not corners or len(corners) != 2:
            return
        (left, top), (right, bottom) = corners
        width, height = int(abs(right - left)), int(abs(bottom - top))
        first = not getattr(self, "_measured", False)
        if width > 100 and height > 100:
            self._size, self._measured = (width, height), True
            if first:
                self._move(*self._whole)

    def _hover(self, feature: Mapping[str, Any] | None = None, **_: object) -> None:
        if not feature:
            return
        code = str(feature["properties"]["code"])
        row = self._rows.get(code)
        value = num_of(row, lang=self.lang, unit=True) if row else Html("")
        name = self._name_icons[code][1] if code in self._name_icons else str(feature["properties"]["name"])
        self.info.value = Html(f'<div class="wb-info"><b>{mark(name)}</b> {value}</div>')

    def _click(self, feature: Mapping[str, Any] | None = None, **_: object) -> None:
        if feature:
            self.show_case(str(feature["properties"]["id"]), move=False)

    def show_case(self, finding_id: str, *, move: bool = True) -> bool:
        """Tell the story of a patch on the map, and move there; False for a patch the map does not have."""
        import geopandas as gpd
        import ipyleaflet
        import ipywidgets as widgets

        case = self._cases.get(finding_id)
        if case is None:
            return False
        shape = gpd.GeoDataFrame(geometry=[case["shape"]], crs=self.zones.crs).to_crs(WGS84)
        if move:
            self._move(*(float(edge) for edge in shape.total_bounds), most=CASE_ZOOM)
        look = {"color": "#00acc1", "weight": 4, "fill": False, "opacity": 0.95, "interactive": False}
        self._mark = ipyleaflet.GeoJSON(data=features(shape, []), style=look)
        self._popup = ipyleaflet.Popup(
            location=case["place"],
            child=widgets.HTML(case["popup"]),
            close_button=True,
            auto_close=True,
            min_width=230,
        )
        self._draw()
        return True


def _name_icon(name: str, value: str = "") -> Any:
    import ipyleaflet

    second = f"<br>{value}" if value else ""
    words = f'<div class="wb-mapname">{mark(name)}{second}</div>'
    return ipyleaflet.DivIcon(html=words, icon_size=[120, 34], icon_anchor=[60, 17])
