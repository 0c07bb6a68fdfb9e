"""The client's own requests against the in-process catalogue, and what it refuses."""

from __future__ import annotations

import shutil
from threading import Thread

import numpy as np
import pystac
import pystac_client
import pytest
from pystac_client.exceptions import APIError
from pystac_client.warnings import DoesNotConformTo

from workbench.catalog import manifest
from workbench.catalog.build import build
from workbench.catalog.data import CityData
from workbench.catalog.load import load, native_grid
from workbench.catalog.search import items, open_catalog
from workbench.core.city import City
from workbench.core.errors import GridMismatch, ParameterError
from workbench.core.paths import catalog_dir


@pytest.fixture
def client(rich: City) -> pystac_client.Client:
    build(rich)
    return open_catalog("toy")


def ids(client: pystac_client.Client, **query: object) -> list[str]:
    return [item.id for item in client.search(**query).items()]  # type: ignore[arg-type]


def test_collections_are_there(client: pystac_client.Client) -> None:
    names = {collection.id for collection in client.get_collections()}
    assert names == {"districts", "land_use", "land_use_raster", "imagery", "statistics"}
    assert client.get_collection("imagery").id == "imagery"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_search_by_everything_the_adapter_claims(client: pystac_client.Client, method: str) -> None:
    west, south, east, north = next(iter(client.search(ids=["districts"], method=method).items())).bbox
    middle = [(west + east) / 2, (south + north) / 2]
    assert ids(client, collections=["imagery"], method=method) == ["imagery-2023", "imagery-2024"]
    assert ids(client, ids=["land_use-2024-revised"], method=method) == ["land_use-2024-revised"]
    spatial = ids(client, bbox=[*middle, east, north], method=method)
    assert "districts" in spatial and "statistics" not in spatial and len(spatial) == 8
    assert ids(client, bbox=[0, 0, 1, 1], method=method) == []
    point = {"type": "Point", "coordinates": middle}
    assert ids(client, intersects=point, collections=["districts"], method=method) == ["districts"]
    assert ids(client, datetime="2023", collections=["land_use"], method=method) == ["land_use-2023"]
    assert ids(client, datetime="2024-01-01/..", collections=["imagery"], method=method) == ["imagery-2024"]
    newest = ids(client, collections=["imagery"], sortby="-properties.workbench:year", method=method)
    assert newest == ["imagery-2024", "imagery-2023"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_paging_gives_each_item_once(client: pystac_client.Client, method: str) -> None:
    search = client.search(limit=2, method=method)
    pages = [[item.id for item in page] for page in search.pages()]
    assert [len(page) for page in pages] == [2, 2, 2, 2, 1]
    assert len({name for page in pages for name in page}) == 9 == search.matched()


def test_collection_items_page_too(client: pystac_client.Client) -> None:
    assert len(list(client.get_collection("land_use").get_items())) == 3


def test_what_is_not_implemented_is_refused(client: pystac_client.Client) -> None:
    link = client.get_search_link()
    assert link is not None
    session = client._stac_io.session  # type: ignore[union-attr]
    answer = session.post(link.href, json={"filter": {"op": "=", "args": []}})
    assert answer.status_code == 400 and "filter" in answer.json()["description"]
    assert session.get(f"{link.href}?fields=id").status_code == 400
    assert session.get(f"{link.href}?limit=0").status_code == 400
    assert session.get(f"{link.href}?bbox=1,2,3").status_code == 400
    assert not [
        uri
        for uri in session.get(link.href.replace("search", "conformance")).json()["conformsTo"]
        if "filter" in uri
    ]
    with pytest.warns(DoesNotConformTo), pytest.raises(APIError, match="not implemented: query"):
        list(client.search(query=["workbench:year>=2024"]).items())


def test_items_carry_no_made_up_links(client: pystac_client.Client) -> None:
    found = next(iter(client.search(collections=["imagery"]).items_as_dicts()))
    assert found["links"] == []
    assert all(asset["href"].startswith("/") for asset in found["assets"].values())


def test_a_catalogue_that_is_not_built(home: object) -> None:
    with pytest.raises(ParameterError, match="build it first"):
        open_catalog("nowhere")


def test_items_wait_until_what_is_being_published_is_there(rich: City) -> None:
    build(rich)
    found: list[pystac.Item] = []
    reader = Thread(target=lambda: found.extend(items("toy", "imagery")))
    with manifest.lock("toy"):
        # as it is for a moment in each publication
        shutil.move(catalog_dir() / "toy", catalog_dir() / "away")
        reader.start()
        reader.join(0.5)
        assert reader.is_alive() and not found
        shutil.move(catalog_dir() / "away", catalog_dir() / "toy")
    reader.join(30)
    assert [item.id for item in found] == ["imagery-2023", "imagery-2024"]
    with manifest.lock("toy", shared=True):
        assert len(items("toy", "imagery")) == 2  # readers do not wait for one another


def test_load_keeps_every_cell(rich: City) -> None:
    data = CityData(rich)
    cube = load(items("toy", "imagery"))
    assert (
        cube.dims == ("time", "band", "y", "x") and cube.shape == (2, 4, 10, 20) and cube.dtype == np.uint16
    )
    assert cube.chunks is not None
    for n, year in enumerate((2023, 2024)):
        np.testing.assert_array_equal(cube[n].values, data.raster("imagery", year).values)
    assert cube.odc.geobox == native_grid(items("toy", "imagery")[0].to_dict())
    np.testing.assert_allclose(cube.x, data.raster("imagery", 2024).x)
    np.testing.assert_allclose(cube.y, data.raster("imagery", 2024).y)


def test_load_classes_and_one_year(rich: City) -> None:
    build(rich)
    cube = load(items("toy", "land_use_raster", year=2024))
    assert cube.shape == (1, 1, 10, 20) and cube.dtype == np.uint8 and int(cube.sum()) == 200
    mask = load(items("toy", "imagery"), bands=["cloud"])
    assert mask.shape == (2, 1, 10, 20) and int(mask.sum()) == 0


def test_load_on_another_grid(rich: City) -> None:
    build(rich)
    found = items("toy", "land_use_raster", year=2024)
    fine = native_grid(found[0].to_dict()).zoom_out(0.5)
    cube = load(found, geobox=fine)
    assert cube.shape == (1, 1, 20, 40) and int(cube.sum()) == 800
    coarse = load(
        items("toy", "imagery", year=2024), geobox=native_grid(found[0].to_dict()).zoom_out(2), bands=["blue"]
    )
    expected = np.arange(200).reshape(10, 20)[:2, :2].mean() + 2024
    assert float(coarse[0, 0, 0, 0]) == pytest.approx(expected, abs=1)


def test_load_refuses_what_it_cannot_do(rich: City) -> None:
    build(rich)
    with pytest.raises(ParameterError, match="no items"):
        load([])
    with pytest.raises(ParameterError, match=r"no such band.*swir"):
        load(items("toy", "imagery"), bands=["swir"])
    first, second = (item.to_dict() for item in items("toy", "imagery"))
    second["properties"]["proj:transform"] = [100.0, 0, 0.0, 0, -100.0, 0.0]
    with pytest.raises(GridMismatch, match="give a geobox"):
        load([first, second], bands=["blue"])
