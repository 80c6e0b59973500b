#!/usr/bin/env python3
"""make_subset.py SOURCE DEST: the small real MNIST that the tests read, 1000 training and 300 test digits.

For each class the first 100 (30) images of the full set, kept in the full set's order. SOURCE holds the four IDX files,
raw or .gz; DEST gets four .gz files, the same bytes on every run.
"""
import gzip
import os
import struct
import sys


def read(folder, name):
    """An IDX file, raw or .gz -> its bytes"""
    path = os.path.join(folder, name)
    if os.path.exists(path):
        with open(path, "rb") as stream:
            return stream.read()
    with gzip.open(path + ".gz") as stream:
        return stream.read()


def subset(source, dest, part, per_class):
    images, labels = read(source, f"{part}-images-idx3-ubyte"), read(source, f"{part}-labels-idx1-ubyte")
    magic, count, height, width = struct.unpack(">4I", images[:16])   # IDX: magic, dimensions, then bytes
    assert (magic, height, width) == (0x0803, 28, 28) and struct.unpack(">2I", labels[:8]) == (0x0801, count)
    kept, seen = [], [0] * 10
    for i, label in enumerate(labels[8:]):
        if seen[label] < per_class:
            seen[label] += 1
            kept.append(i)
    assert seen == [per_class] * 10
    pixels = b"".join(images[16 + 784 * i:16 + 784 * (i + 1)] for i in kept)
    write(dest, f"{part}-images-idx3-ubyte", struct.pack(">4I", 0x0803, len(kept), 28, 28) + pixels)
    write(dest, f"{part}-labels-idx1-ubyte", struct.pack(">2I", 0x0801, len(kept)) + bytes(labels[8 + i] for i in kept))


def write(folder, name, raw):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name + ".gz"), "wb") as stream:
        stream.write(gzip.compress(raw, 9, mtime=0))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    subset(sys.argv[1], sys.argv[2], "train", 100)
    subset(sys.argv[1], sys.argv[2], "t10k", 30)
