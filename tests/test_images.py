"""Files in and out, against pictures and files that are made here by hand."""

import hashlib
import inspect
import io
import os
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from nst_jax import images
from nst_jax.errors import RequestError
from nst_jax.images import profiles
from nst_jax.images.encode import SETTINGS_LIMIT

LIMIT = 10**6
posix = pytest.mark.skipif(os.name != "posix", reason="files that only POSIX has")


def noise(*shape, top=256, dtype=np.uint8):
    return np.random.default_rng(7).integers(0, top, shape).astype(dtype)


RGB = noise(24, 31, 3)
WIDE = noise(24, 31, 4, top=65536, dtype=np.uint16)


def saved(image, form, **options):
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def read(data, tmp_path, name="picture", max_pixels=LIMIT):
    (tmp_path / name).write_bytes(data)
    return images.read(tmp_path / name, max_pixels=max_pixels)


def chunk(kind, data):
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def wide_png(samples, extra=b""):
    """A 16-bit PNG by the specification: every row unfiltered."""
    height, width, count = samples.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[count]
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def wide_tiff(samples, order="<", planar=False, **changes):
    """A 16-bit TIFF by the specification: one strip, nothing packed."""
    height, width, count = samples.shape
    planes = np.moveaxis(samples, -1, 0) if planar else samples
    data = planes.astype(order + "u2").tobytes()
    parts = count if planar else 1
    tags = {
        256: [width],
        257: [height],
        258: [16] * count,
        259: [1],
        262: [1 if count < 3 else 2],
        273: [8 + i * len(data) // parts for i in range(parts)],
        277: [count],
        278: [height],
        279: [len(data) // parts] * parts,
        284: [2 if planar else 1],
    } | {int(tag[1:]): value for tag, value in changes.items()}
    start = 8 + len(data)
    after = start + 2 + 12 * len(tags) + 4
    rows, rest = b"", b""
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}I", *values)
        if len(values) > 1:
            packed, rest = struct.pack(f"{order}I", after + len(rest)), rest + packed
        rows += struct.pack(f"{order}HHI", tag, 4, len(values)) + packed
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", start)
    count_of_tags = struct.pack(f"{order}H", len(tags))
    return head + data + count_of_tags + rows + bytes(4) + rest


def assert_shows(picture, samples, top=255, alpha=None, atol=1e-7):
    expected = np.asarray(samples, np.float64) / top
    if expected.ndim == 2:
        expected = np.repeat(expected[..., None], 3, -1)
    assert picture.pixels.dtype == np.float32
    np.testing.assert_allclose(picture.pixels, expected, atol=atol)
    if alpha is None:
        assert picture.alpha is None
    else:
        np.testing.assert_allclose(picture.alpha, np.asarray(alpha) / top, atol=1e-7)


# Reading: every mode


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP"])
def test_rgb_is_read_exactly(form, tmp_path):
    assert_shows(read(saved(Image.fromarray(RGB), form), tmp_path), RGB)


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_lossy_formats_are_read(form, tmp_path):
    across, down = np.meshgrid(np.arange(0, 240, 3), np.arange(0, 180, 3))
    slopes = np.dstack((across, down, 255 - across)).astype(np.uint8)
    picture = read(saved(Image.fromarray(slopes), form, quality=95), tmp_path)
    assert_shows(picture, slopes, atol=9 / 255)


def test_webp_without_loss_keeps_opacity(tmp_path):
    rgba = noise(24, 31, 4)
    data = saved(Image.fromarray(rgba), "WEBP", lossless=True, exact=True)
    assert_shows(read(data, tmp_path), rgba[..., :3], alpha=rgba[..., 3])


def test_the_content_decides_not_the_suffix(tmp_path):
    data = saved(Image.fromarray(RGB), "PNG")
    assert_shows(read(data, tmp_path, "picture.jpg"), RGB)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP"])
def test_grey_and_one_bit(form, tmp_path):
    grey = RGB[..., 0]
    assert_shows(read(saved(Image.fromarray(grey), form), tmp_path), grey)
    bits = grey > 127
    one_bit = Image.fromarray(bits)
    assert one_bit.mode == "1"
    assert_shows(read(saved(one_bit, form), tmp_path), bits, top=1)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_grey_with_opacity(form, tmp_path):
    both = noise(24, 31, 2)
    data = saved(Image.fromarray(both), form)
    assert_shows(read(data, tmp_path), both[..., 0], alpha=both[..., 1])


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_colour_with_opacity_keeps_what_is_hidden(form, tmp_path):
    rgba = noise(24, 31, 4)
    rgba[:5, :, 3] = 0
    picture = read(saved(Image.fromarray(rgba), form), tmp_path)
    assert_shows(picture, rgba[..., :3], alpha=rgba[..., 3])


def test_opacity_that_hides_nothing_is_none(tmp_path):
    rgba = np.dstack((RGB, np.full(RGB.shape[:2], 255, np.uint8)))
    assert_shows(read(saved(Image.fromarray(rgba), "PNG"), tmp_path), RGB)


@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP", "TIFF"])
def test_palette(form, tmp_path):
    palette = Image.fromarray(RGB).quantize(32)
    shown = np.asarray(palette.convert("RGB"))
    assert_shows(read(saved(palette, form), tmp_path), shown)


def test_palette_with_transparent_colours(tmp_path):
    palette = Image.fromarray(RGB).quantize(4)
    shown, indices = np.asarray(palette.convert("RGB")), np.asarray(palette)
    for transparency, opacities in (
        (bytes([0, 50, 255, 200]), np.array([0, 50, 255, 200])),
        (2, np.array([255, 255, 0, 255])),
    ):
        data = saved(palette, "PNG", transparency=transparency)
        assert_shows(read(data, tmp_path), shown, alpha=opacities[indices])
    # GIF may sort the palette anew: compare what is opaque.
    picture = read(saved(palette, "GIF", transparency=2), tmp_path)
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha == 0, indices == 2)
    np.testing.assert_allclose(
        picture.pixels[indices != 2], shown[indices != 2] / 255, atol=1e-7
    )


def test_palette_with_opacity(tmp_path):
    palette = Image.fromarray(RGB).quantize(4)
    palette.putalpha(Image.fromarray(RGB[..., 1]))
    assert palette.mode == "PA"
    shown = np.asarray(palette.convert("RGB"))
    assert_shows(read(saved(palette, "TIFF"), tmp_path), shown, alpha=RGB[..., 1])


def test_a_transparent_colour(tmp_path):
    colour = tuple(int(value) for value in RGB[3, 4])
    data = saved(Image.fromarray(RGB), "PNG", transparency=colour)
    alpha = np.where((RGB[3, 4] == RGB).all(-1), 0, 255)
    assert_shows(read(data, tmp_path), RGB, alpha=alpha)
    grey = RGB[..., 0]
    data = saved(Image.fromarray(grey), "PNG", transparency=int(grey[3, 4]))
    alpha = np.where(grey == grey[3, 4], 0, 255)
    assert_shows(read(data, tmp_path), grey, alpha=alpha)


def test_cmyk_without_profile(tmp_path):
    cmyk = noise(24, 31, 4)
    ink = cmyk / 255.0
    shown = (1 - ink[..., :3]) * (1 - ink[..., 3:])
    picture = read(
        saved(Image.frombytes("CMYK", (31, 24), cmyk.tobytes()), "TIFF"), tmp_path
    )
    assert_shows(picture, shown, top=1, atol=1.5 / 255)
    flat = Image.new("CMYK", (32, 24), (200, 10, 90, 40))
    picture = read(saved(flat, "JPEG", quality=100), tmp_path)
    expected = (1 - np.array([200, 10, 90]) / 255) * (1 - 40 / 255)
    assert np.abs(picture.pixels - expected).max() < 2 / 255


def test_ycbcr(tmp_path):
    flat = Image.new("RGB", (32, 24), (200, 100, 30))
    data = saved(flat.convert("YCbCr"), "TIFF", compression="jpeg", quality=100)
    assert_shows(read(data, tmp_path), np.asarray(flat), atol=4 / 255)


def test_lab(tmp_path):
    smooth = Image.new("RGB", (20, 16), (180, 90, 40))
    picture = read(saved(smooth.convert("LAB"), "TIFF"), tmp_path)
    assert_shows(picture, np.asarray(smooth), atol=3.5 / 255)


@pytest.mark.parametrize("kind", ["u4", "i4", "i2"])
def test_wide_integers(kind, tmp_path):
    top = np.iinfo(kind).max
    values = (WIDE[..., 0] / 65535 * top).astype(kind)
    assert_shows(read(imagecodecs.tiff_encode(values), tmp_path), values, top=top)


def test_floats(tmp_path):
    values = np.random.default_rng(2).random((24, 31), np.float32)
    values[0, :2] = 0, 1
    assert_shows(read(saved(Image.fromarray(values), "TIFF"), tmp_path), values, top=1)


@pytest.mark.parametrize("value", [np.nan, np.inf, 200.0])
def test_floats_that_are_no_picture_are_refused(value, tmp_path):
    values = np.full((20, 20), value, np.float32)
    with pytest.raises(RequestError, match="floats must be from 0 to 1"):
        read(saved(Image.fromarray(values), "TIFF"), tmp_path)


# Reading: 16 bits


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_png_of_16_bits_is_exact(count, tmp_path):
    samples = WIDE[..., :count].copy()
    samples[0, 0], samples[0, 1] = 65535, 0
    colour = samples[..., : 3 if count > 2 else 1]
    alpha = samples[..., -1] if count in (2, 4) else None
    picture = read(wide_png(samples), tmp_path)
    assert_shows(picture, np.broadcast_to(colour, (24, 31, 3)), 65535, alpha)
    assert picture.pixels[0, 0].tolist() == [1, 1, 1]


def test_png_of_16_bits_with_a_transparent_colour(tmp_path):
    colour = WIDE[3, 4, :3]
    extra = chunk(b"tRNS", colour.astype(">u2").tobytes())
    alpha = np.where((WIDE[..., :3] == colour).all(-1), 0, 65535)
    picture = read(wide_png(WIDE[..., :3], extra), tmp_path)
    assert_shows(picture, WIDE[..., :3], 65535, alpha)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("planar", "count"), [(False, 1), (False, 3), (False, 4), (True, 3), (True, 4)]
)
def test_tiff_of_16_bits_is_exact(order, planar, count, tmp_path):
    extra = {"t338": [2]} if count == 4 else {}
    data = wide_tiff(WIDE[..., :count], order, planar, **extra)
    alpha = WIDE[..., 3] if count == 4 else None
    shown = np.broadcast_to(WIDE[..., : min(count, 3)], (24, 31, 3))
    assert_shows(read(data, tmp_path), shown, 65535, alpha)


@pytest.mark.parametrize("packing", ["lzw", "deflate", "zstd"])
@pytest.mark.parametrize("predictor", [None, 2])
def test_packed_tiff_of_16_bits_is_exact(packing, predictor, tmp_path):
    samples = np.ascontiguousarray(WIDE[..., :3])
    data = imagecodecs.tiff_encode(
        samples, compression=packing, predictor=predictor, tile=(16, 16)
    )
    assert_shows(read(data, tmp_path), samples, 65535)


def test_tiff_of_16_bits_where_white_is_0(tmp_path):
    data = wide_tiff(WIDE[..., :1], t262=[0])
    assert_shows(read(data, tmp_path), 65535 - WIDE[..., 0], 65535)


def test_tiff_of_16_bits_with_an_unused_channel(tmp_path):
    data = wide_tiff(WIDE, t338=[0])
    assert_shows(read(data, tmp_path), WIDE[..., :3], 65535)


def test_tiff_of_16_bits_multiplied_by_its_opacity(tmp_path):
    alpha = WIDE[..., 3:].astype(np.uint64)
    multiplied = (WIDE[..., :3] * alpha + 32767) // 65535
    data = wide_tiff(np.dstack((multiplied, alpha)), t338=[1])
    picture = read(data, tmp_path)
    solid = WIDE[..., 3] > 6553
    difference = np.abs(picture.pixels - WIDE[..., :3] / 65535)[solid]
    assert difference.max() < 6 / 65535
    np.testing.assert_allclose(picture.alpha, WIDE[..., 3] / 65535, atol=1e-7)


# Reading: orientation, profiles, frames

# EXIF 2.32, tag 274: where the first row and the first column are seen.
SIDES = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


def stored(upright, orientation):
    """How a camera stores what is seen `upright`."""
    row_side, column_side = SIDES[orientation]
    height, width = upright.shape[:2]
    forward = {"top": range(height), "left": range(width)}
    forward["bottom"] = range(height)[::-1]
    forward["right"] = range(width)[::-1]
    rows, columns = forward[row_side], forward[column_side]
    if row_side in ("top", "bottom"):
        return np.array([[upright[y, x] for x in columns] for y in rows])
    return np.array([[upright[y, x] for y in columns] for x in rows])


def exif(orientation):
    data = Image.Exif()
    data[274] = orientation
    return data.tobytes()


@pytest.mark.parametrize("orientation", SIDES)
def test_exif_orientation(orientation, tmp_path):
    rgba = noise(20, 29, 4)
    image, tag = Image.fromarray(stored(rgba, orientation)), exif(orientation)
    for form, options in {"PNG": {}, "WEBP": {"lossless": True, "exact": True}}.items():
        picture = read(saved(image, form, exif=tag, **options), tmp_path)
        assert_shows(picture, rgba[..., :3], alpha=rgba[..., 3])
    picture = read(saved(image, "TIFF", tiffinfo={274: orientation}), tmp_path)
    assert_shows(picture, rgba[..., :3], alpha=rgba[..., 3])
    blocks = np.kron(noise(3, 4, 3), np.ones((8, 8, 1), np.uint8))
    image = Image.fromarray(stored(blocks, orientation))
    data = saved(image, "JPEG", exif=tag, quality=100, subsampling=0)
    assert_shows(read(data, tmp_path), blocks, atol=4 / 255)


@pytest.mark.parametrize("orientation", SIDES)
def test_exif_orientation_of_16_bits(orientation, tmp_path):
    turned = stored(WIDE, orientation)
    data = wide_tiff(turned, t274=[orientation], t338=[2])
    assert_shows(read(data, tmp_path), WIDE[..., :3], 65535, WIDE[..., 3])
    tag = chunk(b"eXIf", exif(orientation).removeprefix(b"Exif\0\0"))
    assert_shows(
        read(wide_png(turned, tag), tmp_path), WIDE[..., :3], 65535, WIDE[..., 3]
    )


@pytest.mark.parametrize("tag", [b"Exif\0\0II", b"Exif\0\0" + b"\xff" * 40, exif(77)])
def test_broken_exif_is_ignored(tag, tmp_path):
    assert_shows(read(saved(Image.fromarray(RGB), "PNG", exif=tag), tmp_path), RGB)


# A profile whose red is sRGB's blue and the other way round.
SWAPPED = (
    profiles.srgb()
    .replace(b"rXYZ", b"....", 1)
    .replace(b"bXYZ", b"rXYZ", 1)
    .replace(b"....", b"bXYZ", 1)
)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
def test_profiles_are_converted_to_srgb(form, tmp_path):
    rgba = noise(24, 31, 4)
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    data = saved(Image.fromarray(rgba), form, icc_profile=SWAPPED, **options)
    picture = read(data, tmp_path)
    assert_shows(picture, rgba[..., 2::-1], alpha=rgba[..., 3], atol=2.5 / 255)
    data = saved(Image.fromarray(rgba), form, icc_profile=profiles.srgb(), **options)
    assert_shows(read(data, tmp_path), rgba[..., :3], alpha=rgba[..., 3])


def test_profile_of_a_jpeg(tmp_path):
    flat = Image.new("RGB", (32, 24), (200, 100, 30))
    data = saved(flat, "JPEG", quality=100, icc_profile=SWAPPED)
    picture = read(data, tmp_path)
    assert np.abs(picture.pixels - np.array([30, 100, 200]) / 255).max() < 4 / 255


def test_profile_of_a_palette(tmp_path):
    palette = Image.fromarray(RGB).quantize(16)
    shown = np.asarray(palette.convert("RGB"))
    data = saved(palette, "PNG", icc_profile=SWAPPED)
    assert_shows(read(data, tmp_path), shown[..., ::-1], atol=2.5 / 255)


def test_profiles_of_16_bits(tmp_path):
    name = b"profile\0\0"
    extra = chunk(b"iCCP", name + zlib.compress(SWAPPED))
    picture = read(wide_png(WIDE, extra), tmp_path)
    assert_shows(picture, WIDE[..., 2::-1], 65535, WIDE[..., 3], atol=2 / 65535)
    data = imagecodecs.tiff_encode(
        np.ascontiguousarray(WIDE[..., :3]), iccprofile=SWAPPED
    )
    assert_shows(read(data, tmp_path), WIDE[..., 2::-1], 65535, atol=2 / 65535)


def srgb_curve(light):
    return np.where(
        light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055
    )


def test_grey_profiles(tmp_path):
    gamma = imagecodecs.cms_profile("gray", gamma=1.4)
    grey = RGB[..., 0]
    picture = read(saved(Image.fromarray(grey), "PNG", icc_profile=gamma), tmp_path)
    assert_shows(picture, srgb_curve((grey / 255) ** 1.4), top=1, atol=2.5 / 255)
    both = noise(24, 31, 2)
    picture = read(saved(Image.fromarray(both), "PNG", icc_profile=gamma), tmp_path)
    expected = srgb_curve((both[..., 0] / 255) ** 1.4)
    np.testing.assert_allclose(picture.pixels[..., 1], expected, atol=2.5 / 255)
    extra = chunk(b"iCCP", b"profile\0\0" + zlib.compress(gamma))
    picture = read(wide_png(WIDE[..., :1], extra), tmp_path)
    expected = srgb_curve((WIDE[..., 0] / 65535) ** 1.4)
    assert_shows(picture, expected, top=1, atol=3e-5)


def test_an_rgb_profile_on_a_grey_picture(tmp_path):
    primaries = (0.64, 0.33, 1, 0.3, 0.6, 1, 0.15, 0.06, 1)  # sRGB's
    gamma = imagecodecs.cms_profile(
        "rgb", whitepoint=(0.3127, 0.329, 1), primaries=primaries, gamma=1.4
    )
    grey = RGB[..., 0]
    picture = read(saved(Image.fromarray(grey), "PNG", icc_profile=gamma), tmp_path)
    assert_shows(picture, srgb_curve((grey / 255) ** 1.4), top=1, atol=2.5 / 255)
    extra = chunk(b"iCCP", b"profile\0\0" + zlib.compress(gamma))
    picture = read(wide_png(WIDE[..., :1], extra), tmp_path)
    expected = srgb_curve((WIDE[..., 0] / 65535) ** 1.4)
    assert_shows(picture, expected, top=1, atol=1e-4)


def cmyk_profile():
    """A printer whose four inks are all the same grey: L* falls with their mean."""
    corners = np.array(np.meshgrid(*[[0, 1]] * 4, indexing="ij")).reshape(4, 16)
    light = np.rint(255 * (1 - corners.mean(axis=0))).astype(np.uint8)
    table = np.stack([light, *[np.full(16, 128, np.uint8)] * 2], axis=1).tobytes()
    identity = bytes(range(256))
    matrix = struct.pack(">9i", *[65536 if i % 4 == 0 else 0 for i in range(9)])
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix
    lut += identity * 4 + table + identity * 3
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    parts, directory, offset = [white, lut], b"", 128 + 4 + 12 * 2
    for name, part in zip((b"wtpt", b"A2B0"), parts, strict=True):
        directory += name + struct.pack(">II", offset, len(part))
        offset += len(part)
    header = (
        struct.pack(
            ">I4sI4s4s4s", offset, b"none", 0x02400000, *(b"prtr", b"CMYK", b"Lab ")
        )
        + bytes(12)
        + b"acsp"
    )
    header = header.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    body = struct.pack(">I", 2) + directory + b"".join(parts)
    return header.ljust(128, b"\0") + body


def test_cmyk_profiles(tmp_path):
    profile = cmyk_profile()
    for form in ("TIFF", "JPEG"):
        cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
        options = {"quality": 100} if form == "JPEG" else {}
        picture = read(saved(cyan, form, icc_profile=profile, **options), tmp_path)
        assert np.ptp(picture.pixels, axis=-1).max() < 4 / 255  # grey, not cyan
        plain = read(saved(cyan, form, **options), tmp_path)
        assert np.ptp(plain.pixels, axis=-1).min() > 0.9


@pytest.mark.parametrize(
    "profile",
    [b"x", b"no profile at all" * 20, *[SWAPPED[:n] for n in (20, 128, 200, 500)]],
)
def test_broken_profiles_are_ignored(profile, tmp_path):
    data = saved(Image.fromarray(RGB), "TIFF", icc_profile=profile)
    assert_shows(read(data, tmp_path), RGB)
    extra = chunk(b"iCCP", b"profile\0\0" + zlib.compress(profile))
    assert_shows(read(wide_png(WIDE[..., :3], extra), tmp_path), WIDE[..., :3], 65535)


def test_profiles_of_another_kind_are_ignored(tmp_path):
    for profile in (cmyk_profile(), imagecodecs.cms_profile("gray", gamma=1.4)):
        data = saved(Image.fromarray(RGB), "TIFF", icc_profile=profile)
        assert_shows(read(data, tmp_path), RGB)
        extra = chunk(b"iCCP", b"profile\0\0" + zlib.compress(profile))
        picture = read(wide_png(WIDE[..., :3], extra), tmp_path)
        assert_shows(picture, WIDE[..., :3], 65535)


@pytest.mark.parametrize("form", ["GIF", "PNG", "TIFF", "WEBP"])
def test_the_first_frame_is_taken(form, tmp_path):
    first = Image.fromarray(RGB).quantize(16).convert("RGB")
    more = {"save_all": True, "append_images": [Image.new("RGB", first.size)] * 2}
    if form == "WEBP":
        more["lossless"] = True
    assert_shows(read(saved(first, form, **more), tmp_path), np.asarray(first))


# Reading: what is refused


def refused(path, match):
    with pytest.raises(RequestError, match=match) as caught:
        images.read(path, max_pixels=LIMIT)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["-rf", "with space é☃.png", "two\nlines.png", ".png"])
def test_names_of_any_kind(name, tmp_path):
    assert_shows(read(saved(Image.fromarray(RGB), "PNG"), tmp_path, name), RGB)
    assert images.read(str(tmp_path / name), max_pixels=LIMIT)
    (tmp_path / name).write_bytes(b"not a picture")
    refused(tmp_path / name, "not a picture of a known format")
    refused(tmp_path / f"{name}.missing", "does not exist")


def test_files_that_are_none(tmp_path):
    refused(tmp_path, "is a folder")
    refused(tmp_path / "missing" / "a.png", "does not exist")
    refused("null\0byte", "cannot be opened")
    (tmp_path / "empty.png").touch()
    refused(tmp_path / "empty.png", "is empty")
    refused(tmp_path / "empty.png" / "below", "cannot be opened|does not exist")


@posix
@pytest.mark.timeout(20)
def test_pipes_and_devices_do_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    refused(tmp_path / "pipe.png", "pipe or a device")
    refused("/dev/zero", "pipe or a device")
    with pytest.raises(RequestError, match="not a regular file"):
        images.check_output(tmp_path / "pipe.png", overwrite=True, bit_depth=8)


@posix
def test_links_are_followed_and_dangling_ones_are_missing(tmp_path):
    (tmp_path / "a").write_bytes(saved(Image.fromarray(RGB), "PNG"))
    (tmp_path / "b").symlink_to("a")
    assert_shows(images.read(tmp_path / "b", max_pixels=LIMIT), RGB)
    (tmp_path / "a").unlink()
    refused(tmp_path / "b", "does not exist")


@posix
def test_unreadable(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(saved(Image.fromarray(RGB), "PNG"))
    (tmp_path / "a.png").chmod(0)
    if os.geteuid() == 0:  # root reads everything

        def shut(*_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("builtins.open", shut)
    refused(tmp_path / "a.png", r"cannot be opened \(Permission denied\)")


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1)])
def test_too_thin(size, tmp_path):
    (tmp_path / "a").write_bytes(saved(Image.new("RGB", size), "PNG"))
    refused(tmp_path / "a", f"is {size[0]}x{size[1]} px")


def test_thin_and_long_is_read(tmp_path):
    long = noise(2, 20000, 3)
    assert_shows(read(saved(Image.fromarray(long), "PNG"), tmp_path), long)


def test_zero_size(tmp_path):
    header = struct.pack(">IIBBBBB", 0, 0, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(data)
    refused(tmp_path / "a.png", "a.png")


@pytest.mark.parametrize("depth", [8, 16])
def test_more_pixels_than_allowed_are_refused_by_the_header(depth, tmp_path):
    header = struct.pack(">IIBBBBB", 60000, 60000, depth, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")
    (tmp_path / "a.png").write_bytes(data)
    refused(
        tmp_path / "a.png", "60000x60000 px, more than the 1000000 px.*--max_pixels"
    )


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"])
def test_max_pixels_is_exact(form, tmp_path):
    data = saved(Image.new("RGB", (40, 25), "teal"), form)
    assert read(data, tmp_path, max_pixels=1000)
    with pytest.raises(RequestError, match="more than the 999 px"):
        read(data, tmp_path, max_pixels=999)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP"])
def test_pillows_own_limit_does_not_matter(form, tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert read(saved(Image.new("RGB", (40, 25), "teal"), form), tmp_path)


def test_a_sparse_file_of_many_bytes_is_refused(tmp_path):
    with open(tmp_path / "a.webp", "wb") as file:
        file.write(b"RIFF\0\0\0\0WEBPVP8 ")
        file.truncate(2**31 + 1)
    refused(tmp_path / "a.webp", "bytes, more than the")


@pytest.mark.parametrize("form", ["ICO", "PPM", "TGA", "PDF", "EPS", "PCX"])
def test_other_formats_are_refused(form, tmp_path):
    (tmp_path / "a.png").write_bytes(saved(Image.new("RGB", (32, 32)), form))
    refused(tmp_path / "a.png", "not a picture of a known format")


def corpus():
    smooth = Image.fromarray(RGB).resize((40, 30))
    for form in ("PNG", "JPEG", "GIF", "BMP", "WEBP"):
        yield form, saved(smooth, form)
    yield "progressive", saved(smooth, "JPEG", progressive=True)
    for packing in (None, "tiff_lzw", "tiff_deflate", "jpeg", "packbits"):
        yield f"TIFF {packing}", saved(smooth, "TIFF", compression=packing)
    yield "fax", saved(smooth.convert("1"), "TIFF", compression="group4")
    yield "PNG 16", wide_png(WIDE)
    yield "TIFF 16", wide_tiff(WIDE[..., :3])
    yield "packed 16", imagecodecs.tiff_encode(WIDE, compression="deflate", predictor=2)


@pytest.mark.parametrize(
    ("name", "data"), [pytest.param(*c, id=c[0]) for c in corpus()]
)
def test_broken_files_are_refused_in_silence(name, data, tmp_path, capfd):
    whole = read(data, tmp_path)
    random = np.random.default_rng(5)
    for length in {*range(1, 40, 3), *np.linspace(1, len(data) - 1, 40).astype(int)}:
        try:
            cut = read(data[:length], tmp_path)
        except RequestError as error:
            assert "\n" not in str(error)  # noqa: PT017 (not cutting much is no fault)
        else:
            np.testing.assert_array_equal(cut.pixels, whole.pixels)
    for _ in range(60):
        changed = bytearray(data)
        changed[random.integers(len(data))] = random.integers(256)
        try:
            picture = read(bytes(changed), tmp_path)
        except RequestError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert 0 <= picture.pixels.min() <= picture.pixels.max() <= 1
    assert capfd.readouterr() == ("", "")


def test_reading_leaves_warnings_and_standard_error_as_they_were(tmp_path, capfd):
    before = list(warnings.filters)
    path = tmp_path / "a.png"
    path.write_bytes(saved(Image.fromarray(RGB), "PNG")[:200])

    def many():
        for _ in range(20):
            with pytest.raises(RequestError):
                images.read(path, max_pixels=LIMIT)

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"


# Writing

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".PNG")
RNG = np.random.default_rng(11)
PIXELS = RNG.random((24, 31, 3), np.float32)
ALPHA = RNG.random((24, 31), np.float32)
ALPHA[:8] = 0  # what is hidden there is kept


def written(tmp_path, suffix=".png", pixels=PIXELS, **options):
    path = tmp_path / f"out{suffix}"
    images.write(path, pixels, **options)
    return path


def test_values_are_rounded_and_cut_off(tmp_path):
    steps = np.repeat(np.arange(256)[None], 2, 0)
    for shift in (-0.499, 0, 0.499):
        values = np.repeat(((steps + shift) / 255).astype("f")[..., None], 3, -1)
        assert_shows(
            images.read(written(tmp_path, pixels=values), max_pixels=LIMIT), steps
        )
    wild = np.full((4, 4, 3), 7, np.float32)
    wild[0] = -3
    picture = images.read(written(tmp_path, pixels=wild), max_pixels=LIMIT)
    assert_shows(picture, np.clip(wild, 0, 1), top=1)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_8_bits_round_trip(suffix, tmp_path):
    path = written(tmp_path, suffix, RGB.astype("f") / np.float32(255))
    assert_shows(images.read(path, max_pixels=LIMIT), RGB)
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), RGB)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("opacity", [False, True])
def test_16_bits_round_trip(suffix, opacity, tmp_path):
    unit = WIDE.astype("f") / np.float32(65535)
    alpha = unit[..., 3] if opacity else None
    path = written(tmp_path, suffix, unit[..., :3], alpha=alpha, bit_depth=16)
    picture = images.read(path, max_pixels=LIMIT)
    assert_shows(picture, WIDE[..., :3], 65535, WIDE[..., 3] if opacity else None)
    with Image.open(path) as image:  # Pillow keeps the upper byte
        upper = np.asarray(image)
    np.testing.assert_array_equal(upper, WIDE[..., : upper.shape[-1]] >> 8)
    assert upper.shape[-1] == 3 + opacity


def test_16_bit_png_is_sound(tmp_path):
    with Image.open(written(tmp_path, bit_depth=16, settings="s")) as image:
        image.verify()


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_opacity_round_trip(suffix, tmp_path):
    path = written(tmp_path, suffix, alpha=ALPHA, quality=100)
    picture = images.read(path, max_pixels=LIMIT)
    np.testing.assert_allclose(picture.alpha, ALPHA, atol=0.502 / 255)
    np.testing.assert_allclose(picture.pixels, PIXELS, atol=0.502 / 255)


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_without_opacity_there_is_white_behind(suffix, tmp_path):
    half = np.full((24, 31), 0.5, np.float32)
    dark = np.zeros((24, 31, 3), np.float32)
    path = written(tmp_path, suffix, dark, alpha=half)
    picture = images.read(path, max_pixels=LIMIT)
    assert picture.alpha is None
    np.testing.assert_allclose(picture.pixels, 0.5, atol=1.5 / 255)


def test_quality_of_a_jpeg(tmp_path):
    with Image.open(written(tmp_path, ".jpg", quality=90)) as image:
        assert {part[1:3] for part in image.layer} == {(1, 1)}  # 4:4:4
    high = written(tmp_path, ".jpg", quality=95).stat().st_size
    assert written(tmp_path, ".jpg", quality=30).stat().st_size < high / 2


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_srgb_profile_is_embedded(suffix, tmp_path):
    for depth in (8, 16) if suffix in (".png", ".tif") else (8,):
        with Image.open(written(tmp_path, suffix, bit_depth=depth)) as image:
            profile = image.info["icc_profile"]
        assert "sRGB" in ImageCms.getProfileName(io.BytesIO(profile))
        assert len(profile) < 1000
        assert profile[24:28] == bytes((7, 208, 0, 1))  # not the time of writing


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_picture_is_the_same_bytes(suffix, tmp_path):
    first = written(tmp_path, suffix, settings="é").read_bytes()
    assert written(tmp_path, suffix, settings="é").read_bytes() == first
    assert written(tmp_path, suffix, PIXELS / 2).read_bytes() != first


def test_not_a_number_is_never_written(tmp_path):
    with pytest.raises(ValueError, match="finite"):
        written(tmp_path, pixels=np.full((4, 4, 3), np.nan, np.float32))
    assert list(tmp_path.iterdir()) == []


def test_whole_numbers_are_refused(tmp_path):
    # Unchecked, as the types are outside the tests, it would be white all over.
    plain = inspect.unwrap(images.encoded)
    with pytest.raises(RequestError, match="got uint8; divide"):
        plain(tmp_path / "a.png", RGB)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = written(tmp_path)
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        images.write(path, PIXELS / 2)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@posix
def test_the_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "other").touch()
    other = (tmp_path / "other").stat().st_mode
    assert written(tmp_path).stat().st_mode == other


@pytest.mark.parametrize(
    "name", ["-o.png", "é ☃.png", "two\nlines.png", "x" * 251 + ".png"]
)
def test_names_of_outputs_of_any_kind(name, tmp_path):
    images.check_output(tmp_path / name, overwrite=False, bit_depth=8)
    assert list(tmp_path.iterdir()) == []
    images.write(str(tmp_path / name), PIXELS)
    assert images.read(tmp_path / name, max_pixels=LIMIT).pixels.shape == PIXELS.shape


# Settings

TEXTS = (
    "--style=a b.jpg\n--steps=3\n",
    "é☃𝄞 \u2028 \t\r\n",
    "x",
    "é" * (SETTINGS_LIMIT // 2),
)


@pytest.mark.parametrize("text", TEXTS, ids=["flags", "unicode", "short", "longest"])
@pytest.mark.parametrize(
    ("suffix", "depth"),
    [(".png", 8), (".png", 16), (".jpg", 8), (".webp", 8), (".tif", 8), (".tif", 16)],
)
def test_settings_round_trip(suffix, depth, text, tmp_path):
    path = written(tmp_path, suffix, bit_depth=depth, settings=text)
    assert images.read_settings(path) == text
    assert images.read(path, max_pixels=LIMIT).pixels.shape == PIXELS.shape


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("settings", [None, "x" * (SETTINGS_LIMIT + 1)])
def test_none_and_too_long_settings_are_left_out(suffix, settings, tmp_path):
    path = written(tmp_path, suffix, settings=settings)
    assert images.read(path, max_pixels=LIMIT).pixels.shape == PIXELS.shape
    with pytest.raises(RequestError, match="holds no settings"):
        images.read_settings(path)


def test_what_others_wrote_is_not_taken_for_settings(tmp_path):
    camera = Image.Exif()
    camera[0x8769] = {0x9286: b"ASCII\0\0\0--steps=3"}
    (tmp_path / "a").write_bytes(saved(Image.fromarray(RGB), "JPEG", exif=camera))
    info = {270: "--steps=3"}
    (tmp_path / "b").write_bytes(saved(Image.fromarray(RGB), "TIFF", tiffinfo=info))
    for name in "ab":
        with pytest.raises(RequestError, match="holds no settings"):
            images.read_settings(tmp_path / name)


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"]
)
def test_settings_of_files_that_are_none(content, tmp_path):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(RequestError):
        images.read_settings(tmp_path / "a")


def test_settings_that_unpack_to_a_bomb_are_refused(tmp_path):
    bomb = b"nst_jax settings\0\1\0\0\0" + zlib.compress(bytes(2**26))
    data = wide_png(WIDE, chunk(b"iTXt", bomb))
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(RequestError, match="damaged"):
        images.read_settings(tmp_path / "a.png")


# Before the work


def impossible(path, match, *, overwrite=False, bit_depth=8):
    before = sorted(Path(path).parent.glob("*"))
    with pytest.raises(RequestError, match=match) as caught:
        images.check_output(path, overwrite=overwrite, bit_depth=bit_depth)
    assert "\n" not in str(caught.value)
    assert sorted(Path(path).parent.glob("*")) == before


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_outputs_that_can_be_written(suffix, tmp_path):
    images.check_output(tmp_path / f"a{suffix}", overwrite=False, bit_depth=8)
    assert list(tmp_path.iterdir()) == []


def test_outputs_in_the_present_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images.check_output("a.png", overwrite=False, bit_depth=8)
    images.write("a.png", PIXELS)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("name", ["a.gif", "a", "a.png.txt", "a.png\n", ".png"])
def test_unknown_suffixes(name, tmp_path):
    impossible(tmp_path / name, r"should end in one of \.png")
    with pytest.raises(RequestError, match="should end in"):
        images.write(tmp_path / name, PIXELS)


@pytest.mark.parametrize(
    ("name", "depth"), [("a.jpg", 16), ("a.webp", 16), ("a.bmp", 16), ("a.png", 12)]
)
def test_impossible_depths(name, depth, tmp_path):
    impossible(tmp_path / name, f"found {depth}", bit_depth=depth)


def test_existing_files_need_overwrite(tmp_path):
    path = written(tmp_path)
    impossible(path, "exists already.*--overwrite")
    before = path.read_bytes()
    images.check_output(path, overwrite=True, bit_depth=16)
    assert path.read_bytes() == before


def test_folders_as_outputs(tmp_path):
    (tmp_path / "a.png").mkdir()
    impossible(tmp_path / "a.png", "is a folder", overwrite=True)
    impossible(tmp_path / "none" / "a.png", "does not exist; make it")
    (tmp_path / "file").touch()
    impossible(tmp_path / "file" / "a.png", "does not exist|cannot be written")
    impossible(tmp_path / ("x" * 300 + ".png"), "cannot be written")


@posix
def test_folders_that_cannot_be_written(tmp_path):
    folder = tmp_path / "shut"
    folder.mkdir()
    folder.chmod(0o500)
    if os.geteuid() == 0:  # to whom such a folder is open
        folder = Path("/proc")
        if not folder.is_dir():
            pytest.skip("no folder is closed to root here")
    with pytest.raises(RequestError, match="cannot be written"):
        images.check_output(folder / "a.png", overwrite=False, bit_depth=8)


def test_sides_that_a_format_cannot_have(tmp_path):
    for name, shape, limit in (
        ("a.webp", (20, 20000), "at most 16383 px"),
        ("a.jpg", (70000, 20), "at most 65500 px"),
    ):
        with pytest.raises(RequestError, match=limit):
            images.check_shape(tmp_path / name, shape)
        images.check_shape(tmp_path / "a.png", shape)


def test_a_picture_carries_the_digest_of_its_file(tmp_path):
    path = written(tmp_path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert images.read(path, max_pixels=LIMIT).sha256 == digest


def test_what_is_transparent_is_white_on_white():
    clear = np.array([[0, 0.25], [0.5, 1]], np.float32)
    picture = images.Picture(np.zeros((2, 2, 3), np.float32), clear, "")
    white = images.on_white(picture)
    np.testing.assert_array_equal(white, np.dstack([1 - clear] * 3))


def test_neither_jax_nor_the_codec_is_loaded_for_nothing():
    script = (
        "import sys, nst_jax.images; "
        "assert not {'jax', 'absl', 'imagecodecs'} & set(sys.modules)"
    )
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", script], cwd=root, check=True, timeout=60)
