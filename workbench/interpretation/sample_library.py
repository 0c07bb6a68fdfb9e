"""样本库: labelled chips of one date or two, and labelled points: a GeoParquet table, rasters beside it, a STAC label item.

A library is a folder: ``samples.parquet`` (a row a sample: what, where, when, from which images, who said so, how sure),
``chips/<id>.tif`` with ``chips/<id>_label.tif`` for chips, and ``library.json``, the STAC item with the fields of the label
extension. Everything is added in one step or not at all.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from contextlib import ExitStack
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
from workbench.interpretation.imagery import Block, Pair, Reader, Scene

Array = npt.NDArray[Any]
IGNORED = 255
"""Label of cells that do not count; other labels are 0 for the scheme's first class, 1 for its second …"""
SOURCES = ("survey", "field", "interpretation", "verdict", "generated")
"""Who said so: last year's survey, a visit, a person at the screen, a case's verdict, a generator."""
LABEL_SCHEMA = "https://stac-extensions.github.io/label/v1.0.1/schema.json"
COLUMNS = (
    "sample_id", "kind", "label", "image", "date", "image_before", "date_before", "source", "weak", "confidence", "by", "valid", "sha256", "added", "geometry",
)  # fmt: skip


@dataclass(frozen=True)
class Cut:
    """A square piece of ground to be cut out of images, with its labels."""

    name: str
    """Of the sample."""
    row: int
    column: int
    label: Array
    """uint8: 0 for the first class …, 255 for cells without a label."""


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
        """Scheme, bands (of one date), dates of a chip and CRS of the library."""
        try:
            item = json.loads((self.folder / "library.json").read_text())
            found: dict[str, Any] = item["properties"]["workbench:library"]
            return {"dates": 1, **found}
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
        """Reflectance (band, row, column; those of the earlier date first), valid cells and labels of a chip.

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
        scene: Scene | Pair,
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
        scene : Scene or Pair
            Its bands are read in the order of the library; a pair where chips are to show change, which bears the later name
            and date.
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
        last = scene.after if isinstance(scene, Pair) else scene
        if labels.shape != last.shape:
            raise ParameterError(
                "labels do not lie on the image's grid", found=labels.shape, expected=last.shape
            )
        rows, columns = last.shape
        if every is None:
            every = [
                (r, c) for r in range(0, rows - size + 1, size) for c in range(0, columns - size + 1, size)
            ]
        cuts = [
            Cut(f"{last.name}-{r:05d}-{c:05d}-{size}", r, c, labels[r : r + size, c : c + size])
            for r, c in every
        ]
        return self.add_cuts(
            scene, cuts, source=source, by=by, weak=weak, confidence=confidence, least_valid=least_valid
        )

    def add_cuts(
        self,
        scene: Scene | Pair,
        cuts: Sequence[Cut],
        *,
        source: str,
        by: str,
        weak: bool = False,
        confidence: float = 1.0,
        least_valid: float = 0.5,
    ) -> list[str]:
        """Cut pieces of ground, each with a name and labels of its own; else as :meth:`add_chips`."""
        self._check(source, confidence)
        dates = (scene.before, scene.after) if isinstance(scene, Pair) else (scene,)
        if len(dates) != self.facts["dates"]:
            raise ParameterError(
                "chips of the library show another number of dates", where=dates[-1].name, found=len(dates), expected=self.facts["dates"]
            )  # fmt: skip
        for cut in cuts:
            if (bad := cut.label[(cut.label != IGNORED) & (cut.label >= len(self.names))]).size:
                raise ParameterError(
                    "label beyond the scheme",
                    found=int(bad[0]),
                    expected=f"0 to {len(self.names) - 1} or 255",
                )
        there = set(self.table()["sample_id"])
        said = {"source": source, "weak": weak, "confidence": confidence, "by": by}
        found: list[dict[str, Any]] = []
        with ExitStack() as stack:
            readers = [stack.enter_context(one.select(self.facts["bands"]).open()) for one in dates]
            for cut in cuts:
                row = None if cut.name in there else self._cut(readers, cut, least_valid)
                if row is not None:
                    found.append(row | said)
        self._append(found)
        return [row["sample_id"] for row in found]

    def _cut(self, readers: Sequence[Reader], cut: Cut, least_valid: float) -> dict[str, Any] | None:
        """Write a piece of ground; its row, None where too little of it is clear and labelled."""
        size = len(cut.label)
        blocks = [reader.read(Window(cut.column, cut.row, size, size)) for reader in readers]
        clear = np.all([one.valid for one in blocks], axis=0)
        good = clear & (cut.label != IGNORED)
        if not good.any() or good.mean() < least_valid:
            return None
        scenes = [reader.scene for reader in readers]
        former = scenes[0] if len(scenes) > 1 else None
        grid = scenes[-1].grid[cut.row : cut.row + size, cut.column : cut.column + size]
        block = Block(np.concatenate([one.data for one in blocks]), clear)
        counts = np.bincount(cut.label[good], minlength=len(self.names))
        return {
            "sample_id": cut.name, "kind": "chip", "label": "", "image": scenes[-1].name, "date": scenes[-1].date,
            "image_before": former.name if former else "", "date_before": former.date if former else pd.NaT,
            "valid": float(good.mean()), "sha256": self._write(cut.name, grid, block, cut.label),
            "geometry": shapely.box(*grid.boundingbox.bbox), **{f"cells_{k}": int(v) for k, v in zip(self.names, counts, strict=True)},
        }  # fmt: skip

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
                    "date": pd.Timestamp(row.date), "image_before": "", "date_before": pd.NaT, "source": source, "weak": False,  # type: ignore[arg-type]
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

    def _write(self, name: str, grid: GeoBox, block: Block, label: Array) -> str:
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
        for name in ("date", "date_before"):
            whole[name] = pd.to_datetime(whole[name])
        whole["image_before"] = whole["image_before"].fillna("")  # a table of one date may lack it
        with atomic_write(self.folder / "samples.parquet") as path:
            whole.to_parquet(path, compression="zstd")
        _describe(self, whole)


def create(
    folder: Path, *, scheme: str, bands: Sequence[str], crs: str, about: str = "", dates: int = 1
) -> SampleLibrary:
    """Empty library in a folder; the one that is there when it fits.

    Parameters
    ----------
    folder : Path
    scheme : str
        Of the labels; ``change`` for chips of two dates.
    bands : sequence of str
        Of one date.
    crs, about : str
    dates : int
        Dates a chip shows: 2 to train nets of change.

    Raises
    ------
    ParameterError
        A library of another scheme, other bands or another CRS lies there.
    """
    library = SampleLibrary(Path(folder))
    facts: dict[str, Any] = {
        "scheme": scheme, "bands": list(bands), "crs": crs, "about": about, "dates": dates
    }  # fmt: skip
    names = image_classes.scheme(scheme)["class"]
    if (library.folder / "library.json").exists():
        old = library.facts
        if any(old[key] != facts[key] for key in ("scheme", "bands", "crs", "dates")):
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
    known = [pd.to_datetime(table[name]) for name in ("date", "date_before") if name in table]
    dates = pd.concat(known).dropna()
    span = {
        "datetime": None, "start_datetime": f"{dates.min():%Y-%m-%dT00:00:00Z}", "end_datetime": f"{dates.max():%Y-%m-%dT00:00:00Z}",
    } if len(dates) else {"datetime": f"{dt.date.today()}T00:00:00Z"}  # fmt: skip
    counts = [{"name": name, "count": int(table[f"cells_{name}"].sum())} for name in library.names]
    properties = {
        **span, "label:type": "raster", "label:properties": None, "label:description": facts["about"] or "samples for training",
        "label:classes": [{"name": None, "classes": library.names}], "label:tasks": ["segmentation"],
        "label:methods": sorted(set(table["source"])) if len(table) else [],
        "label:overviews": [{"counts": counts}], "workbench:library": facts, "workbench:samples": len(table),
    }  # fmt: skip
    item = {
        "type": "Feature", "stac_version": "1.1.0", "stac_extensions": [LABEL_SCHEMA], "id": library.folder.name,
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
