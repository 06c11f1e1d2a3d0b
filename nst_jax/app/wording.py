"""Messages for people who paint: what the command line says, without its flags."""

import re

# Whole messages that the page says better, and what it says.
_WHOLE = {
    r"(the loss .*) after step (\d+);.*": (
        r"The painting got out of hand after step \2. Try less strength, or another "
        "manner."
    ),
    r"the line search found no lower loss.*": "It could not get any better from there.",
    r"it broke while running.*": "Something broke on the way; the terminal has more.",
    r"out of memory; .*": "There was not enough memory. Try a smaller size.",
    r"(\d+)x(\d+) must fit into (.+?), and .* about (.+?) with .*--size=(\d+).*": (
        r"A picture of \1 x \2 pixels needs about \4 of memory, and there are \3. "
        r"Size \5 would fit."
    ),
    r"(\d+)x(\d+) must fit into (.+?), and takes about (.+?) with .*": (
        r"A picture of \1 x \2 pixels needs about \4 of memory, and there are \3. "
        "Try a smaller size."
    ),
    r"the pictures do not fit into memory at .*": (
        "The pictures do not fit into memory. Try a smaller size."
    ),
    r"(.+) is (\d+)x(\d+) px, more than the (\d+) px allowed; .*": (
        r"\1 has \2 x \3 pixels, which is too large. Make it smaller and drop it again."
    ),
    r"a picture of .* worked on at (\d+)x(\d+) px, and .* least (\d+) px; .*": (
        r"At this size the picture would have \1 x \2 pixels, and each side needs at "
        r"least \3. Choose a larger size, or crop the picture."
    ),
    r"(.+) is damaged or of a kind that cannot be read .*": (
        r"\1 cannot be read: it may be damaged. Open it in an image editor, save it "
        "again as JPEG or PNG, and drop that."
    ),
    r"(.+) is not a picture of a known format; .*": (
        r"\1 is not a picture this page knows. Drop a JPEG, PNG, WebP, TIFF, BMP or "
        "GIF file."
    ),
    r"(.+) is empty; .*": r"\1 is empty. Drop a file with a picture in it.",
    r"(.+) holds no settings; .*": (
        r"\1 holds no settings. Drop a picture that this program made, as it was "
        "downloaded."
    ),
    r"without --style_mask the styles should be one, or as many as the (\d+) .*": (
        r"\1 of the paintings have a place on the photo. Give each painting a place "
        "with the brush, or take the masks away."
    ),
    r".*should have a colour for each region, and only one was found.*": (
        "One painting has the whole photo. Give every painting a place with the brush, "
        "or take the masks away."
    ),
    r"--(fill|protect) must be white somewhere.*": (
        "Nothing is painted in that mask. Paint where it counts, or take it away."
    ),
    r"--strength .*|--(content|style)_weight must be above 0 to be balanced.*": (
        "These settings have no balance of photo and painting that the slider could "
        "move. Put it back to how they were published."
    ),
}
# What the page calls a setting.
_NAMES = {
    "content": "the photo",
    "style": "the paintings",
    "size": "the size",
    "steps": "the steps",
    "strength": "the strength",
    "style_weights": "the shares of the paintings",
    "style_scale": "the brush",
    "color": "the colours",
    "content_mask": "the mask",
    "protect": "the mask of what stays recognisable",
    "fill": "the mask of where to paint",
    "init": "the beginning",
    "seed": "the seed",
    "preset": "the manner",
    "from": "the earlier picture",
    "weights": "the network's numbers",
    "learning_rate": "the learning rate",
}
# Presets in the order of the menu: what is published, and what a painter sees of it.
PRESETS = {
    "default": ("Our own", "Begins with the photo and keeps its scene. Start here."),
    "neural-style": (
        "Johnson's neural-style, 2015",
        "The first program that people used: out of noise, in a thousand steps.",
    ),
    "neural-style-pt": (
        "neural-style again, 2019",
        "Johnson's program as ProGamerGov wrote it anew.",
    ),
    "cysmith": (
        "Smith's neural-style-tf, 2016",
        "Begins with the photo; strong paint, in a thousand steps.",
    ),
    "anishathalye": (
        "Athalye's neural-style, 2015",
        "Out of noise, in a thousand small steps, as large as the photo.",
    ),
    "gatys2016": (
        "Gatys, Ecker and Bethge, 2016",
        "The paper that began it: out of noise.",
    ),
    "gatys-code": (
        "Gatys' own program, 2017",
        "First small, then large: broad shapes with fine strokes.",
    ),
    "crowsonkb": (
        "Crowson's style transfer, 2023",
        "From a small sketch to the picture in many sizes.",
    ),
    "crowsonkb-2021": (
        "Crowson's style transfer, 2021",
        "Its earlier form, with other statistics of the painting.",
    ),
    "keras-example": (
        "Keras' example",
        "Begins with the photo; four thousand steps at 400 pixels.",
    ),
    "tensorflow-tutorial": (
        "TensorFlow's tutorial",
        "Begins with the photo; a thousand steps.",
    ),
    "pytorch-tutorial": ("PyTorch's tutorial", "Begins with the photo; much paint."),
    "coursera": ("A course on Coursera", "Begins with a noisy photo, in 200 steps."),
    "cs229": ("A poster at Stanford", "Out of noise, in 300 steps."),
    "optimizer-study": (
        "A study of optimisers",
        "Begins with the photo; only its large shapes are kept.",
    ),
}


def plain(message: str) -> str:
    """The message as the page says it.

    >>> plain("'cat.txt' is empty; give a file with a picture in it")
    'cat.txt is empty. Drop a file with a picture in it.'
    >>> plain("--size must be at least 0, got -3")
    'The size must be at least 0, got -3.'
    """
    line = re.sub(r"; the picture after step \d+ is in .*", "", message)
    line = re.sub(r"'([^'/\\]+)'", r"\1", line)
    for pattern, better in _WHOLE.items():
        if re.fullmatch(pattern, line):
            return re.sub(pattern, better, line)
    line = re.sub(r"--([a-z_]+)(=[^\s;,)]*)?", _named, line)
    line = "; ".join(part for part in line.split("; ") if "--help" not in part)
    return f"{line[:1].upper()}{line[1:]}".rstrip(".") + "."


def _named(found: re.Match[str]) -> str:
    name, value = found[1], found[2]
    words = _NAMES.get(name, name.replace("_", " "))
    return f"{words} ({value[1:]})" if value and len(value) > 1 else words
