#!/usr/bin/env python3
"""Writes unicode_case.lua: what Python's str.lower() knows of Unicode, in ranges.

    python3 lua/drift/unicode_case.py > lua/drift/unicode_case.lua
"""
import unicodedata

POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]


def mapped():
    """[first, last, step, distance] of the code points whose lower case is another one."""
    ranges = []
    for c in POINTS:
        low = chr(c).lower()
        if low == chr(c) or len(low) != 1:                     # U+0130 has two; prompt.lua knows it
            continue
        d = ord(low) - c
        if ranges and ranges[-1][3] == d:
            first, last, step, _ = ranges[-1]
            gap = c - last
            if gap <= 2 and (first == last or gap == step):
                ranges[-1][1:3] = [c, gap]
                continue
        ranges.append([c, c, 1, d])
    return ranges


def runs(test):
    found = []
    for c in POINTS:
        if not test(chr(c)):
            continue
        if found and found[-1][1] == c - 1:
            found[-1][1] = c
        else:
            found.append([c, c])
    return found


def ends_word(before):                                         # the form that a sigma takes behind it
    return (before + "\u03a3").lower().endswith("\u03c2")


def cased(c):
    return ends_word(c)


def ignored(c):
    return not ends_word(c) and ends_word("a" + c)


def show(name, ranges):
    print(f"  {name} = {{")
    line = "   "
    for r in ranges:
        item = " {" + ",".join(map(str, r)) + "},"
        if len(line) + len(item) > 118:
            print(line)
            line = "   "
        line += item
    print(line + "\n  },")


print("-- unicode_case.lua: lower case in Unicode " + unicodedata.unidata_version + ", made by unicode_case.py: do not edit.")
print("--   mapped   { first, last, step, distance }: the code points first, first + step, .. last, and how far it is to theirs")
print("--   cased    { first, last }: letters that have a case;   ignored: what does not end a word, such as an apostrophe")
print("return {")
show("mapped", mapped())
show("cased", runs(cased))
show("ignored", runs(ignored))
print("}")
