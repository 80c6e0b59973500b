"""layout.py FROZEN NOW: whether the headers NOW still have what the headers FROZEN have: each member of each struct at the
same offset and of the same size, each enumerator with the same value, api.def's lines as the first ones and unchanged.
Members and enumerators are read out of FROZEN; a C program that prints offsets, sizes and values is compiled with each."""
import os
import re
import subprocess
import sys
import tempfile

HEADERS = ["abi.h", "kinds.h", "attributes.h", "plugin.h", "kernel.h"]


def text_of(folder, name):
    with open(os.path.join(folder, "drift", name), encoding="utf-8") as f:
        text = f.read()
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = text.replace("\\\n", " ")
    return "\n".join(line for line in text.split("\n") if not line.lstrip().startswith("#"))


def members(body):
    for declaration in body.split(";"):
        if not declaration.strip() or "DR_API" in declaration:
            continue
        function = re.search(r"\(\s*\*\s*(\w+)\s*\)", declaration)
        if function:
            yield function.group(1)
            continue
        for part in declaration.split(","):
            name = re.search(r"(\w+)\s*(\[[^\]]*\]\s*)*$", part.strip())
            if name:
                yield name.group(1)


def facts(folder):
    lines = []
    for header in HEADERS:
        text = text_of(folder, header)
        for body, name in re.findall(r"typedef\s+struct\s+\w+\s*\{([^{}]*)\}\s*(\w+)\s*;", text):
            if name == "dr_host":
                continue                                  # api.def's lines say it
            for m in members(body):
                lines.append('printf("%%s %%zu %%zu\\n", "%s.%s", offsetof(%s, %s), sizeof(((%s *)0)->%s));' % (name, m, name, m, name, m))
        for body in re.findall(r"enum\s*\w*\s*\{([^{}]*)\}", text):
            for one in body.split(","):
                name = one.split("=")[0].strip()
                if name and name not in ("DR_DTYPE_COUNT",):
                    lines.append('printf("%%s %%lld\\n", "%s", (long long)%s);' % (name, name))
    # What is handed over by value, in arrays, or made by a plugin for the host to fill never grows.
    for name in ["dr_view", "dr_rng", "dr_coef", "dr_init", "dr_arg", "dr_args", "dr_ints", "dr_reals", "dr_instances"]:
        lines.append('printf("%%s %%zu\\n", "sizeof %s", sizeof(%s));' % (name, name))
    for body, name in re.findall(r"typedef\s+struct\s+\w+\s*\{([^{}]*)\}\s*(\w+_attr)\s*;", text_of(folder, "attributes.h")):
        lines.append('printf("%%s %%zu\\n", "sizeof %s", sizeof(%s));' % (name, name))
    return lines


def printed(program, include, scratch):
    source, binary = os.path.join(scratch, "layout.c"), os.path.join(scratch, "layout")
    with open(source, "w", encoding="utf-8") as f:
        f.write("#include <stdio.h>\n#include <stddef.h>\n#include <drift/kernel.h>\nconst dr_host *dr_host_table;\n")
        f.write("int main(void)\n{\n%s\nreturn 0;\n}\n" % "\n".join(program))
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-w", "-I", include, "-o", binary, source], check=True)
    return subprocess.run([binary], check=True, capture_output=True, text=True).stdout.splitlines()


def api_lines(folder):
    with open(os.path.join(folder, "drift", "api.def"), encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", " ", f.read(), flags=re.S)
    return [re.sub(r"\s+", " ", line).strip() for line in re.findall(r"^DR_API(?:_VOID)?\(.*(?:\n +.*)*", text, flags=re.M)]


def main():
    frozen, now = sys.argv[1:]
    wrong = []
    before, after = api_lines(frozen), api_lines(now)
    for i, line in enumerate(before):
        if i >= len(after) or after[i] != line:
            wrong.append("api.def, function %d: was %s, is %s" % (i + 1, line, after[i] if i < len(after) else "gone"))
    program = facts(frozen)
    with tempfile.TemporaryDirectory() as scratch:
        was, now_is = printed(program, frozen, scratch), printed(program, now, scratch)
    wrong += ["was %s, is %s" % (a, b) for a, b in zip(was, now_is) if a != b]
    if len(before) < 50 or len(was) < 300:
        wrong.append("only %d functions and %d facts were found: layout.py does not read the headers" % (len(before), len(was)))
    for line in wrong:
        print(line)
    print("%d functions, %d facts compared, %d differ" % (len(before), len(was), len(wrong)))
    sys.exit(1 if wrong else 0)


main()
