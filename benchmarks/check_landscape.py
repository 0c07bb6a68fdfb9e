"""Landscape metrics of a real raster twice: by the workbench, and by pylandstats in an environment of its own.

pylandstats is under the GPL and never part of the workbench: ``--peer-python`` names an interpreter that has it. It keeps two
older conventions (shape against the most compact patch of whole cells; diversity and contagion from adjacencies); both are
computed here from the workbench's patches and adjacencies, so that every figure compared follows one definition.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path

import numpy as np
import rioxarray
from harness import data_root, record, write_section

from workbench.operators.landscape import Landscape, class_metrics, landscape, landscape_metrics

CLASS = {"total_area": "area_ha", "proportion_of_landscape": "pland", "number_of_patches": "patches", "patch_density":
         "patch_density", "largest_patch_index": "largest_patch", "total_edge": "edge_m", "edge_density": "edge_density",
         "area_mn": "mean_patch_ha", "area_cv": "patch_cv", "area_am": "weighted_patch_ha", "fractal_dimension_mn":
         "mean_fractal", "effective_mesh_size": "mesh_ha", "shape_index_mn": "shape_v3"}  # fmt: skip
WHOLE = {"total_area": "area_ha", "number_of_patches": "patches", "patch_density": "patch_density", "largest_patch_index":
         "largest_patch", "total_edge": "edge_m", "edge_density": "edge_density", "area_mn": "mean_patch_ha", "area_am":
         "weighted_patch_ha", "area_cv": "patch_cv", "effective_mesh_size": "mesh_ha", "fractal_dimension_mn": "mean_fractal",
         "landscape_shape_index": "shape_index_v3", "shannon_diversity_index": "shannon_adjacent", "contagion":
         "contagion_adjacent", "shape_index_mn": "shape_v3"}  # fmt: skip
PEER = """
import json, sys, warnings
warnings.filterwarnings("ignore")
import pylandstats
found = pylandstats.Landscape(sys.argv[1])
names = json.loads(sys.argv[2])
classes = found.compute_class_metrics_df(metrics=names[0])
whole = found.compute_landscape_metrics_df(metrics=names[1])
print(json.dumps({"version": pylandstats.__version__, "classes": {str(k): v for k, v in classes.T.to_dict().items()},
                  "whole": whole.iloc[0].to_dict()}))
"""


def compact_sides(cells: np.ndarray) -> np.ndarray:
    """Sides around the most compact clump of so many cells: the older standard of shape."""
    side = np.floor(np.sqrt(cells))
    rest = cells - side**2
    return 4 * side + np.where(rest == 0, 0, np.where(rest <= side, 2, 4))


def older(found: Landscape) -> tuple[dict[int, float], dict[str, float]]:
    """Figures under the peer's conventions: mean shape of each class, and those of the landscape."""
    patches = found.patches
    shape = patches["sides"] / compact_sides(patches["cells"].to_numpy(np.float64))
    by_class = shape.groupby(patches["class"]).mean().to_dict()
    double = found.like[1:, 1:].astype(float)
    double[np.diag_indices_from(double)] *= 2
    share = double.sum(axis=1) / double.sum()
    part = double / double.sum()
    logs = np.log(part, out=np.zeros_like(part), where=part > 0)
    width = found.cell_m[0]
    sides = (np.triu(found.edges_m[1:, 1:], 1).sum() + found.edges_m[0, 1:].sum()) / width
    whole = {
        "shape_v3": float(shape.mean()),
        "shape_index_v3": float(sides / compact_sides(np.array([patches["cells"].sum()]))[0]),
        "shannon_adjacent": float(-(share * np.log(share)).sum()),
        "contagion_adjacent": float((1 + (part * logs).sum() / (2 * np.log(len(share)))) * 100),
    }
    return by_class, whole


def main() -> None:
    """Compare on the published rasters; write the largest difference of every metric into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python", type=Path, help="interpreter of an environment with pylandstats")
    options = parser.parse_args()
    if options.peer_python is None or not options.peer_python.exists():
        print("skipped: no --peer-python with pylandstats")
        return
    worst: dict[str, float] = {}
    compared = 0
    version = ""
    rasters = ["ls100_06", "ls100_12", "ls250_06", "ls250_12"]
    for name in rasters:
        path = data_root() / "city" / "lausanne_landcover" / f"{name}.tif"
        command = [str(options.peer_python), "-c", PEER, str(path), json.dumps([list(CLASS), list(WHOLE)])]
        peer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        version = peer["version"]
        with rioxarray.open_rasterio(path) as raster:
            found = landscape(raster.squeeze("band", drop=True), nodata=255)
        shapes, old = older(found)
        ours = class_metrics(found)
        ours["shape_v3"] = ours.index.map(shapes)
        whole = landscape_metrics(found).to_dict() | old
        pairs = [(f"class {mine}", ours.at[int(c), mine], one[theirs])
                 for c, one in peer["classes"].items() for theirs, mine in CLASS.items()]  # fmt: skip
        pairs += [(f"landscape {mine}", whole[mine], peer["whole"][theirs]) for theirs, mine in WHOLE.items()]
        for label, mine, other in pairs:
            apart = abs(mine - other) / max(abs(other), 1e-12) if other else abs(mine)
            worst[label] = max(worst.get(label, 0.0), apart)
            compared += 1
    record(
        "check_landscape",
        {"worst_relative": worst, "compared": compared, "peer": version, "rasters": rasters},
    )
    bad = {label: apart for label, apart in worst.items() if apart > 1e-6}
    lines = [
        f"pylandstats {version} on the two dates of Lausanne at 100 m and 250 m: {compared:,} figures of classes and landscapes, "
        f"largest relative difference {max(worst.values()):.1e}"
        + (f"; above 1e-6: {', '.join(f'{k} {v:.1e}' for k, v in sorted(bad.items()))}." if bad else "."),
        "Shape is compared under the older standard (most compact clump of cells), diversity and contagion as the peer takes them, "
        "from adjacencies; the workbench reports those of FRAGSTATS 4. Aggregation and cohesion are not in the peer: closed forms "
        "in the tests. Where the older shape differs, the peer counts the cells of a patch as area over cell area, which rounding lifts "
        "past a full square or rectangle; the workbench counts whole cells.",
    ]
    write_section("Landscape metrics against pylandstats", lines)
    for label, apart in sorted(worst.items(), key=lambda pair: -pair[1])[:12]:
        print(f"{label:36s} {apart:.2e}")


if __name__ == "__main__":
    main()
