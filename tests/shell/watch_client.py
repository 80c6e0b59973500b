"""watch_client.py: the browser, and worse clients, of watch.sh. Runs in the folder with slow.lua."""
import hashlib, http.client, json, os, re, signal, socket, subprocess, sys, threading, time

DRIFT = os.environ["DRIFT"]
RUN = "runs/seen"


def check(fact, text):
    if not fact:
        raise SystemExit("watch: " + text)


def watch(*arguments):
    """The process and its port, once it says where it is."""
    process = subprocess.Popen([DRIFT, "watch", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    line = process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
    check(found, "it does not say where it is, but: " + line)
    return process, int(found[1])


def ask(port, path="/", method="GET", headers=None, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, body=body, headers=headers or {})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, dict((k.lower(), v) for k, v in answer.getheaders()), text


def raw(port, data, seconds=5):
    """Everything that comes back for these bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as s:
        got = b""
        try:
            s.sendall(data)
            while piece := s.recv(65536):
                got += piece
        except (ConnectionError, BrokenPipeError):
            pass
        return got


def end(process, number=signal.SIGINT):
    process.send_signal(number)
    check(process.wait(15) == 0, f"status {process.returncode} after signal {number}")


def watched_files():
    return {name: hashlib.sha256(open(os.path.join(folder, name), "rb").read()).hexdigest()
            for folder, _, names in os.walk(RUN) for name in names}


def before_there_is_a_run(port):
    status, headers, text = ask(port)
    check(status == 200 and b"not there yet" in text and b"refresh" in text, "the page does not say that it waits")
    status, _, text = ask(port, "/data.json")
    check(status == 503 and "not there yet" in json.loads(text)["waiting"], "data.json does not say that it waits")
    os.makedirs(RUN)
    time.sleep(0.6)
    check(b"no run has begun" in ask(port)[2], "an empty folder is not shown as one")


def while_it_is_trained(port):
    run = subprocess.Popen([DRIFT, "run", "slow.lua", "--no-plan", "--out", RUN], stdout=subprocess.DEVNULL,
                           stderr=open("run.stderr", "w"))
    sizes, etags, begun = [], set(), False
    while run.poll() is None:
        status, headers, text = ask(port, "/data.json")
        check(status in (200, 503), f"status {status} while it is trained")
        if status == 200:
            json.loads(text)
            begun = begun or b"<html" in ask(port)[2].lower() or b"<!doctype" in ask(port)[2].lower()
            if headers["etag"] not in etags:
                sizes.append(len(text))
            etags.add(headers["etag"])
        time.sleep(0.2)
    check(run.returncode == 0, "the run failed: " + open("run.stderr").read())
    check(begun and len(etags) >= 4, f"what is shown changed {len(etags)} times while the run was trained")
    check(sizes[-1] > sizes[0], "what is shown did not grow")
    time.sleep(0.6)
    status, headers, text = ask(port, "/data.json")
    check(status == 200 and json.loads(text)["live"].get("problem") is None, "the run's end is not shown")
    check(ask(port, "/data.json", headers={"If-None-Match": headers["etag"]})[0] == 304, "what is known is sent again")


def resumed(port):
    before = json.loads(ask(port, "/data.json")[2])
    more = subprocess.run([DRIFT, "run", "slow.lua", "--no-plan", "--resume", RUN, "epochs=6"], capture_output=True, text=True)
    check(more.returncode == 0, "the run cannot be resumed: " + more.stderr)
    time.sleep(1)
    after = json.loads(ask(port, "/data.json")[2])
    check(after["losses"]["last"] > before["losses"]["last"], "what a resumed run adds is not shown")
    check(after["live"].get("problem") is None, "a resumed run is a problem")


def half_a_line(port):
    with open(RUN + "/metrics.jsonl", "a") as f:
        f.write('{"step": 987654321, "loss": 0.')
    time.sleep(0.6)
    status, _, text = ask(port, "/data.json")
    data = json.loads(text)
    check(status == 200 and data["live"].get("problem") is None, "half a line is a problem: " + str(data["live"]))
    check(b"987654321" not in text, "half a line is shown")


def what_is_refused(port):
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"):
        status, headers, _ = ask(port, method=method)
        check(status == 405 and headers["allow"] == "GET, HEAD", f"{method}: {status}")
    status, headers, text = ask(port, method="HEAD")
    check(status == 200 and text == b"" and int(headers["content-length"]) > 0, "HEAD")
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "", "127.0.0.1:987654321987654321", "127.0.0.2",
                 f"evil.example:{port}", "localhost:80@evil.example"):
        check(ask(port, "/data.json", headers={"Host": host})[0] in (400, 403), f"it answers to the host {host!r}")
    for host in (f"localhost:{port}", "127.0.0.1", f"[::1]:{port}", "LOCALHOST:1"):
        check(ask(port, headers={"Host": host})[0] == 200, f"it does not answer to the host {host!r}")
    check(b" 400 " in raw(port, b"GET / HTTP/1.0\r\n\r\n").split(b"\r\n")[0], "a request without a host")
    twice = raw(port, b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    check(b" 400 " in twice.split(b"\r\n")[0], "a request with two hosts")
    for path in ("/config.json", "/../config.json", "/..%2f..%2fetc/passwd", "//etc/passwd", "/%2e%2e/", "/data.json/..",
                 "/metrics.jsonl", "/checkpoint.safetensors", "/index.html", "/" + "a" * 4000):
        check(ask(port, path)[0] == 404, f"{path} is there")
    headers = ask(port)[1]
    check("access-control-allow-origin" not in headers, "pages from elsewhere may read it")
    check("default-src 'none'" in headers["content-security-policy"], "the page may load from elsewhere")


def rude_clients(port):
    big = raw(port, b"GET /" + b"a" * 1000000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    check(big == b"" or re.match(rb"HTTP/1.. 4\d\d", big), "a long line: " + repr(big[:40]))
    big = raw(port, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: " + b"a" * 1000000 + b"\r\n\r\n")
    check(big == b"" or re.match(rb"HTTP/1.. 4\d\d", big), "long headers: " + repr(big[:40]))
    body = raw(port, b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n" + b"a" * 100000)
    check(body == b"" or body.startswith(b"HTTP/1.1 413"), "a body: " + repr(body[:40]))
    for _ in range(20):                                        # hang up in the middle of the answer
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            s.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20)
    check(ask(port)[0] == 200, "it is gone after clients that hung up")


def slow_clients(port):
    """Some open connections and say nothing, or half a request; others are served meanwhile, and those are ended."""
    slow = [socket.create_connection(("127.0.0.1", port), timeout=15) for _ in range(20)]
    for s in slow[10:]:
        s.sendall(b"GET / HTTP/1.1\r\nHost: loc")
    began = time.time()
    check(ask(port)[0] == 200 and time.time() - began < 2, "slow clients keep others waiting")
    for s in slow:
        try:
            while s.recv(65536):
                pass
        except ConnectionError:
            pass
        s.close()
    check(3 < time.time() - began < 12, f"slow clients are ended after {time.time() - began:.1f} s")


class Dripping(threading.Thread):
    """Sends a byte of a request now and then, without end; seconds: how long it was let."""
    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.seconds = port, None
        self.start()

    def run(self):
        began = time.time()
        try:
            with socket.create_connection(("127.0.0.1", self.port)) as s:
                s.sendall(b"GET / HTTP/1.1\r\nX: ")
                while time.time() - began < 30:
                    s.sendall(b"a")
                    time.sleep(0.5)
        except ConnectionError:
            self.seconds = time.time() - began


def browsers(port):
    """Several at once, each on a connection that it keeps."""
    several = [http.client.HTTPConnection("127.0.0.1", port, timeout=5) for _ in range(8)]
    for _ in range(5):
        for c in several:
            c.request("GET", "/data.json")
        for c in several:
            answer = c.getresponse()
            check(answer.status == 200 and json.loads(answer.read()), "one of several browsers")
    check(several[0].sock is not None, "a connection is not kept")


def only_this_machine(port):
    with open("/proc/net/tcp") as f:
        listening = [line.split()[1] for line in f if line.split()[3] == "0A"]
    here = [address for address in listening if address.endswith(f":{port:04X}")]
    check(here == [f"0100007F:{port:04X}"], f"it listens on {here}")
    try:
        other = socket.gethostbyname(socket.gethostname())
    except OSError:
        return
    if not other.startswith("127."):
        try:
            socket.create_connection((other, port), timeout=2).close()
        except OSError:
            return
        check(False, f"it is reached as {other}")


def stopped_and_continued(process, port):
    """Ctrl-Z and fg."""
    for _ in range(3):
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        process.send_signal(signal.SIGCONT)
        check(ask(port)[0] == 200 and process.poll() is None, "it does not go on after Ctrl-Z")


def ports(port):
    """One that is taken is refused by name; without --port the next free one is taken."""
    taken = subprocess.run([DRIFT, "watch", RUN, "--port", str(port)], capture_output=True, text=True, timeout=10)
    check(taken.returncode == 1 and f"port {port}" in taken.stderr and "--port 0" in taken.stderr, taken.stderr)
    first, one = watch(RUN)
    second, two = watch(RUN)
    check(one != two and 8765 <= one < 8785 and 8765 <= two < 8785, f"ports {one} and {two}")
    end(first, signal.SIGTERM)
    end(second)


process, port = watch(RUN, "--port", "0")
try:
    dripping = Dripping(port)
    only_this_machine(port)
    before_there_is_a_run(port)
    while_it_is_trained(port)
    resumed(port)
    before = watched_files()
    what_is_refused(port)
    rude_clients(port)
    browsers(port)
    slow_clients(port)
    stopped_and_continued(process, port)
    ports(port)
    dripping.join(15)
    check(dripping.seconds and dripping.seconds < 16, f"a dripping client was let for {dripping.seconds} s")
    check(watched_files() == before, "watching changed a file")
    half_a_line(port)
    os.rename(RUN, RUN + "-moved")
    time.sleep(0.6)
    check(ask(port, "/data.json")[0] == 200, "what was shown is gone with the folder")
    end(process)
finally:
    process.kill()
    output = process.stdout.read()
    if output and sys.exc_info()[0]:
        print(output, file=sys.stderr)
