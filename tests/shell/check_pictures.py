"""check_pictures.py FILE...: each PNG, GIF and SVG file is whole, by its own format's rules, and not all of one colour.
Says what is wrong and exits with 1."""
import struct
import sys
import xml.etree.ElementTree
import zlib


def check_png(data):
    assert data[:8] == b"\x89PNG\r\n\x1a\n", "no PNG signature"
    at, chunks, pixels = 8, [], b""
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8:at + 8 + size]
        crc, = struct.unpack_from(">I", data, at + 8 + size)
        assert crc == zlib.crc32(kind + body), f"checksum of chunk {kind}"
        if kind == b"IDAT":
            pixels += body
        chunks.append(kind)
        at += 12 + size
    assert chunks[0] == b"IHDR" and chunks[-1] == b"IEND", "chunks"
    width, height, bits, color = struct.unpack_from(">IIBB", data, 16)
    channels = {0: 1, 2: 3}[color]
    rows = zlib.decompress(pixels)
    assert bits == 8 and len(rows) == height * (1 + width * channels), "size of the pixels"
    assert width >= 28 and height >= 28, f"only {width} x {height}"
    assert len(set(rows)) > 8, "the picture is empty"


def sub_blocks(data, at):
    out = b""
    while data[at]:
        out += data[at + 1:at + 1 + data[at]]
        at += 1 + data[at]
    return out, at + 1


def check_gif(data):
    assert data[:6] == b"GIF89a", "no GIF signature"
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + (3 * (2 << (flags & 7)) if flags & 0x80 else 0)
    frames, delays, loops = [], 0, False
    while data[at] != 0x3B:
        if data[at] == 0x21:
            loops = loops or data[at + 3:at + 14] == b"NETSCAPE2.0"
            delays += data[at + 1] == 0xF9
            _, at = sub_blocks(data, at + 2)
            continue
        assert data[at] == 0x2C, "a block of unknown kind"
        x, y, w, h, flags = struct.unpack_from("<HHHHB", data, at + 1)
        assert (x, y, w, h) == (0, 0, width, height), "a frame of another size"
        image, at = sub_blocks(data, at + 11 + (3 * (2 << (flags & 7)) if flags & 0x80 else 0))
        assert len(image) > 200, "an empty frame"
        frames.append(image)
    assert at == len(data) - 1, "bytes after the end"
    assert frames and delays == len(frames) and loops, "frames, delays or loop are missing"
    return len(frames)


def check_svg(data):
    root = xml.etree.ElementTree.fromstring(data)
    assert root.tag.endswith("svg"), "no svg element"
    texts = [e.text for e in root.iter() if e.tag.endswith("text")]
    curve_of_losses = "step" in texts and "loss" in texts
    curve_of_errors = any("sigma / alpha" in t for t in texts) and any("error" in t for t in texts)
    assert curve_of_losses or curve_of_errors, "axes without names"
    lines = [e for e in root.iter() if e.tag.endswith("polyline")]
    assert len(lines) >= 2, "no curves"


def main():
    wrong = 0
    for path in sys.argv[1:]:
        try:
            data = open(path, "rb").read()
            {"png": check_png, "gif": check_gif, "svg": check_svg}[path.rsplit(".", 1)[1]](data)
        except Exception as error:
            wrong += 1
            print(f"{path}: {type(error).__name__}: {error}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


main()
