"""Ways to compute a net on this machine, and the choice among them by measuring.

An engine takes standardised tiles (float32, on the host) and gives logits; on the host an array, on a GPU a tensor that stays
there. On the host tiles are computed one by one, so that what a batch is made of cannot show in the result. Nothing is
fetched and nothing is reported anywhere: OpenVINO's telemetry package is kept from being loaded, and the converter that uses
it is not called.
"""

from __future__ import annotations

import copy
import os
import platform
import sys
import threading
import time
import types
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from workbench.core.cache import StepCache
from workbench.core.errors import ParameterError, RunError
from workbench.core.provenance import stable_hash

Array = npt.NDArray[Any]
AGREE = 0.99
"""Share of pixels that must get the class float32 gives them."""
HOST = ("openvino-bf16", "openvino-f32", "torch-bf16", "torch-f32")
"""Engines without a GPU."""
CUDA = ("cuda-bf16", "cuda-fp16", "cuda-compiled", "cuda-f32")
"""Engines on a GPU: two precisions as CUDA graphs, bfloat16 compiled, and plain float32."""
_FEW = 2
"""Tiles that the engines are compared on."""


@dataclass(frozen=True)
class Choice:
    """The engine taken, and what was measured."""

    engine: str
    batch: int
    agreement: float
    """Share of pixels with the class that float32 gives."""
    seconds: dict[str, float]
    """Seconds a tile of each engine tried."""
    tile: tuple[int, int]

    @property
    def precision(self) -> str:
        """Precision of the engine."""
        return "bf16" if self.engine == "cuda-compiled" else self.engine.rsplit("-", 1)[1]

    def words(self) -> str:
        """One line on the choice."""
        tried = ", ".join(f"{name} {1000 * value:.0f} ms" for name, value in sorted(self.seconds.items(), key=lambda one: one[1]))  # fmt: skip
        rows, cols = self.tile
        return f"engine {self.engine}, {100 * self.agreement:.2f} % of pixels as float32; a tile of {rows} x {cols}: {tried}"


class TorchEngine:
    """torch on the host, one tile after the other."""

    device = None

    def __init__(self, net: nn.Module, *, bf16: bool = False) -> None:
        self.net, self.bf16 = copy.deepcopy(net).eval().to(memory_format=torch.channels_last), bf16  # type: ignore[call-overload]

    def __call__(self, batch: Array) -> Array:
        """Logits of tiles."""
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            return np.concatenate([self._one(tile) for tile in batch])

    def _one(self, tile: Array) -> Array:
        image = torch.from_numpy(np.ascontiguousarray(tile[None])).to(memory_format=torch.channels_last)
        found: Array = self.net(image).float().numpy()
        return found


class OpenVinoEngine:
    """OpenVINO on the host: one graph for one shape of tile, as many tiles at a time as it has streams.

    Streams do not wait for one another: what reads and writes beside them takes its time from one of them, not from all.
    """

    device = None
    writes_into = True

    def __init__(self, model: Any, *, bf16: bool, channels_last: bool = False) -> None:
        hints = {"INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
        self._compiled = _openvino().Core().compile_model(model, "CPU", hints)
        self.parallel = int(self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._pool = ThreadPoolExecutor(self.parallel)
        self._local = threading.local()
        self._last = channels_last

    def __call__(self, batch: Array, out: Array | None = None) -> Array:
        """Logits of tiles; of one tile written into ``out``, where its shape fits."""
        if len(batch) == 1:
            return self._one(batch[0], out)
        return np.concatenate(list(self._pool.map(self._one, batch)))

    def _one(self, tile: Array, out: Array | None = None) -> Array:
        if not hasattr(self._local, "request"):
            self._local.request = self._compiled.create_infer_request()
        request = self._local.request
        image = np.ascontiguousarray((tile.transpose(1, 2, 0) if self._last else tile)[None])
        shape = tuple(self._compiled.output(0).shape)
        if self._last or out is None or out.shape != shape:
            out = np.empty(shape, dtype=np.float32)
        request.set_output_tensor(0, _openvino().Tensor(out, shared_memory=True))
        request.infer({0: image}, share_inputs=True, share_outputs=True)
        return out.transpose(0, 3, 1, 2) if self._last else out


class CudaEngine:
    """torch on a GPU: channels last, reduced precision, one graph a batch shape; logits stay on the device."""

    def __init__(self, net: nn.Module, device: torch.device, *, kind: str = "cuda-bf16") -> None:
        self.device, self.kind = device, kind
        self.dtype = {"cuda-fp16": torch.float16, "cuda-f32": torch.float32}.get(kind, torch.bfloat16)
        torch.backends.cudnn.benchmark = True
        plain: Any = copy.deepcopy(net).eval().to(device=device, dtype=self.dtype)
        plain = plain.to(memory_format=torch.channels_last)
        self.net: Callable[[torch.Tensor], torch.Tensor] = (
            torch.compile(plain) if kind == "cuda-compiled" else plain
        )
        self._graphs: dict[tuple[int, ...], tuple[Any, torch.Tensor, torch.Tensor]] = {}
        self._pinned: dict[tuple[int, ...], torch.Tensor] = {}

    def __call__(self, batch: Array) -> torch.Tensor:
        """Logits of tiles, on the device."""
        shape = batch.shape
        with torch.cuda.device(self.device), torch.inference_mode():
            if shape not in self._pinned:
                self._pinned[shape] = torch.empty(shape, dtype=torch.float32, pin_memory=True)
            host = self._pinned[shape]
            torch.cuda.current_stream().synchronize()  # the last copy out of the pinned memory must be over
            host.copy_(torch.from_numpy(batch))
            image = host.to(self.device, non_blocking=True).to(
                dtype=self.dtype, memory_format=torch.channels_last
            )
            if self.kind in ("cuda-f32", "cuda-compiled"):
                return self.net(image).float()
            if shape not in self._graphs:
                self._graphs[shape] = self._capture(image)
            graph, static, logits = self._graphs[shape]
            static.copy_(image)
            graph.replay()
            return logits.float()  # a copy: the graph's own output is overwritten by the next batch

    def _capture(self, image: torch.Tensor) -> tuple[Any, torch.Tensor, torch.Tensor]:
        static = image.clone(memory_format=torch.preserve_format)
        side: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.net(static)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            logits = self.net(static)
        return graph, static, logits


class Flipped:
    """Test-time augmentation: the mean of the logits over the image and its three mirror images."""

    def __init__(self, engine: Callable[[Array], Any]) -> None:
        self.engine, self.device = engine, getattr(engine, "device", None)
        self.parallel = getattr(engine, "parallel", 1)

    def __call__(self, batch: Array) -> Any:
        """Logits of tiles."""
        total: Any = 0
        for axes in ((), (2,), (3,), (2, 3)):
            logits = self.engine(np.ascontiguousarray(np.flip(batch, axes)))
            total = total + (torch.flip(logits, axes) if torch.is_tensor(logits) else np.flip(logits, axes))
        return np.ascontiguousarray(total / 4) if isinstance(total, np.ndarray) else total / 4


def _openvino() -> types.ModuleType:
    """OpenVINO without its telemetry package: in its absence the library uses stand-ins that do nothing."""
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    found: types.ModuleType = openvino
    return found


def convert(net: nn.Module, shape: tuple[int, int, int]) -> Any:
    """OpenVINO model of a torch net for one tile of (channels, rows, columns), made in memory."""
    _openvino()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    example = torch.zeros((1, *shape))
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # what OpenVINO reads is a trace
        traced = torch.jit.trace(net.eval(), example, check_trace=False)  # type: ignore[no-untyped-call]
    decoder = TorchScriptPythonDecoder(
        traced, example_input=example, shared_memory=False
    )  # must outlive the reading
    reader = FrontEndManager().load_by_framework("pytorch")
    source = reader.load(decoder)
    model = reader.convert(source)
    model.reshape([1, *shape])
    return model


def read_onnx(path: os.PathLike[str] | str, shape: Sequence[int]) -> Any:
    """OpenVINO model of an ONNX file for one shape of input."""
    model = _openvino().Core().read_model(str(path))
    model.reshape(list(shape))
    return model


def devices() -> list[torch.device]:
    """GPUs of this machine."""
    return [torch.device("cuda", number) for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []  # fmt: skip


def machine() -> str:
    """What a measurement holds for: processor, cores, GPUs, versions of the libraries."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [
                line.split(":", 1)[1].strip() for line in file if line.startswith(("model name", "flags"))
            ]
    except OSError:
        names = [platform.processor()]
    found = [torch.cuda.get_device_name(device) for device in devices()]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return stable_hash([names[:2], cores, found, torch.__version__, _openvino().__version__])


def make(
    net: nn.Module,
    name: str,
    shape: tuple[int, int, int],
    device: torch.device | None = None,
    model: Any = None,
) -> Any:
    """Engine of a name for tiles of (channels, rows, columns); ``model`` is what :func:`convert` made of the net already.

    Raises
    ------
    ParameterError
        When there is no such engine here.
    """
    if name in CUDA:
        if not (there := devices()):
            raise ParameterError(
                "no GPU here", where="engine", found=name, expected=f"one of {', '.join(HOST)}"
            )
        return CudaEngine(net, device or there[0], kind=name)
    if name not in HOST:
        raise ParameterError(
            "no such engine", where="engine", found=name, expected=f"auto, {', '.join((*HOST, *CUDA))}"
        )
    if name.startswith("torch"):
        return TorchEngine(net, bf16=name.endswith("bf16"))
    return OpenVinoEngine(convert(net, shape) if model is None else model, bf16=name.endswith("bf16"))


def candidates(engine: str = "auto", precision: str | None = None) -> list[str]:
    """Engines to try here for a wish.

    Parameters
    ----------
    engine : str
        ``auto``, a family (``torch``, ``openvino``, ``cuda``) or a name.
    precision : str, optional
        ``f32``, ``bf16`` or ``fp16``; any when not given.

    Raises
    ------
    ParameterError
        When none fits.
    """
    known = CUDA if devices() and engine in ("auto", "cuda") else (*HOST, *CUDA)
    wanted = [one for one in known if engine in ("auto", one, one.split("-")[0])]
    if engine == "auto" and not devices():
        wanted = [one for one in wanted if one in HOST]
    if precision is not None:
        wanted = [one for one in wanted if Choice(one, 1, 1, {}, (0, 0)).precision == precision]
    if engine == "auto" and "bf16" not in (precision or "") and not devices() and not _has_bf16():
        wanted = [one for one in wanted if not one.endswith("bf16")]
    if not wanted:
        raise ParameterError(
            "no such engine here", where="engine", found=f"{engine}, {precision or 'any precision'}",
            expected=f"auto, {', '.join(HOST)}" + (f", {', '.join(CUDA)}" if devices() else " (no GPU here)"),
        )  # fmt: skip
    return wanted


def _has_bf16() -> bool:
    """Whether the processor computes in bfloat16."""
    return "BF16" in _openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def choose(
    net: nn.Module,
    sample: Array,
    *,
    engine: str = "auto",
    precision: str | None = None,
    batch: int | None = None,
    key: str = "",
    say: Callable[[str], None] | None = None,
) -> tuple[Any, Choice]:
    """The fastest engine here that gives the classes of float32, found by measuring.

    Parameters
    ----------
    net : Module
    sample : array of float32 (n, channel, row, column)
        Some standardised tiles of the image, of the shape to come.
    engine, precision : str
        What to choose among; see :func:`candidates`.
    batch : int, optional
        Tiles a call; found by measuring on a GPU, 1 on the host, when not given.
    key : str
        Checksum of the weights; with it the choice is kept for this net, shape and machine.
    say : callable, optional
        Told what was found.

    Returns
    -------
    engine, Choice

    Raises
    ------
    ParameterError
        When no engine that was asked for is here, or none agrees with float32.
    """
    names = candidates(engine, precision)
    shape = (int(sample.shape[1]), int(sample.shape[2]), int(sample.shape[3]))
    cache, kept = StepCache(), stable_hash([key, shape, names, batch, machine()])
    found = cache.get("engine", kept) if key else None
    if found is not None:
        choice = Choice(**{**found, "tile": tuple(found["tile"])})
        (say or _quiet)(choice.words())
        return make(net, choice.engine, shape), choice
    made, choice = _measured(net, sample[:_FEW], names, batch, shape)
    if key:
        cache.put("engine", kept, asdict(choice))
    (say or _quiet)(choice.words())
    return made, choice


def _quiet(text: str) -> None:
    """Say nothing."""


def _measured(
    net: nn.Module, sample: Array, names: Sequence[str], batch: int | None, shape: tuple[int, int, int]
) -> tuple[Any, Choice]:
    """Measure engines; the fastest that agrees with float32, with its batch."""
    exact = _classes(TorchEngine(net)(sample))
    model = convert(net, shape) if any(name.startswith("openvino") for name in names) else None
    made: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    agreement: dict[str, float] = {}
    for name in names:
        engine = make(net, name, shape, None, model)
        begun = time.perf_counter()
        try:
            told = _classes(_host(engine(sample)))  # the first call also warms up
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            if len(sample) > 1:
                return _measured(net, sample[:1], names, batch, shape)
            continue
        agreement[name] = float((told == exact).mean())
        first = (time.perf_counter() - begun) / len(sample)
        if agreement[name] < AGREE:
            continue
        made[name] = engine
        hopeless = first > 2 * min(seconds.values(), default=np.inf)  # not worth measuring closely
        seconds[name] = first if hopeless else _seconds(engine, sample)
    if not agreement:
        raise too_large(shape[1:])
    if not made:
        raise ParameterError(
            "no engine gives the classes of float32", where="engine",
            found=", ".join(f"{name} {share:.4f}" for name, share in agreement.items()), expected=f"at least {AGREE}",
            hint="take precision f32",
        )  # fmt: skip
    best = min(seconds, key=lambda name: seconds[name])
    size = batch or (_best_batch(made[best], sample) if best in CUDA else 1)
    return made[best], Choice(best, size, agreement[best], seconds, shape[1:])


def too_large(tile: Sequence[int]) -> RunError:
    """What is said when a device cannot hold what one tile needs."""
    return RunError(
        "the device's memory does not suffice for one tile", where="engine", found=f"{tile[0]} x {tile[1]}",
        expected="a tile that fits", hint="give a smaller tile, e.g. --tile 256, or --engine torch for the host",
    )  # fmt: skip


def _host(logits: Any) -> Array:
    return logits.float().cpu().numpy() if torch.is_tensor(logits) else logits


def _classes(logits: Array) -> Array:
    found: Array = logits.argmax(axis=1) if logits.shape[1] > 1 else logits[:, 0] > 0
    return found


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _seconds(engine: Callable[[Array], Any], sample: Array, budget: float = 0.3) -> float:
    """Seconds a tile, the best of a few calls, with as many tiles as the engine computes side by side."""
    sample = np.resize(sample, (max(len(sample), getattr(engine, "parallel", 1)), *sample.shape[1:]))
    best, begun = np.inf, time.perf_counter()
    for _ in range(5):
        start = time.perf_counter()
        engine(sample)
        _wait()
        best = min(best, time.perf_counter() - start)
        if time.perf_counter() - begun > budget:
            break
    return float(best / len(sample))


def _best_batch(engine: Callable[[Array], Any], sample: Array) -> int:
    """Batch from which more brings less than 5 %, or that the memory bears."""
    size, best, rate = 1, 1, 0.0
    while size <= 64:
        try:
            tiles = np.resize(sample, (size, *sample.shape[1:]))
            engine(tiles)
            now = 1 / _seconds(engine, tiles)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            break
        if now > 1.05 * rate:
            best, rate = size, now
        size *= 2
    return best
