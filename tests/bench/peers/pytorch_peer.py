#!/usr/bin/env python3
"""The PyTorch side of the speed comparison: one line of JSON per call.

  pytorch_peer.py --task train|denoise|sample --mode MODE [--bf16] [--tf32] [--cuda] [--hidden D] [--batch B]
                  [--steps N] [--block N] [--warmup N] [--warmup-euler N] [--threads T]

train    class-conditional flow matching: noise, time, dropout mask, forward, MSE, backward, Adam
denoise  unconditional denoiser at sigma 0.5: noise, forward, MSE, backward, Adam
sample   guided Euler sampling, gamma 5, 50 steps, both halves in one batch; B images; the time is for the whole batch

A mode is words joined by "_": the same work, run in another way.
  eager          PyTorch as it comes
  channels_last  weights and images in channels-last memory order
  compile        torch.compile; autotune: its mode max-autotune; freeze: weights as constants (sample)
  fused          Adam's fused kernel (otherwise the default, which is foreach or a loop)
  ftz            torch.set_flush_denormal
  inference      torch.inference_mode instead of no_grad (sample)
  script         torch.jit.trace, freeze and optimize_for_inference, which fold BatchNorm (sample)
  weights        with --bf16: the network itself in bfloat16 instead of autocast (sample)
  graph          with --cuda: the whole step (sample: of the sampler), noise, backward and Adam in it, captured into one
                 CUDA graph and replayed; with compile, of what it compiled
  overhead       with --cuda: compile's mode reduce-overhead (CUDA graphs of its own) in place of max-autotune
  noautotune     with --cuda: compile's default mode

Figures: median, quartiles and extremes of the milliseconds over the counted repeats after a warm-up (with --block: of
blocks of so many steps without a wait for the device between them, per step), images/s, peak
MiB, the peak before the network was made, which is what the libraries take, and when the first step had ended
(monotonic clock).
"""
import argparse
import json
import os
import resource
import statistics
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--task", default="train", choices=["train", "denoise", "sample"])
parser.add_argument("--mode", default="eager")
parser.add_argument("--bf16", action="store_true")
parser.add_argument("--tf32", action="store_true")
parser.add_argument("--cuda", action="store_true")
parser.add_argument("--hidden", type=int, default=64)
parser.add_argument("--batch", type=int, default=128)
parser.add_argument("--steps", type=int, default=8)
parser.add_argument("--block", type=int, default=1, help="steps between two waits for the device")
parser.add_argument("--warmup", type=int, help="3; for sample 1")
parser.add_argument("--warmup-euler", type=int, default=50, help="steps of the sampler while warming up")
parser.add_argument("--threads", type=int, default=0)
args = parser.parse_args()
words = set(args.mode.replace("channels_last", "cl").split("_"))
unknown = words - {"eager", "cl", "compile", "autotune", "freeze", "fused", "ftz", "inference", "script", "weights",
                   "graph", "overhead", "noautotune"}
if unknown:
    sys.exit(f"pytorch_peer.py: unknown mode {args.mode}: {', '.join(sorted(unknown))}")
if words & {"graph", "overhead"} and not args.cuda:
    sys.exit(f"pytorch_peer.py: mode {args.mode} needs --cuda")
if args.threads:
    os.environ["OMP_NUM_THREADS"] = str(args.threads)

import torch
import torch.nn.functional as F

TESTS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TESTS, "fixtures", "generate"))
from cs180_unet import UNet  # the network of the fixtures


def peak_bytes():
    if args.cuda:
        return torch.cuda.max_memory_allocated()
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


before = peak_bytes()
if args.threads:
    torch.set_num_threads(args.threads)
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = args.tf32
torch.backends.cudnn.benchmark = True
device = "cuda" if args.cuda else "cpu"
torch.manual_seed(0)

if "ftz" in words:
    torch.set_flush_denormal(True)
if "freeze" in words:
    import torch._inductor.config
    torch._inductor.config.freezing = True

net = UNet("uncond" if args.task == "denoise" else "class_time", args.hidden).to(device)
B = args.batch
x = torch.rand(B, 1, 28, 28, device=device)
c = torch.arange(B, device=device) % 10
if "cl" in words:
    net, x = net.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
adam = torch.optim.Adam(net.parameters(), 1e-3, fused=True if args.cuda or "fused" in words else None,
                        capturable="graph" in words)
net.train(args.task != "sample")
whole = "weights" in words                                      # in bfloat16, so nothing is left to autocast
if whole:
    net = net.to(torch.bfloat16)


def cast():
    return torch.autocast(device, torch.bfloat16, enabled=args.bf16 and not whole)


def scripted():
    t, cc, m = torch.zeros(2 * B, 1, device=device), torch.cat([c, c]), torch.ones(2 * B, 1, device=device)
    kind = torch.bfloat16 if whole else torch.float32
    with torch.no_grad(), cast():
        traced = torch.jit.trace(net, (torch.cat([x, x]).to(kind), t.to(kind), cc, m.to(kind)), check_trace=False)
        return torch.jit.optimize_for_inference(torch.jit.freeze(traced))


def compile_mode():
    if "overhead" in words:
        return "reduce-overhead"
    if "graph" in words:                                        # the graph is ours
        return "max-autotune-no-cudagraphs" if "autotune" in words else None
    return "max-autotune" if args.cuda and "noautotune" not in words or "autotune" in words else None


f = net
if "compile" in words:
    f = torch.compile(net, mode=compile_mode())
if "script" in words:
    f = scripted()


def descend(loss):
    adam.zero_grad(set_to_none=True)
    loss.backward()
    adam.step()


def train():
    z, t = torch.randn_like(x), torch.rand(B, 1, device=device)
    mask = (torch.rand(B, 1, device=device) > 0.1).float()
    tt = t[:, :, None, None]
    with cast():
        loss = F.mse_loss(f((1 - tt) * z + tt * x, t, c, mask).float(), x - z)
    descend(loss)


def denoise():
    with cast():
        loss = F.mse_loss(f(x + 0.5 * torch.randn_like(x)).float(), x)
    descend(loss)


@(torch.inference_mode() if "inference" in words else torch.no_grad())
def sample(euler=50):
    y = torch.randn_like(x)
    both = torch.cat([c, c])
    mask = torch.cat([torch.zeros(B, 1, device=device), torch.ones(B, 1, device=device)])
    kind = torch.bfloat16 if whole else torch.float32
    for i in range(euler):
        t = torch.full((2 * B, 1), i / euler, device=device)
        with cast():
            u, v = f(torch.cat([y, y]).to(kind), t.to(kind), both, mask.to(kind)).float().chunk(2)
        y = y + (u + 5 * (v - u)) / euler
    return y.sum()


def captured(step):
    """The step as one CUDA graph, after a few on a side stream, as PyTorch's notes on CUDA graphs have it."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(5):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    adam.zero_grad(set_to_none=True)                            # so that the gradients lie in the graph's own memory
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def sample_captured(euler):
    """The sampler with each of its steps one replay: image, time and step size lie in tensors that the graph reads."""
    y, t, dt = torch.empty_like(x), torch.zeros(2 * B, 1, device=device), torch.ones((), device=device)
    both, mask = torch.cat([c, c]), torch.cat([torch.zeros(B, 1, device=device), torch.ones(B, 1, device=device)])
    kind = torch.bfloat16 if whole else torch.float32

    def step():
        with cast():
            u, v = f(torch.cat([y, y]).to(kind), t.to(kind), both, mask.to(kind)).float().chunk(2)
        y.add_((u + 5 * (v - u)) * dt)
        t.add_(dt)

    with torch.no_grad():
        y.normal_()
        replay = captured(step)

    def whole_sampling(steps=euler):
        y.normal_()
        t.zero_()
        dt.fill_(1 / steps)
        for _ in range(steps):
            replay()
        return y.sum()
    return whole_sampling


def synchronize():
    if args.cuda:
        torch.cuda.synchronize()


run = {"train": train, "denoise": denoise, "sample": sample}[args.task]
if "graph" in words:
    run = sample_captured(50) if args.task == "sample" else captured(run)
    sample = run
warmup = args.warmup if args.warmup is not None else 1 if args.task == "sample" else 3
first = None
for _ in range(warmup):
    if args.task == "sample":
        sample(args.warmup_euler)
    else:
        run()
    synchronize()
    first = first or time.monotonic()
times = []
for _ in range(0, args.steps, args.block):
    start = time.perf_counter()
    for _ in range(args.block):
        run()
    synchronize()
    first = first or time.monotonic()
    times.append(1e3 * (time.perf_counter() - start) / args.block)
times.sort()
median = times[len(times) // 2]
quartiles = statistics.quantiles(times, n=4, method="inclusive") if len(times) > 1 else [median] * 3
print(json.dumps(dict(
    task=args.task, mode=args.mode, bf16=args.bf16, device=device, hidden=args.hidden, batch=B,
    threads=torch.get_num_threads(), torch=torch.__version__, ms_median=round(median, 2), ms_min=round(times[0], 2),
    ms_max=round(times[-1], 2), ms_q1=round(quartiles[0], 2), ms_q3=round(quartiles[2], 2),
    images_per_s=round(1e3 * B / median, 1), peak_mib=round(peak_bytes() / 2**20), before_mib=round(before / 2**20),
    first_step_clock=first)))
