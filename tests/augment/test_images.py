from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpkit.augment import images
from kpkit.augment.headers import read_header
from kpkit.augment.images import EXIF, MAX_PIXELS, encode_jpeg, encode_png, read_image
from kpkit.errors import InputError, KpkitError, RecordError, UsageError
from tests.augment import pictures

W, H = 48, 32


def _smooth() -> np.ndarray:
    """A picture that JPEG keeps, and that is equal to none of its mirror images."""
    y, x = np.mgrid[:H, :W]
    return np.stack([x * 5, y * 7, 255 - x * 2 - y * 3], axis=-1).astype(np.uint8)


def _file(folder: Path, data: bytes, name: str = "a.jpg") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def _refused(path: Path, **options: object) -> KpkitError:
    with pytest.raises(InputError) as caught:
        read_image(path, **options)  # type: ignore[arg-type]  # options of this function
    assert str(path) in caught.value.place
    return caught.value


def test_png_is_read_to_the_byte(tmp_path: Path) -> None:
    read = read_image(_file(tmp_path, pictures.png(_smooth()), "a.png"), labelled_wh=(W, H))
    np.testing.assert_array_equal(read.image, _smooth())
    assert read.notes == ()


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "bmp", "tiff", "gif"])
def test_every_kind_is_read_whatever_its_name_ends_in(tmp_path: Path, ending: str) -> None:
    data = cv2.imencode(f".{ending}", _smooth())[1].tobytes()
    image = read_image(_file(tmp_path, data, "a.picture"), labelled_wh=(W, H)).image
    assert image.shape == (H, W, 3)
    assert np.abs(image.astype(int) - _smooth()).mean() < 25


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "bmp", "tiff", "gif"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_truncated_picture_is_refused(tmp_path: Path, ending: str, share: float) -> None:
    noisy = np.random.default_rng(0).integers(0, 256, (H, W, 3), np.uint8)
    data = cv2.imencode(f".{ending}", noisy)[1].tobytes()
    error = _refused(_file(tmp_path, data[: int(len(data) * share)]))
    assert error.code in {"KP-IMAGE-TRUNCATED", "KP-IMAGE-DECODE", "KP-IMAGE-HEADER"}
    if ending in {"jpg", "png"}:
        assert error.code == "KP-IMAGE-TRUNCATED"


def test_truncated_jpeg_is_refused_though_its_thumbnail_is_whole(tmp_path: Path) -> None:
    thumbnail = pictures.jpeg(_smooth()[:16, :16])
    data = pictures.with_segment(pictures.jpeg(_smooth()), pictures.exif(1, thumbnail=thumbnail))
    assert read_image(_file(tmp_path, data)).image.shape == (H, W, 3)
    assert _refused(_file(tmp_path, data[:-30])).code == "KP-IMAGE-TRUNCATED"


@pytest.mark.parametrize("behind", [b"\0" * 5000, b"\0\0\0\x18ftypmp42" + b"film" * 50_000])
def test_jpeg_with_something_behind_it_is_whole(tmp_path: Path, behind: bytes) -> None:
    assert read_image(_file(tmp_path, pictures.jpeg(_smooth()) + behind)).image.shape == (H, W, 3)


def test_text_named_like_a_picture_is_refused(tmp_path: Path) -> None:
    error = _refused(_file(tmp_path, b"this is no picture\n"))
    assert error.code == "KP-IMAGE-HEADER"
    assert "this is" in error.got


def test_empty_file_is_refused(tmp_path: Path) -> None:
    assert _refused(_file(tmp_path, b"")).got == "an empty file"


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    assert _refused(tmp_path / "none.jpg").code == "KP-INPUT-READ"
    assert _refused(tmp_path).code == "KP-INPUT-READ"


@pytest.mark.parametrize("ending", ["png", "tiff"])
def test_16_bits_become_8_and_are_noted(tmp_path: Path, ending: str) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (H, W, 3)).astype(np.uint16)
    read = read_image(_file(tmp_path, cv2.imencode(f".{ending}", deep)[1].tobytes()))
    np.testing.assert_array_equal(read.image, deep // 256)
    assert read.notes == ("16-bit",)


def test_floating_point_picture_is_refused(tmp_path: Path) -> None:
    data = cv2.imencode(".tiff", _smooth().astype(np.float32))[1].tobytes()
    assert _refused(_file(tmp_path, data)).code == "KP-IMAGE-DEPTH"


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_greyscale_has_three_equal_channels(tmp_path: Path, ending: str) -> None:
    grey = _smooth()[..., 0]
    image = read_image(_file(tmp_path, cv2.imencode(f".{ending}", grey)[1].tobytes())).image
    assert image.shape == (H, W, 3)
    assert (image == image[..., :1]).all()


def test_alpha_is_left_out(tmp_path: Path) -> None:
    four = np.dstack([_smooth(), np.full((H, W), 90, np.uint8)])
    np.testing.assert_array_equal(read_image(_file(tmp_path, pictures.png(four))).image, _smooth())


@pytest.mark.parametrize("transparent", [False, True])
def test_palette_is_looked_up(tmp_path: Path, transparent: bool) -> None:
    palette = pictures.chunk(b"PLTE", bytes([255, 0, 0, 0, 255, 0, 0, 0, 255]))
    alpha = [pictures.chunk(b"tRNS", bytes([0, 128, 255]))] if transparent else []
    data = pictures.png_of(3, 2, 8, 3, bytes([0, 0, 1, 2, 0, 2, 1, 0]), palette, *alpha)
    image = read_image(_file(tmp_path, data)).image
    red, green, blue = [0, 0, 255], [0, 255, 0], [255, 0, 0]
    np.testing.assert_array_equal(image, [[red, green, blue], [blue, green, red]])


@pytest.mark.parametrize(
    ("inks", "bgr"),
    [
        ((0, 0, 0, 0), (255, 255, 255)),
        ((255, 0, 0, 0), (255, 255, 0)),
        ((0, 255, 0, 0), (255, 0, 255)),
        ((0, 0, 255, 0), (0, 255, 255)),
        ((0, 0, 0, 255), (0, 0, 0)),
        ((0, 0, 0, 100), (155, 155, 155)),
    ],
)
def test_inks_become_colours(tmp_path: Path, inks: tuple[int, int, int, int], bgr: tuple[int, int, int]) -> None:
    image = read_image(_file(tmp_path, pictures.cmyk_jpeg(inks)), labelled_wh=(8, 8)).image
    assert np.abs(image.astype(int) - bgr).max() <= 2


def _turned(image: np.ndarray, orientation: int) -> np.ndarray:
    """By where the first row and the first column of the stored picture are to be shown (EXIF 2.3, tag 274)."""
    shown = {
        1: image,  # top, left
        2: image[:, ::-1],  # top, right
        3: image[::-1, ::-1],  # bottom, right
        4: image[::-1],  # bottom, left
        5: image.transpose(1, 0, 2),  # left, top
        6: image.transpose(1, 0, 2)[:, ::-1],  # right, top
        7: image.transpose(1, 0, 2)[::-1, ::-1],  # right, bottom
        8: image.transpose(1, 0, 2)[::-1],  # left, bottom
    }
    return shown[orientation]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", pictures.ORIENTATIONS)
def test_orientation_is_applied_as_exif_defines_it(tmp_path: Path, orientation: int, order: str) -> None:
    stored = pictures.jpeg(_smooth())
    plain = read_image(_file(tmp_path, stored)).image
    path = _file(tmp_path, pictures.with_segment(stored, pictures.exif(orientation, order)))
    applied, ignored = read_image(path, exif="apply"), read_image(path, exif="ignore")
    np.testing.assert_array_equal(applied.image, _turned(plain, orientation))
    np.testing.assert_array_equal(ignored.image, plain)
    expected = () if orientation == 1 else ("exif-applied",), () if orientation == 1 else ("exif-ignored",)
    assert (applied.notes, ignored.notes) == expected


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_size_of_the_labels_says_whether_they_mean_the_turned_picture(tmp_path: Path, orientation: int) -> None:
    stored = pictures.jpeg(_smooth())
    plain = read_image(_file(tmp_path, stored)).image
    path = _file(tmp_path, pictures.with_segment(stored, pictures.exif(orientation)))
    turned, kept = read_image(path, labelled_wh=(H, W)), read_image(path, labelled_wh=(W, H))
    np.testing.assert_array_equal(turned.image, _turned(plain, orientation))
    assert turned.notes == ("exif-applied",)
    np.testing.assert_array_equal(kept.image, plain)
    assert kept.notes == ("exif-ignored",)


@pytest.mark.parametrize("orientation", [2, 3, 4, 5, 6, 7, 8])
def test_square_or_unsized_picture_stays_as_stored_and_says_so(tmp_path: Path, orientation: int) -> None:
    stored = pictures.jpeg(_smooth()[:, :H])
    path = _file(tmp_path, pictures.with_segment(stored, pictures.exif(orientation)))
    for size in ((H, H), None):
        read = read_image(path, labelled_wh=size)
        np.testing.assert_array_equal(read.image, read_image(_file(tmp_path, stored, "b.jpg")).image)
        assert read.notes == ("exif-undecided",)


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_turn_that_keeps_the_size_is_undecided(tmp_path: Path, orientation: int) -> None:
    path = _file(tmp_path, pictures.with_segment(pictures.jpeg(_smooth()), pictures.exif(orientation)))
    assert read_image(path, labelled_wh=(W, H)).notes == ("exif-undecided",)


@pytest.mark.parametrize("rule", ["apply", "ignore"])
def test_orientation_that_gives_another_size_than_the_labels_is_refused(tmp_path: Path, rule: str) -> None:
    path = _file(tmp_path, pictures.with_segment(pictures.jpeg(_smooth()), pictures.exif(6)))
    wrong = (W, H) if rule == "apply" else (H, W)
    assert _refused(path, exif=rule, labelled_wh=wrong).code == "KP-IMAGE-SIZE"


def test_orientation_is_found_behind_other_segments_and_fill_bytes(tmp_path: Path) -> None:
    extra = pictures.segment(0xE0, b"JFIF\0" + b"\1" * 9) + pictures.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0x")
    data = pictures.with_segment(pictures.jpeg(_smooth()), extra + b"\xff\xff" + pictures.exif(6))
    assert read_image(_file(tmp_path, data), labelled_wh=(H, W)).notes == ("exif-applied",)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_orientation_that_does_not_exist_is_none(tmp_path: Path, orientation: int) -> None:
    path = _file(tmp_path, pictures.with_segment(pictures.jpeg(_smooth()), pictures.exif(orientation)))
    assert read_image(path, exif="apply").notes == ()


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_tag_of_a_tiff_does_not_turn_it_in_silence(tmp_path: Path, orientation: int) -> None:
    path = _file(tmp_path, pictures.tiff(_smooth()[..., ::-1].copy(), orientation))
    try:
        image = read_image(path, labelled_wh=(W, H)).image
    except RecordError:
        assert orientation != 1
        return
    np.testing.assert_array_equal(image, _smooth())


def test_unknown_exif_rule_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="EXIF") as caught:
        read_image(tmp_path / "a.jpg", exif="maybe")
    assert caught.value.expected == ", ".join(EXIF)


def test_picture_of_another_size_than_its_labels_is_refused(tmp_path: Path) -> None:
    error = _refused(_file(tmp_path, pictures.jpeg(_smooth())), labelled_wh=(W + 1, H))
    assert (error.code, error.expected, error.got) == ("KP-IMAGE-SIZE", f"{W + 1} x {H} (width x height)", f"{W} x {H}")


def test_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    bomb = pictures.png_of(60_000, 60_000, 8, 2, b"")
    error = _refused(_file(tmp_path, bomb))
    assert (error.code, error.got) == ("KP-IMAGE-BOMB", "60000 x 60000")
    assert f"{MAX_PIXELS:,}" in error.expected


def test_limit_of_pixels_is_inclusive(tmp_path: Path) -> None:
    path = _file(tmp_path, pictures.png(_smooth()))
    assert read_image(path, max_pixels=W * H).image.shape == (H, W, 3)
    assert _refused(path, max_pixels=W * H - 1).code == "KP-IMAGE-BOMB"


def test_chunk_that_claims_gigabytes_is_refused_by_its_length(tmp_path: Path) -> None:
    """The decoder would take the memory before it looks for the bytes."""
    data = bytearray(pictures.png(_smooth()))
    at = data.index(b"IDAT") - 4
    data[at : at + 4] = b"\xf0\0\0\0"
    assert _refused(_file(tmp_path, bytes(data))).code == "KP-IMAGE-TRUNCATED"


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0), (2**31 - 1, 2**31 - 1)])
def test_impossible_size_is_refused(tmp_path: Path, width: int, height: int) -> None:
    _refused(_file(tmp_path, pictures.png_of(width, height, 8, 2, b"")))


STARTS = [
    pictures.jpeg(_smooth()),
    pictures.with_segment(pictures.jpeg(_smooth()), pictures.exif(6)),
    pictures.png(_smooth()),
    cv2.imencode(".webp", _smooth())[1].tobytes(),
    cv2.imencode(".bmp", _smooth())[1].tobytes(),
    cv2.imencode(".tiff", _smooth())[1].tobytes(),
    cv2.imencode(".gif", _smooth())[1].tobytes(),
]


@pytest.mark.parametrize("kind", range(len(STARTS) + 1))
def test_damaged_bytes_are_a_picture_or_an_error_of_ours(tmp_path: Path, kind: int) -> None:
    """Two hundred and fifty mutants of each kind, and as many of noise behind a magic number."""
    rng = np.random.default_rng(kind)
    for number in range(250):
        if kind < len(STARTS):
            data = bytearray(STARTS[kind])
            for _ in range(int(rng.integers(1, 12))):
                # Headers matter most, and stand first.
                at = int(rng.integers(0, min(len(data), 80 if rng.uniform() < 0.7 else len(data))))
                data[at] = int(rng.integers(256))
            data = data[: int(rng.integers(4, len(data) + 1))] if number % 5 == 0 else data
        else:
            magic = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"MM\0*", b"GIF8", b"RIFF0000WEBP", b""]
            data = bytearray(magic[number % 8] + rng.integers(0, 256, int(rng.integers(0, 200)), np.uint8).tobytes())
        path = _file(tmp_path, bytes(data))
        try:
            image = read_image(path, max_pixels=1_000_000).image
        except KpkitError:
            continue
        assert image.dtype == np.uint8
        assert image.ndim == 3


@given(st.binary(max_size=300))
def test_header_of_any_bytes_is_read_or_refused(data: bytes) -> None:
    for start in (b"", b"\xff\xd8\xff\xe1", b"\xff\xd8" + pictures.exif(6)[:30]):
        try:
            header = read_header(start + data, Path("a"))
        except RecordError:
            continue
        assert header.width > 0
        assert 0 <= header.orientation <= 8


def test_written_png_reads_back_equal_and_jpeg_nearly(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_image(_file(tmp_path, encode_png(_smooth()))).image, _smooth())
    mask = (_smooth()[..., 0] > 100).astype(np.uint8) * 255
    np.testing.assert_array_equal(read_image(_file(tmp_path, encode_png(mask))).image[..., 0], mask)
    image = read_image(_file(tmp_path, encode_jpeg(_smooth(), 95))).image
    assert np.abs(image.astype(int) - _smooth()).mean() < 3
    assert encode_jpeg(_smooth(), 95) == encode_jpeg(_smooth(), 95)
    assert len(encode_jpeg(_smooth(), 50)) < len(encode_jpeg(_smooth(), 95))


@pytest.mark.parametrize(
    "options", [{}, {"progressive": 1}, {"sampling": 0x111111}, {"sampling": 0x211111}, {"grey": 1}]
)
@pytest.mark.parametrize(("width", "height"), [(64, 48), (37, 51)])
def test_quick_decoder_gives_the_pixels_of_opencv(
    tmp_path: Path, options: dict[str, int], width: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("simplejpeg")
    image = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    if "grey" in options:
        image = image[:, :, 0]
    flags = [cv2.IMWRITE_JPEG_QUALITY, 83, cv2.IMWRITE_JPEG_PROGRESSIVE, options.get("progressive", 0)]
    flags += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, options.get("sampling", 0x221111)]
    path = _file(tmp_path, cv2.imencode(".jpg", image, flags)[1].tobytes())
    quick = read_image(path).image
    monkeypatch.setattr(images, "_jpeg_library", lambda: None)
    np.testing.assert_array_equal(quick, read_image(path).image)


def test_quick_decoder_gives_the_pixels_of_opencv_on_real_pictures(real_data: Path) -> None:
    pytest.importorskip("simplejpeg")
    files = sorted((real_data / "data" / "images").rglob("*.jpg"))
    assert files
    for file in files:
        np.testing.assert_array_equal(read_image(file, exif="ignore").image, cv2.imread(str(file), 1 | 128))
