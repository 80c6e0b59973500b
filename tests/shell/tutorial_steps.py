"""tutorial_steps.py DOCUMENT PROGRAM: does what a document says, in its order, in the current folder.

```lua      a block whose first line is "-- NAME.lua: ..." becomes that file
```console  "$ COMMAND" is run in a shell in which `drift` is the program; "drift> LINE" is typed at the prompt (the
            lines of one block are one session). What follows must be what they print: "..." stands for anything, and a
            line of it alone for any number of lines."""
import os
import pty
import re
import subprocess
import sys
import termios


def blocks(text):
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.S | re.M)


def pattern(expected):
    """The expected lines as one pattern."""
    parts = []
    for line in expected:
        if line == "...":
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            parts.append(".*".join(re.escape(piece) for piece in line.split("...")) + r"\n")
    return re.compile("".join(parts))


def must_match(what, expected, printed):
    if printed and not printed.endswith("\n"):
        printed += "\n"
    if not pattern(expected).fullmatch(printed):
        sys.exit(f"tutorial: {what}\n-- expected\n" + "\n".join(expected) + f"\n-- printed\n{printed}")


def parts(lines, mark):
    """(what is typed, the lines that follow it)"""
    found = []
    for line in lines:
        if line.startswith(mark):
            found.append((line[len(mark):], []))
        else:
            found[-1][1].append(line)
    return found


def run_shell(lines, program):
    os.makedirs("bin", exist_ok=True)
    if not os.path.exists("bin/drift"):
        with open("bin/drift", "w") as file:
            file.write(f'#!/bin/sh\nexec "{program}" "$@"\n')
        os.chmod("bin/drift", 0o755)
    environment = dict(os.environ, PATH=os.path.abspath("bin") + ":" + os.environ["PATH"])
    for command, expected in parts(lines, "$ "):
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=environment, timeout=240)
        fails = any(line.startswith("drift: ") for line in expected)
        if (done.returncode != 0) != fails:
            sys.exit(f"tutorial: {command}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        # What is asked for may be on either stream; "..." alone takes whatever came.
        must_match(command, expected, done.stderr if fails else done.stdout or done.stderr)


def run_prompt(lines, program):
    """One session: input is a terminal, so that a mistake does not end it; output is not, so that it is text alone."""
    typed = parts(lines, "drift> ")
    keys, terminal = pty.openpty()
    mode = termios.tcgetattr(terminal)
    mode[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, mode)
    session = subprocess.Popen([program, "--device", "ref"], stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True)
    os.write(keys, "".join(line + "\n" for line, _ in typed).encode() + b"\x04")
    printed, _ = session.communicate(timeout=120)
    answers = printed.split("drift> ")[1:]
    if session.returncode != 0 or len(answers) != len(typed) + 1:
        sys.exit(f"tutorial: the session ended with {session.returncode}:\n{printed}")
    for (line, expected), answer in zip(typed, answers):
        must_match("drift> " + line, expected, answer)


def main(document, program):
    with open(document) as file:
        found = blocks(file.read())
    if len(found) < 10:
        sys.exit("tutorial: where are its snippets?")
    for language, body in found:
        lines = body.rstrip("\n").split("\n")
        if language == "lua":
            name = re.match(r"-- ([\w/]+\.lua)\b", lines[0])
            if not name:
                sys.exit(f"tutorial: a block of Lua without a file's name: {lines[0]}")
            with open(name.group(1), "w") as file:
                file.write(body)
        elif language == "console":
            (run_prompt if lines[0].startswith("drift> ") else run_shell)(lines, program)
        else:
            sys.exit(f"tutorial: a block of '{language}' that no test knows")


main(sys.argv[1], sys.argv[2])
