"""prompt_session.py PROGRAM: `drift` at a terminal of its own (a pty): what is typed, and what must be seen for it."""
import os
import pty
import re
import select
import signal
import sys
import time


class Session:
    """The program at a terminal of 100 columns. type() sends keys, see() waits for a pattern behind what was seen before."""

    def __init__(self, program, *arguments):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(program, [program, *arguments])
        import fcntl, struct, termios
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.text = ""

    def type(self, keys):
        if keys[0] in "\x03\x04\x15\x1b":                         # means the same only once the line is being edited
            time.sleep(0.3)
        os.write(self.fd, keys.encode())

    def read(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            piece = os.read(self.fd, 65536)
        except OSError:
            return False
        self.text += piece.decode("utf-8", "replace")
        return bool(piece)

    def see(self, pattern, seconds=20):
        end = time.time() + seconds
        while True:
            found = re.search(pattern, self.text, re.S)
            if found:
                self.text = self.text[found.end():]
                return found.group(0)
            if time.time() > end or (not self.read(0.2) and self.ended()):
                sys.exit(f"prompt: not seen: {pattern!r}; there is {self.text[-1500:]!r}")

    def ended(self):
        pid, self.status = os.waitpid(self.pid, os.WNOHANG)
        return pid != 0

    def line(self, text, pattern):
        """Types a line, sees its answer and the next prompt."""
        self.type(text + "\r")
        self.see(pattern)
        self.see(r"drift> ")


def main(program):
    s = Session(program, "--device", "ref")
    s.see(r"drift \S+ on ref.*Ctrl-D ends.*drift> ")
    s.line("1 + 41", r"\b42\r\n")
    s.line("local kept = 7", r"\n")
    s.line("kept * 2", r"\b14\r\n")
    s.line("local function twice(x) return 2 * x end", r"\n")
    s.line("twice(kept)", r"\b14\r\n")
    s.type("for i = 1, 2 do\r")
    s.see(r"   \.\.\. ")
    s.line("print('turn', i) end", r"turn\t?\s*1\r\nturn\t?\s*2\r\n")

    # Tab: a component's name, its parameters, an enum's choices, a method. What the line became shows in its value.
    s.line("drift.sampler.heu\tord\t1 }", r"sampler\.heun\{order=1\}")
    s.line("drift.process.flow_matching { pred\tnil }", r"process\.flow_matching\{\}")
    s.line('drift.sampler.ddpm { varia\t"poste\t" }', r'sampler\.ddpm\{variance="posterior"\}')
    s.line("drift.models.cs180_u\thid\t8 }", r"net\.unet\{.*hidden=8")
    s.type("drift.sampler.\t\t")
    s.see(r"dpmpp_2m.*euler_ancestral")
    s.type("\x15")                                                # what is typed so far goes
    s.line("x = drift.zeros(2, 2)", r"\n")
    s.line("x:narr\t(0, 0, 1)", r"f32\[1,2\]")

    # help(x): of a component, a spec, a function of drift, a name, a tensor.
    s.line("help(drift.sampler.heun)", r"sampler heun: .*order")
    s.line("help(drift.decay.constant {})", r"decay constant: ")
    s.line("help(drift.train)", r"the training loop that all experiments share")
    s.line("help(drift.randn)", r"drift\.randn \{")
    s.line("help 'euler'", r"sampler euler: ")
    s.line("help(x)", r"drift\.tensor\(")

    # Mistakes are answered and forgotten; the place in the network and the parameter are named.
    s.line("drift.sampler.huen {}", r"did you mean 'heun'")
    s.line("twise(1)", r"did you mean 'twice'")
    s.line("drift.sampler.heun { order = 7 }", r"prompt:1: sampler heun: order = 7 is outside \[1, 2\]")
    s.line("drift.build(drift.block.conv_block { in_channels = 3, out_channels = 4 })(drift.zeros(1, 5, 8, 8))",
           r"conv\S*: conv2d\S*: weight expects 3 input channels, got 5")
    s.line("1 +* 2", r"unexpected symbol")
    s.line("error {}", r"error: table")
    s.line("'still here'", r'"still here"')

    # An image is a picture.
    s.line("drift.rand { 1, 8, 8, purpose = 'picture' }", r"f32\[1,8,8\].*\x1b\[38;[25];.*▀")

    # Ctrl-C drops what is typed, and stops what runs; the session goes on.
    s.type("half a line")
    s.type("\x03")
    s.see(r"drift> ")
    s.line("'after'", r'"after"')
    s.type("while true do end\r")
    time.sleep(0.5)
    s.type("\x03")
    s.see(r"error: interrupted.*drift> ")
    # So it does at any moment of the typing and the completing, and when it is held down.
    for i in range(150):
        os.write(s.fd, (b"x", b"drift.sam\t", b"drift.sampler.heun { \t", b"\x12ali", b"long " * 30)[i % 5])
        time.sleep(0.0013 * (i % 4))
        os.write(s.fd, b"\x03") if i % 2 else os.kill(s.pid, signal.SIGINT)
        while s.read(0.0005):
            pass
    while s.read(0.5):
        pass
    s.text = ""
    s.line("'alive'", r'"alive"')
    s.type("\x04")
    end(s)

    # The next session remembers.
    s = Session(program, "--device", "ref")
    s.see(r"drift> ")
    s.type("\x1b[A")
    s.see(r"'alive'")
    s.type("\r")
    s.see(r'"alive"')
    s.type("\x04")
    end(s)


def end(s):
    limit = time.time() + 10
    while not s.ended():
        s.read(0.1)
        if time.time() > limit:
            os.kill(s.pid, signal.SIGKILL)
            sys.exit("prompt: Ctrl-D does not end it")
    if s.status != 0:
        sys.exit(f"prompt: exit status {s.status}")


main(sys.argv[1])
