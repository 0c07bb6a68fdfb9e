from __future__ import annotations

import pytest
import torch

from workbench.core.errors import ParameterError
from workbench.interpretation import nets, runs
from workbench.interpretation.losses import (
    Loss,
    cross_entropy,
    dice,
    focal,
    generalised_cross_entropy,
    symmetric_cross_entropy,
)

SMALL = {
    "family": "detail_unet",
    "in_channels": 4,
    "classes": 6,
    "encoder": "tu-resnet10t",
    "depth": 2,
    "decoder": [16, 8],
    "detail": 8,
}


@pytest.mark.parametrize(
    "architecture",
    [
        SMALL,
        {"family": "smp", "decoder": "Unet", "encoder": "resnet18", "encoder_depth": 3, "decoder_channels": [32, 16, 8],
         "in_channels": 5, "classes": 3},
        {"family": "smp", "decoder": "FPN", "encoder": "resnet18", "in_channels": 3, "classes": 2},
        {"family": "fc_siam", "mode": "diff", "encoder_name": "resnet18", "encoder_depth": 3, "decoder_channels": [32, 16, 8],
         "in_channels": 8, "classes": 1},
    ],
)  # fmt: skip
def test_a_net_takes_its_bands_and_gives_logits_of_the_images_size(architecture: dict[str, object]) -> None:
    net = nets.build(architecture).eval()
    side = 2 * int(net.step) if int(net.step) >= 32 else 64
    with torch.inference_mode():
        told = net(torch.randn(2, int(architecture["in_channels"]), side, side))  # type: ignore[call-overload]
    assert told.shape == (2, architecture["classes"], side, side)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"family": "magic"}, "family"),
        ({"encoder": "no_such_encoder"}, "settings"),
        ({"surprise": 1}, "settings"),
    ],
)
def test_what_no_net_can_be_made_of_is_refused(change: dict[str, object], word: str) -> None:
    with pytest.raises(ParameterError, match=word):
        nets.build({**SMALL, **change})


def test_a_siamese_net_sees_no_change_between_equal_dates_whatever_they_show() -> None:
    net = nets.build({"family": "fc_siam", "encoder_name": "resnet18", "encoder_depth": 2, "decoder_channels": [16, 8],
                      "in_channels": 8, "classes": 1}).eval()  # fmt: skip
    one, other = torch.randn(1, 4, 32, 32), torch.randn(1, 4, 32, 32)
    with torch.inference_mode():
        same = [net(torch.cat([date, date], dim=1)) for date in (one, other)]
    assert torch.allclose(*same, atol=1e-5)  # features differ by nothing, so the decoder sees zeros


@pytest.mark.parametrize("family", ["detail_unet", "fc_siam", "smp"])
def test_a_scale_and_a_shift_go_into_the_last_layer(family: str) -> None:
    small = {"encoder_depth": 2, "decoder_channels": [16, 8]}
    settings = {
        "detail_unet": SMALL,
        "fc_siam": {"encoder_name": "resnet18", **small},
        "smp": {"encoder": "resnet18", **small},
    }
    net = nets.build({**settings[family], "family": family, "in_channels": 4, "classes": 1}).eval()
    image = torch.randn(1, 4, 32, 32)
    with torch.inference_mode():
        plain = net(image)
    nets.rescale(net, 2.5, -1.0)
    with torch.inference_mode():
        assert torch.allclose(net(image), 2.5 * plain - 1.0, atol=1e-4)
    with pytest.raises(ParameterError, match="rescaled"):
        nets.rescale(net, -1.0, 0.0)


def test_the_nets_of_the_package_are_small() -> None:
    for name in runs.shipped():
        net = nets.build(runs.read(name).net)
        assert nets.parameters(net) <= 5_000_000
        assert 2 * sum(v.numel() for v in net.state_dict().values()) <= 12 * 2**20  # float16


def test_losses_by_hand() -> None:
    # two cells, two classes, logits 0 and ln 3: the second cell gives its true class 3/4
    logits = torch.tensor([[0.0, 0.0], [0.0, 1.0986123]]).reshape(1, 2, 1, 2)
    labels = torch.tensor([[[0, 1]]])
    assert float(cross_entropy(logits, labels)) == pytest.approx((0.6931472 + 0.2876821) / 2, abs=1e-5)
    assert float(focal(logits, labels, gamma=2)) == pytest.approx(
        (0.25 * 0.6931472 + 0.0625 * 0.2876821) / 2, abs=1e-5
    )
    assert float(generalised_cross_entropy(logits, labels, q=1.0)) == pytest.approx(
        (0.5 + 0.25) / 2, abs=1e-5
    )
    # dice: class 0 2*0.5+1 over (0.5+0.25+1)+1; class 1 2*0.75+1 over (0.5+0.75+1)+1
    assert float(dice(logits, labels)) == pytest.approx(1 - (2 / 2.75 + 2.5 / 3.25) / 2, abs=1e-5)
    assert float(symmetric_cross_entropy(logits, labels)) == pytest.approx(
        (0.6931472 + 0.2876821) / 2 + 4 * 0.375, abs=1e-4
    )


@pytest.mark.parametrize(
    "term", ["cross_entropy", "focal", "dice", "generalised_cross_entropy", "symmetric_cross_entropy"]
)
def test_cells_without_a_label_pull_nothing(term: str) -> None:
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    labels = torch.randint(0, 3, (1, 4, 4))
    labels[0, :, 2:] = 255
    Loss({term: 1.0}, [1.0, 2.0, 3.0])(logits, labels).backward()
    assert logits.grad is not None
    assert bool((logits.grad[..., 2:] == 0).all())
    assert bool((logits.grad[..., :2] != 0).any())
    nothing = Loss({term: 1.0})(torch.randn(1, 3, 4, 4, requires_grad=True), torch.full((1, 4, 4), 255))
    assert float(nothing) == 0.0


def test_a_wrong_label_pulls_less_in_a_noise_tolerant_loss() -> None:
    sure = torch.tensor([8.0, 0.0]).reshape(1, 2, 1, 1)
    wrong, right = torch.ones(1, 1, 1, dtype=torch.long), torch.zeros(1, 1, 1, dtype=torch.long)

    def pull(loss: object, label: torch.Tensor) -> float:
        logits = sure.clone().requires_grad_(True)
        loss(logits, label).backward()  # type: ignore[operator]
        assert logits.grad is not None
        return float(logits.grad.abs().sum())

    assert pull(generalised_cross_entropy, wrong) < 0.05 * pull(cross_entropy, wrong)
    assert pull(generalised_cross_entropy, right) < 0.01


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(ParameterError, match="loss not known"):
        Loss({"magic": 1.0})
