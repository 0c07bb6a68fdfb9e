"""What images of one place may differ in without the land having changed: season, haze, gain, clouds, a shifted grid.

Everything works on reflectance (float32, dates x bands x rows x columns) of one chip, takes its chance from a
generator that is handed in, and leaves labels where they are (turns and flips move them along).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from workbench.core.errors import ParameterError
from workbench.samples.space import Array

_HAZE = {"blue": 1.0, "green": 0.8, "red": 0.6, "nir": 0.25}


@dataclass(frozen=True)
class Augmentation:
    """How far and how often chips are altered; 0 switches a part off."""

    turn: bool = True
    """Turn by quarters and mirror."""
    gain: float = 0.06
    """Spread of a factor on all bands of a date; a third of it more on each band by itself."""
    offset: float = 0.004
    """Spread of what is added to each band."""
    season: float = 0.15
    """Greatest change of the near infrared over vegetation, as a share."""
    haze: float = 0.02
    """Greatest haze in the blue band, falling off over the chip."""
    noise: float = 0.004
    """Spread of noise in a cell."""
    shift: float = 0.3
    """Share of chips in which the first date is shifted against the second, by up to a cell and a half."""
    holes: float = 0.3
    """Share of chips with masked clouds put in."""
    veils: float = 0.1
    """Share of chips with thin cloud that the mask does not know."""

    @classmethod
    def of(cls, settings: dict[str, object]) -> Augmentation:
        """Augmentation of a table of settings; unknown names are refused."""
        known = {field.name for field in fields(cls)}
        if unknown := set(settings) - known:
            raise ParameterError(
                "setting not known", where="augmentation", found=sorted(unknown), expected=sorted(known)
            )
        return cls(**settings)  # type: ignore[arg-type]


NONE = Augmentation(turn=False, gain=0, offset=0, season=0, haze=0, noise=0, shift=0, holes=0, veils=0)
"""Chips as they are."""


def _blob(rng: np.random.Generator, height: int, width: int) -> Array:
    """Soft ellipse anywhere in a chip, 1 in its middle and 0 from its rim on."""
    y, x = np.ogrid[:height, :width]
    r = rng.uniform(0.06, 0.35, 2) * min(height, width)
    turn = rng.uniform(0, np.pi)
    dy, dx = y - rng.uniform(0, height), x - rng.uniform(0, width)
    u, v = (dx * np.cos(turn) + dy * np.sin(turn)) / r[0], (dy * np.cos(turn) - dx * np.sin(turn)) / r[1]
    found: Array = np.clip(1 - u * u - v * v, 0, 1).astype(np.float32)
    return found


def moved(image: Array, dy: float, dx: float) -> Array:
    """Chip (…, rows, columns) shifted by a part of a cell up to a few cells; edges are repeated.

    Examples
    --------
    >>> moved(np.array([[0.0, 2.0, 4.0]]), 0, 0.5).tolist()
    [[0.0, 1.0, 3.0]]
    """
    found = image
    for axis, part in ((-2, dy), (-1, dx)):
        if part == 0:
            continue
        whole = int(np.floor(part))
        rest = part - whole
        size = found.shape[axis]
        at = np.arange(size)
        low = found.take(np.clip(at - whole, 0, size - 1), axis=axis)
        high = found.take(np.clip(at - whole - 1, 0, size - 1), axis=axis)
        found = (1 - rest) * low + rest * high
    return found


def shifted(image: Array, valid: Array, rng: np.random.Generator, how: Augmentation) -> tuple[Array, Array]:
    """First date shifted against the others; cells beside an invalid one become invalid."""
    if len(image) < 2 or rng.random() >= how.shift:
        return image, valid
    dy, dx = rng.uniform(-1.5, 1.5, 2)
    image, valid = image.copy(), valid.copy()
    image[0] = moved(image[0], dy, dx)
    valid[0] = moved(valid[0].astype(np.float32), dy, dx) > 0.999
    return image, valid


def lit(image: Array, bands: tuple[str, ...], rng: np.random.Generator, how: Augmentation) -> Array:
    """Light, season, haze and noise of each date by itself."""
    dates, count, height, width = image.shape
    found = image.astype(np.float32, copy=True)
    if how.season and "red" in bands and "nir" in bands:
        red, nir = found[:, bands.index("red")], found[:, bands.index("nir")]
        green = np.clip((nir - red) / np.maximum(nir + red, 1e-3), 0, 0.8) / 0.8
        turn = rng.uniform(-how.season, how.season, (dates, 1, 1)).astype(np.float32)
        nir *= 1 + turn * green
        red *= 1 - 0.6 * turn * green
    if how.gain:
        found *= (1 + how.gain * rng.standard_normal((dates, 1, 1, 1), dtype=np.float32)).clip(0.7, 1.3)
        found *= 1 + how.gain / 3 * rng.standard_normal((dates, count, 1, 1), dtype=np.float32)
    if how.offset:
        found += how.offset * rng.standard_normal((dates, count, 1, 1), dtype=np.float32)
    if how.haze:
        ramp = np.linspace(0, 1, width, dtype=np.float32)[None, :] * np.float32(rng.uniform(-1, 1))
        ramp = ramp + np.linspace(0, 1, height, dtype=np.float32)[:, None] * np.float32(rng.uniform(-1, 1))
        colour = np.array([_HAZE.get(name, 0.5) for name in bands], dtype=np.float32)[None, :, None, None]
        found += colour * rng.uniform(0, how.haze, (dates, 1, 1, 1)).astype(np.float32) * (0.75 + 0.25 * ramp)
    if how.noise:
        spread = np.float32(how.noise * rng.uniform(0, 1))
        found += spread * rng.standard_normal(found.shape, dtype=np.float32)
    return found


def clouded(image: Array, valid: Array, rng: np.random.Generator, how: Augmentation) -> tuple[Array, Array]:
    """Clouds that the mask knows (cells become invalid) and thin ones that it does not."""
    dates, _, height, width = image.shape
    if rng.random() < how.holes:
        valid = valid.copy()
        for _ in range(int(rng.integers(1, 4))):
            valid[int(rng.integers(dates))] &= _blob(rng, height, width) == 0
    if rng.random() < how.veils:
        image = image.copy()
        veil = np.float32(rng.uniform(0.03, 0.3)) * _blob(rng, height, width)
        date = int(rng.integers(dates))
        image[date] = image[date] * (1 - veil) + np.float32(0.5) * veil
    return image, valid


def turned(arrays: list[Array], rng: np.random.Generator) -> list[Array]:
    """All arrays turned by the same quarters and mirrored alike (their last two axes)."""
    quarters, mirror = int(rng.integers(4)), bool(rng.integers(2))
    found = [np.rot90(array, quarters, axes=(-2, -1)) for array in arrays]
    return [np.ascontiguousarray(array[..., ::-1] if mirror else array) for array in found]


def augment(
    image: Array,
    valid: Array,
    label: Array,
    bands: tuple[str, ...],
    rng: np.random.Generator,
    how: Augmentation,
) -> tuple[Array, Array, Array]:
    """One chip altered in every way that is switched on.

    Parameters
    ----------
    image : array of float32 (dates, bands, rows, columns)
        Reflectance.
    valid : array of bool (dates, rows, columns)
    label : array (rows, columns)
    bands : tuple of str
        Names of the bands.
    rng : numpy.random.Generator
    how : Augmentation

    Returns
    -------
    tuple of arrays
        Image, valid cells and label, of the same shapes.
    """
    image, valid = shifted(image, valid, rng, how)
    image = lit(image, bands, rng, how)
    image, valid = clouded(image, valid, rng, how)
    if how.turn:
        image, valid, label = turned([image, valid, label], rng)
    return image, valid, label
