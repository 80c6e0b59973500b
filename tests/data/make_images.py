#!/usr/bin/env python3
"""make_images.py DEST: the small pictures for image_folder, images/CLASS/*, those with transparency, images_alpha/*, and
the hostile ones, images_bad/*.

A disc or a square, bright on a dark gradient, drawn here, so they are ours. Together they cover the forms of PNG (grey,
RGB, RGBA, palette, grey with alpha, 16 bits, 1 bit, interlaced) and of JPEG (grey, 4:2:0, 4:4:4, progressive), none of
them square but the first. JPEG is written by libturbojpeg through ctypes.
"""
import ctypes
import os
import struct
import sys
import zlib

GRAY, GRAY_ALPHA, RGB, RGBA, PALETTE = 0, 4, 2, 6, 3                  # PNG colour types


def picture(shape, width, height):
    """-> rows of (r, g, b): the shape fills the middle half of the shorter side."""
    reach = min(width, height) / 4

    def pixel(x, y):
        dx, dy = x + 0.5 - width / 2, y + 0.5 - height / 2
        inside = dx * dx + dy * dy <= reach * reach if shape == "disc" else max(abs(dx), abs(dy)) <= reach
        return (240, 200, 40) if inside else (16, 16 + 48 * x // width, 16 + 96 * y // height)
    return [[pixel(x, y) for x in range(width)] for y in range(height)]


def luma(r, g, b):
    return (299 * r + 587 * g + 114 * b + 500) // 1000


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def ihdr(width, height, depth, colour, interlace=0):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def png_row(row, colour, depth):
    """A row of (r, g, b) -> its bytes in the PNG's form, with the filter byte 0."""
    if colour == GRAY and depth == 1:
        bits = "".join("1" if luma(*p) > 128 else "0" for p in row)
        bits += "0" * (-len(bits) % 8)
        return b"\0" + bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))
    samples = {GRAY: lambda p: (luma(*p),), GRAY_ALPHA: lambda p: (luma(*p), 255), RGB: lambda p: p,
               RGBA: lambda p: (*p, 255), PALETTE: lambda p: (1 if p[0] == 240 else 0,)}[colour]
    flat = [v for p in row for v in samples(p)]
    return b"\0" + (bytes(flat) if depth == 8 else b"".join(struct.pack(">H", v * 257) for v in flat))


def png(rows, colour=RGB, depth=8, interlace=0):
    height, width = len(rows), len(rows[0])
    passes = [rows]
    if interlace:                                                     # Adam7: first x and y, then their strides
        adam7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
        passes = [[row[x::dx] for row in rows[y::dy]] for x, y, dx, dy in adam7]
    body = b"".join(png_row(row, colour, depth) for part in passes for row in part if row)
    palette = chunk(b"PLTE", bytes([16, 32, 64, 240, 200, 40])) if colour == PALETTE else b""
    return (b"\x89PNG\r\n\x1a\n" + ihdr(width, height, depth, colour, interlace) + palette
            + chunk(b"IDAT", zlib.compress(body, 9)) + chunk(b"IEND", b""))


def jpeg(rows, subsampling="420", flags=0, cmyk=False):
    """libturbojpeg's tjCompress2. flags: TJFLAG_PROGRESSIVE = 16384"""
    tj = ctypes.CDLL("libturbojpeg.so.0")
    tj.tjInitCompress.restype = ctypes.c_void_p
    height, width = len(rows), len(rows[0])
    pixels = bytes(v for row in rows for p in row for v in ((*p, 0) if cmyk else p))
    out, size = ctypes.c_void_p(), ctypes.c_ulong()
    handle = ctypes.c_void_p(tj.tjInitCompress())
    status = tj.tjCompress2(handle, pixels, width, 0, height, 11 if cmyk else 0, ctypes.byref(out), ctypes.byref(size),
                            {"444": 0, "422": 1, "420": 2, "gray": 3}[subsampling], 90, flags)
    assert status == 0
    data = ctypes.string_at(out, size.value)
    tj.tjFree(out)
    tj.tjDestroy(handle)
    return data


def good():
    for shape in "disc", "square":
        yield f"images/{shape}/0_rgb.png", png(picture(shape, 32, 32))
        yield f"images/{shape}/1_gray.png", png(picture(shape, 40, 28), GRAY)
        yield f"images/{shape}/2_rgba.png", png(picture(shape, 28, 40), RGBA)
        yield f"images/{shape}/3_420.jpg", jpeg(picture(shape, 48, 36))
        yield f"images/{shape}/4_gray.jpeg", jpeg(picture(shape, 36, 30), "gray")
        yield f"images/{shape}/5_progressive.JPG", jpeg(picture(shape, 33, 47), "444", 16384)
    yield "images/disc/6_palette.png", png(picture("disc", 30, 34), PALETTE)
    yield "images/disc/7_interlaced.PNG", png(picture("disc", 35, 29), RGB, 8, 1)
    yield "images/square/6_16bit.png", png(picture("square", 31, 37), RGB, 16)
    yield "images/square/7_1bit.png", png(picture("square", 37, 31), GRAY, 1)
    yield "images/square/8_gray_alpha.png", png(picture("square", 38, 26), GRAY_ALPHA)
    yield "images/square/notes.txt", b"Not a picture: image_folder passes it by.\n"


def alpha():
    """Opaque, half and wholly transparent columns of (240, 200, 40); what lies under transparency must not show."""
    columns = [255, 255, 128, 128, 0, 0]
    for name, colour, depth in ("rgba", RGBA, 8), ("rgba_16bit", RGBA, 16), ("gray_alpha", GRAY_ALPHA, 8):
        sample = (240,) if colour == GRAY_ALPHA else (240, 200, 40)
        flat = [v for a in columns for v in (*sample, a)]
        row = b"\0" + (bytes(flat) if depth == 8 else b"".join(struct.pack(">H", v * 257) for v in flat))
        yield (f"images_alpha/{name}.png", b"\x89PNG\r\n\x1a\n" + ihdr(6, 4, depth, colour)
               + chunk(b"IDAT", zlib.compress(row * 4, 9)) + chunk(b"IEND", b""))
    index = b"\0" + bytes([0, 0, 1, 1, 2, 2])                         # a palette with transparency of its own
    yield ("images_alpha/palette.png", b"\x89PNG\r\n\x1a\n" + ihdr(6, 4, 8, PALETTE) + chunk(b"PLTE", bytes([240, 200, 40] * 3))
           + chunk(b"tRNS", bytes([255, 128, 0])) + chunk(b"IDAT", zlib.compress(index * 4, 9)) + chunk(b"IEND", b""))


def bad():
    rows = picture("disc", 32, 32)
    whole_png, whole_jpeg = png(rows), jpeg(rows)
    body = chunk(b"IDAT", zlib.compress(bytes(4096), 9)) + chunk(b"IEND", b"")
    magic = b"\x89PNG\r\n\x1a\n"
    yield "images_bad/truncated.png", whole_png[:len(whole_png) // 2]
    yield "images_bad/header_only.png", whole_png[:33]
    yield "images_bad/bad_crc.png", whole_png[:60] + bytes([whole_png[60] ^ 1]) + whole_png[61:]
    yield "images_bad/huge.png", magic + ihdr(0x7FFFFFFF, 0x7FFFFFFF, 16, RGBA) + body
    yield "images_bad/large.png", magic + ihdr(60000, 60000, 8, RGB) + body
    yield "images_bad/wide.png", magic + ihdr(20000, 20000, 8, RGB) + body
    yield "images_bad/zero_width.png", magic + ihdr(0, 32, 8, RGB) + body
    yield "images_bad/no_pixels.png", magic + ihdr(32, 32, 8, RGB) + chunk(b"IEND", b"")
    yield "images_bad/text.png", b"This is text, whatever its name says.\n"
    yield "images_bad/empty.png", b""
    yield "images_bad/cut_short.jpg", whole_jpeg[:len(whole_jpeg) * 2 // 3]
    yield "images_bad/header_only.jpg", whole_jpeg[:20]
    sof = whole_jpeg.index(b"\xff\xc0")                               # start of frame: length, precision, height, width
    yield "images_bad/huge.jpg", whole_jpeg[:sof + 5] + struct.pack(">HH", 65500, 65500) + whole_jpeg[sof + 9:]
    yield "images_bad/cmyk.jpg", jpeg(rows, "444", 0, True)
    yield "images_bad/empty.jpg", b""


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for name, data in [*good(), *alpha(), *bad()]:
        path = os.path.join(sys.argv[1], name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(data)
