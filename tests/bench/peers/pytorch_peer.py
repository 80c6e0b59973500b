#!/usr/bin/env python3
"""The PyTorch side of the speed comparison: one line of JSON per call.

  pytorch_peer.py --task train|denoise|sample --mode eager|channels_last|compile|compile_channels_last
                  [--bf16] [--tf32] [--cuda] [--hidden D] [--batch B] [--steps N] [--threads T]

train    class-conditional flow matching: noise, time, dropout mask, forward, MSE, backward, Adam
denoise  unconditional denoiser at sigma 0.5: noise, forward, MSE, backward, Adam
sample   guided Euler sampling, gamma 5, 50 steps, both halves in one batch; B images; the time is for the whole batch

Figures: median, minimum and maximum milliseconds over the counted repeats after a warm-up, images/s, peak MiB, and the
peak before the network was made, which is what the libraries take.
"""
import argparse
import json
import os
import resource
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
parser.add_argument("--threads", type=int, default=0)
args = parser.parse_args()
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

net = UNet("uncond" if args.task == "denoise" else "class_time", args.hidden).to(device)
B = args.batch
x = torch.rand(B, 1, 28, 28, device=device)
c = torch.arange(B, device=device) % 10
if "channels_last" in args.mode:
    net, x = net.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
adam = torch.optim.Adam(net.parameters(), 1e-3, fused=args.cuda)
f = torch.compile(net, mode="max-autotune" if args.cuda else None) if "compile" in args.mode else net


def cast():
    return torch.autocast(device, torch.bfloat16, enabled=args.bf16)


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


@torch.no_grad()
def sample():
    y = torch.randn_like(x)
    both = torch.cat([c, c])
    mask = torch.cat([torch.zeros(B, 1, device=device), torch.ones(B, 1, device=device)])
    for i in range(50):
        t = torch.full((2 * B, 1), i / 50, device=device)
        with cast():
            u, v = f(torch.cat([y, y]), t, both, mask).float().chunk(2)
        y = y + (u + 5 * (v - u)) / 50
    return y.sum()


def synchronize():
    if args.cuda:
        torch.cuda.synchronize()


run = {"train": train, "denoise": denoise, "sample": sample}[args.task]
net.train(args.task != "sample")
for _ in range(1 if args.task == "sample" else 3):
    run()
synchronize()
times = []
for _ in range(args.steps):
    start = time.perf_counter()
    run()
    synchronize()
    times.append(1e3 * (time.perf_counter() - start))
times.sort()
median = times[len(times) // 2]
print(json.dumps(dict(
    task=args.task, mode=args.mode, bf16=args.bf16, device=device, hidden=args.hidden, batch=B,
    threads=torch.get_num_threads(), torch=torch.__version__, ms_median=round(median, 2), ms_min=round(times[0], 2),
    ms_max=round(times[-1], 2), images_per_s=round(1e3 * B / median, 1), peak_mib=round(peak_bytes() / 2**20),
    before_mib=round(before / 2**20))))
