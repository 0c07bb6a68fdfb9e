"""CVA, IR-MAD and thresholds against closed forms, other programs and real images with a reference."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from scipy import stats
from sklearn.cross_decomposition import CCA

from workbench.core.errors import ImageError, ParameterError
from workbench.interpretation import _change_kernels as kernels
from workbench.interpretation import unsupervised


def two_dates(shape=(120, 130), bands=4, changed=0.04, seed=3):
    """Two dates of one ground, the later with another gain, and a block that changed."""
    rng = np.random.default_rng(seed)
    ground = rng.standard_normal((bands, *shape))
    mix = rng.standard_normal((bands, bands)) + 2 * np.eye(bands)
    before = np.einsum("ij,jrc->irc", mix, ground) + 0.1 * rng.standard_normal((bands, *shape))
    after = 1.4 * np.einsum("ij,jrc->irc", mix, ground) + 3 + 0.1 * rng.standard_normal((bands, *shape))
    truth = np.zeros(shape, dtype=bool)
    side = int((changed * shape[0] * shape[1]) ** 0.5)
    truth[10 : 10 + side, 20 : 20 + side] = True
    after[:, truth] += 4 * rng.standard_normal((bands, 1)) + rng.standard_normal((bands, int(truth.sum())))
    return before.astype(np.float32), after.astype(np.float32), truth


@pytest.fixture(scope="module")
def dates():
    return two_dates()


def test_survival_is_that_of_scipy():
    for degrees in (1, 2, 3, 4, 6, 7, 13):
        for value in (0.0, 0.3, 2.0, 9.0, 60.0):
            assert kernels.survival(value, degrees) == pytest.approx(stats.chi2.sf(value, degrees), abs=1e-13)


def test_plain_mad_has_the_canonical_correlations_of_another_program(dates):
    before, after, _ = dates
    pixels = unsupervised.lattice(unsupervised.Arrays(before, after))
    found = unsupervised.fit_irmad(pixels, reweighted=False)
    x, y = pixels[:4].T.astype(float), pixels[4:].T.astype(float)
    u, v = CCA(n_components=4, scale=False, max_iter=5000, tol=1e-10).fit_transform(x, y)
    peer = sorted(np.corrcoef(u[:, k], v[:, k])[0, 1] for k in range(4))
    assert found.correlation == pytest.approx(peer, abs=1e-4)
    mad = found.variates(before, after).reshape(4, -1)
    assert np.cov(mad) == pytest.approx(np.eye(4), abs=1e-2)  # uncorrelated, of the variance 2 (1 - rho)


def test_mad_does_not_change_under_linear_transforms_of_a_date(dates):
    before, after, _ = dates
    rng = np.random.default_rng(0)
    turn = rng.standard_normal((4, 4)) + 3 * np.eye(4)
    other = (np.einsum("ij,jrc->irc", turn, after) - 7).astype(np.float32)
    scores = []
    for later in (after, other):
        pixels = unsupervised.lattice(unsupervised.Arrays(before, later))
        scores.append(unsupervised.fit_irmad(pixels).score(before, later))
    assert scores[1] == pytest.approx(scores[0], rel=2e-3, abs=2e-3)


def test_reweighting_finds_the_change_that_disturbs_the_statistics(dates):
    before, after, truth = dates
    pixels = unsupervised.lattice(unsupervised.Arrays(before, after))
    distance = unsupervised.fit_irmad(pixels)
    assert distance.correlation.min() > unsupervised.fit_irmad(pixels, reweighted=False).correlation.min()
    score = distance.score(before, after)
    for how in ("otsu", "minimum_error", "auto"):
        found = score > unsupervised.threshold(*unsupervised.histogram(pixels, distance), how)
        assert (found & truth).sum() > 0.95 * truth.sum() and (found & ~truth).sum() < 0.05 * truth.sum(), how
    cut = unsupervised.threshold(
        *unsupervised.histogram(pixels, distance), "chi_square", degrees=4, alpha=0.05
    )
    assert np.mean(score[~truth] > cut) == pytest.approx(0.05, abs=0.02)


def test_chi_square_threshold_is_the_quantile_of_unchanged_ground():
    scores = np.sqrt(np.random.default_rng(5).chisquare(6, 400_000))
    counts, edges = np.histogram(scores, 512)
    cut = unsupervised.threshold(counts, edges, "chi_square", degrees=6, alpha=0.01)
    assert cut**2 == pytest.approx(stats.chi2.isf(0.01, 6), rel=0.01)


def test_masked_pixels_teach_nothing_and_blocks_do_not_matter(dates, monkeypatch):
    before, after, _ = dates
    valid = np.ones(before.shape[1:], dtype=bool)
    valid[40:60, 30:90] = False
    spoilt = after.copy()
    spoilt[:, ~valid] = 1e6
    found = []
    for later, rows in ((after, 256), (spoilt, 256), (spoilt, 7)):
        monkeypatch.setattr(unsupervised, "_ROWS", rows)
        pixels = unsupervised.lattice(unsupervised.Arrays(before, later, valid))
        found.append(unsupervised.fit_irmad(pixels))
    assert pixels.shape == (8, valid.sum())
    for other in found[1:]:
        assert np.array_equal(other.project, found[0].project)
        assert np.array_equal(other.correlation, found[0].correlation)


def test_a_large_image_is_learned_from_a_lattice_of_it(dates):
    before, after, _ = dates
    source = unsupervised.Arrays(before, after)
    few = unsupervised.lattice(source, most_bytes=40 * 44 * 32)
    assert np.array_equal(few, np.concatenate([before, after])[:, ::3, ::3].reshape(8, -1))


def test_thresholds_of_two_normal_groups():
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(2, 0.5, 90_000), rng.normal(6, 0.5, 30_000)])
    counts, edges = np.histogram(values, 256)
    assert unsupervised.threshold(counts, edges, "otsu") == pytest.approx(4, abs=0.15)
    equal = 4 + 0.25 / 4 * np.log(3)  # where the two densities times their shares are equal
    for how in ("em", "minimum_error"):
        assert unsupervised.threshold(counts, edges, how) == pytest.approx(equal, abs=0.15), how


def test_rare_change_is_not_cut_out_of_the_middle():
    rng = np.random.default_rng(2)
    values = np.exp(np.concatenate([rng.normal(0, 0.4, 400_000), rng.normal(1.6, 0.3, 1000)]))
    edges = np.exp(np.linspace(-10, 10, 4001))
    counts = np.histogram(values, edges)[0].astype(float)
    assert np.mean(values > unsupervised.threshold(counts, edges, "otsu")) > 0.15
    said = values > unsupervised.threshold(counts, edges, "auto")
    assert said[:400_000].sum() / said.sum() == pytest.approx(
        0.1, abs=0.03
    )  # false discoveries asked for: a tenth
    assert said[400_000:].mean() > 0.5


def test_strength_is_a_half_at_the_threshold():
    assert unsupervised.strength(np.float32([0, 2, 4, 400]), 4.0).tolist() == pytest.approx(
        [0, 0.2, 0.5, 0.9999], abs=1e-4
    )


def test_images_that_cannot_be_compared_are_refused(dates):
    before, after, _ = dates
    with pytest.raises(ImageError, match="differ in bands"):
        unsupervised.Arrays(before, after[:3])
    with pytest.raises(ImageError, match="too few pixels"):
        unsupervised.lattice(unsupervised.Arrays(before, after, np.zeros(before.shape[1:], dtype=bool)))
    flat = before.copy()
    flat[2] = 0.4
    with pytest.raises(ImageError, match="constant"):
        unsupervised.fit_cva(unsupervised.lattice(unsupervised.Arrays(flat, after)))
    twice = before.copy()
    twice[3] = twice[0] + twice[1]
    with pytest.raises(ImageError, match="combinations"):
        unsupervised.fit_irmad(unsupervised.lattice(unsupervised.Arrays(twice, after)))
    with pytest.raises(ParameterError, match="unknown way"):
        unsupervised.threshold(np.ones(4), np.arange(5.0), "guess")  # type: ignore[arg-type]


def test_images_that_are_the_same_show_no_change(dates):
    before, _, _ = dates
    pixels = unsupervised.lattice(unsupervised.Arrays(before, before.copy()))
    assert unsupervised.fit_irmad(pixels).score(before, before).max() < 1e-3


def f1(found, reference):
    known = reference != 255
    hit = (found & (reference == 1) & known).sum()
    return 2 * hit / ((found & known).sum() + (reference == 1).sum())


def test_taizhou_as_other_implementations_have_it(real_data):
    folder = real_data / "imagery" / "landsat_cd_taizhou"
    if not folder.is_dir():
        pytest.skip("no Taizhou images")
    layers = [
        rasterio.open(folder / name).read() for name in ("t1_2000.tif", "t2_2003.tif", "reference_change.tif")
    ]
    before, after, reference = layers[0].astype(np.float32), layers[1].astype(np.float32), layers[2][0]
    pixels = unsupervised.lattice(unsupervised.Arrays(before, after))
    for fit, published, within in (
        (unsupervised.fit_cva, 0.9160, 0.0005),
        (unsupervised.fit_irmad, 0.9491, 0.01),
    ):
        distance = fit(pixels)
        cut = unsupervised.threshold(*unsupervised.histogram(pixels, distance), "auto")
        assert f1(distance.score(before, after) > cut, reference) == pytest.approx(published, abs=within)


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
def test_levir_shows_how_little_a_method_without_labels_says_of_houses(real_data):
    folder = real_data / "imagery" / "levir_cd_samples"
    if not folder.is_dir():
        pytest.skip("no LEVIR images")
    found, labels = [], []
    for path in sorted((folder / "A").glob("*.png")):
        before, after = (
            rasterio.open(folder / side / path.name).read()[:3].astype(np.float32) for side in "AB"
        )
        pixels = unsupervised.lattice(unsupervised.Arrays(before, after))
        distance = unsupervised.fit_cva(pixels)
        cut = unsupervised.threshold(*unsupervised.histogram(pixels, distance), "otsu")
        found.append(distance.score(before, after) > cut)
        labels.append((rasterio.open(folder / "label" / path.name).read(1) > 0).astype(np.uint8))
    assert f1(np.stack(found), np.stack(labels)) == pytest.approx(0.295, abs=0.005)
