"""Shift between two dates, measured to a fraction of a pixel by phase correlation of many windows.

What is compared is the strength of edges, which lasts through seasons while brightness does not. Each window gives a
shift; the median of the trusted ones is that of the images, their spread says how far it can be relied on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window
from scipy import fft
from scipy.ndimage import gaussian_gradient_magnitude

from workbench.core.errors import ImageError

if TYPE_CHECKING:
    from workbench.interpretation.imagery import Pair

Floats = npt.NDArray[np.float64]
FINE = 100
"""Parts of a pixel a shift is measured to."""
TRUSTED = 6.0
"""A window counts when its peak stands this many standard deviations above the rest of its correlation."""
_CLEAR = 0.6


@dataclass(frozen=True, eq=False)
class Registration:
    """How two images lie on each other."""

    rows: float
    """Rows by which the later image lies off the earlier one (down is positive): median over windows."""
    columns: float
    """Columns by which it lies off (right is positive)."""
    spread: float
    """Median distance of the windows' shifts from that, in pixels; large where the images are warped, not shifted."""
    windows: npt.NDArray[np.float64]
    """Row, column of each trusted window's centre, its shift in rows and columns, height of its peak."""

    @property
    def distance(self) -> float:
        """Length of the shift in pixels."""
        return float(np.hypot(self.rows, self.columns))


def edges(data: npt.NDArray[np.floating], valid: npt.NDArray[np.bool_]) -> Floats:
    """Strength of edges over all bands (band, row, col), each in units of its spread; even where nothing is seen."""
    total = np.zeros(valid.shape)
    if not valid.any():
        return total
    for band in data.astype(np.float64):
        filled = np.where(valid, band, band[valid].mean())
        spread = float(filled[valid].std())
        if spread > 0:
            total += gaussian_gradient_magnitude(filled / spread, 1.0)
    inner = total[valid]
    return np.where(valid, np.minimum(total, np.quantile(inner, 0.99)), inner.mean())


def phase_correlation(before: Floats, after: Floats, *, fine: int = FINE) -> tuple[float, float, float]:
    """Shift of a window and how sure it is.

    Parameters
    ----------
    before, after : ndarray of float, shape (row, col)
    fine : int
        Parts of a pixel.

    Returns
    -------
    rows, columns, peak : float
        Shift of ``after`` against ``before``; height of the peak in standard deviations of the correlation.

    Notes
    -----
    Kuglin and Hines (1975); the neighbourhood of the peak is computed on a finer grid by a matrix product, as in
    Guizar-Sicairos, M. et al. (2008), Efficient subpixel image registration algorithms, *Optics Letters* 33(2).

    Examples
    --------
    >>> field = np.random.default_rng(0).standard_normal((80, 80))
    >>> phase_correlation(field[8:72, 8:72], field[6:70, 11:75])[:2]
    (2.0, -3.0)
    """
    height, width = before.shape
    taper = np.outer(np.hanning(height), np.hanning(width))
    first, second = (fft.fft2((one - one.mean()) * taper) for one in (before, after))
    cross = second * np.conj(first)
    cross /= np.maximum(np.abs(cross), 1e-12 * max(float(np.abs(cross).max()), 1e-300))
    v, u = fft.fftfreq(height)[:, None], fft.fftfreq(width)[None, :]
    cross *= np.exp(-0.5 * ((v / 0.2) ** 2 + (u / 0.2) ** 2))  # the finest frequencies are noise
    surface = fft.ifft2(cross).real
    top = np.unravel_index(int(surface.argmax()), surface.shape)
    peak = float((surface[top] - surface.mean()) / max(float(surface.std()), 1e-300))
    coarse = [
        int(at) - size if at > size // 2 else int(at) for at, size in zip(top, surface.shape, strict=True)
    ]
    offset = np.arange(-fine, fine + 1) / fine
    near_y, near_x = coarse[0] + offset, coarse[1] + offset
    ahead = np.exp(2j * np.pi * np.outer(near_y, v[:, 0]))
    across = np.exp(2j * np.pi * np.outer(u[0], near_x))
    refined = (ahead @ cross @ across).real
    y, x = np.unravel_index(int(refined.argmax()), refined.shape)
    return float(near_y[y]), float(near_x[x]), peak


def measure(pair: Pair, *, size: int = 256, most: int = 25) -> Registration:
    """Measure how the later image of a pair lies on the earlier one.

    Parameters
    ----------
    pair : Pair
    size : int
        Side of a window in pixels.
    most : int
        Most windows to look at, spread over the image.

    Raises
    ------
    ImageError
        When no window is clear on both dates and shows the same ground.
    """
    height, width = pair.before.shape
    side = (min(size, height), min(size, width))
    each = max(int(np.sqrt(most)), 1)
    starts = [
        np.unique(np.linspace(0, whole - part, min(each, -(-whole // part))).astype(int))
        for whole, part in zip((height, width), side, strict=True)
    ]
    found = []
    with pair.before.open() as old, pair.after.open() as new:
        for row in starts[0]:
            for column in starts[1]:
                window = Window(int(column), int(row), side[1], side[0])
                first, second = old.read(window), new.read(window)
                both = first.valid & second.valid
                if both.mean() < _CLEAR:
                    continue
                shift = phase_correlation(edges(first.data, both), edges(second.data, both))
                found.append((row + side[0] / 2, column + side[1] / 2, *shift))
    table = np.array(found).reshape(-1, 5)
    trusted = table[table[:, 4] >= TRUSTED]
    if not len(trusted):
        raise ImageError(
            "the shift between the dates cannot be measured", where=f"{pair.before.name} and {pair.after.name}",
            found=f"{len(table)} clear windows, none alike on both dates", hint="do both show the same place?",
        )  # fmt: skip
    rows, columns = np.median(trusted[:, 2]), np.median(trusted[:, 3])
    spread = float(np.median(np.hypot(trusted[:, 2] - rows, trusted[:, 3] - columns)))
    return Registration(float(rows), float(columns), spread, trusted)
