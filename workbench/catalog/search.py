"""Search a city's static catalogue with ``pystac_client``: the requests are answered in this process.

The adapter answers what its ``conformsTo`` names and nothing else: collections, items, and item search by ids,
collections, bbox, intersects, datetime, with sorting and paging. A parameter it does not know gets a 400, so a
search can never quietly return everything. Against a real STAC API the same client code runs unchanged.
"""

from __future__ import annotations

import copy
import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pystac
import pystac_client
import requests
import shapely
from pystac_client.stac_api_io import StacApiIO
from requests.adapters import BaseAdapter

from workbench.catalog import manifest
from workbench.core.errors import ParameterError
from workbench.core.paths import catalog_dir

HOST = "http://stac.local"
"""Address the adapter is mounted on; nothing listens there."""
CONFORMS = [
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/ogcapi-features",
    "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0/item-search#sort",
]
"""What the adapter implements."""
PARAMETERS = {"ids", "collections", "bbox", "intersects", "datetime", "limit", "token", "sortby"}
"""Search parameters it knows."""
PAGE = 100
"""Items a page when no limit is asked for."""


class _Refused(ValueError):
    """A request that is answered with 400."""


class StaticSearch:
    """Answers STAC API requests from the JSON files of a static catalogue.

    Parameters
    ----------
    root : Path
        Folder with ``catalog.json``, one folder a collection, one folder an item.
    """

    def __init__(self, root: Path) -> None:
        if not (root / "catalog.json").exists():
            raise ParameterError(
                "no catalogue here",
                where="catalogue",
                found=root.name,
                hint="build it first: workbench catalog build",
            )
        self.catalog: dict[str, Any] = json.loads((root / "catalog.json").read_text(encoding="utf-8"))
        self.collections: dict[str, dict[str, Any]] = {}
        self.items: list[dict[str, Any]] = []
        for path in sorted(root.glob("*/collection.json")):
            collection = json.loads(path.read_text(encoding="utf-8"))
            place = f"{HOST}/collections/{collection['id']}"
            collection["links"] = [
                {"rel": "self", "href": place, "type": "application/json"},
                {"rel": "items", "href": f"{place}/items", "type": "application/geo+json"},
            ]
            self.collections[collection["id"]] = collection
            for file in sorted(path.parent.glob("*/*.json")):
                self.items.append(self._item(file))

    @staticmethod
    def _item(file: Path) -> dict[str, Any]:
        """Read an item with absolute hrefs of assets and no links: a link to a made-up host would be followed."""
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        found["links"] = []
        for asset in found["assets"].values():
            asset["href"] = str((file.parent / asset["href"]).resolve())
        return found

    def answer(self, method: str, url: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and JSON answer to a request."""
        parts = urlsplit(url)
        path = [unquote(part) for part in parts.path.split("/") if part]
        query: dict[str, Any] = dict(parse_qsl(parts.query)) if method == "GET" else body
        try:
            return self._route(method, path, query)
        except _Refused as error:
            return 400, {"code": "BadRequest", "description": str(error)}

    def _route(self, method: str, path: list[str], query: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        match path:
            case []:
                return 200, self._landing()
            case ["conformance"]:
                return 200, {"conformsTo": CONFORMS}
            case ["collections"]:
                return 200, {"collections": list(self.collections.values()), "links": []}
            case ["search"]:
                return 200, self.search(query, method, "/search")
            case ["collections", name] if name in self.collections:
                return 200, self.collections[name]
            case ["collections", name, "items"] if name in self.collections:
                if query.get("collections", name) != name:
                    raise _Refused("collections: only the one of the address")
                return 200, self.search({**query, "collections": [name]}, "GET", f"/collections/{name}/items")
            case ["collections", name, "items", item]:
                for found in self.items:
                    if found["collection"] == name and found["id"] == item:
                        return 200, found
        return 404, {"code": "NotFound", "description": "/" + "/".join(path)}

    def _landing(self) -> dict[str, Any]:
        def link(rel: str, path: str, media: str = "application/json", **more: str) -> dict[str, str]:
            return {"rel": rel, "href": HOST + path, "type": media, **more}

        return {
            **{k: v for k, v in self.catalog.items() if k not in {"links", "conformsTo"}},
            "conformsTo": CONFORMS,
            "links": [
                link("self", "/"),
                link("root", "/"),
                link("conformance", "/conformance"),
                link("data", "/collections"),
                link("search", "/search", "application/geo+json", method="GET"),
                link("search", "/search", "application/geo+json", method="POST"),
            ],
        }

    def search(self, query: dict[str, Any], method: str, path: str) -> dict[str, Any]:
        """One page of the items that fit, as a GeoJSON feature collection with the count of all that fit."""
        if unknown := set(query) - PARAMETERS:
            raise _Refused(f"not implemented: {', '.join(sorted(unknown))}")
        found = [item for item in self.items if _fits(item, query)]
        for field, descending in reversed(_sorting(query.get("sortby"))):
            found.sort(key=lambda item, f=field: _sort_key(item, f), reverse=descending)  # type: ignore[misc]
        limit, start = _whole(query.get("limit", PAGE), "limit", 1), _whole(query.get("token", 0), "token", 0)
        page = copy.deepcopy(found[start : start + limit])
        links: list[dict[str, Any]] = []
        if start + limit < len(found):
            token = str(start + limit)
            if method == "POST":
                links = [
                    {"rel": "next", "href": HOST + path, "method": "POST", "body": {**query, "token": token}}
                ]
            else:
                own = {k: v for k, v in query.items() if path == "/search" or k != "collections"}
                text = requests.models.PreparedRequest()
                text.prepare_url(HOST + path, {**own, "token": token})
                links = [{"rel": "next", "href": text.url, "method": "GET"}]
        return {
            "type": "FeatureCollection",
            "features": page,
            "links": links,
            "numberMatched": len(found),
            "numberReturned": len(page),
        }


def _whole(value: object, name: str, least: int) -> int:
    try:
        number = int(str(value))
    except ValueError as error:
        raise _Refused(f"{name}: {value!r} is not a whole number") from error
    if number < least:
        raise _Refused(f"{name}: {number} is below {least}")
    return number


def _names(value: object, name: str) -> set[str]:
    if isinstance(value, str):
        return set(value.split(","))
    if isinstance(value, Sequence) and all(isinstance(entry, str) for entry in value):
        return set(value)
    raise _Refused(f"{name}: expected a list of names")


def _fits(item: dict[str, Any], query: dict[str, Any]) -> bool:
    if "ids" in query and item["id"] not in _names(query["ids"], "ids"):
        return False
    if "collections" in query and item["collection"] not in _names(query["collections"], "collections"):
        return False
    if "bbox" in query and "intersects" in query:
        raise _Refused("bbox and intersects exclude each other")
    if "bbox" in query and not _touches(item, _box(query["bbox"])):
        return False
    if "intersects" in query and not _touches(item, _shape(query["intersects"])):
        return False
    return "datetime" not in query or _in_time(item, str(query["datetime"]))


def _touches(item: dict[str, Any], shape: shapely.Geometry) -> bool:
    if item["geometry"] is None:  # a table lies nowhere
        return False
    return bool(shapely.intersects(shapely.geometry.shape(item["geometry"]), shape))


def _box(value: object) -> shapely.Geometry:
    parts = value.split(",") if isinstance(value, str) else value
    try:
        numbers = [float(part) for part in parts]  # type: ignore[attr-defined, union-attr]
    except (TypeError, ValueError) as error:
        raise _Refused("bbox: expected four or six numbers") from error
    if len(numbers) == 6:
        numbers = [numbers[0], numbers[1], numbers[3], numbers[4]]
    if len(numbers) != 4 or numbers[0] > numbers[2] or numbers[1] > numbers[3]:
        raise _Refused("bbox: expected west, south, east, north")
    west, south, east, north = numbers
    return shapely.box(west, south, east, north)


def _shape(value: object) -> shapely.Geometry:
    try:
        found: dict[str, Any] = json.loads(value) if isinstance(value, str) else value  # type: ignore[assignment]
        return shapely.geometry.shape(found)
    except (ValueError, TypeError, AttributeError, KeyError, shapely.errors.ShapelyError) as error:
        raise _Refused("intersects: expected a GeoJSON geometry") from error


def _moment(text: str) -> dt.datetime:
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise _Refused(f"datetime: {text!r} is not RFC 3339") from error
    return found if found.tzinfo is not None else found.replace(tzinfo=dt.UTC)


def _in_time(item: dict[str, Any], text: str) -> bool:
    """Whether the time an item describes meets the instant or interval asked for (ends may be open)."""
    first, _, last = text.partition("/")
    if "/" not in text:
        last = first
    properties = item["properties"]
    begin = _moment(properties.get("start_datetime") or properties["datetime"])
    end = _moment(properties.get("end_datetime") or properties["datetime"])
    after = first in {"", ".."} or end >= _moment(first)
    return after and (last in {"", ".."} or begin <= _moment(last))


def _sorting(value: object) -> list[tuple[str, bool]]:
    """Fields to sort by, with whether descending; a list of objects (POST) or text like ``-field`` (GET)."""
    if value is None:
        return []
    parts: Sequence[Any] = value.split(",") if isinstance(value, str) else value  # type: ignore[assignment]
    found = []
    for part in parts:
        if isinstance(part, dict):
            found.append((str(part["field"]), part.get("direction", "asc") == "desc"))
        else:
            found.append((str(part).lstrip("+-"), str(part).startswith("-")))
    return found


def _sort_key(item: dict[str, Any], field: str) -> tuple[bool, str]:
    if field in {"id", "collection"}:
        return False, str(item[field])
    value = item["properties"].get(field.removeprefix("properties."))
    return value is None, f"{value:020.6f}" if isinstance(value, int | float) else str(value)


class _Adapter(BaseAdapter):
    """Transport of ``requests`` that asks a :class:`StaticSearch` instead of a network."""

    def __init__(self, source: StaticSearch) -> None:
        super().__init__()
        self.source = source

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Answer a prepared request."""
        body = json.loads(request.body) if request.body else {}
        status, payload = self.source.answer(str(request.method), str(request.url), body)
        response = requests.Response()
        response.status_code, response.url, response.request = status, str(request.url), request
        response.headers["Content-Type"] = "application/json"
        response._content = json.dumps(payload, ensure_ascii=False).encode()
        return response

    def close(self) -> None:
        """Nothing is open."""


def open_catalog(city_name: str, *, root: Path | None = None) -> pystac_client.Client:
    """Client on a city's static catalogue.

    Parameters
    ----------
    city_name : str
        Name of the city.
    root : Path, optional
        Folder of the catalogue; ``stac_catalog/<city>`` when not given.

    Raises
    ------
    ParameterError
        When the catalogue is not built.
    """
    source = StaticSearch(catalog_dir() / city_name if root is None else root)
    io = StacApiIO()
    io.session.mount(HOST, _Adapter(source))
    return pystac_client.Client.open(HOST, stac_io=io)


def items(city_name: str, role: str, *, year: int | None = None) -> list[pystac.Item]:
    """Items of a layer role, oldest first; of one year when given.

    Parameters
    ----------
    year : int, optional
        Year whose editions are wanted; layers not dated by year are found for the years they describe.
    """
    when = None if year is None else f"{year}-01-01T00:00:00Z/{year}-12-31T23:59:59Z"
    # the folder is exchanged as a whole when something is published
    with manifest.lock(city_name, shared=True):
        client = open_catalog(city_name)
    return sorted(client.search(collections=[role], datetime=when).items(), key=lambda item: item.id)
