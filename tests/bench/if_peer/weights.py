#!/usr/bin/env python3
"""weights.py: a DeepFloyd stage I UNet of a released size with synthetic weights, as a diffusers folder.

  weights.py SIZE DTYPE FOLDER        SIZE: M, L, XL or tiny; DTYPE: f32, f16, bf16

The released weights cannot be had freely; speed and memory do not depend on their values, as long as all stays finite:
weights are normal with deviation 1/sqrt(inputs), norms begin at 1. The numbers come from one table of 4 Mi normals, read
from another place for each tensor.
"""
import json
import pathlib
import struct
import sys

import numpy

CHANNELS = {"M": 192, "L": 320, "XL": 704, "tiny": 64}
DTYPES = {"f32": ("F32", 4), "f16": ("F16", 2), "bf16": ("BF16", 2)}
TEXT = 4096
TABLE = 1 << 22


def config_of(size):
    C = CHANNELS[size]
    return {
        "_class_name": "UNet2DConditionModel", "_diffusers_version": "0.42.1", "act_fn": "gelu",
        "addition_embed_type": "text", "addition_embed_type_num_heads": 64, "attention_head_dim": 64,
        "block_out_channels": [C, 2 * C, 3 * C, 4 * C], "center_input_sample": False, "class_embed_type": None,
        "cross_attention_dim": 4 * C, "cross_attention_norm": "group_norm",
        "down_block_types": ["ResnetDownsampleBlock2D"] + ["SimpleCrossAttnDownBlock2D"] * 3,
        "downsample_padding": 1, "encoder_hid_dim": TEXT, "encoder_hid_dim_type": "text_proj", "flip_sin_to_cos": True,
        "freq_shift": 0, "in_channels": 3, "layers_per_block": 3, "mid_block_scale_factor": 1,
        "mid_block_type": "UNetMidBlock2DSimpleCrossAttn", "norm_eps": 1e-05, "norm_num_groups": 32, "out_channels": 6,
        "resnet_out_scale_factor": 1.0, "resnet_skip_time_act": False, "resnet_time_scale_shift": "scale_shift",
        "sample_size": 64, "time_embedding_type": "positional",
        "up_block_types": ["SimpleCrossAttnUpBlock2D"] * 3 + ["ResnetUpsampleBlock2D"], "upcast_attention": False,
        "use_linear_projection": False,
    }


class Net:
    """The network's tensors in order, by diffusers' names."""

    def __init__(self, size):
        self.C, self.tensors = CHANNELS[size], []
        self.E = 4 * self.C

    def add(self, name, *shape):
        self.tensors.append((name, shape))

    def layer(self, name, *shape):
        self.add(name + ".weight", *shape)
        self.add(name + ".bias", shape[0])

    def norm(self, name, n):
        self.layer(name, n)

    def resnet(self, name, Ci, Co):
        self.norm(name + ".norm1", Ci)
        self.layer(name + ".conv1", Co, Ci, 3, 3)
        self.layer(name + ".time_emb_proj", 2 * Co, self.E)
        self.norm(name + ".norm2", Co)
        self.layer(name + ".conv2", Co, Co, 3, 3)
        if Ci != Co:
            self.layer(name + ".conv_shortcut", Co, Ci, 1, 1)

    def attention(self, name, C):
        self.norm(name + ".group_norm", C)
        self.norm(name + ".norm_cross", self.E)
        for part in ("to_q", "to_k", "to_v"):
            self.layer(f"{name}.{part}", C, C)
        for part in ("add_k_proj", "add_v_proj"):
            self.layer(f"{name}.{part}", C, self.E)
        self.layer(name + ".to_out.0", C, C)

    def build(self):
        C, E, layers = self.C, self.E, 3
        self.layer("conv_in", C, 3, 3, 3)
        self.layer("time_embedding.linear_1", E, C)
        self.layer("time_embedding.linear_2", E, E)
        self.layer("encoder_hid_proj", E, TEXT)
        self.norm("add_embedding.norm1", TEXT)
        self.add("add_embedding.pool.positional_embedding", 1, TEXT)
        for part in ("q_proj", "k_proj", "v_proj"):
            self.layer("add_embedding.pool." + part, TEXT, TEXT)
        self.layer("add_embedding.proj", E, TEXT)
        self.norm("add_embedding.norm2", E)
        widths, skips, before = [C, 2 * C, 3 * C, 4 * C], [C], C
        for i, width in enumerate(widths):
            for j in range(layers):
                self.resnet(f"down_blocks.{i}.resnets.{j}", before, width)
                before = width
                skips.append(width)
                if i > 0:
                    self.attention(f"down_blocks.{i}.attentions.{j}", width)
            if i < 3:
                self.resnet(f"down_blocks.{i}.downsamplers.0", width, width)
                skips.append(width)
        for j in (0, 1):
            self.resnet(f"mid_block.resnets.{j}", before, before)
        self.attention("mid_block.attentions.0", before)
        for i, width in enumerate(reversed(widths)):
            for j in range(layers + 1):
                self.resnet(f"up_blocks.{i}.resnets.{j}", before + skips.pop(), width)
                before = width
                if i < 3:
                    self.attention(f"up_blocks.{i}.attentions.{j}", width)
            if i < 3:
                self.resnet(f"up_blocks.{i}.upsamplers.0", width, width)
        self.norm("conv_norm_out", C)
        self.layer("conv_out", 6, C, 3, 3)
        return self.tensors


def values(table, at, name, shape):
    n = int(numpy.prod(shape))
    if len(shape) == 1:
        start = 1.0 if "norm" in name and name.endswith("weight") else 0.0
        return (start + 0.05 * numpy.resize(table[at:at + n], n)).astype(numpy.float32)
    inputs = int(numpy.prod(shape[1:]))
    parts = [table[at:]]
    while sum(len(p) for p in parts) < n:
        parts.append(table)
    return (numpy.concatenate(parts)[:n] * (1.0 / numpy.sqrt(inputs))).astype(numpy.float32)


def encoded(x, dtype):
    if dtype == "f32":
        return x.tobytes()
    if dtype == "f16":
        return x.astype(numpy.float16).tobytes()
    bits = x.view(numpy.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(numpy.uint16).tobytes()


def write(size, dtype, folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config_of(size), indent=2) + "\n")
    tensors, (code, element) = sorted(Net(size).build()), DTYPES[dtype]
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in tensors:
        bytes_ = int(numpy.prod(shape)) * element
        header[name] = {"dtype": code, "shape": list(shape), "data_offsets": [at, at + bytes_]}
        at += bytes_
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    table = numpy.random.default_rng(7).standard_normal(TABLE, dtype=numpy.float32)
    target = folder / "diffusion_pytorch_model.safetensors"
    with open(target, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for i, (name, shape) in enumerate(tensors):
            f.write(encoded(values(table, i * 7919 % (TABLE // 2), name, shape), dtype))
    parameters = sum(int(numpy.prod(shape)) for _, shape in tensors)
    print(f"{target}: {len(tensors)} tensors, {parameters / 1e6:.1f} M parameters, {at / 1e9:.2f} GB", file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in CHANNELS or sys.argv[2] not in DTYPES:
        sys.exit(__doc__)
    write(*sys.argv[1:])
