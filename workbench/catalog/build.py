"""Build a city's catalogue: standardise every layer of its profile, check it, and describe it in STAC."""

from __future__ import annotations

import hashlib
import importlib
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyproj
from odc.geo.geobox import GeoBox

from workbench.catalog import manifest, published, quality, rasters, stac
from workbench.catalog.ingest import Ingested, ingest_table, ingest_vector
from workbench.catalog.manifest import Entry
from workbench.catalog.quality import Finding
from workbench.core.city import City, load_city
from workbench.core.errors import ProfileError
from workbench.core.layer_spec import LayerSpec
from workbench.core.paths import PACKAGE, atomic_write, catalog_dir
from workbench.core.provenance import sha256_file, stable_hash

log = logging.getLogger(__name__)
Progress = Callable[[int, int, str], None]
"""Called with layers done, layers in all, and the one at hand."""


@dataclass(frozen=True)
class _Job:
    """One edition to be built."""

    role: str
    year: int | None
    edition: str
    spec: LayerSpec
    paths: dict[str, Path]
    """``main`` and the further assets."""

    @property
    def where(self) -> str:
        return f"layers.{self.role}"

    @property
    def date(self) -> str:
        later = "" if self.edition == "original" else self.spec.editions[self.edition].date
        return (later or self.spec.date).replace("{year}", str(self.year))


@lru_cache(maxsize=1)
def _method() -> str:
    """Hash of the code and tables that standardise: when they change, layers are built anew."""
    files = [
        PACKAGE / "catalog" / f"{n}.py"
        for n in ("ingest", "reading", "presets", "quality", "rasters", "roles", "build")
    ]
    files += sorted((PACKAGE / "catalog" / "formats").glob("*.[pi][yn]*"))
    files += [PACKAGE / "core" / "gcj02.py", PACKAGE / "catalog" / "standard_layers.py"]
    files += [PACKAGE / "codes" / f"{n}.csv" for n in ("survey_codes", "plan_classes", "standard_fields")]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


@lru_cache(maxsize=1)
def _generator() -> str:
    """Hash of the code that generates the demo city."""
    files = sorted(path for path in (PACKAGE / "samples").glob("*.py") if path.name != "faults.py")
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def ensure_source(city: City, progress: Progress | None = None) -> None:
    """Generate the demo city's source files when they are absent or their generator has changed.

    Raises
    ------
    ProfileError
        When the data folder of another city does not exist.
    """
    if city.city.data == "demo":
        stamp = (
            city.root.parent / f".{city.root.name}.generator"
        )  # beside, so that the city's files stay as made
        if not (city.root.exists() and stamp.exists() and stamp.read_text("utf-8") == _generator()):
            log.info("generating the demo city in %s", city.root)

            def step(name: str, share: float) -> None:
                if progress is not None:
                    progress(round(100 * share), 100, f"demo city: {name}")

            sample = importlib.import_module("workbench.samples.demo")  # above this layer: by name
            sample.build(city.root, progress=step)
            with atomic_write(stamp) as temporary:
                temporary.write_text(_generator(), "utf-8")
    if not city.root.is_dir():
        raise ProfileError("the data folder does not exist", where=city.path.name, found=str(city.root))


def _jobs(city: City) -> list[_Job]:
    """Editions of all layers; layers that others are checked against come first."""
    jobs = []
    for role, spec in sorted(city.layers.items(), key=lambda item: item[1].check_against is not None):
        years: set[int | None] = {*spec.years, *(y for e in spec.editions.values() for y in e.years)}
        for year in sorted(years, key=lambda y: y or 0) if years else [None]:
            for edition in spec.editions_of(year):
                paths = {"main": spec.file(city.root, year, edition)}
                for name, pattern in spec.assets.items():
                    paths[name] = city.root / pattern.replace("{year}", str(year))
                jobs.append(_Job(role, year, edition, spec, paths))
    if jobs and not any(path.exists() for job in jobs for path in job.paths.values()):
        raise ProfileError(
            "none of the files exists", where=f"{city.path.name}: {jobs[0].where}.path",
            found=str(jobs[0].paths["main"]), expected=f"files below {city.root}",
        )  # fmt: skip
    return jobs


def _absent(city: City, job: _Job) -> Entry | None:
    """Entry of an edition that lacks a file: not usable, while the other layers are."""
    absent = [path for path in job.paths.values() if not path.exists()]
    if not absent:
        return None
    names = "、".join(path.name for path in absent), ", ".join(path.name for path in absent)
    log.warning("%s: %s: the file does not exist: %s", city.path.name, job.where, ", ".join(map(str, absent)))
    finding = Finding(
        "no_file", "error", len(absent), float("nan"), "", f"配置所指文件不存在：{names[0]}，该图层未使用",
        f"the profile names files that do not exist: {names[1]}; the layer is not used", absent[0].name,
    )  # fmt: skip
    key = stable_hash([job.role, job.year, job.edition, names[1]])
    return Entry(
        job.role,
        job.year,
        job.edition,
        job.spec.kind,
        key,
        "",
        {},
        job.date,
        reason="no_file",
        findings=(finding,),
    )


def _files_of(path: Path) -> list[Path]:
    """List a file with those that belong to it (the parts of a Shapefile)."""
    if path.suffix.lower() == ".shp":
        return sorted(p for p in path.parent.glob(f"{path.stem}.*") if p.suffix.lower() not in {".lock"})
    return [path]


def _stats(job: _Job) -> dict[str, Any]:
    files = [file for path in job.paths.values() for file in _files_of(path)]
    return {f.name: [f.stat().st_size, f.stat().st_mtime_ns] for f in files}


def _sha256(job: _Job, old: Entry | None, stats: dict[str, Any]) -> str:
    """Hash of the source files; not read again when size and time stamp are those of the last build."""
    if old is not None and old.stats == stats and not any(path.is_dir() for path in job.paths.values()):
        return old.sha256
    hashes = [sha256_file(file) for path in job.paths.values() for file in _files_of(path)]
    return hashes[0] if len(hashes) == 1 else stable_hash(hashes)


def city_grid(city: City) -> GeoBox | None:
    """Raster grid of a city: the profile's ``[grid]``, else that of its first raster on the city's grid."""
    if city.grid is not None:
        return rasters.grid_of(city.grid, city.crs)
    for role, spec in city.layers.items():
        if spec.kind == "raster" and spec.grid == "city":
            path = spec.file(city.root, spec.years[0] if spec.years else None)
            if path.exists():
                return rasters.inspect(path, spec, role, f"{city.path.name}: layers.{role}").geobox
    return None


def build(city: City | str, *, force: bool = False, progress: Progress | None = None) -> Path:
    """Standardise, check and describe every layer of a city; what did not change is left as it is.

    Parameters
    ----------
    city : City or str
        Profile, or its name or path.
    force : bool
        Build everything anew.
    progress : callable, optional
        Called with (done, total, what).

    Returns
    -------
    Path
        The static catalogue, ``stac_catalog/<city>/catalog.json``.

    Raises
    ------
    ProfileError, CRSError
        When the profile does not fit the files.
    """
    city = load_city(city) if isinstance(city, str) else city
    with manifest.lock(city.name):
        ensure_source(city, progress)
        jobs, grid = _jobs(city), city_grid(city)
        old = {} if force else {(e.role, e.year, e.edition): e for e in manifest.read(city.name)}
        entries: list[Entry] = []
        hashes: dict[str, str] = {}
        for number, job in enumerate(jobs):
            if progress is not None:
                progress(number, len(jobs), job.role if job.year is None else f"{job.role} {job.year}")
            entry = _entry(city, job, old.get((job.role, job.year, job.edition)), grid, hashes)
            hashes[job.role] = entry.sha256
            entries.append(entry)
        if progress is not None:
            progress(len(jobs), len(jobs), "STAC")
        target = catalog_dir() / city.name / "catalog.json"
        describes = stable_hash([city.title("zh"), city.title("en"), stac.VERSION])
        marker = manifest.folder(city.name) / "described"
        same = (
            _digest(list(old.values())) == _digest(entries)
            and marker.exists()
            and marker.read_text() == describes
        )
        if not (same and target.exists()):
            _publish(city, entries)
            marker.write_text(describes)
    return target


def _digest(entries: list[Entry]) -> list[str]:
    """Entries in a form in which missing measurements equal each other."""
    return sorted(stable_hash(asdict(entry)) for entry in entries)


def _publish(city: City, entries: list[Entry]) -> None:
    """Write findings, STAC and, last, the manifest that makes the build count; drop files of former builds."""
    folder = manifest.folder(city.name)
    findings = quality.table([(e.role, e.year, finding) for e in entries for finding in e.findings])
    with atomic_write(folder / "quality.parquet") as path:
        findings.to_parquet(path)
    stac.write(published.with_published(city), [*entries, *published.read(city.name)])
    manifest.write(city.name, entries)
    wanted = {folder / file for entry in entries for file in entry.files.values()}
    for path in [*folder.glob("*/*.parquet"), *folder.glob("*/*.tif")]:
        if path not in wanted and not path.name.startswith("."):
            path.unlink()


def _entry(city: City, job: _Job, old: Entry | None, grid: GeoBox | None, hashes: dict[str, str]) -> Entry:
    """Entry of an edition, from the last build when nothing it depends on changed."""
    if (lacking := _absent(city, job)) is not None:
        return lacking
    stats = _stats(job)
    sha256 = _sha256(job, old, stats)
    key = stable_hash(
        {
            "method": [manifest.VERSION, _method()],
            "edition": [job.role, job.year, job.edition],
            "spec": job.spec.model_dump(mode="json"),
            "source": sha256,
            "city": [city.name, city.crs, str(grid) if job.spec.kind == "raster" else ""],
            "levels": [level.model_dump() for level in city.levels.values() if level.role == job.role],
            "trusted": hashes.get(job.spec.check_against or "", ""),
        }
    )
    folder = manifest.folder(city.name)
    if old is not None and old.key == key and all((folder / file).exists() for file in old.files.values()):
        return replace(old, stats=stats)
    log.info("building %s %s %s", job.role, job.year or "", job.edition)
    entry = Entry(job.role, job.year, job.edition, job.spec.kind, key, sha256, {}, job.date, stats=stats)
    if job.spec.kind == "raster":
        return _build_raster(city, job, entry, grid)
    path = job.paths["main"]
    made = (
        ingest_vector(city, job.role, path, job.year)
        if job.spec.kind == "vector"
        else ingest_table(city, job.role, path, job.year)
    )
    return _write_rows(city, job, entry, made)


def _write_rows(city: City, job: _Job, entry: Entry, made: Ingested) -> Entry:
    findings = [*made.findings, *_check_against(city, job, made)]
    if made.reason is not None:
        return replace(entry, reason=made.reason, findings=tuple(findings))
    file = f"{job.role}/{entry.id}.parquet"
    with atomic_write(manifest.folder(city.name) / file) as path:
        made.frame.to_parquet(path, index=False, compression="zstd")
    bbox = None
    if isinstance(made.frame, gpd.GeoDataFrame):
        bbox = _degrees(city.crs, tuple(made.frame.total_bounds))
    return replace(entry, files={"data": file}, rows=len(made.frame), bbox=bbox, findings=tuple(findings))


@lru_cache(maxsize=8)
def _to_degrees(crs: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)


def _degrees(crs: str, bounds: tuple[float, ...]) -> tuple[float, float, float, float]:
    """Bounds in degrees of WGS 84, rounded to about a centimetre."""
    moved = _to_degrees(crs).transform_bounds(*bounds)
    west, south, east, north = (round(float(value), 7) for value in moved)
    return west, south, east, north


def _check_against(city: City, job: _Job, made: Ingested) -> list[Finding]:
    """Offset of a layer from the trusted one its profile names."""
    trusted_role = job.spec.check_against
    if trusted_role is None or made.degrees is None or made.frame.empty:
        return []
    path = manifest.folder(city.name) / trusted_role / f"{trusted_role}.parquet"
    if not path.exists():
        if trusted_role in city.layers and not city.layers[trusted_role].file(city.root, None).exists():
            return []  # told of the trusted layer itself
        raise ProfileError(
            "the trusted layer is not available",
            where=f"{city.path.name}: {job.where}.check_against",
            found=trusted_role,
            expected="an undated vector layer of the profile",
        )
    trusted = gpd.read_parquet(path).to_crs("EPSG:4326")
    converted = job.spec.datum == "gcj02"
    if job.spec.check_field is not None and (made.degrees.geom_type == "Point").all():
        return quality.check_offset_points(made.degrees, trusted, job.spec.check_field, converted=converted)
    field = job.spec.check_field or next(
        (f for f in ("code", "name") if f in made.degrees and f in trusted), None
    )
    if field is None or field not in made.degrees or field not in trusted:
        raise ProfileError(
            "no common field to compare the layers by",
            where=f"{city.path.name}: {job.where}.check_field",
            found=field,
            expected=", ".join(c for c in trusted.columns if c != "geometry"),
        )
    return quality.check_offset_polygons(made.degrees, trusted, field, converted=converted)


def _build_raster(city: City, job: _Job, entry: Entry, grid: GeoBox | None) -> Entry:
    where = f"{city.path.name}: {job.where}"
    files: dict[str, str] = {}
    described: dict[str, dict[str, Any]] = {}
    bands: list[str] = []
    box: GeoBox | None = None
    for asset, path in job.paths.items():
        spec = job.spec if asset == "main" else job.spec.model_copy(update={"bands": (asset,)})
        info = rasters.inspect(path, spec, job.role, where)
        reference = box if asset != "main" else grid
        if (finding := rasters.check_grid(info, reference, job.spec, city)) is not None:
            return replace(entry, reason="grid_mismatch", findings=(finding,))
        box = box or info.geobox
        names = {
            name: f"{job.role}/{entry.id}{'' if name == 'data' else '-' + name}.tif" for name in info.bands
        }
        _write_bands(manifest.folder(city.name), path, names, info)
        files |= names
        described |= {name: {"dtype": info.dtype, "nodata": info.nodata} for name in info.bands}
        bands += info.bands if asset == "main" else ()
    assert box is not None
    crs = str(box.crs)
    proj = {
        "code": crs,
        "shape": list(box.shape),
        "transform": [float(v) for v in box.affine[:6]],
        "bbox": [float(v) for v in box.boundingbox],
        "assets": described,
        "bands": bands,
    }
    bounds = tuple(float(v) for v in box.boundingbox)
    return replace(entry, files=files, bbox=_degrees(crs, bounds), proj=proj, rows=int(np.prod(box.shape)))


def _write_bands(folder: Path, path: Path, names: dict[str, str], info: rasters.RasterInfo) -> None:
    """Write the bands beside their final names, then move them into place."""
    (folder / next(iter(names.values()))).parent.mkdir(parents=True, exist_ok=True)
    temporary = {name: (folder / file).with_name(f".{Path(file).name}") for name, file in names.items()}
    try:
        rasters.write_cogs(path, temporary, info)
        for name, file in names.items():
            temporary[name].replace(folder / file)
    finally:
        for left in temporary.values():
            left.unlink(missing_ok=True)
