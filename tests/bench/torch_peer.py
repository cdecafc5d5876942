#!/usr/bin/python3
"""PyTorch's quantizers on the sizes of bench_quant, a torch IFMR, and the convolution of bench_conv: what users
would run otherwise.

    /usr/bin/python3 tests/bench/torch_peer.py [threads] [rounds]
    /usr/bin/python3 tests/bench/torch_peer.py layers BENCH_LAYERS [threads] [rounds]

The second runs bench_layers and PyTorch in turns, layer by layer, and prints PyTorch's time over ours.
Run by hand where python3-torch is installed. Times are medians, as ratios to a copy of the same floats taken
in turns in the same run, and in ns. Outputs are allocated by PyTorch at each call, page faults included where
its allocator returns memory to the system: that is how it is used.
"""
import statistics
import subprocess
import sys
import time

import torch

SIZES = [(64, 64), (1024, 1024), (4096, 4096)]


def ifmr(x, bits=8):
    """Percentiles, then 61 candidates one after the other, as AMCT does it. x: one-dimensional."""
    n = x.numel()
    k = max(1, n - int(0.999999 * n))
    high = max(0.0, torch.topk(x, k).values[-1].item())
    low = min(0.0, torch.topk(x, k, largest=False).values[-1].item())
    limit = 2 ** (bits - 1) - 1 + (1 if abs(high) < abs(low) else 0)
    largest = max(abs(high), abs(low))
    best, best_loss = None, float("inf")
    for i in range(61):
        clip = (0.7 + 0.01 * i) * largest
        scale = clip / limit
        loss = (torch.round(x.clamp(-clip, clip) / scale) * scale - x).pow(2).mean().item()
        if loss < best_loss:
            best, best_loss = scale, loss
    return best


def arq(w, bits=8):
    """AMCT's ARQ of a weight's rows, the fake-quantized weight only: an operation of PyTorch after the other."""
    qmin, qmax = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    high, low = w.amax(1).abs(), w.amin(1).abs()
    limit = torch.where(high < low, qmax + 1.0, float(qmax))
    scale = torch.maximum(high, low) / limit
    scale = torch.where(scale < 2**-23, torch.ones_like(scale), scale).unsqueeze(1)
    return torch.round(w / scale).clamp(qmin, qmax) * scale


def cases(rows, cols):
    torch.manual_seed(1)
    w = torch.randn(rows, cols)
    g = torch.randn(rows, cols)
    out = torch.empty_like(w)
    scale, zero = 4.0 / 127, 3
    scales = (w.abs().amax(1) / 127).contiguous()
    zeros = torch.zeros(rows, dtype=torch.int32)
    scale_t = torch.tensor([scale], requires_grad=True)
    zero_t = torch.tensor([float(zero)], requires_grad=True)
    x = w.clone().requires_grad_(True)

    def learnable():
        y = torch._fake_quantize_learnable_per_tensor_affine(x, scale_t, zero_t, -128, 127, 1.0)
        y.backward(g)
        x.grad = scale_t.grad = zero_t.grad = None

    def fused_arq():
        s = w.abs().amax(1) / 127
        return torch.fake_quantize_per_channel_affine(w, s, zeros, 0, -128, 127)

    yield "copy", lambda: out.copy_(w)
    yield "fake_quantize_per_tensor", lambda: torch.fake_quantize_per_tensor_affine(w, scale, zero, -128, 127)
    yield "fake_quantize_per_channel", lambda: torch.fake_quantize_per_channel_affine(w, scales, zeros, 0, -128, 127)
    yield "ARQ channel-wise", lambda: arq(w)
    yield "  by PyTorch's fake_quantize", fused_arq
    yield "quantize_per_channel", lambda: torch.quantize_per_channel(w, scales.double(), zeros.long(), 0, torch.qint8)
    yield "learnable forward+backward", learnable
    if rows == 1024:  # 16.8 M values take it half a minute
        yield "IFMR INT8", lambda: ifmr(w.view(-1))


def convolution(rounds):
    """As in bench_conv.cpp, in ms: forward, and forward and backward of 8 x 64 x 56 x 56, 3 x 3."""
    torch.manual_seed(1)
    x = torch.randn(8, 64, 56, 56, requires_grad=True)
    g = torch.randn(8, 64, 56, 56)
    conv = torch.nn.Conv2d(64, 64, 3, padding=1)

    def forward():
        with torch.no_grad():
            conv(x)

    def both():
        x.grad = None
        conv.zero_grad()
        conv(x).backward(g)

    multiplications = 8 * 64 * 64 * 9 * 56 * 56
    for name, run, passes in (("forward", forward, 1), ("forward and backward", both, 3)):
        times = []
        for _ in range(rounds + 2):
            begin = time.perf_counter()
            run()
            times.append(time.perf_counter() - begin)
        seconds = statistics.median(times[2:])
        print(f"  {name:28s} {seconds * 1e3:8.2f} ms {passes * 2e-9 * multiplications / seconds:8.1f} GFLOPS")


def measure(named, rounds):
    named = list(named)
    repeat = []
    for _, run in named:
        run()
        begin = time.perf_counter()
        run()
        repeat.append(max(1, min(2000, int(1e-3 / (time.perf_counter() - begin)))))
    times = [[] for _ in named]
    for _ in range(rounds):
        for k, (_, run) in enumerate(named):
            begin = time.perf_counter()
            for _ in range(repeat[k]):
                run()
            times[k].append((time.perf_counter() - begin) / repeat[k])
    medians = [statistics.median(t) for t in times]
    return [(name, medians[0] / t, t * 1e9) for (name, _), t in zip(named, medians)]


def layer_cases():
    """Those of bench_layers, by its names: the module and the shapes of its inputs."""
    for inputs, outputs, kernel, stride, side, groups in (
            (64, 64, 3, 1, 56, 1), (128, 128, 3, 1, 28, 1), (256, 256, 3, 1, 14, 1), (512, 512, 3, 1, 7, 1),
            (256, 64, 1, 1, 56, 1), (1024, 256, 1, 1, 14, 1), (64, 256, 1, 1, 56, 1), (960, 160, 1, 1, 7, 1),
            (96, 24, 1, 1, 56, 1), (3, 64, 7, 2, 224, 1), (32, 32, 3, 1, 112, 32), (144, 144, 3, 1, 56, 144),
            (384, 384, 3, 1, 14, 384), (960, 960, 3, 1, 7, 960), (240, 240, 5, 1, 28, 240),
            (672, 672, 5, 1, 14, 672), (96, 96, 3, 2, 112, 96), (144, 144, 3, 2, 56, 144)):
        name = f"{'dw' if groups > 1 else 'conv'} {kernel}x{kernel} {inputs}->{outputs} @{side} s{stride}"
        yield name, torch.nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False), \
            [(8, inputs, side, side)]
    maps = [(8, 64, 56, 56)]
    yield "bn 64@56", torch.nn.BatchNorm2d(64).eval(), maps
    yield "bn train 64@56", torch.nn.BatchNorm2d(64), maps
    yield "relu 64@56", torch.nn.ReLU(), maps
    yield "add 64@56", torch.add, maps * 2
    yield "maxpool 3 2 64@112", torch.nn.MaxPool2d(3, 2, 1), [(8, 64, 112, 112)]
    yield "avgpool 2 64@56", torch.nn.AvgPool2d(2), maps


def layers(program, threads, rounds):
    def ours(name):
        line = subprocess.run([program, str(threads), str(rounds), name], capture_output=True, text=True,
                              check=True).stdout.split("forward")[1].split()
        return float(line[0]), float(line[5])

    torch.set_num_threads(threads)
    print(f"torch {torch.__version__}, {threads} thread(s): its time over ours")
    for name, module, shapes in layer_cases():
        torch.manual_seed(1)
        inputs = [torch.randn(shape, requires_grad=True) for shape in shapes]
        forward, both = [], []
        before = ours(name)
        for _ in range(rounds + 2):
            with torch.no_grad():
                begin = time.perf_counter()
                gradient = module(*inputs)
                forward.append(time.perf_counter() - begin)
            for x in inputs:
                x.grad = None
            if isinstance(module, torch.nn.Module):
                module.zero_grad()
            begin = time.perf_counter()
            module(*inputs).backward(gradient)
            both.append(time.perf_counter() - begin)
        after = ours(name)
        ratios = [1e3 * statistics.median(t[2:]) / statistics.mean(of)
                  for t, of in ((forward, (before[0], after[0])), (both, (before[1], after[1])))]
        print(f"  {name:26s} forward {ratios[0]:5.2f}   and backward {ratios[1]:5.2f}", flush=True)


def main():
    if len(sys.argv) > 2 and sys.argv[1] == "layers":
        threads, rounds = (int(v) for v in (sys.argv[3:] + ["1", "9"][len(sys.argv) - 3:]))
        return layers(sys.argv[2], threads, rounds)
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    torch.set_num_threads(threads)
    print(f"torch {torch.__version__}, {threads} thread(s); the copy's time over the function's, and ns")
    for rows, cols in SIZES:
        print(f"{rows} x {cols}")
        for name, ratio, ns in measure(cases(rows, cols), rounds):
            print(f"  {name:28s} {ratio:8.3f} {ns:14.0f}")
    print("convolution, 8 x 64 x 56 x 56, 3 x 3")
    convolution(rounds)


if __name__ == "__main__":
    main()
