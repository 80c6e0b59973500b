#!/bin/sh
# fetch_mirrors.sh: what idx_files.py does with mirrors that are good, broken or hostile. A server on this machine plays
# them, with small files of its own in place of MNIST, so no network is needed.
set -eu
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$DRIFT_HOME/plugins/datasets" no_proxy='*'
exec python3 - <<'PY'
import contextlib, gzip, hashlib, http.server, io, os, resource, subprocess, sys, threading, time, unittest
import idx_files
from idx_files import IdxFile

RAW = {"train-images-idx3-ubyte": bytes(range(256)) * 400, "train-labels-idx1-ubyte": b"\0\0\x08\1" + bytes(500)}
FILES = [IdxFile(name, len(raw), hashlib.sha256(raw).hexdigest()) for name, raw in RAW.items()]
IMAGES, LABELS = (file.name for file in FILES)
PAGES = {f"/good/{name}.gz": gzip.compress(raw) for name, raw in RAW.items()}


def mirror_like_good(name, **changed):
    for page in [page for page in PAGES if page.startswith("/good/")]:
        PAGES[page.replace("good", name)] = PAGES[page]
    PAGES[f"/{name}/{IMAGES}.gz"] = changed["images"]


mirror_like_good("cut", images=PAGES[f"/good/{IMAGES}.gz"][:-20])
mirror_like_good("altered", images=gzip.compress(RAW[IMAGES][:-1] + b"?"))
mirror_like_good("short", images=gzip.compress(RAW[IMAGES][:-1]))
mirror_like_good("bomb", images=gzip.compress(bytes(200_000_000)))
mirror_like_good("long", images=bytes(300_000))
mirror_like_good("page", images=b"<html>Please log in to this network</html>")
REQUESTS = []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        REQUESTS.append(self.path)
        if self.path.startswith("/hangup/"):                          # promises more than it sends
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(PAGES[self.path.replace("hangup", "good")][:1000])
        elif self.path.startswith("/silent/"):
            time.sleep(3)
        elif self.path.startswith("/nonsense/"):
            self.wfile.write(b"\xff\xfe\r\n\r\n")
        elif self.path not in PAGES:
            self.send_error(404)
        else:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(ConnectionError):                # a client may stop reading
                self.wfile.write(PAGES[self.path])

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
BASE = f"http://127.0.0.1:{server.server_port}"


class Mirrors(unittest.TestCase):
    def fetch(self, *names):
        """-> (status, what was said); dest is a fresh folder of this test"""
        self.dest = os.path.join(os.getcwd(), self.id())
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            status = idx_files.fetch("Digits", self.dest, FILES,
                                     [(n, lambda n=n: idx_files.mirror(f"{BASE}/{n}", FILES)) for n in names])
        return status, said.getvalue()

    def assert_complete(self):
        self.assertEqual(sorted(os.listdir(self.dest)), sorted(RAW))    # so no temporary file is left either
        for name, raw in RAW.items():
            with open(os.path.join(self.dest, name), "rb") as stream:
                self.assertEqual(stream.read(), raw)

    def assert_refused(self, name, why):
        status, said = self.fetch(name)
        self.assertEqual(status, 1)
        self.assertRegex(said, f"could not fetch Digits to .*(?s:.*)  {name}: {IMAGES}.*(?:{why})")
        self.assertEqual([f for f in os.listdir(self.dest) if f != LABELS], [])

    def test_good(self):
        self.assertEqual(self.fetch("good")[0], 0)
        self.assert_complete()
        umask = os.umask(0)
        os.umask(umask)
        self.assertEqual(os.stat(os.path.join(self.dest, IMAGES)).st_mode & 0o777, 0o666 & ~umask)
        REQUESTS.clear()
        self.assertEqual(self.fetch("good")[0], 0)
        self.assertEqual(REQUESTS, [])                                # all there: nothing is fetched again

    def test_damaged_file_is_replaced(self):
        self.fetch("good")
        with open(os.path.join(self.dest, IMAGES), "r+b") as stream:
            stream.write(b"damage")
        self.assertEqual(self.fetch("good")[0], 0)
        self.assert_complete()

    def test_next_mirror(self):
        self.assertEqual(self.fetch("absent", "altered", "cut", "good")[0], 0)
        self.assert_complete()

    def test_all_failures_are_named(self):
        status, said = self.fetch("absent", "altered", "cut")
        self.assertEqual(status, 1)
        for name in "absent", "altered", "cut":
            self.assertRegex(said, f"\n  {name}: {IMAGES}")

    def test_absent(self): self.assert_refused("absent", "failed: .*(404|Not Found)")
    def test_altered(self): self.assert_refused("altered", "sha256 [0-9a-f]{64}, expected [0-9a-f]{64}")
    def test_cut(self): self.assert_refused("cut", "is cut short after [0-9]+ unpacked bytes")
    def test_short(self): self.assert_refused("short", "has 102399 bytes, expected 102400")
    def test_page(self): self.assert_refused("page", "is not a sound gzip file")
    def test_long(self): self.assert_refused("long", "is larger than the 106496 bytes expected")
    def test_hangup(self): self.assert_refused("hangup", "broke off after [0-9]+ of 100000 bytes")
    def test_nonsense(self): self.assert_refused("nonsense", "failed")

    def test_bomb(self):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.assert_refused("bomb", "unpacks to more than the 102400 bytes|is larger than")
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.assertLess(after - before, 50_000)                       # KiB: the 200 MB were never there

    def test_silent(self):
        idx_files.SOCKET_TIMEOUT_S, usual = 0.5, idx_files.SOCKET_TIMEOUT_S
        try:
            self.assert_refused("silent", "timed out")
        finally:
            idx_files.SOCKET_TIMEOUT_S = usual

    def test_no_server(self):
        server_of_none = http.server.HTTPServer(("127.0.0.1", 0), None)
        server_of_none.server_close()                                 # so its port is nobody's
        base, globals()["BASE"] = BASE, f"http://127.0.0.1:{server_of_none.server_port}"
        try:
            self.assert_refused("good", "failed: .*refused")
        finally:
            globals()["BASE"] = base

    def test_several_at_once(self):
        self.dest = os.path.join(os.getcwd(), self.id())
        sources = [("good", lambda: idx_files.mirror(f"{BASE}/good", FILES))]
        statuses = []

        def run():
            statuses.append(idx_files.fetch("Digits", self.dest, FILES, sources))
        with contextlib.redirect_stderr(io.StringIO()):
            threads = [threading.Thread(target=run) for _ in range(8)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
        self.assertEqual(statuses, [0] * 8)
        self.assert_complete()

    def test_full_disk(self):
        """No file may grow beyond 50 kB, which fails as a full disk does: status 1, nothing half-written is left."""
        script = ("import resource, signal, sys, idx_files\n"
                  "from idx_files import IdxFile\n"
                  "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
                  "resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))\n"
                  f"files = {FILES!r}\n"
                  f"sources = [('good', lambda: idx_files.mirror('{BASE}/good', files))]\n"
                  "sys.exit(idx_files.fetch('Digits', 'full', files, sources))")
        run = subprocess.run([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
        self.assertEqual(run.returncode, 1, run.stderr)
        self.assertRegex(run.stderr, "cannot write Digits to full: .*File too large")
        self.assertEqual(os.listdir("full"), [])

    def test_dest_is_a_file(self):
        open(self.id(), "w").close()
        status, said = self.fetch("good")
        self.assertEqual(status, 1)
        self.assertIn("cannot write Digits to", said)


unittest.main()
PY
