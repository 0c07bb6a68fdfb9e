"""What this machine has of what the workbench needs."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from workbench.core.errors import WorkbenchError
from workbench.core.paths import built_data_dir, data_root, home, reports_dir
from workbench.reporting.book import books, folder_of
from workbench.reporting.store import versions


@dataclass(frozen=True)
class Line:
    """One thing looked at."""

    what: str
    """Its name."""
    found: str
    """What was found."""
    good: bool = True
    """Whether the workbench can do its main job with it."""
    hint: str = ""
    """The next step when not."""


def examine() -> Iterator[Line]:
    """Look at versions, folders, data, fonts, kernels, notebooks and the GPU, in this order."""
    for name, version in versions().items():
        yield Line(name, version, version != "not installed", "install the locked requirements")
    writable = _writable()
    yield Line("home", str(home()), writable, "set WORKBENCH_HOME to a folder that can be written")
    yield Line(
        "built data", str(built_data_dir()) if built_data_dir().is_dir() else "none yet: workbench demo"
    )
    root = data_root()
    yield Line(
        "data root",
        str(root) if root else "not set: only the demo city can be computed",
        root is None or root.is_dir(),
        "WORKBENCH_DATA names no folder",
    )
    yield _font()
    yield _kernels()
    yield _plain_kernels()
    notebooks = sum(1 for _ in folder_of("notebooks").rglob("*.ipynb"))
    yield Line("notebooks", f"{notebooks} in {folder_of('notebooks')}", notebooks > 0, "run from a checkout")
    yield Line("report books", ", ".join(books()) or "none", bool(books()), "run from a checkout")
    yield Line("reports", str(reports_dir()))
    yield _gpu()


def _writable() -> bool:
    """Whether the home can be written."""
    try:
        home().mkdir(parents=True, exist_ok=True)
        probe = home() / ".workbench-probe"
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True


def _font() -> Line:
    from workbench.views.style import font_path

    try:
        return Line("Chinese font", font_path().name)
    except WorkbenchError as error:
        return Line("Chinese font", "none", False, str(error))


def _kernels() -> Line:
    from jupyter_client.kernelspec import KernelSpecManager

    manager = KernelSpecManager()
    manager.kernel_dirs = [*manager.kernel_dirs, str(folder_of("kernels"))]
    names = sorted(manager.find_kernel_specs())
    return Line("kernels", ", ".join(names) or "none", bool(names), "install ipykernel")


def _plain_kernels() -> Line:
    """Kernels that jupyter and papermill see without the workbench's help."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_core.paths import ENV_JUPYTER_PATH, SYSTEM_JUPYTER_PATH, jupyter_data_dir

    manager = KernelSpecManager()
    places = [*ENV_JUPYTER_PATH, jupyter_data_dir(), *SYSTEM_JUPYTER_PATH]
    manager.kernel_dirs = [str(Path(place) / "kernels") for place in dict.fromkeys(places)]
    names = sorted(manager.find_kernel_specs())
    own = {path.parent.name for path in folder_of("kernels").glob("*/kernel.json")}
    lacking = ", ".join(sorted(own - set(names)))
    told = f"; not {lacking}: make install registers them" if lacking else ""
    return Line("plain jupyter", (", ".join(names) or "none") + told)


def _gpu() -> Line:
    if importlib.util.find_spec("torch") is None:
        return Line("GPU", "torch is not installed", False, "install the locked requirements")
    tool = shutil.which("nvidia-smi")
    answer = subprocess.run([tool, "-L"], capture_output=True, text=True, check=False) if tool else None
    names = [line.split(" (UUID")[0] for line in answer.stdout.splitlines()] if answer else []
    return Line(
        "GPU",
        f"torch {metadata.version('torch')}; " + (", ".join(names) or "none: everything runs on the CPU"),
    )
