"""What importing the package must not drag in."""

import subprocess
import sys

import pytest

HEAVY = [
    "torch",
    "torchgeo",
    "leafmap",
    "ipyleaflet",
    "papermill",
    "geopandas",
    "matplotlib",
    "numba",
    "xarray",
    "dask",
    "rasterio",
    "stackstac",
    "pystac_client",
    "voila",
    "IPython",
]


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(sorted(m for m in sys.modules if '.' not in m)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(out.stdout.split())


@pytest.mark.parametrize(
    "statement", ["import workbench", "import workbench.cli", "import workbench.core.errors"]
)
def test_light_imports(statement):
    assert loaded_by(statement).isdisjoint(HEAVY)


def test_what_was_read_from_images_is_found_again_without_the_nets():
    """A report made again asks the cards alone: importing torch takes seconds."""
    loaded = loaded_by("from workbench.interpretation import cards, city_run; cards.card_of('demo_change')")
    assert "geopandas" in loaded and loaded.isdisjoint({"torch", "torchgeo", "openvino"})


@pytest.mark.parametrize(
    "module", ["workbench.operators.area", "workbench.indicators.library", "workbench.rules.library"]
)
def test_libraries_work_without_notebooks_or_deep_learning(module):
    loaded = loaded_by(f"import {module}")
    assert loaded.isdisjoint({"torch", "leafmap", "papermill", "voila", "ipywidgets", "jupyterlab"})
