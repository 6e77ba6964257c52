import torch
import torch.nn.functional as F

from weaktr.training.tag_losses import cam_losses


def test_cam_losses_are_three_soft_margin_losses() -> None:
    logits = [torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, -1.0]]), torch.zeros(1, 2)]
    targets = torch.tensor([[1.0, 0.0]])
    losses = cam_losses((logits[0], logits[1], logits[2]), targets)
    by_hand = -(F.logsigmoid(torch.tensor([0.0])) + F.logsigmoid(torch.tensor([-2.0]))) / 2
    torch.testing.assert_close(losses.class_token, by_hand[0])
    torch.testing.assert_close(losses.coarse, -F.logsigmoid(torch.tensor(1.0)))
    torch.testing.assert_close(losses.fine, torch.tensor(2.0).log())
    torch.testing.assert_close(losses.total, losses.class_token + losses.coarse + losses.fine)
