"""Four-band 10 m images of the demo city, as a plausible sensor would see them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter

from workbench.samples.cover import CODES
from workbench.samples.ground import Ground
from workbench.samples.space import Array, N, smooth_noise, stream

CLASSES = ("cropland", "forest", "grass", "water", "built", "bare")
"""Classes the images can tell apart, from 0."""
DATES = ("03-12", "07-08", "11-02")
"""Month and day of the three images of a year."""
_SPECTRA = np.array(
    [
        [0.072, 0.095, 0.090, 0.300], [0.040, 0.062, 0.045, 0.290], [0.068, 0.100, 0.098, 0.270],
        [0.062, 0.070, 0.050, 0.032], [0.135, 0.148, 0.158, 0.215], [0.120, 0.150, 0.185, 0.255],
    ]
)  # fmt: skip
"""Mean surface reflectance, class by band (blue, green, red, near infrared)."""
_SPREAD = np.array([0.0165, 0.0125, 0.0185, 0.011, 0.030, 0.021])
_SEASON = np.array(
    [
        [0.80, 0.93, 0.84, 1.0, 1.0, 1.03],
        [1.16, 1.08, 1.16, 1.0, 1.0, 0.97],
        [0.90, 1.0, 0.88, 1.0, 1.0, 1.02],
    ]
)
"""Factor on the near infrared, date by class: bare paddies in spring, full canopy in summer."""


@dataclass(frozen=True)
class Image:
    """One image with its mask."""

    bands: Array
    """Reflectance times 10,000, uint16 (4, N, N): blue, green, red, near infrared."""
    cloud: Array
    """1 where cloud or cloud shadow hides the ground, uint8 (N, N)."""


def class_of_codes() -> Array:
    """Image class of each entry of CODES, uint8."""
    table = {"01": 0, "02": 1, "03": 1, "04": 2, "11": 3, "12": 5}
    found = np.array([table.get(code[:2], 4) for code in CODES], dtype=np.uint8)
    for code, value in (("0810", 2), ("1107", 0), ("1006", 5), ("1106", 5), ("1108", 2), ("1202", 4), ("1109", 4),
                        ("0201", 1), ("0202", 2)):  # fmt: skip
        found[CODES.index(code)] = value
    return found


def _clouds(rng: np.random.Generator, cover: float) -> tuple[Array, Array]:
    """Opacity of clouds and darkness of their shadows, both 0 to 1."""
    field = smooth_noise(rng, 5200) + 0.45 * smooth_noise(rng, 1700) + 0.2 * smooth_noise(rng, 600)
    edge = float(np.quantile(field[::4, ::4], 1 - cover))
    opacity = np.clip((field - edge) / 0.35, 0, 1)
    shadow = np.roll(opacity, (24, -17), axis=(0, 1))
    return opacity, shadow


_TONE = {"1004": -0.045, "1003": -0.03, "1001": -0.035, "0601": 0.055, "0508": 0.05, "05H1": 0.012, "0702": -0.012,
         "0701": -0.022, "08H2": -0.012, "08H1": -0.008, "0810A": 0.03, "0103": 0.02, "0102": 0.008, "0302": 0.008,
         "0305": 0.015, "0307": 0.012, "1104A": 0.008}  # fmt: skip
"""Departure from the class's mean reflectance in the visible bands, by survey code."""


@dataclass(frozen=True)
class Scene:
    """What lies on the ground in a year, cell by cell (N, N)."""

    code: Array
    """Survey code, as an index into CODES."""
    plot: Array
    """Own tone of each field or block, unit spread, float32; what is unchanged keeps it."""
    roof: Array
    """Cells under a roof, bool."""


def plot_tone(key: Array) -> Array:
    """Tone of unit spread for each parcel key, the same wherever and whenever the key occurs."""
    mixed = (key.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
    tone: Array = ((mixed & np.uint64(0xFFFF)).astype(np.float32) / 65535 - 0.5) * np.float32(3.46)
    return tone


def make_image(seed: int, year: int, number: int, scene_of: Scene, ground: Ground, lasting: Array) -> Image:
    """Image of a year and date.

    Parameters
    ----------
    seed, year, number : int
        ``number`` from 1 is the place in DATES.
    scene_of : Scene
    ground : Ground
    lasting : array of float32 (N, N)
        Texture of the ground that all images share, unit spread.
    """
    rng = stream(seed, f"image.{year}.{number}")
    classes = class_of_codes()[scene_of.code]
    classes = _worn(classes, scene_of, number)
    tone = np.array([_TONE.get(name, 0.0) for name in CODES], dtype=np.float32)[scene_of.code]
    tone += np.where((classes == 4) & scene_of.roof, np.float32(0.045), np.float32(0.0))
    season = _SEASON[number - 1]
    own = rng.standard_normal((N, N), dtype=np.float32)
    patchy = smooth_noise(rng, 260)
    slope_y, slope_x = np.gradient(ground.dem, 10.0)
    light = np.clip(1 + 0.55 * (slope_x * 0.6 - slope_y * 0.5), 0.6, 1.35).astype(np.float32)
    opacity, shadow = _clouds(rng, (0.07, 0.16, 0.03)[number - 1])
    haze = 0.012 + 0.008 * np.clip(smooth_noise(rng, 7000), -1, 2)
    shift = rng.uniform(-0.5, 0.5, 2)
    bands = np.empty((4, N, N), dtype=np.uint16)
    spread = _SPREAD.astype(np.float32)[classes]
    for band in range(4):
        level = _SPECTRA[:, band] * (season if band == 3 else 2 - season if band == 2 else 1.0)
        gain = (0.8, 0.9, 1.0, 2.3)[band]
        scene = level.astype(np.float32)[classes]
        scene += spread * gain * (0.62 * lasting + 0.3 * patchy + 0.45 * own + 0.62 * scene_of.plot)
        scene += tone * (1.0, 1.0, 1.05, 0.9)[band]
        scene *= light
        scene = _see(scene, shift)
        scene = scene + (haze * (1.0, 0.8, 0.6, 0.25)[band]).astype(np.float32)
        scene *= 1 - 0.55 * shadow * (opacity < 0.5)
        scene = scene * (1 - opacity) + opacity * (0.52 + 0.05 * patchy)
        scene += 0.005 * rng.standard_normal((N, N), dtype=np.float32)
        bands[band] = np.clip(np.round(scene * 10_000), 1, 12_000).astype(np.uint16)
    hidden = (uniform_filter(((opacity > 0.04) | (shadow > 0.12)).astype(np.float32), 9) > 0.05).astype(
        np.uint8
    )
    return Image(bands, hidden)


def paved(code: Array) -> Array:
    """Cells of roads and railways, by their code as an index into CODES."""
    return np.isin(code, [CODES.index(name) for name in ("1001", "1003", "1004")])


def _worn(classes: Array, scene_of: Scene, number: int) -> Array:
    """Classes as they look on the day: some fields lie ploughed, weedy or flooded, some yards are green or bare."""
    turn = np.mod(scene_of.plot * 7.31 + 0.37 * number, 1.0)
    look = classes.copy()
    field = classes == 0
    look[field & (turn < 0.11)] = 5
    look[field & (turn >= 0.11) & (turn < 0.19)] = 2
    look[field & (turn >= 0.19) & (turn < (0.24 if number == 1 else 0.20))] = 3
    yard = (classes == 4) & ~scene_of.roof & ~paved(scene_of.code)
    look[yard & (turn < 0.12)] = 5
    look[yard & (turn > 0.90)] = 2
    look[(classes == 1) & (turn < 0.05)] = 2
    return look


def _see(scene: Array, shift: Array) -> Array:
    """Blur of the optics and misregistration of up to half a cell, by one separable kernel."""
    soft: Array = gaussian_filter(scene, 0.62, truncate=3)
    for axis in (0, 1):
        part = float(abs(shift[axis]))
        soft = (1 - part) * soft + part * np.roll(soft, int(np.sign(shift[axis])), axis=axis)
    return soft


def lasting_texture(seed: int) -> Array:
    """Texture of the ground that all images share, unit spread, float32."""
    rng = stream(seed, "texture")
    fine = rng.standard_normal((N, N), dtype=np.float32)
    grain: Array = 0.75 * fine + 0.66 * smooth_noise(rng, 120)
    return grain
