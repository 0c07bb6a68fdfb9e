"""Profiles: what a wrong one says, and what a right one holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.core.city import load_city
from workbench.core.errors import LayerMissing, ParameterError, ProfileError

PROFILE = """
[city]
name = "toy"
name_zh = "小城"
name_en = "Toy"
crs = "EPSG:4547"
base_year = 2020
years = [2023, 2024]
data = "toy"

[levels.district]
role = "districts"

[layers.districts]
path = "districts.gpkg"
kind = "vector"

[missing.population]
holder = "统计局"
"""


def write(folder: Path, text: str = PROFILE) -> Path:
    (folder / "toy").mkdir(exist_ok=True)
    path = folder / "toy.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_profile_is_read(tmp_path: Path) -> None:
    city = load_city(write(tmp_path), data_root=tmp_path)
    assert (city.name, city.latest_year, city.crs) == ("toy", 2024, "EPSG:4547")
    assert (city.title("zh"), city.title("en")) == ("小城", "Toy")
    assert city.root == tmp_path / "toy"
    assert city.layer("districts").kind == "vector"
    assert city.walking_m_per_min == 60.0


def test_an_absent_role_names_its_holder(tmp_path: Path) -> None:
    city = load_city(write(tmp_path), data_root=tmp_path)
    with pytest.raises(LayerMissing, match="统计局") as caught:
        city.layer("population")
    assert caught.value.reason == "no_layer"


def test_a_year_that_is_not_listed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"2022.*2023, 2024"):
        load_city(write(tmp_path), data_root=tmp_path).check_year(2022)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('base_year = 2020', 'base_yaer = 2020', r"toy\.toml: city\.base_year: key missing"),
        ('kind = "vector"', 'kind = "vector"\nlyer = "a"', r"layers\.districts\.lyer: unknown key.*layer"),
        ('kind = "vector"', 'kind = "map"', r"layers\.districts\.kind.*found 'map'"),
        ('crs = "EPSG:4547"', 'crs = "EPSG:4490"', r"city\.crs.*found 'EPSG:4490'.*projected CRS in metres"),
        ('crs = "EPSG:4547"', 'crs = "+proj=tmerc +lon_0=114 +units=m"', r"city\.crs.*authority code"),
        ("years = [2023, 2024]", "years = [2024, 2023]", r"city\.years.*ascending"),
        ('role = "districts"', 'role = "distrcts"', r"levels\.district\.role: no layer role 'distrcts'"),
        ('path = "districts.gpkg"', 'path = "../x.gpkg"', r"must stay inside"),
        ('path = "districts.gpkg"', 'path = "d_{year}.gpkg"', r"'years' is empty"),
        ("[missing.population]", "[missing.districts]", r"missing\.districts: the role is also among the layers"),
        ('data = "toy"', "", r"city\.data: key missing"),
        ("[levels.district]", "[levels.district", r"not valid TOML"),
    ],
)  # fmt: skip
def test_a_wrong_profile_names_file_key_found_and_expected(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = write(tmp_path, PROFILE.replace(old, new))
    with pytest.raises(ProfileError, match=message) as caught:
        load_city(path, data_root=tmp_path)
    assert "toy.toml" in str(caught.value)


def test_a_missing_data_root_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKBENCH_DATA", raising=False)
    path = write(tmp_path)
    (tmp_path / "toy").rmdir()
    with pytest.raises(ProfileError, match="WORKBENCH_DATA or give --data-root"):
        load_city(path)
    with pytest.raises(ProfileError, match=r"does not exist.*WORKBENCH_DATA or give --data-root"):
        load_city(path, data_root=tmp_path)


def test_an_unknown_city_lists_the_known_ones() -> None:
    with pytest.raises(ProfileError, match=r"found 'atlantis'.*guangzhou.*las_palmas"):
        load_city("atlantis")
    with pytest.raises(ProfileError, match="no such profile"):
        load_city("nowhere/x.toml")


@pytest.mark.parametrize("name", ["las_palmas", "guangzhou"])
def test_packaged_profiles_fit_the_real_data(name: str, real_data: Path) -> None:
    city = load_city(name, data_root=real_data)
    for role, spec in city.layers.items():
        for year in spec.years or (None,):
            assert spec.file(city.root, year).exists(), role


@pytest.mark.parametrize("name", ["singapore", "shenzhen"])
def test_further_profiles_fit_the_real_data_and_speak_both_languages(name: str, real_data: Path) -> None:
    city = load_city(name, data_root=real_data)
    for role, spec in city.layers.items():
        for year in spec.years or (None,):
            assert spec.file(city.root, year).exists(), role
        assert spec.source and spec.licence and spec.date and (spec.holder or spec.tier == "proxy"), role
        assert bool(spec.note_zh) == bool(spec.note_en), role
        for text in (spec.source, spec.licence):
            assert city.say(text, "en").isascii() or "©" in text or "–" in text, text
            assert city.say(text, "zh") != text or not text.isascii() or text.split()[0] in {"MIT", "ODbL"}, (
                text
            )
    for hint in city.missing.values():
        assert hint.holder or (hint.note_zh and hint.note_en)
