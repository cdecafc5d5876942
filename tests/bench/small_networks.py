#!/usr/bin/python3
"""What weights at four bits leave of small networks: the table of docs/accuracy.md.

    /usr/bin/python3 tests/bench/small_networks.py AMCT_DISTILL FOLDER [ROW...]

Trains five kinds of networks on digits in PyTorch, each from two seeds (FOLDER keeps them), quantizes each by
the program amct-distill with 512 digits, 5 epochs, and prints, for each row of ROWS, the squared error of the
logits on 397 others in thousandths of their power, the geometric means, and the seconds of a processor that
the program took. Run by hand where python3-torch is installed.
"""
import math
import os
import resource
import subprocess
import sys

import numpy as np
import torch
from torch import nn

DIGITS = os.path.join(os.path.dirname(__file__), "../../examples/data/digits.csv")
TRAINED, CALIBRATED, EPOCHS = 1400, 512, 30
SEEDS = (3, 4)  # the settings of ROWS were chosen on networks of seeds 1 and 2

ARQ = "distill_weight_quant_config { arq_distill { dst_type: INT4 channel_wise: true } }"
ULQ = "distill_weight_quant_config { ulq_distill { dst_type: INT4 channel_wise: true } }"
ADAROUND = "distill_weight_quant_config { adaround_distill { channel_wise: true %s} }"
STEEP = ADAROUND % "learning_rate: 0.3 hard_phase: 0.3 "
STEEPER = ADAROUND % "learning_rate: 0.5 hard_phase: 0.2 "
UNITS, EIGHT = ["--blocks", "automatic"], ["--batch", "8"]
ROWS = {
    "calibrated": (ARQ, ["--epochs", "0"]),
    "ARQ": (ARQ, []),
    "ULQ": (ULQ, []),
    "ARQ, batches of 8": (ARQ, EIGHT),
    "ULQ, batches of 8": (ULQ, EIGHT),
    "learned rounding": (ADAROUND % "", UNITS),
    "learned rounding, batches of 8": (ADAROUND % "", [*UNITS, *EIGHT]),
    "learned rounding, batches of 8, rates": (ADAROUND % "", [*UNITS, *EIGHT, "--rates", "0.01,0.2"]),
    "learned rounding, batches of 8, steep": (STEEP, [*UNITS, *EIGHT, "--rates", "0.01,0.2"]),
    "learned rounding, batches of 8, steeper, 3 epochs": (
        STEEPER, [*UNITS, *EIGHT, "--rates", "0.02,0.3", "--epochs", "3"]),
    "--recipe best": (ADAROUND % "", ["--recipe", "best"]),
}


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first = nn.Sequential(*convolution(channels, channels))
        self.second = nn.Sequential(*convolution(channels, channels)[:-1])
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(x + self.second(self.first(x)))


def convolution(inputs, outputs, kernel=3, **options):
    return [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False, **options),
            nn.BatchNorm2d(outputs), nn.ReLU()]


def classifier(channels):
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]


def leaky(inputs, outputs):
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.LeakyReLU(0.1)]


def separable(inputs, outputs, stride):
    return convolution(inputs, inputs, groups=inputs, stride=stride) + convolution(inputs, outputs, kernel=1)


KINDS = {
    "convolutions": lambda: nn.Sequential(
        *convolution(1, 16), *convolution(16, 32, stride=2), *convolution(32, 32), Residual(32),
        *classifier(32)),
    "residual": lambda: nn.Sequential(
        *convolution(1, 16), Residual(16), Residual(16), *convolution(16, 32, stride=2), Residual(32),
        Residual(32), *classifier(32)),
    "separable": lambda: nn.Sequential(
        *convolution(1, 16), *separable(16, 32, 2), *separable(32, 32, 1), *separable(32, 64, 2),
        *classifier(64)),
    "dense": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)),
    "vgg": lambda: nn.Sequential(
        *leaky(1, 16), *leaky(16, 16), nn.MaxPool2d(2), *leaky(16, 32), *leaky(32, 32), nn.MaxPool2d(2),
        *leaky(32, 32), nn.Flatten(), nn.Linear(512, 64), nn.LeakyReLU(0.1), nn.Linear(64, 10)),
}


def digits(kind):
    table = np.loadtxt(DIGITS, delimiter=",", dtype=np.float32)
    table = table[np.random.RandomState(0).permutation(len(table))]
    images = torch.tensor(table[:, :64] / 16).reshape(-1, 1, 8, 8)
    if kind == "vgg":
        images = nn.functional.interpolate(images, scale_factor=2, mode="bilinear", align_corners=False)
    return images, torch.tensor(table[:, 64].astype(np.int64))


def train(kind, seed, images, labels):
    torch.manual_seed(seed)
    net, batch = KINDS[kind](), 50
    optimizer = torch.optim.Adam(net.parameters())
    steps = EPOCHS * (TRAINED // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(EPOCHS):
        order = torch.randperm(TRAINED)
        for i in range(0, TRAINED, batch):
            some = order[i:i + batch]
            loss = nn.functional.cross_entropy(net(images[some]), labels[some])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def prepare(folder):
    """Each network's model, and what it says of the digits that nobody has seen."""
    for kind in KINDS:
        images, labels = digits(kind)
        np.save(f"{folder}/{kind}_calibration.npy", images[:CALIBRATED].numpy())
        np.save(f"{folder}/{kind}_test.npy", images[TRAINED:].numpy())
        for seed in SEEDS:
            model = f"{folder}/{kind}_{seed}.onnx"
            if os.path.exists(model):
                continue
            net = train(kind, seed, images, labels)
            found = net(images[TRAINED:])
            print(f"{kind} {seed}: accuracy {(found.argmax(1) == labels[TRAINED:]).float().mean():.4f}")
            np.save(f"{folder}/{kind}_{seed}_logits.npy", found.detach().numpy())
            torch.onnx.export(net, images[:1], model, input_names=["x"], dynamic_axes={"x": {0: "n"}})


def processor_seconds():
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime


def quantize(program, folder, network, config, options):
    """The error of the logits, and the seconds of a processor that quantizing took."""
    kind, out = network.rsplit("_", 1)[0], f"{folder}/out"
    with open(f"{folder}/quant.cfg", "w") as file:
        file.write(config)
    begin = processor_seconds()
    subprocess.run([program, "distill", f"{folder}/{network}.onnx", "--config", f"{folder}/quant.cfg",
                    "--data", f"{folder}/{kind}_calibration.npy", "--threads", "1", "--quiet", "--force",
                    "--out", out, *options], check=True, stdout=subprocess.DEVNULL)
    seconds = processor_seconds() - begin
    subprocess.run([program, "infer", out, "--data", f"{folder}/{kind}_test.npy", "--simulate", "--out",
                    f"{folder}/found.npy"], check=True, stdout=subprocess.DEVNULL)
    logits = np.load(f"{folder}/{network}_logits.npy").astype(np.float64)
    found = np.load(f"{folder}/found.npy").astype(np.float64)
    return 1000 * np.sum((found - logits) ** 2) / np.sum(logits ** 2), seconds


def main():
    torch.set_num_threads(1)
    program, folder, rows = sys.argv[1], sys.argv[2], sys.argv[3:] or list(ROWS)
    os.makedirs(folder, exist_ok=True)
    prepare(folder)
    networks = [f"{kind}_{seed}" for kind in KINDS for seed in SEEDS]
    means = {}
    for row in rows:
        errors, seconds = zip(*(quantize(program, folder, n, *ROWS[row]) for n in networks))
        means[row] = math.exp(sum(math.log(e) for e in errors) / len(errors))
        print(f"{row}: {' '.join(f'{e:.2f}' for e in errors)}; mean {means[row]:.3f}", end="")
        for other in ("ARQ", "ULQ"):
            if other in means and other != row:
                print(f", {means[row] / means[other]:.3f} of {other}'s", end="")
        print(f"; {sum(seconds):.1f} s", flush=True)


main()
