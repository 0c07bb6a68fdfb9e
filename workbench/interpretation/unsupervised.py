"""Change between two dates without labels: change vectors and IR-MAD, with thresholds found in the scores themselves.

Both measures are distances in a space of linear combinations of the bands of the two dates: change vector analysis (CVA)
of the bands standardised date by date; the iteratively reweighted multivariate alteration detection (IR-MAD) of the
canonical variates, in which unchanged ground correlates best. What they need to know of an image is learned from all of
its clear pixels, or, of a large one, from a regular lattice of them that fits in bounded memory; it does not depend on
the blocks an image is read in.

Notes
-----
Nielsen, A. A. (2007), The regularized iteratively reweighted MAD method for change detection in multi- and hyperspectral
data, *IEEE Transactions on Image Processing* 16(2), 463-478. Bruzzone, L. and Fernández Prieto, D. (2000), Automatic
analysis of the difference image for unsupervised change detection, *IEEE TGRS* 38(3), 1171-1182. Kittler, J. and
Illingworth, J. (1986), Minimum error thresholding, *Pattern Recognition* 19(1), 41-47. Otsu, N. (1979), *IEEE SMC* 9(1).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from workbench.core.errors import ImageError, ParameterError
from workbench.interpretation import _change_kernels as kernels

if TYPE_CHECKING:
    from workbench.interpretation.imagery import Pair

Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
How = Literal["auto", "otsu", "em", "minimum_error", "false_discovery", "chi_square"]
SAMPLE_BYTES = 256 * 2**20
"""Most memory for the pixels statistics are learned from."""
BINS = 256
"""Bins of a histogram of scores."""
_CHUNK = 1 << 16
_ROWS = 256
_LEAST_UNCHANGED = 0.02
_TWO_GROUPS = 0.15
"""Otsu's threshold with more than this share above it cuts through a single group."""


class Source(Protocol):
    """Two dates on one grid, read by rows."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""

    @property
    def bands(self) -> int:
        """Bands of one date."""

    def rows(self, first: int, stop: int) -> tuple[Pixels, Pixels, Mask]:
        """Bands of the earlier and the later date (band, row, col), and which pixels both see."""


@dataclass(frozen=True)
class Arrays:
    """Two dates held in memory."""

    before: npt.NDArray[np.generic]
    """Bands of the earlier date (band, row, col)."""
    after: npt.NDArray[np.generic]
    """Bands of the later date, as many."""
    valid: Mask | None = None
    """Pixels to use; all when not given."""

    def __post_init__(self) -> None:
        if self.before.ndim != 3 or self.before.shape != self.after.shape:
            raise ImageError(
                "the two dates differ in bands or size", where="change",
                found=self.after.shape, expected=str(self.before.shape),
            )  # fmt: skip

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.before.shape[1]), int(self.before.shape[2])

    @property
    def bands(self) -> int:
        """Bands of one date."""
        return int(self.before.shape[0])

    def rows(self, first: int, stop: int) -> tuple[Pixels, Pixels, Mask]:
        """Rows of both dates."""
        old, new = (one[:, first:stop].astype(np.float32) for one in (self.before, self.after))
        mask: Mask = np.asarray(np.isfinite(old).all(axis=0) & np.isfinite(new).all(axis=0))
        return old, new, mask if self.valid is None else mask & self.valid[first:stop]


@dataclass(frozen=True)
class _Opened:
    pair: Pair
    readers: tuple[object, object]

    @property
    def shape(self) -> tuple[int, int]:
        return self.pair.before.shape

    @property
    def bands(self) -> int:
        return len(self.pair.before.bands)

    def rows(self, first: int, stop: int) -> tuple[Pixels, Pixels, Mask]:
        window = Window(0, first, self.shape[1], stop - first)
        old, new = (reader.read(window) for reader in self.readers)  # type: ignore[attr-defined]
        return old.data, new.data, old.valid & new.valid


@contextmanager
def opened(pair: Pair) -> Iterator[Source]:
    """A pair of scenes as a source of rows, its files open."""
    with pair.before.open() as old, pair.after.open() as new:
        yield _Opened(pair, (old, new))


@dataclass(frozen=True, eq=False)
class Distance:
    """A fitted measure of change: a distance of each pixel from unchanged ground."""

    method: str
    """``cva`` or ``irmad``."""
    centre: Floats
    """Mean of each band of the earlier, then of the later date."""
    project: Floats
    """Variates (variate, band of both dates) of centred pixels."""
    variance: Floats
    """Variance of each variate on unchanged ground."""
    correlation: Floats
    """Canonical correlations, ascending (IR-MAD), else empty."""
    iterations: int
    """Passes of reweighting until nothing changed."""

    def score(self, before: Pixels, after: Pixels) -> Pixels:
        """Distance of pixels (band, …) of two dates, float32 (…)."""
        flat = [np.ascontiguousarray(one.reshape(one.shape[0], -1)) for one in (before, after)]
        out = np.empty(flat[0].shape[1], dtype=np.float32)
        kernels.distances(*flat, self.centre, self.project, 1.0 / self.variance, out)
        return out.reshape(before.shape[1:])

    def variates(self, before: Pixels, after: Pixels) -> Floats:
        """Differences of the variates (variate, …), in units of their spread on unchanged ground."""
        both = np.concatenate([before, after]).reshape(2 * before.shape[0], -1) - self.centre[:, None]
        found: Floats = (self.project @ both) / np.sqrt(self.variance)[:, None]
        return found.reshape(-1, *before.shape[1:])


def lattice(source: Source, *, most_bytes: int = SAMPLE_BYTES) -> Pixels:
    """Clear pixels of both dates on the finest regular lattice that fits in memory.

    Parameters
    ----------
    source : Source
    most_bytes : int
        Memory for them.

    Returns
    -------
    ndarray of float32, shape (2 x bands, pixels)
        Row by row; the earlier date's bands first.

    Raises
    ------
    ImageError
        When too few pixels are clear on both dates.
    """
    height, width = source.shape
    bands = source.bands
    step = 1
    while 8 * bands * math.ceil(height / step) * math.ceil(width / step) > most_bytes:
        step += 1
    found: Pixels = np.empty(
        (2 * bands, math.ceil(height / step) * math.ceil(width / step)), dtype=np.float32
    )
    count = 0
    for first in range(0, height, _ROWS):
        old, new, valid = source.rows(first, min(first + _ROWS, height))
        start = -first % step
        keep = valid[start::step, ::step]
        stop = count + int(keep.sum())
        found[:bands, count:stop] = old[:, start::step, ::step][:, keep]
        found[bands:, count:stop] = new[:, start::step, ::step][:, keep]
        count = stop
    if count < 50 * bands:
        raise ImageError(
            "too few pixels are clear on both dates", where="change", found=count, expected=f"at least {50 * bands}",
            hint="choose other dates or look at the masks",
        )  # fmt: skip
    return found[:, :count]


def _moments(pixels: Pixels, centre: Floats, project: Floats, variance: Floats, weighted: bool) -> Floats:
    """Sums of the kernel over pieces of fixed size, in their order."""
    bands = len(pixels)
    total = np.zeros((bands + 1, bands + 1))
    for first in range(0, pixels.shape[1], _CHUNK):
        part = np.zeros_like(total)
        kernels.moments(pixels[:, first : first + _CHUNK], centre, project, 1.0 / variance, weighted, part)
        total += part
    return total


def _covariance(sums: Floats, centre: Floats) -> tuple[Floats, Floats]:
    """Mean and covariance matrix from weighted sums about a centre."""
    shift = sums[0, 1:] / sums[0, 0]
    upper = np.triu(sums[1:, 1:])
    both = (upper + np.triu(upper, 1).T) / sums[0, 0] - np.outer(shift, shift)
    return centre + shift, both


def fit_cva(pixels: Pixels) -> Distance:
    """Change vector analysis: length of the difference of the bands, each standardised date by date.

    Parameters
    ----------
    pixels : ndarray of float32, shape (2 x bands, pixels)
        From :func:`lattice`.

    Raises
    ------
    ImageError
        When a band is constant.
    """
    bands = len(pixels) // 2
    centre, both = _plain(pixels)
    spread = np.sqrt(np.diag(both))
    project = np.hstack([-np.diag(1 / spread[:bands]), np.diag(1 / spread[bands:])])
    return Distance("cva", centre, project, np.ones(bands), np.zeros(0), 0)


def _plain(pixels: Pixels) -> tuple[Floats, Floats]:
    """Mean and covariance without weights, about a first guess of the mean; constant or repeated bands are refused."""
    bands = len(pixels) // 2
    guess = pixels[:, :: max(pixels.shape[1] // 4096, 1)].mean(axis=1, dtype=np.float64)
    none = np.zeros((bands, 2 * bands)), np.ones(bands)
    centre, both = _covariance(_moments(pixels, guess, *none, False), guess)
    spread = np.sqrt(np.diag(both))
    if not (spread > 1e-7 * np.maximum(np.abs(centre), 1e-6)).all():
        raise ImageError("a band is constant", where="change", found=f"spread {spread.min():g}")
    return centre, both


def fit_irmad(
    pixels: Pixels, *, iterations: int = 60, tolerance: float = 1e-4, reweighted: bool = True
) -> Distance:
    """Iteratively reweighted multivariate alteration detection.

    Parameters
    ----------
    pixels : ndarray of float32, shape (2 x bands, pixels)
        From :func:`lattice`.
    iterations : int
        Most passes.
    tolerance : float
        Change of the canonical correlations below which the passes end.
    reweighted : bool
        False for the plain MAD: one pass without weights.

    Raises
    ------
    ImageError
        When bands are constant or combinations of others.
    """
    centre, both = _plain(pixels)
    correlation, project, variance = _canonical(both)
    done = 0
    while reweighted and done < iterations:
        sums = _moments(pixels, centre, project, variance, True)
        if sums[0, 0] < _LEAST_UNCHANGED * pixels.shape[1]:
            break  # so little looks unchanged that further weights would fit a handful of pixels
        done += 1
        centre, both = _covariance(sums, centre)
        former = correlation
        correlation, project, variance = _canonical(both)
        if np.abs(correlation - former).max() < tolerance:
            break
    return Distance("irmad", centre, project, variance, correlation, done)


def _canonical(both: Floats) -> tuple[Floats, Floats, Floats]:
    """Canonical correlations (ascending), differences of the canonical variates, and their variances."""
    bands = len(both) // 2
    halves = []
    for block in (both[:bands, :bands], both[bands:, bands:]):
        spread = np.sqrt(np.diag(block))
        value, vector = np.linalg.eigh(block / np.outer(spread, spread))
        if value[0] < 1e-9:
            raise ImageError(
                "some bands are combinations of others", where="IR-MAD", found=f"eigenvalue {value[0]:.1e}",
                hint="leave out repeated or derived bands",
            )  # fmt: skip
        halves.append(
            (vector / np.sqrt(value)).T / spread
        )  # makes the bands of a date uncorrelated, of unit variance
    left, rho, right = np.linalg.svd(halves[0] @ both[:bands, bands:] @ halves[1].T)
    rho = np.clip(rho[::-1], 0.0, 1.0)
    project = np.hstack([left.T[::-1] @ halves[0], -(right[::-1] @ halves[1])])
    return rho, project, np.maximum(2.0 * (1.0 - rho), 1e-9)


def histogram(pixels: Pixels, distance: Distance, *, bins: int = BINS) -> tuple[Floats, Floats]:
    """Histogram of the scores of pixels from 0 to the largest: counts and edges of the bins."""
    bands = len(pixels) // 2
    scores = distance.score(pixels[:bands], pixels[bands:])
    counts, edges = np.histogram(scores, bins=bins, range=(float(scores.min()), float(scores.max()) or 1.0))
    return counts.astype(np.float64), edges.astype(np.float64)


def threshold(
    counts: Floats, edges: Floats, how: How = "otsu", *, degrees: int = 0, alpha: float | None = None
) -> float:
    """Score above which pixels changed, found without labels.

    Parameters
    ----------
    counts, edges : ndarray
        Histogram of the scores.
    how : {"auto", "otsu", "em", "minimum_error", "false_discovery", "chi_square"}
        Largest spread between two groups (Otsu); equal chance under two normal distributions fitted by expectation and
        maximisation; least overlap of two normal distributions (Kittler and Illingworth); where change is rare, the
        least score among whose exceedances unchanged ground has the share ``alpha``, its scores being log-normal with
        the median and the upper spread of all; for IR-MAD the distance that unchanged ground exceeds with the chance
        ``alpha``, by the median of the scores (weights make the variates' own spread too small). ``auto`` is Otsu's threshold, unless it cuts through a single group: then false discovery.
    degrees : int
        Degrees of freedom of ``chi_square``: bands of a date.
    alpha : float, optional
        Share of ``false_discovery`` (0.1 when not given) or chance of ``chi_square`` (0.001).

    Examples
    --------
    >>> counts = np.array([0, 8, 8, 0, 0, 0, 0, 2, 2, 0.0])
    >>> threshold(counts, np.linspace(0, 10, 11))
    2.5
    """
    if how == "chi_square":
        from scipy.special import chdtri

        if degrees < 1:
            raise ParameterError("the chi-square threshold needs the number of bands", found=degrees)
        middle = float(np.interp(0.5, np.concatenate([[0.0], np.cumsum(counts)]) / counts.sum(), edges))
        return middle * float(
            np.sqrt(chdtri(degrees, 1e-3 if alpha is None else alpha) / chdtri(degrees, 0.5))
        )
    finders = {"otsu": _otsu, "em": _em, "minimum_error": _minimum_error}
    at = (edges[:-1] + edges[1:]) / 2
    if how in finders:
        return finders[how](counts, at)
    if how not in ("auto", "false_discovery"):
        raise ParameterError("unknown way to find a threshold", found=how, expected=", ".join(finders))
    if how == "auto":
        cut = _otsu(counts, at)
        if counts[at > cut].sum() <= _TWO_GROUPS * counts.sum():
            return cut
    return _false_discovery(counts, edges, 0.1 if alpha is None else alpha)


def _false_discovery(counts: Floats, edges: Floats, share: float) -> float:
    """Least edge above which unchanged ground, log-normal as the middle of the scores is, has at most a share.

    Efron, B. (2004), Large-scale simultaneous hypothesis testing: the choice of a null hypothesis, *JASA* 99, 96-104.
    """
    from scipy.special import ndtr

    total = counts.sum()
    below = np.concatenate([[0.0], np.cumsum(counts)]) / total
    log = np.log(np.maximum(edges, 1e-12))
    middle, upper = np.interp([0.5, ndtr(1.0)], below, log)
    expected = ndtr(-(log - middle) / max(upper - middle, 1e-12))
    found = 1.0 - below
    good = np.flatnonzero((log > upper) & (found > 0.5 / total) & (expected <= share * found))
    return float(edges[good[0]]) if len(good) else float(edges[-1])


def _groups(counts: Floats, at: Floats) -> tuple[Floats, ...]:
    """Share, mean and variance of what lies up to each bin, and of what lies above it."""
    total = counts.sum()
    low = np.cumsum(counts)[:-1] / total
    first = np.cumsum(counts * at)[:-1] / total
    second = np.cumsum(counts * at**2)[:-1] / total
    whole_1, whole_2 = (counts * at).sum() / total, (counts * at**2).sum() / total
    high = 1 - low
    with np.errstate(divide="ignore", invalid="ignore"):
        m1, m2 = first / low, (whole_1 - first) / high
        v1, v2 = second / low - m1**2, (whole_2 - second) / high - m2**2
    return low, m1, v1, high, m2, v2


def _otsu(counts: Floats, at: Floats) -> float:
    low, m1, _, high, m2, _ = _groups(counts, at)
    with np.errstate(invalid="ignore"):
        between = low * high * (m1 - m2) ** 2
    return float(at[int(np.argmax(np.where((low > 0) & (high > 0), between, -1.0)))])


def _minimum_error(counts: Floats, at: Floats) -> float:
    low, _, v1, high, _, v2 = _groups(counts, at)
    least = (at[1] - at[0]) ** 2 / 12  # a group in one bin has the variance of the bin
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = low * np.log(v1 + least) + high * np.log(v2 + least)
        cost -= 2 * (low * np.log(low) + high * np.log(high))
    cost[(low < 1e-4) | (high < 1e-4)] = np.inf
    return float(at[int(np.argmin(cost))]) if np.isfinite(cost).any() else _otsu(counts, at)


def _em(counts: Floats, at: Floats) -> float:
    """Two normal distributions, started from the two sides of Otsu's threshold."""
    cut = _otsu(counts, at)
    least = (at[1] - at[0]) ** 2 / 12
    part = (at > cut).astype(np.float64)
    share = mean = spread = np.zeros(2)
    for _ in range(500):
        weight = np.stack([counts * (1 - part), counts * part])
        size = np.maximum(weight.sum(axis=1), 1e-12)
        former, mean = mean, (weight * at).sum(axis=1) / size
        spread = (weight * (at - mean[:, None]) ** 2).sum(axis=1) / size + least
        share = size / size.sum()
        log = (
            np.log(share)[:, None]
            - 0.5 * np.log(spread)[:, None]
            - (at - mean[:, None]) ** 2 / (2 * spread[:, None])
        )
        part = 1 / (1 + np.exp(np.clip(log[0] - log[1], -500, 500)))
        if np.abs(mean - former).max() < 1e-6 * (at[-1] - at[0]):
            break
    between = np.flatnonzero((at > mean[0]) & (at < mean[1]) & (part >= 0.5))
    return float(at[between[0]]) if len(between) else cut


def strength(score: Pixels, cut: float) -> Pixels:
    """Scores on a scale from 0 to 1 on which the threshold is 0.5: score² / (score² + threshold²); no probability."""
    square = np.square(score, dtype=np.float32)
    found: Pixels = (square / (square + np.float32(cut * cut))).astype(np.float32)
    return found
