"""The dashboard's map: no base map of the web, the city's own layers in EPSG:4326, a picture warped to EPSG:3857."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.views import style
from workbench.views.cartography import districts, label_point, land_group, layer, raster_groups
from workbench.views.cells import change_text, level_chip, role_label, word
from workbench.views.html import Html, element, join
from workbench.views.maps import THREE_LINES, class_colours, class_edges, in_force
from workbench.views.numbers import num_of, records
from workbench.views.rows import cases_of, district_names
from workbench.views.text import exempt, mark, plain

if TYPE_CHECKING:
    import geopandas as gpd

    from workbench.views.source import CheckupView

WGS84 = "EPSG:4326"
NO_DATA = "#e5e7eb"
"""Colour of a district without a value."""
CASES_SHOWN = 400
"""Most patches drawn as points, the largest first; a browser stays quick with them."""


@dataclass(frozen=True)
class Overlay:
    """A picture and where it lies."""

    url: str
    """PNG as data URI; its rows are equally spaced in EPSG:3857."""
    bounds: tuple[tuple[float, float], tuple[float, float]]
    """((south, west), (north, east)) in degrees, as Leaflet wants them."""


def degrees(shapes: gpd.GeoDataFrame, tolerance_m: float) -> gpd.GeoDataFrame:
    """Shapes simplified and in longitude and latitude."""
    slim = shapes.copy()
    slim.geometry = slim.geometry.simplify(tolerance_m)
    found: gpd.GeoDataFrame = slim[~slim.geometry.is_empty].to_crs(WGS84)
    return found


def features(shapes: gpd.GeoDataFrame, columns: list[str]) -> dict[str, Any]:
    """Shapes as GeoJSON with five decimals (about a metre)."""
    rounded = shapes[[*columns, "geometry"]].copy()
    rounded.geometry = rounded.geometry.set_precision(1e-5)
    made: dict[str, Any] = json.loads(rounded.to_json(drop_id=True))
    return made


def zoom_for(
    west: float, south: float, east: float, north: float, *, width: int = 700, height: int = 500
) -> float:
    """Leaflet zoom, in quarters, at which a box in degrees fits a map of so many pixels.

    Examples
    --------
    >>> zoom_for(-180.0, -85.0, 180.0, 85.0, width=512, height=512)
    1.0
    """

    def mercator(latitude: float) -> float:
        return math.log(math.tan(math.pi / 4 + math.radians(latitude) / 2))

    across = width / 256 * 360 / max(east - west, 1e-9)
    up = height / 256 * 2 * math.pi / max(mercator(north) - mercator(south), 1e-9)
    return math.floor(math.log2(min(across, up)) * 4) / 4


def land_use_overlay(checkup: CheckupView, *, cells: int = 900) -> Overlay | None:
    """Land use of the year as a picture for the map; None where the city has none.

    The class raster is warped to EPSG:3857 by nearest neighbour, because Leaflet stretches a picture linearly in
    Mercator; parcels are drawn into a raster first.
    """
    import rasterio.features
    import rasterio.warp
    from PIL import Image
    from rasterio.transform import array_bounds, from_bounds

    crs = checkup.city.crs
    if checkup.data.has("land_use_raster", checkup.year):
        raster = checkup.data.raster("land_use_raster", checkup.year).squeeze(drop=True)
        step = max(1, max(raster.shape) // (2 * cells))
        groups = (raster_groups(np.asarray(raster.values)[::step, ::step]) + 1).astype(np.uint8)
        xs, ys = raster["x"].to_numpy(), raster["y"].to_numpy()
        half = abs(float(xs[1] - xs[0])) / 2
        left, top = float(xs.min()) - half, float(ys.max()) + half
        transform = from_bounds(
            left, top - groups.shape[0] * 2 * half * step, left + groups.shape[1] * 2 * half * step, top,
            groups.shape[1], groups.shape[0],
        )  # fmt: skip
    elif checkup.data.has("land_use", checkup.year):
        parcels = checkup.data.vector("land_use", checkup.year)
        minx, miny, maxx, maxy = parcels.total_bounds
        side = max(maxx - minx, maxy - miny) / cells
        height, width = math.ceil((maxy - miny) / side), math.ceil((maxx - minx) / side)
        transform = from_bounds(minx, miny, maxx, maxy, width, height)
        shapes = zip(parcels.geometry, land_group(parcels["dlbm"]).astype(int) + 1, strict=True)
        groups = rasterio.features.rasterize(shapes, (height, width), transform=transform, dtype="uint8")
    else:
        return None
    bounds = array_bounds(*groups.shape, transform)
    target, width, height = rasterio.warp.calculate_default_transform(
        crs, "EPSG:3857", groups.shape[1], groups.shape[0], *bounds, dst_width=cells, dst_height=cells
    )
    warped = np.zeros((height, width), np.uint8)
    rasterio.warp.reproject(
        groups, warped, src_transform=transform, src_crs=crs, dst_transform=target, dst_crs="EPSG:3857",
        resampling=rasterio.warp.Resampling.nearest,
    )  # fmt: skip
    image = Image.fromarray(warped, "P")
    palette = [255, 255, 255]
    for colour, _ in style.LAND_GROUPS.values():
        palette += [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    image.putpalette(palette)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True, transparency=0)
    west, south, east, north = rasterio.warp.transform_bounds(
        "EPSG:3857", WGS84, *array_bounds(height, width, target)
    )
    uri = "data:image/png;base64," + base64.b64encode(out.getvalue()).decode("ascii")
    return Overlay(uri, ((south, west), (north, east)))


def district_values(checkup: CheckupView, indicator: str) -> dict[str, dict[str, Any]]:
    """Row of the value table by district code, for one indicator."""
    values = checkup.values
    rows = values[(values["indicator"] == indicator) & (values["level"] == "district")]
    rows = rows[(rows["year"] == checkup.year) & (rows["tier"] != "target")]
    return {str(row["zone"]): row for row in records(rows)}


def case_popup(
    row: Mapping[str, Any], areas: Mapping[str, Mapping[str, Any]], names: Mapping[str, str], lang: str
) -> Html:
    """What a click on a patch tells: line, change of class, area, permit, level."""
    area = areas.get(str(row["finding_id"]))
    lines = [
        element("b", exempt(row["finding_id"])),
        Html(f"{level_chip(row['level'], lang)} {mark(role_label(str(row['line']), lang))}"),
        mark(change_text(row, lang)),
        num_of(area, lang=lang, unit=True) if area else Html(""),
        mark(names.get(str(row.get("district")), "")),
        mark(word("permit", row.get("permit_state"), lang)),
    ]
    return element("div", join([line for line in lines if line], "<br>"), css="wb-popup")


class MapPanel:
    """The map and its layers; :meth:`show_indicator` and :meth:`toggle` answer the controls.

    Parameters
    ----------
    checkup : Checkup
        City, values, findings.
    lang : {"zh", "en"}
        Language.
    """

    LAYERS = ("fill", "land_use", "lines", "cases", "names")

    def __init__(self, checkup: CheckupView, lang: str) -> None:
        import ipyleaflet
        import ipywidgets as widgets
        import leafmap

        self.checkup, self.lang = checkup, lang
        self.zones = districts(checkup)
        shown = degrees(self.zones, 15)
        west, south, east, north = shown.total_bounds
        self.map = leafmap.Map(
            center=((south + north) / 2, (west + east) / 2), zoom=zoom_for(west, south, east, north), zoom_snap=0.25, zoom_delta=0.5,
            toolbar_control=False, draw_control=False, scale_control=False,
            attribution_control=False, scroll_wheel_zoom=True,
        )  # fmt: skip
        self.map.layers = ()
        self.map.layout.height = "520px"
        self.map.add(ipyleaflet.ScaleControl(position="bottomleft", imperial=False))
        self._zones_json = features(shown, ["code", "name"])
        self.groups: dict[str, list[Any]] = {name: [] for name in self.LAYERS}
        self.legend = widgets.HTML()
        self.info = widgets.HTML()
        self._popup: Any = None
        self._rows: dict[str, dict[str, Any]] = {}
        self._fills: dict[str, str] = {}
        self._add_fill()
        self._add_cases()
        self._add_names()
        self.visible = {"fill": True, "land_use": False, "lines": False, "cases": True, "names": True}
        self._draw()

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
            style={"color": "#374151", "weight": 1.3, "dashArray": "6 3", "fillOpacity": 0.0},
        )

    def _land_use_layer(self) -> list[Any]:
        import ipyleaflet

        overlay = land_use_overlay(self.checkup)
        return [ipyleaflet.ImageOverlay(url=overlay.url, bounds=overlay.bounds)] if overlay else []

    def _line_layers(self) -> list[Any]:
        import ipyleaflet

        made = []
        looks = {
            "permanent_farmland": ("#c9a21a", "#f6e08a", 0.45),
            "ecological_red_line": ("#b03a2e", "#8fc79a", 0.45),
            "development_boundary": ("#1f4e9c", "#f5b7a1", 0.12),
        }
        for role in THREE_LINES:
            shapes = layer(self.checkup, role)
            if shapes is None:
                continue
            edge, fill, strength = looks[role]
            slim = degrees(in_force(shapes, self.checkup.year)[["geometry"]].dissolve(), 20)
            look = {"color": edge, "weight": 1.2, "fillColor": fill, "fillOpacity": strength}
            made.append(ipyleaflet.GeoJSON(data=features(slim, []), style=look))
        return made

    def _add_cases(self) -> None:
        import ipyleaflet

        cases = cases_of(self.checkup).head(CASES_SHOWN)
        if not len(cases):
            return
        values = self.checkup.values
        areas = {str(r["zone"]): r for r in records(values[values["indicator"] == "case.mu"])}
        names = district_names(self.checkup)
        popups = [case_popup(row, areas, names, self.lang) for row in records(cases)]
        points = _points(cases)
        data = features(
            points.assign(popup=[str(popup) for popup in popups]).to_crs(WGS84), ["level", "popup"]
        )
        dots = ipyleaflet.GeoJSON(
            data=data,
            point_style={
                "radius": 5,
                "color": "white",
                "weight": 1,
                "fillOpacity": 0.95,
                "fillColor": "#c62828",
            },
            style_callback=lambda feature: {
                "fillColor": style.LEVEL_COLOURS.get(int(feature["properties"]["level"]), "#c62828")
            },
        )
        dots.on_click(self._show_case)
        outlines = ipyleaflet.GeoJSON(
            data=features(degrees(cases[["geometry"]], 2), []),
            style={"color": "#7f0000", "weight": 1, "fillColor": "#c62828", "fillOpacity": 0.75},
        )
        self.groups["cases"] = [outlines, dots]

    def _add_names(self) -> None:
        import ipyleaflet

        self._name_icons: dict[str, Any] = {}
        points = self.zones.assign(geometry=[_as_point(label_point(shape)) for shape in self.zones.geometry])
        english = self.lang == "en" and "name_en" in points
        for code, name, point in zip(
            points["code"],
            points["name_en" if english else "name"],
            points.to_crs(WGS84).geometry,
            strict=True,
        ):
            icon = ipyleaflet.DivIcon(html=_name_html(str(name)), icon_size=[120, 34], icon_anchor=[60, 17])
            marker = ipyleaflet.Marker(
                location=(point.y, point.x), icon=icon, draggable=False, keyboard=False
            )
            self._name_icons[str(code)] = (marker, str(name))
            self.groups["names"].append(marker)

    def _draw(self) -> None:
        if self.visible["land_use"] and not self.groups["land_use"]:
            self.groups["land_use"] = self._land_use_layer()
        if self.visible["lines"] and not self.groups["lines"]:
            self.groups["lines"] = self._line_layers()
        wanted = [one for name in self.LAYERS[:-1] if self.visible[name] for one in self.groups[name]]
        names = self.groups["names"] if self.visible["names"] else []
        wanted.insert(len(self.groups["fill"]) if self.visible["fill"] else 0, self._border)
        self.map.layers = tuple([*wanted, *names])

    def toggle(self, name: str, on: bool) -> None:
        """Show or hide a layer: ``fill``, ``land_use``, ``lines``, ``cases``, ``names``."""
        self.visible[name] = on
        self._draw()

    def show_indicator(self, indicator: str) -> None:
        """Colour the districts by an indicator, and write its classes into the legend."""
        rows = district_values(self.checkup, indicator)
        self._rows = rows
        known = np.array([float(row["value"]) for row in rows.values() if not pd.isna(row["value"])])
        if not len(known):
            self._colour({})
            self.legend.value = element("span", plain("dashboard.no_value", self.lang), css="wb-muted")
            return
        decimals = int(next(iter(rows.values()))["decimals"] or 0)
        edges = class_edges(known, decimals)
        colours = class_colours(len(edges) - 1)
        fills = {
            code: colours[int(np.clip(np.digitize(float(row["value"]), edges[1:-1]), 0, len(colours) - 1))]
            for code, row in rows.items()
            if not pd.isna(row["value"])
        }
        self._colour(fills)
        self.legend.value = legend_html(
            edges, colours, decimals, str(next(iter(rows.values()))["unit"]), self.lang
        )
        self._name_values(rows)

    def _district_style(self, feature: Mapping[str, Any]) -> dict[str, Any]:
        colour = self._fills.get(str(feature["properties"]["code"]))
        look = {"fillColor": colour or NO_DATA, "fillOpacity": 0.78 if colour else 0.6}
        return {"color": "#4b5563", "weight": 1.2, **look}

    def _colour(self, fills: dict[str, str]) -> None:
        self._fills = fills
        self._fill.data = self._zones_json  # without styles: the layer asks for them again

    def _name_values(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        import ipyleaflet

        for code, (marker, name) in self._name_icons.items():
            value = num_of(rows[code], lang=self.lang) if code in rows else ""
            marker.icon = ipyleaflet.DivIcon(
                html=_name_html(name, str(value)), icon_size=[120, 34], icon_anchor=[60, 17]
            )

    def focus(self, code: str | None) -> None:
        """Move to a district; None shows the whole city."""
        shapes = self.zones if code is None else self.zones[self.zones["code"].astype(str) == code]
        west, south, east, north = shapes.to_crs(WGS84).total_bounds
        self.map.fit_bounds([[south, west], [north, east]])

    def _hover(self, feature: Mapping[str, Any] | None = None, **_: object) -> None:
        if not feature:
            return
        row = self._rows.get(str(feature["properties"]["code"]))
        value = num_of(row, lang=self.lang, unit=True) if row else Html("")
        self.info.value = Html(f"<b>{mark(feature['properties']['name'])}</b> {value}")

    def _show_case(self, feature: Mapping[str, Any] | None = None, **_: object) -> None:
        import ipyleaflet
        import ipywidgets as widgets

        if not feature:
            return
        x, y = feature["geometry"]["coordinates"][:2]
        others = [one for one in self.map.layers if one is not self._popup]
        self._popup = ipyleaflet.Popup(
            location=(y, x),
            child=widgets.HTML(feature["properties"]["popup"]),
            close_button=True,
            auto_close=True,
        )
        self.map.layers = (*others, self._popup)  # add() would bring the layer control


def _as_point(xy: tuple[float, float]) -> Any:
    from shapely.geometry import Point

    return Point(*xy)


def _points(cases: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    import geopandas as gpd

    inside = [_as_point(label_point(shape)) for shape in cases.geometry]
    return gpd.GeoDataFrame({"level": cases["level"].astype(int).to_numpy()}, geometry=inside, crs=cases.crs)


def _name_html(name: str, value: str = "") -> Html:
    second = f"<br>{value}" if value else ""
    return Html(f'<div class="wb-mapname">{mark(name)}{second}</div>')


def legend_html(edges: np.ndarray, colours: list[str], decimals: int, unit: str, lang: str) -> Html:
    """Classes of the map from high to low, as swatches."""
    from workbench.views.numbers import format_number
    from workbench.views.text import unit_label

    items = [
        Html(
            f'<span class="wb-key"><span class="swatch" style="background:{colours[k]}"></span>'
            f"{format_number(edges[k], decimals)} – {format_number(edges[k + 1], decimals)}</span>"
        )
        for k in range(len(colours) - 1, -1, -1)
    ]
    head = (
        Html(mark(plain("common.unit", lang, unit=unit_label(unit, lang))))
        if unit_label(unit, lang)
        else Html("")
    )
    return element("div", Html(f"{head} ") + join(items), css="wb-legend")
