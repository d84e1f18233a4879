"""What is drawn over pictures beside joints and limbs: masks, marks at joints, text, and a stand-in for a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from kpkit.qa.ink import DARK, GREY, PANEL, PAPER, Colour, Image, ring, text_size, write

# BGR. What hides a person, and what a rule complains about.
HIDDEN: Colour = (200, 60, 190)
COMPLAINT: Colour = (230, 40, 230)
# Of persons by turns.
REGIONS: tuple[Colour, ...] = ((200, 160, 60), (90, 170, 90), (80, 130, 230), (180, 110, 170), (60, 190, 220))
SHARE = 0.35
MARGIN, LINE = 8, 18
TEXT_SCALE = 0.42


def tint(image: Image, mask: npt.NDArray[np.uint8], colour: Colour, share: float = SHARE) -> Image:
    """The picture with the region of a mask tinted and outlined.

    image  HxWx3  uint8 BGR    mask  HxW  uint8, 0 outside    share  of the colour in the mixture
    """
    covered = mask > 0
    tinted = image.copy()
    tinted[covered] = np.rint(image[covered] * (1 - share) + np.array(colour) * share).astype(np.uint8)
    outlines, _ = cv2.findContours(covered.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    thick = max(1, round(max(image.shape[:2]) / 400))
    cv2.drawContours(tinted, outlines, -1, colour, thick, cv2.LINE_AA)
    return tinted


def polygon_mask(polygons: Sequence[npt.NDArray[np.float64]], width: int, height: int) -> npt.NDArray[np.uint8]:
    """The union of polygons.  HxW uint8, 255 inside

    polygons  each [n,2]  float64  pixels
    """
    mask = np.zeros((height, width), np.uint8)
    for polygon in polygons:
        # One by one: filled together, regions that two of them share would be holes.
        cv2.fillPoly(mask, [np.rint(np.clip(polygon, -3e4, 3e4) * 16).astype(np.int32)], 255, cv2.LINE_8, 4)
    return mask


def mark_joints(image: Image, places: npt.ArrayLike) -> None:
    """Rings around the places of joints that a rule complains about, into the picture; NaN is passed over.

    places  [n,2]  float  pixels
    """
    radius = max(8.0, max(image.shape[:2]) / 60)
    for place in np.asarray(places, np.float64).reshape(-1, 2):
        if np.isfinite(place).all():
            ring(image, place, radius, max(2.0, radius / 5), COMPLAINT, DARK)


def with_lines(image: Image, lines: Sequence[str]) -> Image:
    """The picture with lines of text below it, broken where they are wider than the picture."""
    width = max(image.shape[1], 160)
    broken = [part for line in lines for part in wrap(line, width - 2 * MARGIN)]
    if not broken:
        return image
    panel = np.full((len(broken) * LINE + 2 * MARGIN, width, 3), PAPER, np.uint8)
    for number, line in enumerate(broken):
        write(panel, line, MARGIN, MARGIN + number * LINE + 12, TEXT_SCALE, DARK)
    padded = np.full((image.shape[0], width, 3), PANEL, np.uint8)
    padded[:, : image.shape[1]] = image
    return np.concatenate([padded, panel])


def wrap(text: str, width: float) -> list[str]:
    """The words of a text on as many lines as it needs; a word wider than a line is cut."""
    lines: list[str] = []
    for word in ascii_only(text).split():
        if lines and text_size(f"{lines[-1]} {word}", TEXT_SCALE)[0] <= width:
            lines[-1] = f"{lines[-1]} {word}"
            continue
        while len(word) > 1 and text_size(word, TEXT_SCALE)[0] > width:
            cut = next(n for n in range(len(word) - 1, 0, -1) if n == 1 or text_size(word[:n], TEXT_SCALE)[0] <= width)
            lines.append(word[:cut])
            word = word[cut:]
        lines.append(word)
    return lines


def ascii_only(text: str) -> str:
    """The text in letters that the font has; others are question marks, one each."""
    return "".join(char if " " <= char <= "~" else "?" for char in text)


def canvas(width: int, height: int) -> Image:
    """A stand-in for a picture that is not there, which says so."""
    image = np.full((height, width, 3), PANEL, np.uint8)
    step = max(16, max(width, height) // 16)
    image[::step] = image[:, ::step] = np.array(PAPER, np.uint8)
    write(image, "no picture", 6, height - 8, max(TEXT_SCALE, min(width, height) / 700), GREY)
    return image
