from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pystac
import pytest
import torch
from pystac.extensions.mlm import MLMExtension
from safetensors.torch import load_file, save_file

from tests.interpretation import mlm
from workbench.catalog import stac
from workbench.core.errors import WeightsError
from workbench.core.provenance import sha256_file
from workbench.interpretation import cards, nets, weights
from workbench.interpretation.cards import Card

ARCHITECTURE = {
    "family": "detail_unet",
    "in_channels": 4,
    "classes": 6,
    "depth": 2,
    "decoder": [16, 8],
    "detail": 8,
}
CARD = Card(
    name="toy", task="land_cover", scheme="six", classes=("cropland", "forest", "grass", "water", "built", "bare"),
    bands=("blue", "green", "red", "nir"), mean=(0.1, 0.1, 0.1, 0.2), std=(0.05, 0.05, 0.05, 0.1), architecture=ARCHITECTURE,
    parameters=0, licence="Apache-2.0", training={"about": "a toy"}, accuracy={"overall": 0.5}, overlap=16,
)  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    return weights.save(nets.build(ARCHITECTURE), CARD, tmp_path_factory.mktemp("weights"))


def copy(saved: Path, folder: Path) -> Path:
    for suffix in (".safetensors", ".json"):
        (folder / f"toy{suffix}").write_bytes(saved.with_suffix(suffix).read_bytes())
    return folder / "toy.safetensors"


def rewrite(path: Path, **changes: object) -> None:
    """Change a card, its checksum fitting the file."""
    item = json.loads(path.with_suffix(".json").read_text())
    item["properties"]["workbench:card"] |= {"sha256": sha256_file(path), **changes}
    path.with_suffix(".json").write_text(json.dumps(item))


def test_a_card_and_its_net_come_back_as_they_were(saved: Path) -> None:
    torch.manual_seed(1)
    first = nets.build(ARCHITECTURE).eval()
    model = weights.load(saved)
    assert replace(model.card, parameters=0, sha256="", made="") == CARD
    assert model.card.parameters == nets.parameters(first) == sum(v.numel() for v in first.parameters())
    image = torch.randn(1, 4, 32, 32)
    with torch.inference_mode():
        assert torch.allclose(model.net(image), first(image), atol=0.02)  # stored as float16
    assert all(
        value.dtype == torch.float16 for value in load_file(saved).values() if value.is_floating_point()
    )


def test_the_card_is_a_stac_item_of_a_model(saved: Path) -> None:
    item = pystac.Item.from_file(saved.with_suffix(".json"))
    assert MLMExtension.has_extension(item)
    model = MLMExtension.ext(item)
    assert (model.mlm_name, model.architecture, model.framework) == ("toy", "detail_unet", "PyTorch")
    assert [band.name if hasattr(band, "name") else band for band in model.input[0].bands] == [
        "blue",
        "green",
        "red",
        "nir",
    ]
    assert model.total_parameters == cards.read_card(saved.with_suffix(".json")).parameters
    assert item.assets["weights"].get_absolute_href() == str(saved)


def test_cards_keep_the_rules_of_the_extension(saved: Path) -> None:
    torch.manual_seed(1)
    described = {**ARCHITECTURE, "in_channels": 8, "classes": 1}
    pair = replace(CARD, name="toy_change", task="change", classes=("changed",), architecture=described, training={"run": {"seed": 1}})  # fmt: skip
    change = weights.save(nets.build(described), pair, saved.parent)
    files = [saved.with_suffix(".json"), change.with_suffix(".json"), *cards.FOLDER.glob("*.json")]
    assert len(files) == 2 + len(list(cards.FOLDER.glob("*.safetensors"))) >= 4
    stac.register_schemas()
    for path in files:
        item = json.loads(path.read_text())
        assert mlm.faults(item) == [], path.name
        digest = item["assets"]["weights"]["file:checksum"]
        assert digest == "1220" + sha256_file(path.with_suffix(".safetensors"))
        without = {**item, "stac_extensions": [one for one in item["stac_extensions"] if one in stac.SCHEMAS]}
        pystac.Item.from_dict(without).validate()  # by the schemas at hand: STAC itself and files


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("stac_extensions",), [], "not declared"),
        (("properties", "mlm:name"), "7", "mlm:name"),
        (("properties", "mlm:surprise"), 1, "not known"),
        (("properties", "mlm:tasks"), ["change-detection"], "vocabulary"),
        (("properties", "mlm:framework"), "pytorch", "spelt"),
        (("properties", "mlm:framework_version"), "2.12", "three numbers"),
        (("properties", "mlm:pretrained"), True, "not pretrained"),
        (("properties", "mlm:hyperparameters"), {}, "at least one"),
        (("properties", "bands"), [{"name": "blue"}], "nothing describes"),
        (("properties", "mlm:input", 0, "input", "shape"), [-1, 3, -1, -1], "another number of bands"),
        (("properties", "mlm:input", 0, "value_scaling", 0), {"type": "z-score", "mean": 1.0}, "its numbers"),
        (("properties", "mlm:output", 0, "result", "data_type"), "bfloat16", "data type"),
        (("properties", "mlm:output", 0, "classification:classes"), [{"value": 1}], "description"),
        (("assets", "weights", "roles"), ["data"], "mlm:model"),
        (("assets", "weights", "mlm:artifact_type"), "", "artifact"),
    ],
)
def test_a_card_that_breaks_a_rule_of_the_extension_is_noticed(
    saved: Path, place: tuple[Any, ...], value: object, words: str
) -> None:
    item = json.loads(saved.with_suffix(".json").read_text())
    inner = item
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    assert any(words in fault for fault in mlm.faults(item))
    assert mlm.faults(json.loads(saved.with_suffix(".json").read_text())) == []


def test_a_pickle_is_refused_and_its_code_does_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"

    class Bad:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path(mark).touch, ())  # type: ignore[return-value]

    for suffix in (".ckpt", ".pth", ".pt"):
        path = tmp_path / f"bad{suffix}"
        path.write_bytes(pickle.dumps({"state_dict": Bad()}))
        with pytest.raises(WeightsError, match="pickle"):
            weights.load(path)
        with pytest.raises(WeightsError, match="more than tensors"):
            weights.torchgeo_state(path)
    assert not mark.exists()


def test_tensors_of_a_local_torchgeo_file_are_read_and_fitted(tmp_path: Path) -> None:
    net = nets.build(ARCHITECTURE)
    torch.save({"state_dict": net.state_dict()}, tmp_path / "resnet.pth")
    other = nets.build(ARCHITECTURE)
    weights.fit(other, weights.torchgeo_state(tmp_path / "resnet.pth"), "resnet.pth")
    assert all(
        torch.equal(a, b) for a, b in zip(net.state_dict().values(), other.state_dict().values(), strict=True)
    )
    with pytest.raises(WeightsError, match="no such weights"):
        weights.torchgeo_state(tmp_path / "absent.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(WeightsError, match="no table of tensors"):
        weights.torchgeo_state(tmp_path / "list.pth")


def test_a_changed_or_cut_file_is_refused(saved: Path, tmp_path: Path) -> None:
    path = copy(saved, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(WeightsError, match="not the one its card describes"):
        weights.load(path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="not the one"):
        weights.load(path)
    rewrite(path)
    with pytest.raises(WeightsError, match="damaged"):
        weights.load(path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architecture": {**ARCHITECTURE, "detail": 12}}, "do not fit the net"),
        ({"classes": ["cropland", "water"]}, "outputs of the net"),
        ({"bands": ["red", "nir"]}, "number of means"),
        ({"task": "dance"}, "task not known"),
        ({"surprise": 1}, "not the card of a net"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(
    saved: Path, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    path = copy(saved, tmp_path)
    rewrite(path, **changes)
    with pytest.raises(WeightsError, match=words):
        weights.load(path)


def test_numbers_that_are_none_are_refused(saved: Path, tmp_path: Path) -> None:
    path = copy(saved, tmp_path)
    state = load_file(path)
    state["head.bias"] = torch.full_like(state["head.bias"], float("nan"))
    save_file(state, path)
    rewrite(path)
    with pytest.raises(WeightsError, match="no numbers"):
        weights.load(path)


def test_what_a_net_is_not_made_for_is_refused(saved: Path) -> None:
    card = cards.read_card(saved.with_suffix(".json"))
    cards.expect(card, task="land_cover", bands=("nir", "red", "green", "blue"))
    with pytest.raises(WeightsError, match="something else"):
        cards.expect(card, task="change")
    with pytest.raises(WeightsError, match="class table"):
        cards.expect(card, task="land_cover", classes=("water", "crops"))
    with pytest.raises(WeightsError, match="lacks bands"):
        cards.expect(card, task="land_cover", bands=("red", "green", "blue"))


def test_a_name_is_looked_for_in_the_home_and_then_in_the_package(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    (tmp_path / "weights").mkdir()
    copy(saved, tmp_path / "weights")
    assert weights.load("toy").card.name == "toy"
    assert {"toy", "demo_change", "demo_land_cover"} <= {card.name for card in cards.at_hand()}
    with pytest.raises(WeightsError, match="no weights of this name"):
        weights.load("absent")
    (tmp_path / "weights" / "toy.json").unlink()
    with pytest.raises(WeightsError, match="without a card"):
        weights.load("toy")


def test_the_nets_of_the_package_load_and_keep_their_promises() -> None:
    files = list(cards.FOLDER.glob("*.safetensors"))
    assert sum(path.stat().st_size for path in files) <= 24 * 2**20
    for path in files:
        card = weights.load(path).card
        assert card.name == path.stem
        assert card.parameters <= 5_000_000
        assert card.licence == "Apache-2.0"
        assert "about" in card.training
    change = cards.read_card(cards.FOLDER / "demo_change.json")
    assert change.threshold is not None
    for place in change.accuracy["by_place"].values():
        assert place["recall"] >= 0.8
        assert place["precision"] >= 0.7
    seeds = set(change.training["run"]["data"]["train"])
    assert not seeds & {7, 77, 4242, 20250}
