#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The model of docs/scaling.md: what it says on paper, and beside what is measured.

    ranks.py paper                          the table for 8, 64 and 512 ranks
    ranks.py measure build/bench_ranks      1 to 4 ranks here, each on a core; more ranks share cores
"""
import os
import re
import subprocess
import sys

SLICES = 8
BATCH, FLOPS = 512, 16 * 30e9  # on paper: samples of a step, and of a rank's 16 cores


def subtrees(rank, ranks, slices=SLICES):
    """The values that a rank has left of its slices, after the additions within them."""
    begin, end = slices * rank // ranks, slices * (rank + 1) // ranks
    left = set(range(begin, end))
    stride = 1
    while stride < slices:
        for i in range(0, slices - stride, 2 * stride):
            if i >= begin and min(i + 2 * stride, slices) <= end:
                left.discard(i + stride)
        stride *= 2
    return len(left)


def sent(parameters, rank, ranks):
    """Bytes of gradients that a rank sends in a step of a block."""
    s = subtrees(rank, ranks)
    if 4 * parameters <= 1 << 16:
        return 4 * parameters * s * (ranks - 1)
    return 4 * parameters * (s + 1) * (ranks - 1) / ranks


# What docs/scaling.md calls so; `blocks` steps, one of each block.
def on_paper(p, f, blocks, ranks, bits, latency=2e-6, c=5e-9):
    compute = 7 * f * BATCH / (ranks * FLOPS)
    if ranks == 1:
        return compute + c * p
    gradients = 4 * p * 2 * (ranks - 1) / (ranks * bits / 8)
    messages = blocks * 7 * (20e-6 + (ranks - 1) * latency)
    return compute + c * p + gradients + messages


def paper():
    for name, p, f, blocks in (("ResNet-50", 25.5e6, 8.2e9, 54), ("OCR recognizer", 2.7e6, 1.4e9, 47)):
        alone = on_paper(p, f, blocks, 1, 10e9)
        for bits in (10e9, 100e9):
            time = {r: on_paper(p, f, blocks, r, bits) for r in range(1, 513)}
            fastest = min(time, key=time.get)
            half = max(r for r in time if alone / time[r] >= r / 2)
            print(f"{name}, {bits / 1e9:.0f} Gbit/s: alone {alone:.1f} s; " +
                  "; ".join(f"{r} ranks {time[r]:.2f} s, {alone / time[r]:.1f} times" for r in (8, 64, 512)) +
                  f"; fastest at {fastest}, half of the ideal speed up to {half}")
            for ranks in (8, 64, 512):
                backward = 2 * f * BATCH / (ranks * FLOPS) / blocks
                gradients = 4 * p * 2 * (ranks - 1) / ranks / (bits / 8) / blocks
                print(f"    a block on {ranks} ranks: backward {1e3 * backward:.2f} ms, gradients "
                      f"{1e3 * gradients:.2f} ms, {100 * gradients * blocks / time[ranks]:.1f} % of the step")


def run(program, case, samples, batch, ranks, cores, slices=SLICES):
    """Each rank's line, in order."""
    command = ["mpirun", "--oversubscribe", "--bind-to", "none"] + (
        ["--allow-run-as-root"] if os.geteuid() == 0 else [])
    for rank in range(ranks):
        command += [":"] if rank else []
        command += ["-n", "1", "taskset", "-c", str(cores[rank % len(cores)])]
        command += [program, case, str(samples), str(batch), str(slices)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = {}
    for line in out.splitlines():
        if found := re.match(r"rank (\d+) of \d+: (.*)", line):
            words = found[2].split()
            lines[int(found[1])] = dict(zip(words[::2], map(float, words[1::2])))
    return [lines[rank] for rank in range(ranks)]


def best_of(times, *arguments):
    """The run whose ranks took the least of the processors' time: others' work only adds to it."""
    return min((run(*arguments) for _ in range(times)), key=lambda found: sum(f["processor"] for f in found))


def measure(program):
    cores = sorted(os.sched_getaffinity(0))
    print(f"{len(cores)} cores, load before {os.getloadavg()[0]:.1f}")
    for case, samples, batch in (("convolutions", 128, 32), ("matrices", 512, 64)):
        # Half of the samples and slices in as many steps: what of time and memory is not of slices. Of the
        # processor's time, which other programs do not change much; the clock's beside it says how idle the
        # machine was.
        alone = best_of(3, program, case, samples, batch, 1, cores)[0]
        half = best_of(3, program, case, samples // 2, batch // 2, 1, cores, SLICES // 2)[0]
        fixed = max(2 * half["processor"] - alone["processor"], 0)
        held = 2 * half["peak"] - alone["peak"]
        steps, blocks = alone["steps"], alone["blocks"]
        parameters = alone["parameters"] / blocks
        each = 1e9 * fixed / steps / parameters
        print(f"{case}: {blocks:.0f} blocks of {parameters:.0f} parameters, {steps:.0f} steps of {batch} "
              f"samples; alone {alone['processor']:.2f} s of a processor ({alone['seconds']:.2f} by the "
              f"clock), {alone['processor'] / blocks:.2f} a block, of which "
              f"{fixed:.2f} s are not of slices ({each:.1f} ns a parameter and step); "
              f"{alone['peak'] / 1e6:.0f} MB, {held / 1e6:.0f} not of slices")
        for ranks in range(1, 5):
            found = best_of(2, program, case, samples, batch, ranks, cores)
            slices = [SLICES * (r + 1) // ranks - SLICES * r // ranks for r in range(ranks)]
            on_core = [range(core, ranks, len(cores)) for core in range(min(ranks, len(cores)))]
            share = max(sum(slices[r] for r in own) for own in on_core) / SLICES
            seconds = (alone["processor"] - fixed) * share + fixed * max(len(own) for own in on_core)
            gradients = max(steps * sent(parameters, r, ranks) for r in range(ranks))
            if ranks > 1:
                speed = (ranks - 1) * 4 * 2**20 / min(f["full"] for f in found)
                exchange = gradients / speed + 7 * steps * min(f["empty"] for f in found)
                seconds += exchange * max(len(own) for own in on_core)
            busiest = max(sum(found[r]["processor"] for r in own) for own in on_core)
            memory = held + (alone["peak"] - held) * max(slices) / SLICES
            pairs = ((seconds, busiest, "s", 2),
                     (gradients / 1e6, max(f["bytes"] for f in found) / 1e6, "MB sent", 1),
                     (memory / 1e6, max(f["peak"] for f in found) / 1e6, "MB held", 0))
            print(f"  {ranks} ranks: " + "; ".join(
                f"{what} predicted {a:.{digits}f}, measured {b:.{digits}f}" +
                (f", ratio {b / a:.2f}" if a > 0 else "") for a, b, what, digits in pairs) +
                f"; {max(f['seconds'] for f in found):.2f} s by the clock, in exchanges "
                f"{max(f['in_exchange'] for f in found):.2f}, {found[0]['times']:.0f} of "
                f"them, an empty one {1e6 * max(f['empty'] for f in found):.0f} us")
    print(f"load after {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    if sys.argv[1:] == ["paper"]:
        paper()
    elif len(sys.argv) == 3 and sys.argv[1] == "measure":
        measure(sys.argv[2])
    else:
        sys.exit(__doc__)
