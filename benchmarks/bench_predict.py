"""Streamed inference of a U-Net (ResNet18 encoder, 4 bands, 6 classes) against plain loops, its bare forward, and itself.

Parts: ``speed`` (the stream against torchgeo's GridGeoSampler with an eager float32 loop, and against the engine's bare forward),
``memory`` (peak of 2,000², 8,000² and 16,000²), ``resume`` (killed and gone on with, bit for bit), ``seam`` (tile sizes, with
shipped weights), ``gpu`` (only where there is one). Every timed run is a process of its own; contenders take turns.

    python benchmarks/bench_predict.py speed memory resume seam gpu
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from harness import peak_memory_mib, record, summary, write_section
from rasterio.transform import from_origin
from rasterio.windows import Window

BANDS = ("blue", "green", "red", "nir")
MEAN, STD = (0.09, 0.11, 0.10, 0.25), (0.04, 0.04, 0.05, 0.09)
TILE, OVERLAP, CLASSES = 512, 128, 6
NET = "unet.safetensors"


SPECTRA = np.array([[0.07, 0.095, 0.09, 0.30], [0.04, 0.06, 0.045, 0.29], [0.068, 0.1, 0.098, 0.27], [0.06, 0.07, 0.05, 0.03], [0.135, 0.15, 0.16, 0.215], [0.12, 0.15, 0.185, 0.255]])  # fmt: skip


def block(rng: np.random.Generator, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Kinds (side, side) and reflectance (side, side, band) of a piece of land."""
    kind = rng.integers(0, CLASSES, (side // 16, side // 16)).repeat(16, 0).repeat(16, 1)
    kind = np.where(rng.random((side, side)) < 0.02, 4, kind)
    return kind, SPECTRA[kind] * (1 + 0.08 * rng.standard_normal((side, side, 1), dtype=np.float32))


def make_image(path: Path, side: int, seed: int = 5) -> None:
    """Fields, woods, water and houses with texture and noise, written block by block: a COG-like file of uint16."""
    rng = np.random.default_rng(seed)
    step = 512
    profile = dict(
        driver="GTiff", width=side, height=side, count=4, dtype="uint16", nodata=0, tiled=True, blockxsize=step,
        blockysize=step, compress="deflate", predictor=2, zlevel=1, crs="EPSG:4547", bigtiff="if_safer",
        transform=from_origin(400000, 2700000, 10, 10), interleave="pixel",
    )  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        for row in range(0, side, step):
            for col in range(0, side, step):
                _, data = block(rng, step)
                window = Window(col, row, min(step, side - col), min(step, side - row))
                values = np.clip(data * 10_000, 1, 12_000).astype(np.uint16).transpose(2, 0, 1)
                file.write(values[:, : window.height, : window.width], window=window)
        file.descriptions = BANDS


def unet(weights: Path) -> Any:
    """The benchmark's net: a standard one with weights of its own."""
    import segmentation_models_pytorch as smp
    from safetensors.torch import load_file

    net = smp.Unet("resnet18", encoder_weights=None, in_channels=4, classes=CLASSES)
    net.load_state_dict(load_file(weights))
    return net.eval()


def train(weights: Path, steps: int = 60) -> None:
    """Teach the net the generator's kinds: of a net that has learned nothing, the classes hang on the last digit of a number."""
    import segmentation_models_pytorch as smp
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    rng = np.random.default_rng(1)
    mean, std = (np.array(values, dtype=np.float32) for values in (MEAN, STD))
    net = smp.Unet("resnet18", encoder_weights=None, in_channels=4, classes=CLASSES).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    for _ in range(steps):
        blocks = [block(rng, 256) for _ in range(4)]
        image = np.stack([(data - mean) / std for _, data in blocks]).transpose(0, 3, 1, 2)
        kinds = torch.from_numpy(np.stack([kind for kind, _ in blocks]))
        loss = torch.nn.functional.cross_entropy(net(torch.from_numpy(image.astype(np.float32))), kinds)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"the benchmark's net: loss {loss.item():.3f} after {steps} steps")
    save_file(net.state_dict(), weights)


def sample(rows: int, cols: int, count: int = 2) -> np.ndarray:
    """Standardised tiles (tile, band, row, col) of the generator's land."""
    rng = np.random.default_rng(2)
    long = -(-max(rows, cols) // 16) * 16
    tiles = np.stack([(block(rng, long)[1] - MEAN) / STD for _ in range(count)])
    return np.ascontiguousarray(tiles.transpose(0, 3, 1, 2)[:, :, :rows, :cols], dtype=np.float32)


def digest(path: Path) -> str:
    """Checksum of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def scene(path: Path) -> Any:
    from workbench.interpretation.imagery import Scene

    return Scene.of_file(path, date="2025-07-08")


def streamed(image: Path, out: Path, engine: str = "auto", tile: int = TILE) -> dict[str, Any]:
    """Our stream; returns seconds of the run after the engine was chosen, seconds of all, and memory."""
    from workbench.interpretation import engines, stream
    from workbench.interpretation.stream import MapClass
    from workbench.interpretation.tiling import Layout

    whole = time.perf_counter()
    net, given = unet(image.parent / NET), scene(image)
    layout = Layout.of(given.shape, tile=tile, overlap=OVERLAP)
    forward, choice = engines.choose(net, sample(*layout.tile), engine=engine, key=digest(image.parent / NET))
    colours = [MapClass(f"class {place}", f"类{place}", "#808080") for place in range(CLASSES)]
    begun = time.perf_counter()
    made = stream.run(
        [given],
        forward,
        out,
        classes=colours,
        mean=MEAN,
        std=STD,
        tile=tile,
        overlap=OVERLAP,
        batch=choice.batch,
    )
    done = time.perf_counter()
    tiles = layout.rows.count * layout.cols.count
    return {
        "seconds": done - begun, "with_choice": done - whole, "engine": choice.engine, "peak_mib": peak_memory_mib(),
        "tiles": tiles, "tile": list(layout.tile), "sha256": digest(made.path),
    }  # fmt: skip


def bare(image: Path, out: Path, engine: str = "auto", tile: int = TILE) -> dict[str, Any]:
    """The chosen engine on tiles in memory, as many as the stream computes."""
    from workbench.interpretation import engines
    from workbench.interpretation.tiling import Layout

    layout = Layout.of(scene(image).shape, tile=tile, overlap=OVERLAP)
    tiles = sample(*layout.tile)
    weights = image.parent / NET
    forward, choice = engines.choose(unet(weights), tiles, engine=engine, key=digest(weights))
    forward(tiles)
    count = layout.rows.count * layout.cols.count
    with ThreadPoolExecutor(getattr(forward, "parallel", 1)) as pool:
        begun = time.perf_counter()
        for _ in pool.map(lambda place: forward(tiles[place % 2][None]).sum, range(count)):
            pass
    return {"seconds": time.perf_counter() - begun, "engine": choice.engine, "tiles": count}


def plain(image: Path, out: Path, engine: str = "", tile: int = TILE) -> dict[str, Any]:
    """What a torchgeo user writes: RasterDataset, GridGeoSampler with the same tile and stride, eager float32, one mosaic."""
    import torch
    from torch.utils.data import DataLoader
    from torchgeo.datasets import RasterDataset, stack_samples
    from torchgeo.samplers import GridGeoSampler, Units

    class Images(RasterDataset):
        filename_glob = image.name

    net = unet(image.parent / NET)
    from workbench.interpretation.tiling import Layout

    layout = Layout.of(scene(image).shape, tile=tile, overlap=OVERLAP)
    size, stride = layout.rows.tile, layout.rows.step
    begun = time.perf_counter()
    dataset = Images(str(image.parent))
    sampler = GridGeoSampler(dataset, size=size, stride=stride, units=Units.PIXELS)
    loader = DataLoader(dataset, sampler=sampler, batch_size=1, num_workers=0, collate_fn=stack_samples)
    mean, std = (torch.tensor(values)[None, :, None, None] for values in (MEAN, STD))
    with rasterio.open(image) as file:
        transform, profile = file.transform, file.profile
        height, width = file.shape
    mosaic = np.zeros((height, width), dtype=np.uint8)
    cut = OVERLAP // 2
    with torch.inference_mode():
        for batch in loader:
            values = (batch["image"] * 1e-4 - mean) / std
            classes = net(values).argmax(dim=1)[0].numpy().astype(np.uint8) + 1
            bounds = batch["bounds"][0]
            col, row = ~transform @ (bounds[0].start, bounds[1].stop)
            row, col = round(row), round(col)
            r0, c0 = (max(0, start + (cut if start > 0 else 0)) for start in (row, col))
            r1, c1 = min(height, row + size), min(width, col + size)  # the sampler reaches beyond the image
            if r0 < r1 and c0 < c1:
                mosaic[r0:r1, c0:c1] = classes[r0 - row : r1 - row, c0 - col : c1 - col]
    profile.update(count=1, dtype="uint8", compress="deflate", predictor=1)
    with rasterio.open(out, "w", **profile) as file:
        file.write(mosaic, 1)
    return {"seconds": time.perf_counter() - begun, "tiles": len(sampler), "peak_mib": peak_memory_mib()}


CONTENDERS = {"streamed": streamed, "bare": bare, "plain": plain}


def child(name: str, image: Path, out: Path, **more: Any) -> dict[str, Any]:
    """Run a contender in a process of its own; with ``warm``, on that small image before."""
    command = [sys.executable, __file__, "--child", name, str(image), str(out), json.dumps(more)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def equal_share(first: Path, second: Path, edge: int = 128) -> float:
    """Share of pixels of one class away from the edge of the image."""
    with rasterio.open(first) as a, rasterio.open(second) as b:
        return float((a.read(1) == b.read(1))[edge:-edge, edge:-edge].mean())


def speed(folder: Path, side: int, runs: int) -> None:
    image, warm = folder / "speed" / "image.tif", folder / "warm" / "image.tif"  # torchgeo takes a folder
    for path, long in ((image, side), (warm, TILE)):
        path.parent.mkdir()
        shutil.copy(folder / NET, path.parent)
        make_image(path, long)
    child("streamed", image, folder / "warm.tif", warm=str(warm))  # measures the engines, once a machine
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTENDERS}
    for _ in range(runs):
        for name in CONTENDERS:
            found[name].append(child(name, image, folder / f"{name}.tif", warm=str(warm)))
    seconds = {name: summary([one["seconds"] for one in rows]) for name, rows in found.items()}
    mine = seconds["streamed"]["median_s"]
    agreed = equal_share(folder / "streamed.tif", folder / "plain.tif")
    result = {
        "side": side, "seconds": seconds, "engine": found["streamed"][0]["engine"], "equal_share": agreed,
        "tiles": {name: rows[0]["tiles"] for name, rows in found.items()}, "tile": found["streamed"][0]["tile"],
        "over_plain": seconds["plain"]["median_s"] / mine, "over_bare": mine / seconds["bare"]["median_s"] - 1,
    }  # fmt: skip
    record("predict_speed", result)
    labels = {"streamed": "workbench predict, file to COG", "bare": "its engine alone, tiles in memory", "plain": "torchgeo GridGeoSampler, eager float32, file to GeoTIFF"}  # fmt: skip
    rows = [
        f"| {labels[name]} | {result['tiles'][name]} | {one['median_s']:.1f} | {one['min_s']:.1f} to {one['max_s']:.1f} | {one['runs']} | {one['median_s'] / mine:.2f} |"
        for name, one in seconds.items()
    ]
    write_section(
        "Streamed inference, speed",
        [
            f"U-Net ResNet18, 4 bands, {CLASSES} classes, {side:,}² uint16; tiles of {result['tile'][0]}², {OVERLAP} shared; engine {result['engine']}; "
            "each process warmed up on one tile; "
            f"classes equal on {100 * agreed:.2f} % of pixels away from edges; {100 * result['over_bare']:+.0f} % over the bare forward; "
            f"load average at the end {os.getloadavg()[0]:.1f}.",
            "",
            "| program | tiles | median s | least to most | runs | median / ours |",
            "| --- | ---: | ---: | --- | ---: | ---: |",
            *rows,
        ],
    )


def memory(folder: Path, sides: list[int]) -> None:
    rows, result = [], {}
    for side in sides:
        image = folder / f"memory-{side}.tif"
        make_image(image, side)
        found = child("streamed", image, folder / f"memory-{side}-map.tif")
        result[str(side)] = found
        pace = side * side / 1e6 / found["seconds"]
        rows.append(
            f"| {side:,}² | {found['peak_mib']:.0f} | {found['seconds']:.0f} | {pace:.2f} | {found['engine']} |"
        )
        image.unlink()
    record("predict_memory", result)
    head = ["Greatest resident memory of the whole process (torch, engine and GDAL's cache of 256 MiB among it).", "", "| raster | peak MiB | seconds | megapixels a second | engine |", "| --- | ---: | ---: | ---: | --- |"]  # fmt: skip
    write_section("Streamed inference, memory", [*head, *rows])


def resume(folder: Path, side: int) -> None:
    image, out = folder / "resume.tif", folder / "resume-map.tif"
    make_image(image, side)
    whole = child("streamed", image, folder / "whole-map.tif")
    command = [sys.executable, __file__, "--child", "streamed", str(image), str(out), "{}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    partial = Path(f"{out}.partial")
    wanted = max(2, -(-side // 384) // 2)
    while process.poll() is None and len(list(partial.glob("classes-*.tif"))) < wanted:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = len(list(partial.glob("classes-*.tif")))
    again = child("streamed", image, out)
    same = again["sha256"] == whole["sha256"]
    record("predict_resume", {"side": side, "kept": kept, "same": same, "whole": whole, "again": again})
    write_section(
        "Streamed inference, killed and gone on with",
        [
            f"{side:,}², killed (SIGKILL) after {kept} rows of tiles; the rest took {again['seconds']:.0f} s of {whole['seconds']:.0f} s. "
            f"Files are {'equal bit for bit' if same else 'DIFFERENT'}; peak {max(whole['peak_mib'], again['peak_mib']):.0f} MiB."
        ],
    )
    if not same:
        raise SystemExit("the files differ")


def seam(folder: Path, name: str) -> None:
    """Agreement of tile sizes with shipped weights on an image of the demo city."""
    from workbench.interpretation import imagery, predict, weights

    model = weights.load(name)
    given = imagery.scenes("demo", 2025)[1].select(model.card.bands)
    maps = {}
    for tile in (256, 384, 512, 1024):
        made = predict.predict(
            given, model, folder / f"seam-{tile}.tif", tile=tile, engine="openvino", precision="bf16"
        )
        with rasterio.open(made.path) as file:
            maps[tile] = file.read(1)
    base = maps[512]
    seen = base > 0
    shares = {tile: float((values == base)[seen].mean()) for tile, values in maps.items() if tile != 512}
    parts = np.bincount(base[seen], minlength=7)[1:] / seen.sum()
    record("predict_seam", {"weights": name, "agreement": shares, "classes": parts.tolist()})
    rows = [f"| {tile} against 512 | {100 * share:.3f} |" for tile, share in shares.items()]
    write_section(
        "Streamed inference, no seams",
        [
            f"`{name}` on the demo city's image of 2025-07-08; {int((parts >= 0.01).sum())} classes cover at least 1 %.",
            "",
            "| longest side of a tile | pixels equal % |",
            "| --- | ---: |",
            *rows,
        ],
    )


def gpu(folder: Path, side: int) -> None:
    """On a GPU: end to end against the bare forward at the same batch and precision, and against its best setting."""
    import torch

    if not torch.cuda.is_available():
        record("predict_gpu", {"measured": False})
        write_section("Streamed inference on a GPU", ["Not measured: no GPU at hand. `python benchmarks/bench_predict.py gpu` measures it."])  # fmt: skip
        return
    from workbench.interpretation import engines

    image = folder / "gpu.tif"
    make_image(image, side)
    child("streamed", image, folder / "gpu-warm.tif")
    whole = child("streamed", image, folder / "gpu-map.tif")
    net, device = unet(folder / NET), torch.device("cuda", 0)
    rates: dict[str, float] = {}
    for kind in engines.CUDA:
        for batch in (8, 16, 32, 64):
            tiles = torch.randn(batch, 4, TILE, TILE, device=device).to(memory_format=torch.channels_last)
            engine = engines.CudaEngine(net, device, kind=kind)
            rates[f"{kind}, batch {batch}"] = resident(engine, tiles.to(engine.dtype))
    pace = whole["tiles"] * whole["tile"][0] * whole["tile"][1] / 1e6 / whole["seconds"]
    same = {key: value for key, value in rates.items() if key.startswith(whole["engine"])}
    best, mine = max(rates.values()), max(same.values())
    record(
        "predict_gpu",
        {
            "measured": True,
            "device": torch.cuda.get_device_name(0),
            "rates": rates,
            "whole": whole,
            "pace": pace,
        },
    )
    write_section(
        "Streamed inference on a GPU",
        [
            f"{torch.cuda.get_device_name(0)}, {side:,}²: {pace:.0f} megapixels of tiles a second end to end ({whole['engine']}), "
            f"{100 * pace / mine:.0f} % of the bare forward on resident tensors; that is {100 * mine / best:.0f} % of the net's best setting "
            f"({max(rates, key=lambda key: rates[key])}); peak host memory {whole['peak_mib']:.0f} MiB."
        ],
    )


def resident(engine: Any, tiles: Any) -> float:
    """Megapixels a second of the bare forward on tensors that lie on the device."""
    import torch

    with torch.inference_mode():
        call = (
            (lambda: engine.net(tiles))
            if engine.kind in ("cuda-f32", "cuda-compiled")
            else engine._capture(tiles)[0].replay
        )
        for _ in range(3):
            call()
        torch.cuda.synchronize()
        begun = time.perf_counter()
        for _ in range(20):
            call()
        torch.cuda.synchronize()
    return 20 * tiles.shape[0] * tiles.shape[2] * tiles.shape[3] / 1e6 / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=["speed", "memory", "resume", "seam", "gpu", []])
    parser.add_argument("--side", type=int, default=4000, help="side of the image of speed")
    parser.add_argument("--resume-side", type=int, default=16000)
    parser.add_argument("--gpu-side", type=int, default=40000)
    parser.add_argument("--sides", type=int, nargs="*", default=[2000, 8000, 16000], help="sides of memory")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--weights", default="demo_land_cover", help="weights of seam")
    parser.add_argument("--folder", type=Path, help="where files are made; a temporary folder when not given")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, image, out, more = options.child
        settings = json.loads(more)
        if warm := settings.pop("warm", None):
            CONTENDERS[name](Path(warm), Path(out), **settings)
        found = CONTENDERS[name](Path(image), Path(out), **settings)
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        folder = Path(place)
        if set(options.parts) != {"seam"}:
            train(folder / NET)
        for part in options.parts or ["speed", "memory", "resume", "seam", "gpu"]:
            if part == "speed":
                speed(folder, options.side, options.runs)
            elif part == "memory":
                memory(folder, options.sides)
            elif part == "resume":
                resume(folder, options.resume_side)
            elif part == "seam":
                seam(folder, options.weights)
            else:
                gpu(folder, options.gpu_side)


if __name__ == "__main__":
    main()
