import numpy as np
import torch
from pycocotools import mask as coco_mask

from sqsam_deploy.training.losses import dice_loss, focal_loss, mask_iou, training_losses
from sqsam_deploy.training.recipe import LossWeights


def test_focal_loss_follows_its_formula() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 5, 5) * 3
    target = (torch.rand(2, 3, 5, 5) < 0.5).float()
    p = torch.sigmoid(logits.double())
    p_true = torch.where(target > 0, p, 1 - p)
    alpha = torch.where(target > 0, 0.25, 0.75)
    expected = (-alpha * (1 - p_true) ** 2 * p_true.log()).mean(dim=(2, 3))
    torch.testing.assert_close(focal_loss(logits, target).double(), expected, rtol=1e-4, atol=1e-6)


def test_dice_loss_of_a_sharp_mask_is_one_minus_dice() -> None:
    target = torch.zeros(1, 1, 10, 10)
    target[..., :5, :] = 1
    logits = torch.full((1, 1, 10, 10), -50.0)
    logits[..., :, :5] = 50.0
    # 25 of 50 pixels agree: Dice 2 * 25 / 100, smoothed by one pixel.
    assert abs(dice_loss(logits, target).item() - (1 - 51 / 101)) < 1e-6


def test_mask_iou_agrees_with_pycocotools() -> None:
    rng = np.random.default_rng(0)
    masks = rng.random((3, 20, 30)) < 0.4
    truth = rng.random((20, 30)) < 0.5
    encode = [coco_mask.encode(np.asfortranarray(m.astype(np.uint8))) for m in [*masks, truth]]
    expected = coco_mask.iou(encode[:3], encode[3:], [False])[:, 0]
    logits = torch.tensor(masks)[None].float() * 2 - 1
    target = torch.tensor(truth)[None, None].float().expand(1, 3, 20, 30)
    np.testing.assert_allclose(mask_iou(logits, target)[0], expected, rtol=1e-6)


def test_only_the_best_mask_learns() -> None:
    target = torch.zeros(1, 8, 8)
    target[:, :4] = 1
    good = (target[:, None] * 2 - 1) * 2
    logits = torch.cat([-good, good, good * 0.1], dim=1).requires_grad_()
    losses = training_losses(logits, torch.zeros(1, 3), target, LossWeights(all_masks=0.0))
    losses.mask.backward()
    assert logits.grad is not None
    learned = logits.grad.abs().sum(dim=(2, 3))[0] > 0
    assert learned.tolist() == [False, True, False]
    assert losses.best_iou == 1


def test_predicted_iou_is_pulled_to_the_actual_iou() -> None:
    target = torch.zeros(1, 4, 4)
    target[:, :2] = 1
    logits = torch.stack([target * 2 - 1, 1 - target * 2], dim=1)
    predicted = torch.tensor([[0.5, 0.5]], requires_grad=True)
    losses = training_losses(logits, predicted, target, LossWeights())
    # Actual IoUs are 1 and 0.
    assert abs(losses.iou.item() - 0.25) < 1e-6
    losses.total.backward()
    assert predicted.grad is not None and predicted.grad[0, 0] < 0 < predicted.grad[0, 1]


def test_weights_are_twenty_to_one() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(2, 1, 6, 6), (torch.rand(2, 6, 6) < 0.5).float()
    losses = training_losses(
        logits, torch.zeros(2, 1), target, LossWeights(all_masks=0, iou=0, selected=0)
    )
    truth = target[:, None]
    expected = (20 * focal_loss(logits, truth) + dice_loss(logits, truth)).mean()
    torch.testing.assert_close(losses.total, expected)


def test_the_mask_that_the_predicted_iou_would_choose_learns_too() -> None:
    target = torch.zeros(1, 8, 8)
    target[:, :4] = 1
    good = (target[:, None] * 2 - 1) * 2
    logits = torch.cat([good, -good, good * 0.1], dim=1).requires_grad_()
    weights = LossWeights(all_masks=0.0, iou=0.0, selected=0.5)
    losses = training_losses(logits, torch.tensor([[0.1, 0.2, 0.9]]), target, weights)
    losses.total.backward()
    assert logits.grad is not None
    # The first is best, the last is chosen.
    learned = logits.grad.abs().sum(dim=(2, 3))[0] > 0
    assert learned.tolist() == [True, False, True]
    truth = target[:, None]
    each = [20 * focal_loss(m, truth) + dice_loss(m, truth) for m in logits.detach().split(1, 1)]
    torch.testing.assert_close(losses.total.detach(), (each[0] + 0.5 * each[2]).squeeze())
