"""dashboard_terminal.py: a terminal for dashboard.sh, of which one can see every character."""
import codecs, fcntl, os, pty, re, select, signal, struct, subprocess, termios, threading, time

DRIFT = os.environ["DRIFT"]


def check(fact, text):
    if not fact:
        raise SystemExit("dashboard: " + text)


class Screen:
    """Cursor up, erase below, erase to the right, colours and synchronized updates; anything else is an error."""

    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.lines, self.top, self.y, self.x = [[]], 0, 0, 0
        self.wrapped, self.sequences, self.rest, self.raw = [], 0, "", ""

    def newline(self):
        self.y += 1
        if self.y == len(self.lines):
            self.lines.append([])
        self.top = max(self.top, self.y - self.rows + 1)

    def put(self, c):
        if self.x == self.columns:
            self.wrapped.append("".join(self.lines[self.y]))
            self.newline()
            self.x = 0
        line = self.lines[self.y]
        line.extend(" " * (self.x + 1 - len(line)))
        line[self.x] = c
        self.x += 1

    def escape(self, text):
        self.sequences += 1
        m = re.fullmatch(r"\x1b\[(\??[\d;]*)([A-Za-z])", text)
        check(m, f"an unknown sequence: {text!r}")
        n, what = m[1], m[2]
        if what == "A":
            self.y = max(self.top, self.y - int(n or 1))
        elif what == "J" and n in ("", "0"):
            del self.lines[self.y][self.x:]
            del self.lines[self.y + 1:]
        elif what == "K" and n in ("", "0"):
            del self.lines[self.y][self.x:]
        elif not (what == "m" or n == "?2026" and what in "hl"):
            check(False, f"an unknown sequence: {text!r}")

    def resize(self, columns):
        """As most terminals do it: lines that are too long go on in the next, and the cursor stays where it was in them."""
        lines, y = [], self.y
        for i, line in enumerate(self.lines):
            if i == self.y:
                y = len(lines)
            pieces = [line[k:k + columns] for k in range(0, max(1, len(line)), columns)]
            lines += pieces
        self.lines, self.y, self.columns = lines, y, columns
        self.top = max(0, len(lines) - self.rows)

    def feed(self, text):
        self.raw += text
        text = self.rest + text
        at = 0
        while at < len(text):
            c = text[at]
            if c == "\x1b":
                m = re.compile(r"\x1b\[\??[\d;]*[A-Za-z]").match(text, at)
                if not m:
                    break
                self.escape(m[0])
                at = m.end()
                continue
            if c == "\r":
                self.x = 0
            elif c == "\n":
                self.newline()
            else:
                check(c.isprintable(), f"a control character: {c!r}")
                self.put(c)
            at += 1
        self.rest = text[at:]

    def text(self):
        return "\n".join("".join(line).rstrip() for line in self.lines)


def modes(fd):
    return termios.tcgetattr(fd)


def resize(fd, columns, rows):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def run(*arguments, script="train.lua", columns=80, rows=30, env=None, look=None, status=0):
    """Runs it on a terminal. look(screen, process, fd, seconds) is called after each piece of output."""
    master, slave = pty.openpty()
    resize(master, columns, rows)
    before = modes(slave)
    screen = Screen(columns, rows)
    environment = {**os.environ, "TERM": "xterm-256color", **(env or {})}
    for name in ("NO_COLOR", "COLORTERM"):
        if name not in (env or {}):
            environment.pop(name, None)

    def controlling():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    process = subprocess.Popen([DRIFT, "run", script, "--threads", "1", "--no-plan", *arguments], stdin=slave, stdout=slave,
                               stderr=slave, env=environment, preexec_fn=controlling)
    decoder, began = codecs.getincrementaldecoder("utf-8")(), time.time()
    while True:
        ready, _, _ = select.select([master], [], [], 0.1)
        if ready:
            screen.feed(decoder.decode(os.read(master, 65536)))
            if look:
                look(screen, process, master, time.time() - began)
        elif process.poll() is not None:
            break
        check(time.time() - began < 60, "it does not end:\n" + screen.text())
    check(process.returncode == status, f"status {process.returncode}, not {status}:\n{screen.text()}")
    check(modes(slave) == before, "the terminal is left in another mode")
    check(screen.x == 0, "the cursor is left inside a line:\n" + screen.text())
    os.close(master), os.close(slave)
    return screen


BRAILLE = re.compile("[\u2801-\u28ff]")


def boards(text):
    """How many dashboards one can see."""
    return len(re.findall(r"^epoch \d+/\d+ [█░\d]", text, re.M))


def whole(screen):
    """No line of the dashboard was wider than the terminal; notes may be."""
    drawn = re.compile("[█░▀▒\u2800-\u28ff]|images/s|^loss \\d|^epoch \\d+/\\d+ \\d")
    torn = [line for line in screen.wrapped if drawn.search(line)]
    check(not torn, f"wrapped: {torn}\n{screen.text()}")


def wide():
    seen = {"frames": 0, "samples": False, "most": 0}

    def look(screen, process, fd, seconds):
        text = screen.text()
        seen["most"] = max(seen["most"], boards(text))
        seen["samples"] = seen["samples"] or "▀" * 14 in text and "images/s" in text
        seen["frames"] += "ETA" in text
    screen = run("--out", "wide", look=look)
    text = screen.text()
    check(seen["frames"] > 3 and seen["most"] == 1, f"{seen}:\n{text}")
    check(seen["samples"], "the samples are not shown:\n" + text)
    whole(screen)
    for part in (r"^epoch 2/2 █+ +(\d+)/\1   all █+ 100%$", r"loss \d\.\d{4}  epoch's mean \d\.\d{4}  \d+ images/s  ETA 0s  lr 1$",
                 r"^after epoch 1$", r"^epoch 1/2: mean loss", r"^wide|wall time", r"log"):
        check(re.search(part, text, re.M), f"{part} is not there:\n{text}")
    check(len(BRAILLE.findall(text)) > 50, "no curve:\n" + text)
    check(boards(text) == 1, f"{boards(text)} boards are left:\n{text}")


def narrow():
    screen = run("--out", "narrow", columns=40, rows=12)
    whole(screen)
    check(re.search(r"^epoch 2/2 █{4,} \d+/\d+$", screen.text(), re.M) and BRAILLE.search(screen.text()),
          "it is not drawn at 40 columns:\n" + screen.text())
    tiny = run("--out", "tiny", columns=12, rows=4)
    whole(tiny)
    check("epoch 2/2" in tiny.text(), "nothing at 12 columns")


def notes():
    screen = run("--out", "notes", "says=true")
    text = screen.text()
    for step in range(4, 12, 4):
        check(re.search(f"^a note of step {step}$", text, re.M), f"the note of step {step} is torn:\n{text}")
        check(re.search(f"^printed in step {step - 2}$", text, re.M), f"what step {step - 2} printed is torn:\n{text}")
        check(re.search(f"^written in step {step - 1}$", text, re.M), f"what step {step - 1} wrote is torn:\n{text}")
    check(boards(text) == 1, f"{boards(text)} boards are left:\n{text}")
    lines = text.split("\n")
    check(not any(BRAILLE.search(line) and "note" in line for line in lines), "a note is in the curve")


def resized():
    for columns in (100, 50):
        done = []

        def look(screen, process, fd, seconds):
            if "ETA" in screen.text() and not done:
                done.append(1)
                screen.resize(columns)
                resize(fd, columns, 30)
        screen = run("--out", f"resized_{columns}", look=look)
        text = screen.text()
        check(done and boards(text) == 1 and len(re.findall("images/s", text)) == 1, f"after a resize to {columns}:\n{text}")
        check(columns < 80 or any(len(line) > 80 for line in text.split("\n")), "the new width is not used:\n" + text)


def plain():
    """Not a terminal, or a simple one: lines without any sequence."""
    piped = subprocess.run([DRIFT, "run", "train.lua", "--out", "piped", "--no-plan", "pause=0"], capture_output=True,
                           env=dict(os.environ, TERM="xterm"))
    check(piped.returncode == 0, piped.stderr.decode())
    check(b"\x1b" not in piped.stdout + piped.stderr and b"\r" not in piped.stderr, "sequences in a file")
    check(re.search(rb"^epoch 1/2  \d+/\d+  loss \d\.\d+", piped.stderr, re.M), "no lines in a file:\n" + piped.stderr.decode())
    for term in ("dumb", ""):
        screen = run("--out", "dumb" + term, env={"TERM": term}, columns=200)
        check(screen.sequences == 0, f"sequences with TERM={term}")
    screens = []
    run("--out", "grey", "epochs=2", env={"NO_COLOR": "1"}, look=lambda s, p, f, t: screens.append(s.text()))
    check(any("▒" in text and "images/s" in text for text in screens), "no samples without colours")


def colourless():
    check(re.search(r"\x1b\[[\d;]*m", run("--out", "coloured").raw), "no colours")
    check(not re.search(r"\x1b\[[\d;]*m", run("--out", "colourless", env={"NO_COLOR": "1"}).raw), "colours with NO_COLOR")


def interrupted():
    def look(screen, process, fd, seconds):
        if "images/s" in screen.text() and "^C" not in screen.text():
            os.write(fd, b"\x03")                              # as the key: the terminal echoes ^C and sends the signal
    screen = run("--out", "interrupted", "pause=0.2", look=look, status=130)
    text = screen.text()
    for part in (r"^drift: finishing the step; Ctrl-C again quits at once$", r"^stopped in epoch \d after step \d+; go on with: "):
        check(re.search(part, text, re.M), f"{part} is not there:\n{text}")
    check(boards(text) == 1, f"{boards(text)} boards are left:\n{text}")


def cells():
    """A comparison: a line for each training that runs, in a process of its own; what they say scrolls above."""
    seen = []

    def look(screen, process, fd, seconds):
        seen.append((len(re.findall(r"^(?:add|scale), seed 1.* +\d+%  loss \d\.\d+", screen.text(), re.M)), screen.text()))
    screen = run("--out", "compared", "--jobs", "2", script="compare.lua", rows=24, look=look)
    whole(screen)
    most, text = max(seen)
    check(most == 2, f"{most} lines of cells:\n{seen[len(seen) // 2][1]}")
    check(re.search(r"^\d of 2 done$", text, re.M), "how many are done is not said:\n" + text)
    check(re.search(r"epoch \d/2  [█░]{10,}", text), "no bar:\n" + text)
    check("██" not in screen.text() and not re.search(r"^\d of 2 done$", screen.text(), re.M), "lines are left:\n" + screen.text())
    check(re.search(r"^\[add, seed 1\] epoch 1/2: mean loss \d\.\d+, \d+ s$", screen.text(), re.M),
          "what a cell says is torn:\n" + screen.text())


def many_cells():
    """More of them than a small terminal has lines, one of which has not begun."""
    seen = []
    screen = run(script="cells.lua", columns=40, rows=10, look=lambda s, *_: seen.append(s.text()))
    whole(screen)
    text = max(seen, key=len)
    check(re.search(r"^variant 網 \d+, seed 1? +50%  loss 0\.2500$", text, re.M), text)
    check(re.search(r"^variant 網 1, seed 1 +begins  \d+s$", text, re.M) and "2 of 30 done" in text, text)
    check(screen.text().strip() == "above\nbelow", screen.text())


def stopped_and_continued():
    """After Ctrl-Z and fg the shell's lines are whole, and the dashboard goes on below them."""
    done = []

    def look(screen, process, fd, seconds):
        if "ETA" not in screen.text() or done:
            return
        os.kill(process.pid, signal.SIGSTOP)
        while select.select([fd], [], [], 0.2)[0]:
            screen.feed(os.read(fd, 65536).decode(errors="replace"))
        screen.feed("[1]+  Stopped\r\n$ fg\r\n")
        os.kill(process.pid, signal.SIGCONT)
        done.append(1)
    screen = run("--out", "continued", look=look)
    text = screen.text()
    check(re.search(r"^\[1\]\+  Stopped\n\$ fg$", text, re.M), "the shell's lines are torn:\n" + text)
    check(boards(text[:text.index("$ fg")]) == 1 and boards(text[text.index("$ fg"):]) == 1, "not drawn anew below:\n" + text)


def failed():
    screen = run("--out", "failed", "fail_at=10", status=1)
    text = screen.text()
    check(re.search(r"^drift: .*the loss function failed", text, re.M), "the error is not whole:\n" + text)
    check(boards(text) == 1 and BRAILLE.search(text), "what was drawn is gone:\n" + text)


tests = (wide, narrow, notes, resized, plain, colourless, interrupted, failed, cells, many_cells, stopped_and_continued)
problems = []


def protected(test):
    try:
        test()
    except (SystemExit, Exception) as problem:
        problems.append(f"{test.__name__}: {problem!s}")


threads = [threading.Thread(target=protected, args=(test,)) for test in tests]      # they sleep most of the time
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
if problems:
    raise SystemExit("\n".join(problems))
