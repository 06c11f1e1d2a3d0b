"""Words as pixels, for labels on sheets of pictures."""

import numpy as np
from jaxtyping import Float32
from PIL import Image, ImageDraw, ImageFont

_INK = 0x55


def lettering(text: str, width: int, height: int) -> Float32[np.ndarray, "_ _"]:
    """A line of text in dark on white, so large; what is too long loses its middle.

    Letters that the font does not have are drawn as boxes.
    """
    font = ImageFont.load_default(height - 3)
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    kept = len(shown)
    while kept > 2 and font.getlength(_cut(shown, kept)) > width:
        kept -= 1
    image = Image.new("L", (width, height), 0xFF)
    ImageDraw.Draw(image).text((0, 0), _cut(shown, kept), fill=_INK, font=font)
    return np.asarray(image).astype(np.float32) / np.float32(255)


def _cut(text: str, kept: int) -> str:
    """So many letters of the text: its ends.

    >>> _cut("a long name.png", 9)
    'a lo...e.png'
    """
    if kept >= len(text):
        return text
    end = (kept + 1) // 2
    return f"{text[: kept - end]}...{text[len(text) - end :]}"
