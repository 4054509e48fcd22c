"""The PyTorch model that the training-step benchmark compares with.

SongUNet (DDPM++ form) under EDM preconditioning, and the quantised condition encoder, written for
speed on a CPU: every activation stays channels-last, attention is one fused call, the projections
of q, k, v are regrouped in the weights (cheap) and not in the activations, 2x2 mean and
nearest-neighbour resampling use the library's own kernels. Parameter names are those of EDM
checkpoints. Definitions: Karras et al., arXiv 2206.00364; Song et al., arXiv 2011.13456.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

HALF_ROOT = math.sqrt(0.5)


def xavier_(weight, scale=1.0):
    nn.init.xavier_uniform_(weight)
    with torch.no_grad():
        weight.mul_(scale)


class Conv(nn.Conv2d):
    def __init__(self, cin, cout, kernel=3, stride=1, scale=1.0):
        super().__init__(cin, cout, kernel, stride=stride, padding=kernel // 2)
        xavier_(self.weight, scale)
        nn.init.zeros_(self.bias)


class Linear(nn.Linear):
    def __init__(self, cin, cout, bias=True):
        super().__init__(cin, cout, bias=bias)
        xavier_(self.weight)
        if bias:
            nn.init.zeros_(self.bias)


class Norm(nn.GroupNorm):
    def __init__(self, channels):
        super().__init__(min(32, channels // 4), channels, eps=1e-6)


def resample(x, mode):
    """The taps [1, 1]: a 2x2 mean, or each pixel four times."""
    if mode == "down":
        return F.avg_pool2d(x, 2)
    if mode == "up":
        return F.interpolate(x, scale_factor=2.0, mode="nearest")
    return x


class Block(nn.Module):
    """Two convolutions around the embedding, a skip, and attention where asked for."""

    def __init__(self, cin, cout, emb, mode="", attention=False, dropout=0.0):
        super().__init__()
        self.mode, self.dropout = mode, dropout
        self.norm0 = Norm(cin)
        self.conv0 = Conv(cin, cout)
        self.affine = Linear(emb, cout)
        self.norm1 = Norm(cout)
        self.conv1 = Conv(cout, cout, scale=1e-5)
        self.skip = Conv(cin, cout, 1) if cin != cout or mode else None
        if attention:
            self.norm2 = Norm(cout)
            self.qkv = Conv(cout, 3 * cout, 1, scale=math.sqrt(0.2))
            self.proj = Conv(cout, cout, 1, scale=1e-5)
        else:
            self.norm2 = None

    def forward(self, x, emb):
        h = self.conv0(resample(F.silu(self.norm0(x)), self.mode))
        h = F.silu(self.norm1(h + self.affine(emb)[:, :, None, None]))
        h = self.conv1(F.dropout(h, self.dropout, self.training))
        x = resample(x, self.mode)
        x = (h + (x if self.skip is None else self.skip(x))) * HALF_ROOT
        return x if self.norm2 is None else self.attend(x)

    def attend(self, x):
        n, c, height, width = x.shape
        # Channel 3 i + j of qkv is channel i of q, k or v.
        weight = self.qkv.weight.view(c, 3, c).transpose(0, 1).reshape(3 * c, c)
        bias = self.qkv.bias.view(c, 3).t().reshape(3 * c)
        rows = self.norm2(x).permute(0, 2, 3, 1).reshape(n, height * width, c)
        q, k, v = F.linear(rows, weight, bias).unsqueeze(1).chunk(3, dim=-1)
        a = F.scaled_dot_product_attention(q, k, v).squeeze(1)
        a = F.linear(a, self.proj.weight.view(c, c), self.proj.bias)
        return (x + a.view(n, height, width, c).permute(0, 3, 1, 2)) * HALF_ROOT


class SongUNet(nn.Module):
    def __init__(self, resolution, channels, model_channels, channel_mult, num_blocks,
                 attn_resolutions, dropout, label_dim, augment_dim):
        super().__init__()
        mc, emb = model_channels, 4 * model_channels
        self.label_dim, self.mc = label_dim, mc
        self.map_label = Linear(label_dim, mc) if label_dim else None
        self.map_augment = Linear(augment_dim, mc, bias=False) if augment_dim else None
        self.map_layer0 = Linear(mc, emb)
        self.map_layer1 = Linear(emb, emb)
        half = torch.arange(mc // 2, dtype=torch.float64) / (mc // 2 - 1)
        self.register_buffer("freqs", (1e-4 ** half).float(), persistent=False)

        def block(cin, cout, mode="", attention=False):
            return Block(cin, cout, emb, mode, attention, dropout)

        self.enc, skips, c = nn.ModuleDict(), [], mc
        for level, mult in enumerate(channel_mult):
            r = resolution >> level
            if level == 0:
                self.enc[f"{r}x{r}_conv"] = Conv(channels, mc)
            else:
                self.enc[f"{r}x{r}_down"] = block(c, c, "down")
            skips.append(c)
            for i in range(num_blocks):
                self.enc[f"{r}x{r}_block{i}"] = block(c, mc * mult, "", r in attn_resolutions)
                c = mc * mult
                skips.append(c)

        self.dec = nn.ModuleDict()
        for level in reversed(range(len(channel_mult))):
            r = resolution >> level
            if level == len(channel_mult) - 1:
                self.dec[f"{r}x{r}_in0"] = block(c, c, "", True)
                self.dec[f"{r}x{r}_in1"] = block(c, c)
            else:
                self.dec[f"{r}x{r}_up"] = block(c, c, "up")
            for i in range(num_blocks + 1):
                attention = i == num_blocks and r in attn_resolutions
                cout = mc * channel_mult[level]
                self.dec[f"{r}x{r}_block{i}"] = block(c + skips.pop(), cout, "", attention)
                c = cout
        self.dec[f"{resolution}x{resolution}_aux_norm"] = Norm(c)
        self.dec[f"{resolution}x{resolution}_aux_conv"] = Conv(c, channels, scale=1e-5)

    def forward(self, x, noise, labels=None, augment=None):
        angle = noise[:, None] * self.freqs[None, :].to(noise.dtype)
        e = torch.cat([angle.sin(), angle.cos()], dim=1)
        if self.map_label is not None:
            if labels is None:
                labels = torch.zeros(x.shape[0], self.label_dim, dtype=x.dtype)
            e = e + self.map_label(labels * math.sqrt(self.label_dim))
        if self.map_augment is not None and augment is not None:
            e = e + self.map_augment(augment)
        emb = F.silu(self.map_layer1(F.silu(self.map_layer0(e))))
        stack = []
        for module in self.enc.values():
            x = module(x, emb) if isinstance(module, Block) else module(x)
            stack.append(x)
        for name, module in self.dec.items():
            if isinstance(module, Block):
                if "_block" in name:
                    x = torch.cat([x, stack.pop()], dim=1)
                x = module(x, emb)
            elif name.endswith("_aux_norm"):
                x = F.silu(module(x))
            else:
                x = module(x)
        return x


def denoise(unet, x, sigma, labels=None, augment=None, sigma_data=0.5):
    """EDM preconditioning: the network sees and predicts unit variance. The rest runs in the dtype
    of x, whatever the network runs in."""
    s = sigma[:, None, None, None]
    norm = (s * s + sigma_data ** 2).rsqrt()
    f = unet(norm * x, sigma.log() / 4, labels, augment)
    return (sigma_data * norm) ** 2 * x + s * sigma_data * norm * f.to(x.dtype)


def denoising_loss(d, y, sigma, sigma_data=0.5):
    """(1/B) sum w(s) (D - y)^2: a sum over pixels, a mean over the batch."""
    weight = (sigma * sigma + sigma_data ** 2) / (sigma * sigma_data) ** 2
    return (weight[:, None, None, None] * (d - y) ** 2).sum() / y.shape[0]


class ConditionEncoder(nn.Module):
    """Image -> code in {-1, .., 1}^d of `levels` values each, with straight-through gradients."""

    def __init__(self, resolution, channels, width, mults, code_dim, levels=2):
        super().__init__()
        self.levels = levels
        self.conv_in = Conv(channels, width)
        widths = [width] + [width * m for m in mults]
        self.norms = nn.ModuleList(Norm(c) for c in widths[:-1])
        self.convs = nn.ModuleList(
            Conv(a, b, stride=2) for a, b in zip(widths[:-1], widths[1:]))
        self.norm_out = Norm(widths[-1])
        side = -(-resolution // 2 ** len(mults))  # each stage rounds up
        self.fc = Linear(widths[-1] * side * side, code_dim, bias=False)
        self.register_buffer("running_mean", torch.zeros(code_dim))
        self.register_buffer("running_var", torch.ones(code_dim))

    def forward(self, y):
        x = self.conv_in(y)
        for norm, conv in zip(self.norms, self.convs):
            x = conv(F.silu(norm(x)))
        x = self.fc(F.silu(self.norm_out(x)).flatten(1)).to(y.dtype)
        h = F.batch_norm(x, self.running_mean, self.running_var, training=self.training,
                         momentum=0.01, eps=1e-5)
        t, last = h.tanh(), self.levels - 1
        k = ((t + 1) / 2 * last + 0.5).floor().clamp(0, last)
        q = k * 2 / last - 1
        return t + (q - t).detach()


class Qac(nn.Module):
    """The denoiser and its encoder, trained by the denoising loss alone."""

    def __init__(self, unet, encoder, autocast=None):
        super().__init__()
        shape = {"resolution": unet["resolution"], "channels": unet["channels"]}
        self.model = SongUNet(label_dim=encoder["code_dim"], **unet)
        self.encoder = ConditionEncoder(**shape, **encoder)
        self.autocast = autocast

    def forward(self, y, ln_sigma, noise, augment=None):
        """The loss of images y in [-1, 1], with ln s [B] and unit noise given."""
        sigma = ln_sigma.exp()
        on = self.autocast is not None
        with torch.autocast("cpu", dtype=self.autocast or torch.bfloat16, enabled=on):
            labels = self.encoder(y)
            noisy = y + sigma[:, None, None, None] * noise
            d = denoise(self.model, noisy, sigma, labels, augment)
        return denoising_loss(d, y, sigma)
