#!/usr/bin/env python3
"""torch_peer.py FOLDER PRECISION MODE STEPS: steps of a DeepFloyd stage I UNet by diffusers, as one line of JSON.

MODE: eager or channels_last. The same work as drift_peer.lua: a batch of two at 64 pixels, as one step with guidance.
"""
import json
import sys
import time

import torch
from diffusers import UNet2DConditionModel


def memory():
    found = {}
    with open("/proc/self/status") as status:
        for line in status:
            words = line.split()
            if words[-1] == "kB":
                found[words[0].rstrip(":")] = int(words[1]) // 1024
    return found


def main(folder, precision, mode, steps):
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[precision]
    before, start = memory(), time.perf_counter()
    net = UNet2DConditionModel.from_pretrained(folder, torch_dtype=dtype, low_cpu_mem_usage=True).eval()
    if mode == "channels_last":
        net = net.to(memory_format=torch.channels_last)
    open_s = time.perf_counter() - start
    torch.manual_seed(1)
    x, tokens = torch.randn(2, 3, 64, 64).to(dtype), torch.randn(2, 77, 4096).to(dtype)
    seconds, cpu_seconds = [], []
    with torch.inference_mode():
        for _ in range(steps + 1):
            start, cpu_start = time.perf_counter(), time.process_time()
            y = net(x, torch.tensor([500, 500]), encoder_hidden_states=tokens).sample
            seconds.append(time.perf_counter() - start)
            cpu_seconds.append(time.process_time() - cpu_start)
    after = memory()
    print(json.dumps({
        "open_s": open_s, "first_s": seconds[0], "seconds": seconds[1:], "cpu_seconds": cpu_seconds[1:],
        "peak_mib": after["VmHWM"], "own_mib": after["RssAnon"], "file_mib": after["RssFile"],
        "before_mib": before["VmHWM"], "deviation": float(y.float().std())}))


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
