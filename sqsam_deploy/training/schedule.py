"""Learning rate and weight averaging as functions of the progress."""

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


def learning_rate(peak: float, warmup: float, progress: float) -> float:
    """Linear rise over the warmup, then linear decay to zero at the end of the run.

    Args:
        peak: Highest learning rate.
        warmup: Share of the run with a rising rate.
        progress: 0 at the start, 1 at the end.
    """
    if progress < warmup:
        return peak * progress / warmup
    return peak * max(1 - progress, 0.0) / max(1 - warmup, 1e-9)


class WeightAverage:
    """Exponential moving average of a network's parameters and BatchNorm statistics.

    Early on the average follows faster, min(decay, (1 + n) / (10 + n)), so that the random start
    leaves it soon.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.weights = {name: value.clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Moves the average towards the network's present weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        current = model.state_dict()
        floats = [name for name, value in current.items() if value.is_floating_point()]
        averaged = [self.weights[name] for name in floats]
        follow = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        follow(averaged, [current[name] for name in floats], self.updates)
        for name in current.keys() - set(floats):
            self.weights[name].copy_(current[name])


def mixed(
    before: dict[str, torch.Tensor], after: dict[str, torch.Tensor], share: float
) -> dict[str, torch.Tensor]:
    """Weights between two state dicts of one network; counters are those of `after`.

    Args:
        before: Weights that count `1 - share`.
        after: Weights that count `share`.
        share: 0 to 1.
    """
    return {
        name: torch.lerp(before[name], value, share) if value.is_floating_point() else value
        for name, value in after.items()
    }
