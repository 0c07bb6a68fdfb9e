"""An interactive map of one indicator for JupyterLab: Leaflet without any tile server, the city's own shapes only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.dashboard.map_layers import WGS84, control_lines, degrees, district_values, features, zoom_for
from workbench.views.cartography import districts
from workbench.views.cells import titles_of
from workbench.views.choropleth import class_colours, class_edges
from workbench.views.numbers import format_number
from workbench.views.rows import definition_of, district_names
from workbench.views.text import plain, unit_label

if TYPE_CHECKING:
    from workbench.views.source import CheckupView

NO_DATA = "#e5e7eb"
LINE_COLOURS = {
    "permanent_farmland": "#c9a21a", "ecological_red_line": "#b03a2e", "development_boundary": "#1f4e9c",
}  # fmt: skip


def indicator_layer(checkup: CheckupView, indicator: str, lang: str) -> tuple[dict[str, Any], list[str]]:
    """Districts as GeoJSON with name, printed value and colour, and the words of the classes from low to high.

    Parameters
    ----------
    checkup : Checkup
        Values of the districts.
    indicator : str
        Indicator id.
    lang : {"zh", "en"}
        Language.
    """
    import numpy as np

    rows = district_values(checkup, indicator)
    zones = degrees(districts(checkup)[["code", "geometry"]], 20)
    zones["code"] = zones["code"].astype(str)
    values = np.array([float(rows[code]["value"]) if code in rows else np.nan for code in zones["code"]])
    first: dict[str, Any] = next(iter(rows.values()), {})
    decimals, unit = int(first.get("decimals") or 0), unit_label(str(first.get("unit", "")), lang)
    edges = class_edges(values[~np.isnan(values)], decimals)
    colours = class_colours(len(edges) - 1)
    at = np.clip(np.digitize(values, edges[1:-1]), 0, len(colours) - 1)
    named = district_names(checkup, lang)
    zones["name"] = [named.get(code, code) for code in zones["code"]]
    zones["value"] = [
        plain("common.no_data", lang) if np.isnan(one) else f"{format_number(one, decimals)} {unit}".strip()
        for one in values
    ]
    zones["colour"] = [NO_DATA if np.isnan(one) else colours[k] for one, k in zip(values, at, strict=True)]
    words = [
        f"{format_number(edges[k], decimals)} – {format_number(edges[k + 1], decimals)}"
        for k in range(len(colours))
    ]
    return features(zones, ["code", "name", "value", "colour"]), words


def explore_map(checkup: CheckupView, indicator: str, lang: str) -> Any:
    """Map of an indicator by district with the three control lines; a click tells name and value.

    Nothing is fetched from the web: there is no base map, and the toolbar that could add one is off.

    Returns
    -------
    leafmap.Map
        A widget, for JupyterLab.
    """
    import ipywidgets
    import leafmap.leafmap as leafmap
    from ipyleaflet import GeoJSON, WidgetControl

    shapes, words = indicator_layer(checkup, indicator, lang)
    west, south, east, north = districts(checkup).to_crs(WGS84).total_bounds
    view = leafmap.Map(
        center=((south + north) / 2, (west + east) / 2), zoom=int(zoom_for(west, south, east, north)),
        toolbar_control=False, draw_control=False, attribution_control=False, height="520px",
    )  # fmt: skip
    view.layers = ()
    title = titles_of(definition_of(checkup, indicator), lang, indicator)
    told = ipywidgets.HTML(f"<b>{title}</b>")
    filled = GeoJSON(
        data=shapes, name=title, hover_style={"weight": 3},
        style_callback=lambda feature: {
            "fillColor": feature["properties"]["colour"], "fillOpacity": 0.85, "color": "#4b5563", "weight": 1.2,
        },
    )  # fmt: skip

    def tell(feature: dict[str, Any], **_: Any) -> None:
        properties = feature["properties"]
        told.value = f"<b>{title}</b><br>{properties['name']}：{properties['value']}"

    filled.on_click(tell)
    filled.on_hover(tell)
    view.add(filled)
    for role, lines in control_lines(checkup).items():
        look = {"color": LINE_COLOURS[role], "weight": 1.4, "fillOpacity": 0.0}
        view.add(GeoJSON(data=lines, name=plain(f"role.{role}", lang), style=look))
    view.add(WidgetControl(widget=told, position="topright"))
    view.add(WidgetControl(widget=ipywidgets.HTML(_legend(words)), position="bottomright"))
    return view


def _legend(words: list[str]) -> str:
    """Classes with their colours, high to low."""
    swatch = (
        '<span style="display:inline-block;width:14px;height:10px;margin-right:6px;background:{}"></span>{}'
    )
    pairs = zip(class_colours(len(words)), words, strict=True)
    return "<br>".join(swatch.format(colour, text) for colour, text in reversed(list(pairs)))
