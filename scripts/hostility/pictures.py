"""Hostile pictures: every mode and format, and what breaks decoders."""

import functools
import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image, PngImagePlugin

from hostility.cases import Case, Expect, broken

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MODES = (
    *("1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "LA"),
    *("PA", "RGBX", "RGBa", "La", "I;16", "I;16B"),
)
_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")


def cases() -> Iterator[Case]:
    """All of them."""
    every = dict(_every_mode())
    yield from (Case(name, "content", data, "read") for name, data in every.items())
    yield from _animated()
    for index, (name, data) in enumerate(every.items()):
        if name.split()[1] in ("L", "P", "RGB", "RGBA", "I;16", "CMYK", "F"):
            yield from broken(name, "content", data, 4, 4, index)
    yield from _lies()
    yield from _bombs()
    yield from _polyglots()
    yield from _strangers()
    yield from _names()
    for role in ("style", "mask", "init", "from"):
        for name, data in {
            "nothing": b"",
            "half a PNG": every["PNG RGB"][:300],
            "a TIFF that lies": _tiff_tags(256, 2**31 - 1),
            "text": b"no picture\n",
        }.items():
            yield Case(f"{name} as {role}", role, data)


def noise(height: int = 40, width: int = 48) -> Image.Image:
    """A picture that is not flat anywhere."""
    draw = np.random.default_rng(3)
    slope = np.linspace(0, 200, width)[None, :, None]
    pixels = slope + draw.integers(0, 55, (height, width, 3))
    return Image.fromarray(pixels.astype(np.uint8))


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    """The picture as the bytes of a file."""
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def _in_mode(mode: str) -> Image.Image:
    image = noise()
    if mode in ("I;16", "I;16B"):
        wide = np.asarray(image.convert("L")).astype(np.uint16) * 257
        return Image.fromarray(wide.astype(">u2") if mode.endswith("B") else wide)
    if mode == "F":
        return Image.fromarray(np.asarray(image.convert("L"), np.float32) / 255)
    if mode in ("RGBa", "La", "PA"):
        return image.convert({"PA": "P"}.get(mode, mode[:-1] + "A")).convert(mode)
    return image.convert("RGB" if mode == "LAB" else mode)


def _every_mode() -> Iterator[tuple[str, bytes]]:
    """Each format with each mode that Pillow can write in it."""
    for form in _FORMATS:
        for mode in _MODES:
            try:
                yield f"{form} {mode}", saved(_in_mode(mode), form)
            except (OSError, ValueError, KeyError):
                continue
    yield "JPEG RGB progressive", saved(noise(), "JPEG", progressive=True)
    for packing in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits"):
        yield f"TIFF RGB {packing}", saved(noise(), "TIFF", compression=packing)
    fax = saved(noise().convert("1"), "TIFF", compression="group4")
    yield "TIFF 1 group4", fax


def _animated() -> Iterator[Case]:
    frames = [noise(), noise().rotate(90), noise().rotate(180)]
    for form in ("GIF", "PNG", "WEBP", "TIFF"):
        options = {"save_all": True, "append_images": frames[1:]}
        data = saved(frames[0], form, **options)
        yield Case(f"{form} of three frames", "content", data, "read")
        yield from broken(f"{form} of three frames", "content", data, 4, 4)


def chunk(kind: bytes, data: bytes) -> bytes:
    """One part of a PNG file."""
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def checked(data: bytes) -> bytes:
    """A PNG file with the right checksums; other files as they are."""
    if not data.startswith(_SIGNATURE):
        return data
    parts, place = [_SIGNATURE], len(_SIGNATURE)
    while place + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, place)
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + size]
        parts.append(chunk(kind, body))
        place += 12 + size
    return b"".join(parts)


def _png(width: int, height: int, bits: int, kind: int, *between: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    return _SIGNATURE + chunk(b"IHDR", header) + b"".join(between) + chunk(b"IEND", b"")


def packed_zeros(megabytes: int) -> bytes:
    """So many megabytes of zeros, packed by zlib."""
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(1 << 20)) for _ in range(megabytes)]
    return b"".join(parts) + packer.flush()


def _tiff_tags(tag: int, value: int, **more: int) -> bytes:
    """A TIFF file whose header says that."""
    tags = {256: 4, 257: 4, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 4, 279: 16}
    tags |= {tag: value} | {int(name[1:]): each for name, each in more.items()}
    rows = (struct.pack("<HHII", key, 4, 1, tags[key]) for key in sorted(tags))
    body = struct.pack("<H", len(tags)) + b"".join(rows) + bytes(4)
    return b"II*\0" + struct.pack("<I", 24) + bytes(16) + body


def _lies() -> Iterator[Case]:
    """Headers that say something else than what follows."""
    data = {
        f"PNG of {width}x{height}": _png(
            width, height, 8, 2, chunk(b"IDAT", zlib.compress(b"\0"))
        )
        for width, height in ((0, 0), (1, 1), (0, 9), (14000, 14000), (2**31, 2**31))
    }
    data["PNG of 3 bits"] = _png(9, 9, 3, 2)
    data["PNG of kind 9"] = _png(9, 9, 8, 9)
    data["PNG with a chunk of 4 GB"] = _SIGNATURE + b"\xff\xff\xff\xffIHDR"
    data["PNG without an end"] = _png(9, 9, 8, 2)[:40]
    wide = struct.pack(">IIBBBBB", 9, 9, 16, 2, 0, 0, 0)
    data["PNG with two headers"] = _png(9000, 9000, 16, 2, chunk(b"IHDR", wide))
    for tag, value in (
        *((256, 0), (256, 2**32 - 1), (257, 2**31 - 1), (258, 65535), (259, 7)),
        *((262, 9), (273, 2**32 - 1), (277, 65535), (278, 0), (338, 9), (339, 9)),
    ):
        data[f"TIFF with tag {tag} = {value}"] = _tiff_tags(tag, value)
    big = _tiff_tags(256, 2**17, _257=2**9, _322=2**17, _323=2**17, _324=8, _325=16)
    data["TIFF with a tile of 16 GB"] = big
    data["TIFF that goes in circles"] = b"II*\0\x08\0\0\0\0\0\x08\0\0\0"
    data["TIFF 64 with a far table"] = b"II+\0\x08\0\0\0" + b"\xff" * 8
    for tag, value in ((279, 2**32 - 1), (322, 2**20)):
        lying = _tiff_tags(tag, value)
        yield Case(f"TIFF with tag {tag} = {value}", "content", lying, "either")
    for name, form, place, lie in (
        ("BMP, height", "BMP", 22, b"\xff\xff\xff\x7f"),
        ("BMP, upside down", "BMP", 22, b"\0\0\0\x80"),
        ("BMP, header", "BMP", 14, b"\xff\xff\xff\xff"),
        ("BMP, offset", "BMP", 10, b"\xff\xff\xff\xff"),
        ("GIF, size", "GIF", 6, b"\xff\xff\xff\xff"),
        ("WebP, length", "WEBP", 4, b"\xff\xff\xff\xff"),
        ("WebP, part", "WEBP", 16, b"\xff\xff\xff\xff"),
        ("JPEG, part", "JPEG", 4, b"\xff\xff"),
    ):
        whole = saved(noise(), form)
        lying = whole[:place] + lie + whole[place + len(lie) :]
        yield Case(f"{name} lies", "content", lying, "either")
    for name, content in data.items():
        yield Case(name, "content", content)


def _bombs() -> Iterator[Case]:
    """Small files that would be large in memory, or take for ever."""
    row = chunk(b"IDAT", zlib.compress(bytes(99)))
    text = PngImagePlugin.PngInfo()
    text.add_text("nst_jax settings", "#" * (1 << 25), zip=True)
    made = {
        "PNG of 40000x40000": lambda: _png(40000, 40000, 1, 0, row),
        "PNG of 40000x40000, 16 bits": lambda: _png(40000, 40000, 16, 2, row),
        "PNG with a profile of 500 MB": lambda: _png(
            9, 9, 8, 2, chunk(b"iCCP", b"x\0\0" + packed_zeros(500)), row
        ),
        "PNG with text of 500 MB": lambda: _png(
            9, 9, 8, 2, chunk(b"zTXt", b"x\0\0" + packed_zeros(500)), row
        ),
        "GIF of 65535x65535": lambda: b"GIF89a" + b"\xff" * 4 + bytes(3) + b";",
        "WebP of 16383x16383": lambda: _webp_canvas(16383, 16383),
        "TIFF of 100000x100000": lambda: _tiff_tags(256, 100_000, _257=100_000),
        "JPEG of 65500x65500": lambda: _jpeg_of(65500, 65500),
    }
    for name, make in made.items():
        yield Case(name, "content", make)
    yield Case(
        "PNG with settings of 32 MB", "from", saved(noise(), "PNG", pnginfo=text)
    )
    # Two headers: one for each of the two libraries that look at it.
    small = chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 16, 2, 0, 0, 0))
    two = functools.partial(_png, 20000, 9000, 16, 2, small)
    yield Case(
        "PNG small and large", "content", lambda: two(chunk(b"IDAT", packed_zeros(999)))
    )
    waves = saved(noise(640, 640), "JPEG", progressive=True)
    start = waves.rindex(b"\xff\xda")
    scan = waves[start : start + 60]
    many = waves[:-2] + scan * 20000 + waves[-2:]
    yield Case("JPEG of 20000 scans", "content", many)


def _webp_canvas(width: int, height: int) -> bytes:
    inner = saved(noise(16, 16), "WEBP")[12:]

    def three(number: int) -> bytes:
        return struct.pack("<I", number)[:3]

    def part(kind: bytes, data: bytes) -> bytes:
        return kind + struct.pack("<I", len(data)) + data

    frame = bytes(6) + three(15) + three(15) + bytes(4) + inner
    parts = part(b"VP8X", b"\x02\0\0\0" + three(width - 1) + three(height - 1))
    parts += part(b"ANIM", bytes(6)) + part(b"ANMF", frame)
    return b"RIFF" + struct.pack("<I", len(parts) + 4) + b"WEBP" + parts


def _jpeg_of(width: int, height: int) -> bytes:
    data = saved(noise(), "JPEG")
    place = data.index(b"\xff\xc0") + 5
    return data[:place] + struct.pack(">HH", height, width) + data[place + 4 :]


def _polyglots() -> Iterator[Case]:
    """Files that are two things at once."""
    page = b"<html><script>alert(1)</script></html>"
    script = b"\nimport os; os.system('touch ran')\n"
    empty_zip = b"PK\x05\x06" + bytes(18)
    for form in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"):
        whole = saved(noise(), form)
        yield Case(f"{form} and zip", "content", whole + empty_zip, "read")
        yield Case(f"{form} and page", "content", whole + page, "read")
        yield Case(f"{form} and program", "content", whole + script, "read")
        yield Case(f"{form} as weights", "weights", whole)
        yield Case(f"{form} as flagfile", "flagfile", whole)
        yield Case(f"program and {form}", "content", b"#!/bin/sh\n" + whole)
        yield Case(f"PDF and {form}", "content", b"%PDF-1.4\n" + whole)


def _strangers() -> Iterator[Case]:
    """Files that are no pictures of a known format."""
    for form in ("ICO", "PPM", "TGA", "PDF", "EPS", "PCX", "SGI", "IM", "JPEG2000"):
        yield Case(f"a {form}", "content", functools.partial(saved, noise(), form))
    for name, data in {
        "nothing": b"",
        "one byte": b"\0",
        "zeros": bytes(5000),
        "text": b"hello\n" * 99,
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="/etc/passwd"/>',
        "SVG of entities": b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><svg/>',
        "MVG": b"push graphic-context\nimage over 0,0 0,0 'https://x/'\n",
        "ELF": b"\x7fELF" + bytes(400),
        "PostScript": b"%!PS\n(ran) (w) file closefile\n",
        "PSD": b"8BPS\0\x01" + bytes(200),
        "HEIC": b"\0\0\0\x18ftypheic" + bytes(200),
        "RIFF that is a WAV": b"RIFF\x24\0\0\0WAVEfmt " + bytes(40),
    }.items():
        yield Case(name, "content", data)


def _names() -> Iterator[Case]:
    data = saved(noise(), "PNG")
    for file in (
        *("with space.png", " leading.png", "trailing ", "-rf", "--size=9", "-"),
        *("two\nlines.png", "tab\t.png", "\x1b[31mred.png", "\r.png", "\u202egnp.exe"),
        *("é☃.png", "\U0001f600.png", "a" * 255, "'quote'.png", "a,b.png", "a=b.png"),
        *('"double".png', "$(touch ran).png", "`touch ran`", "%s%n.png", "{0}.png"),
        *("#.png", "~", "~root", "con.png", "noise", "*.png", "\udcff\udcfe.png"),
    ):
        shown = file.encode("unicode_escape").decode()[:40]
        # No line of a flagfile could name it, so the program will not have it either.
        is_text = file.isprintable() or not file.isascii()
        is_text = is_text and not file.startswith("~")  # somebody's folder
        expect: Expect = "read" if is_text else "refused"
        yield Case(f"named {shown}", "content", data, expect, file)
        if "\n" not in file:
            cut = data[:60]
            yield Case(f"half, named {shown}", "content", cut, "refused", file)
