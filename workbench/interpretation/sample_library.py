"""样本库: chips with labels and labelled points, as a GeoParquet table, rasters beside it and a STAC label item.

A library is a folder: ``samples.parquet`` (a row a sample: what, where, when, from which image, who said so, how sure),
``chips/<id>.tif`` with ``chips/<id>_label.tif`` for chips, and ``library.json``, the STAC item with the fields of the label
extension. Everything is added in one step or not at all.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import rasterio
import shapely
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize
from rasterio.windows import Window

from workbench.core.errors import DataQualityError, ParameterError
from workbench.core.paths import atomic_write
from workbench.core.provenance import sha256_file
from workbench.interpretation import classes as image_classes
from workbench.interpretation.imagery import Scene

Array = npt.NDArray[Any]
IGNORED = 255
"""Label of cells that do not count; other labels are 0 for the scheme's first class, 1 for its second …"""
SOURCES = ("survey", "field", "interpretation", "verdict", "generated")
"""Who said so: last year's survey, a visit, a person at the screen, a case's verdict, a generator."""
LABEL_SCHEMA = "https://stac-extensions.github.io/label/v1.0.1/schema.json"
COLUMNS = (
    "sample_id", "kind", "label", "image", "date", "source", "weak", "confidence", "by", "valid", "sha256", "added", "geometry",
)  # fmt: skip


@dataclass(frozen=True)
class SampleLibrary:
    """A library in a folder.

    Parameters
    ----------
    folder : Path
        Made by `create`.
    """

    folder: Path

    @property
    def facts(self) -> dict[str, Any]:
        """Scheme, bands and CRS of the library."""
        try:
            item = json.loads((self.folder / "library.json").read_text())
            found: dict[str, Any] = item["properties"]["workbench:library"]
            return found
        except FileNotFoundError as error:
            raise ParameterError(
                "no sample library here", where=str(self.folder), hint="make one with create()"
            ) from error
        except (ValueError, KeyError) as error:
            raise DataQualityError(
                "library.json is damaged", where=str(self.folder), found=str(error)
            ) from error

    @property
    def names(self) -> list[str]:
        """Classes of the library's scheme, in the order of labels."""
        return [str(name) for name in image_classes.scheme(self.facts["scheme"])["class"]]

    def table(self, *, kind: str | None = None, source: str | None = None) -> gpd.GeoDataFrame:
        """Samples, one a row; of a kind (``chip`` or ``point``) or source when given."""
        found = gpd.read_parquet(self.folder / "samples.parquet")
        if kind is not None:
            found = found[found["kind"] == kind]
        if source is not None:
            found = found[found["source"] == source]
        return found.reset_index(drop=True)

    def balance(self) -> pd.DataFrame:
        """Cells of chips and number of points by class and source, with each class's share of all cells.

        Returns
        -------
        pd.DataFrame
            ``class, source, cells, chips, points, share``; classes without a sample are there with 0.
        """
        table = self.table()
        rows = []
        total = max(sum(float(table[f"cells_{name}"].sum()) for name in self.names), 1.0)
        for name in self.names:
            cells = table[f"cells_{name}"].fillna(0)
            for source in sorted(table["source"].unique()) or [""]:
                some = table["source"] == source
                points = int(((table["label"] == name) & (table["kind"] == "point") & some).sum())
                count = int(cells[some].sum())
                rows.append((name, source, count, int((cells[some] > 0).sum()), points, count / total))
        return pd.DataFrame(rows, columns=["class", "source", "cells", "chips", "points", "share"])

    def read(self, sample_id: str) -> tuple[Array, Array, Array]:
        """Reflectance (band, row, column), valid cells and labels of a chip.

        Raises
        ------
        DataQualityError
            A raster of the chip is missing or not the one that was added.
        """
        path = self.folder / "chips" / f"{sample_id}.tif"
        beside = path.with_name(f"{sample_id}_label.tif")
        for file in (path, beside):
            if not file.exists():
                raise DataQualityError("a chip of the library is missing", where=sample_id, found=file.name)
        with rasterio.open(path) as source:
            image = source.read().astype(np.float32) / np.float32(10_000)
        with rasterio.open(beside) as source:
            label = source.read(1)
            valid = source.read(2) > 0
        return image, valid, label

    def add_chips(
        self,
        scene: Scene,
        labels: Array,
        *,
        size: int,
        source: str,
        by: str,
        weak: bool = False,
        confidence: float = 1.0,
        every: Sequence[tuple[int, int]] | None = None,
        least_valid: float = 0.5,
    ) -> list[str]:
        """Cut chips of an image with labels on its grid.

        Parameters
        ----------
        scene : Scene
            Its bands are read in the order of the library.
        labels : array of uint8 (rows, columns)
            0 for the first class …, 255 for cells without a label.
        size : int
            Cells a side.
        source, by : str
            One of SOURCES, and who or what in words.
        weak : bool
            Labels are known to be partly wrong (survey parcels of another year).
        confidence : float
            0 to 1.
        every : sequence of (row, column), optional
            Upper left cells; a grid without overlap over the image when not given.
        least_valid : float
            Chips with a smaller share of cells that are clear and labelled are left out.

        Returns
        -------
        list of str
            Names of the samples added; those that are there already are left as they are.
        """
        self._check(source, confidence)
        rows, columns = scene.shape
        if labels.shape != (rows, columns):
            raise ParameterError(
                "labels do not lie on the image's grid", found=labels.shape, expected=(rows, columns)
            )
        if (bad := labels[(labels != IGNORED) & (labels >= len(self.names))]).size:
            raise ParameterError(
                "label beyond the scheme", found=int(bad[0]), expected=f"0 to {len(self.names) - 1} or 255"
            )
        scene = scene.select(self.facts["bands"])
        if every is None:
            every = [
                (r, c) for r in range(0, rows - size + 1, size) for c in range(0, columns - size + 1, size)
            ]
        there = set(self.table()["sample_id"])
        found: list[dict[str, Any]] = []
        with scene.open() as reader:
            for row, column in every:
                name = f"{scene.name}-{row:05d}-{column:05d}-{size}"
                block = reader.read(Window(column, row, size, size))
                label = labels[row : row + size, column : column + size]
                good = block.valid & (label != IGNORED)
                if name in there or good.mean() < least_valid:
                    continue
                digest = self._write(name, scene.grid[row : row + size, column : column + size], block, label)
                counts = np.bincount(label[good], minlength=len(self.names))
                found.append(
                    {
                        "sample_id": name, "kind": "chip", "label": "", "image": scene.name, "date": scene.date, "source": source,
                        "weak": weak, "confidence": confidence, "by": by, "valid": float(good.mean()), "sha256": digest,
                        "geometry": shapely.box(*scene.grid[row : row + size, column : column + size].boundingbox.bbox),
                        **{f"cells_{k}": int(v) for k, v in zip(self.names, counts, strict=True)},
                    }
                )  # fmt: skip
        self._append(found)
        return [row["sample_id"] for row in found]

    def add_points(self, points: gpd.GeoDataFrame, *, source: str, by: str) -> list[str]:
        """Add labelled points (visits, verdicts).

        Parameters
        ----------
        points : GeoDataFrame
            ``label`` (class of the scheme), ``date``, optionally ``sample_id``, ``confidence``, ``image``.
        source, by : str
            One of SOURCES, and who.
        """
        self._check(source, 1.0)
        if unknown := sorted(set(points["label"]) - set(self.names)):
            raise ParameterError(
                "class table does not match", where="points", found=unknown, expected=f"some of {self.names}"
            )
        moved = points.to_crs(self.facts["crs"]).reset_index(drop=True)
        there = set(self.table()["sample_id"])
        found = []
        for row in moved.itertuples():
            shape: Any = row.geometry
            name = str(getattr(row, "sample_id", "") or f"P{shape.x:.1f}-{shape.y:.1f}-{row.label}")
            if name in there:
                continue
            found.append(
                {
                    "sample_id": name, "kind": "point", "label": str(row.label), "image": str(getattr(row, "image", "")),
                    "date": pd.Timestamp(row.date), "source": source, "weak": False,  # type: ignore[arg-type]
                    "confidence": float(getattr(row, "confidence", 1.0)), "by": by, "valid": 1.0, "sha256": "",
                    "geometry": row.geometry, **{f"cells_{k}": 0 for k in self.names},
                }
            )  # fmt: skip
        self._append(found)
        return [row["sample_id"] for row in found]

    def _check(self, source: str, confidence: float) -> None:
        if source not in SOURCES:
            raise ParameterError("source not known", found=source, expected=f"one of {SOURCES}")
        if not 0 <= confidence <= 1:
            raise ParameterError("confidence is a share", found=confidence, expected="0 to 1")

    def _write(self, name: str, grid: GeoBox, block: Any, label: Array) -> str:
        """Write a chip's two rasters; the hash of the image."""
        image = np.clip(np.round(block.data * 10_000), 0, 65_535).astype(np.uint16)
        path = self.folder / "chips" / f"{name}.tif"
        marks = np.stack([label.astype(np.uint8), block.valid.astype(np.uint8)])
        for file, values in ((path, image), (path.with_name(f"{name}_label.tif"), marks)):
            profile = {
                "driver": "GTiff", "count": len(values), "height": values.shape[1], "width": values.shape[2],
                "dtype": values.dtype.name, "crs": str(grid.crs), "transform": grid.affine, "compress": "DEFLATE",
            }  # fmt: skip
            with atomic_write(file) as temporary, rasterio.open(temporary, "w", **profile) as target:
                target.write(values)
        return sha256_file(path)

    def _append(self, rows: list[dict[str, Any]]) -> None:
        """Add rows to the table and describe the library anew."""
        if not rows:
            return
        added = gpd.GeoDataFrame(rows, geometry="geometry", crs=self.facts["crs"])
        added["added"] = dt.date.today().isoformat()
        table = self.table()
        whole = (
            added
            if table.empty
            else gpd.GeoDataFrame(pd.concat([table, added], ignore_index=True), crs=table.crs)
        )
        whole["date"] = pd.to_datetime(whole["date"])
        with atomic_write(self.folder / "samples.parquet") as path:
            whole.to_parquet(path, compression="zstd")
        _describe(self, whole)


def create(folder: Path, *, scheme: str, bands: Sequence[str], crs: str, about: str = "") -> SampleLibrary:
    """Empty library in a folder; the one that is there when it fits.

    Raises
    ------
    ParameterError
        A library of another scheme, other bands or another CRS lies there.
    """
    library = SampleLibrary(Path(folder))
    facts = {"scheme": scheme, "bands": list(bands), "crs": crs, "about": about}
    names = image_classes.scheme(scheme)["class"]
    if (library.folder / "library.json").exists():
        old = library.facts
        if {k: old[k] for k in ("scheme", "bands", "crs")} != {
            k: facts[k] for k in ("scheme", "bands", "crs")
        }:
            raise ParameterError("another library lies here", where=str(folder), found=old, expected=facts)
        return library
    (library.folder / "chips").mkdir(parents=True, exist_ok=True)
    empty = {name: pd.Series(dtype="object") for name in COLUMNS if name != "geometry"}
    empty |= {f"cells_{name}": pd.Series(dtype="int64") for name in names}
    table = gpd.GeoDataFrame(empty, geometry=gpd.GeoSeries([], crs=crs), crs=crs)
    with atomic_write(library.folder / "samples.parquet") as path:
        table.to_parquet(path)
    with atomic_write(library.folder / "library.json") as path:
        path.write_text(json.dumps({"properties": {"workbench:library": facts}}))
    _describe(library, table)
    return library


def _describe(library: SampleLibrary, table: gpd.GeoDataFrame) -> None:
    """Write the STAC item of the library."""
    facts = library.facts
    shape = None
    bbox = None
    if len(table):
        around = shapely.box(*table.to_crs("EPSG:4326").total_bounds)
        shape, bbox = json.loads(shapely.to_geojson(around)), list(around.bounds)
    dates = pd.to_datetime(table["date"]).dropna() if len(table) else pd.Series(dtype="datetime64[ns]")
    span = {
        "datetime": None, "start_datetime": f"{dates.min():%Y-%m-%dT00:00:00Z}", "end_datetime": f"{dates.max():%Y-%m-%dT00:00:00Z}",
    } if len(dates) else {"datetime": f"{dt.date.today()}T00:00:00Z"}  # fmt: skip
    counts = [{"name": name, "count": int(table[f"cells_{name}"].sum())} for name in library.names]
    properties = {
        **span, "label:type": "raster", "label:properties": None, "label:description": facts["about"] or "samples for training",
        "label:classes": [{"name": None, "classes": library.names}], "label:tasks": ["segmentation"],
        "label:methods": sorted(set(table["source"])) if len(table) else [],
        "label:overviews": [{"property_key": None, "counts": counts}], "workbench:library": facts, "workbench:samples": len(table),
    }  # fmt: skip
    item = {
        "type": "Feature", "stac_version": "1.0.0", "stac_extensions": [LABEL_SCHEMA], "id": library.folder.name,
        "geometry": shape, **({"bbox": bbox} if bbox else {}), "properties": properties, "links": [],
        "assets": {
            "labels": {"href": "./samples.parquet", "type": "application/vnd.apache.parquet", "roles": ["labels", "data"]},
            "chips": {"href": "./chips/", "roles": ["data"]},
        },
    }  # fmt: skip
    with atomic_write(library.folder / "library.json") as path:
        path.write_text(json.dumps(item, ensure_ascii=False, indent=1))


def parcel_labels(parcels: gpd.GeoDataFrame, grid: GeoBox, *, scheme: str, border_m: float = 8.0) -> Array:
    """Labels for an image from survey parcels: weak, for they are of another day and their borders lie off.

    Parameters
    ----------
    parcels : GeoDataFrame
        Survey parcels with ``dlbm``.
    grid : GeoBox
        Of the image.
    scheme : str
        Image classes to tell.
    border_m : float
        Cells nearer than this to a parcel's border get no label; parcels narrower than twice that vanish.

    Returns
    -------
    array of uint8 (rows, columns)
        0 for the scheme's first class …, 255 where there is no label.
    """
    table = image_classes.class_of_survey(scheme)
    value = parcels["dlbm"].map(table)
    known = parcels[value.notna().to_numpy()].to_crs(str(grid.crs))
    inner = shapely.buffer(known.geometry.to_numpy(), -border_m)
    keep = ~shapely.is_empty(inner)
    pairs = list(zip(inner[keep], value.dropna().to_numpy()[keep].astype(int) - 1, strict=True))
    shape = (int(grid.shape[0]), int(grid.shape[1]))
    if not pairs:
        return np.full(shape, IGNORED, dtype=np.uint8)
    found: Array = rasterize(pairs, out_shape=shape, transform=grid.affine, fill=IGNORED, dtype="uint8")
    return found
