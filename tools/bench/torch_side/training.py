"""One training step: loss, gradients, fused Adam, moving average of the weights."""
import torch

ADAM = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8}


class Trainer:
    """The schedules count images: lr rises over `ramp` images (the first step has lr 0), the
    average has the half-life min(halflife, 0.05 images seen)."""

    def __init__(self, model, loss, batch, ramp, halflife):
        self.loss, self.batch, self.ramp, self.halflife = loss, batch, ramp, halflife
        self.params = list(model.parameters())
        self.average = [p.detach().clone() for p in self.params]
        self.adam = torch.optim.Adam(self.params, fused=True, **ADAM)
        self.images = 0

    def step(self, *inputs):
        """-> (loss, lr, beta)"""
        lr = ADAM["lr"] * min(self.images / self.ramp, 1)
        for group in self.adam.param_groups:
            group["lr"] = lr
        self.adam.zero_grad(set_to_none=True)
        loss = self.loss(*inputs)
        loss.backward()
        self.adam.step()
        halflife = min(self.halflife, 0.05 * self.images)
        beta = 0.5 ** (self.batch / halflife) if halflife > 0 else 0.0
        with torch.no_grad():
            torch._foreach_lerp_(self.average, [p.detach() for p in self.params], 1 - beta)
        self.images += self.batch
        return loss.item(), lr, beta
