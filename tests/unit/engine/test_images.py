"""Reading image files: every kind gives upright RGB, and a folder is listed by names."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from engine.errors import ProjectError
from engine.project import images
from engine.project.images import (
    decode_image,
    list_images,
    probe,
    read_image,
    scan_images,
    thumbnail,
)
from tests.support.scene import GREEN, RED, chunk, scene

# --- kinds of pixels -----------------------------------------------------------------------------


def test_rgb_comes_out_as_it_is(tmp_path: Path) -> None:
    scene().save(tmp_path / "a.png")
    decoded = decode_image(tmp_path / "a.png")
    assert np.array_equal(decoded.pixels, np.asarray(scene()))
    assert decoded.notes == ()
    assert decoded.pixels.dtype == np.uint8
    assert not decoded.pixels.flags.writeable
    assert decoded.pixels.flags.c_contiguous


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("L", "png"), ("L", "jpg"), ("1", "png"), ("P", "gif"), ("P", "png"), ("RGB", "bmp"), ("RGB", "webp")],
)
def test_ordinary_modes_need_no_note(tmp_path: Path, mode: str, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    scene().convert(mode).save(path)
    decoded = decode_image(path)
    assert decoded.pixels.shape == (12, 20, 3)
    assert decoded.notes == ()
    with Image.open(path) as image:
        assert np.array_equal(decoded.pixels, np.asarray(image.convert("RGB")))


def test_cmyk_says_so(tmp_path: Path) -> None:
    scene().convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    decoded = decode_image(tmp_path / "a.jpg")
    assert np.abs(decoded.pixels.astype(int) - np.asarray(scene())).mean() < 12
    assert "CMYK" in decoded.notes[0]


def test_lab_is_converted(tmp_path: Path) -> None:
    grey = np.zeros((4, 5, 3), np.uint8)
    grey[..., 0] = 255
    lab = Image.frombytes("LAB", (5, 4), grey.tobytes())
    lab.save(tmp_path / "a.tif")
    decoded = decode_image(tmp_path / "a.tif")
    assert decoded.pixels.min() > 240
    assert "Lab" in decoded.notes[0]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_lies_on_white(tmp_path: Path, mode: str) -> None:
    image = scene().convert(mode)
    alpha = np.full((12, 20), 255, np.uint8)
    alpha[:, 10:] = 0
    image.putalpha(Image.fromarray(alpha))
    image.save(tmp_path / "a.png")
    decoded = decode_image(tmp_path / "a.png")
    assert (decoded.pixels[:, 10:] == 255).all()
    assert np.array_equal(
        decoded.pixels[:, :10], np.asarray(scene().convert(mode[:-1]).convert("RGB"))[:, :10]
    )
    assert "white" in decoded.notes[0]


def test_opaque_alpha_changes_nothing(tmp_path: Path) -> None:
    scene().convert("RGBA").save(tmp_path / "a.png")
    decoded = decode_image(tmp_path / "a.png")
    assert np.array_equal(decoded.pixels, np.asarray(scene()))
    assert decoded.notes == ()


@pytest.mark.parametrize("transparency", [0, bytes([0, 128, 255])])
def test_palette_with_transparency(tmp_path: Path, transparency: int | bytes) -> None:
    image = Image.fromarray(np.array([[0, 1], [2, 2]], np.uint8)).convert("P")
    image.putpalette([*RED, *GREEN, 0, 0, 0])
    image.putdata([0, 1, 2, 2])
    image.save(tmp_path / "a.png", transparency=transparency)
    decoded = decode_image(tmp_path / "a.png")
    assert tuple(decoded.pixels[0, 0]) == (255, 255, 255)
    assert tuple(decoded.pixels[1, 1]) == (0, 0, 0)
    assert "white" in decoded.notes[0]


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_16_bit_grey_is_stretched(tmp_path: Path, suffix: str) -> None:
    values = np.linspace(100, 4095, 60, dtype=np.uint16).reshape(6, 10)
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    decoded = decode_image(tmp_path / f"a.{suffix}")
    assert decoded.pixels[0, 0].tolist() == [0, 0, 0]
    assert decoded.pixels[-1, -1].tolist() == [255, 255, 255]
    assert (np.diff(decoded.pixels[..., 0].reshape(-1).astype(int)) >= 0).all()
    assert "100 … 4095" in decoded.notes[0]


def test_big_endian_16_bit_grey(tmp_path: Path) -> None:
    values = np.array([[1, 256], [511, 1000]], ">u2")
    image = Image.frombytes("I;16B", (2, 2), values.tobytes())
    image.save(tmp_path / "a.tif")
    decoded = decode_image(tmp_path / "a.tif")
    assert decoded.pixels[..., 0].tolist() == [[0, 65], [130, 255]]


def test_16_bit_rgb_is_cut_to_8_and_says_so(tmp_path: Path) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    row = b"\0" + struct.pack(">6H", 0, 0x1234, 0xFFFF, 0x8000, 0x7FFF, 0x0100)
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(data)
    decoded = decode_image(tmp_path / "a.png")
    assert decoded.pixels.tolist() == [[[0, 0x12, 0xFF], [0x80, 0x7F, 0x01]]]
    assert "16-bit" in decoded.notes[0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([[0.0, 0.5], [1.0, 0.25]], [[0, 128], [255, 64]]),
        ([[-3e38, 3e38], [0.0, 0.0]], [[0, 255], [128, 128]]),
        ([[7.0, 7.0], [7.0, 7.0]], [[0, 0], [0, 0]]),
        ([[np.nan, 0.0], [np.inf, 2.0]], [[0, 0], [0, 255]]),
        ([[np.nan, np.nan], [np.nan, np.nan]], [[0, 0], [0, 0]]),
    ],
)
def test_decimal_tiff(tmp_path: Path, values: list[list[float]], expected: list[list[int]]) -> None:
    Image.fromarray(np.array(values, np.float32)).save(tmp_path / "a.tif")
    decoded = decode_image(tmp_path / "a.tif")
    assert decoded.pixels[..., 1].tolist() == expected
    assert "decimal" in decoded.notes[0]
    assert len(decoded.notes) == (1 if np.isfinite(values).all() else 2)


def test_32_bit_integers(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 70000], [35000, 70000]], np.int32)).save(tmp_path / "a.tif")
    assert decode_image(tmp_path / "a.tif").pixels[..., 0].tolist() == [[0, 255], [128, 255]]


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_animation_gives_the_first_frame_and_a_note(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (8, 6), color) for color in (RED, GREEN, (0, 0, 0))]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    decoded = decode_image(tmp_path / f"a.{suffix}")
    assert np.abs(decoded.pixels[0, 0].astype(int) - RED).max() < 12
    assert "only the first" in decoded.notes[0]
    assert "only the first" in probe(tmp_path / f"a.{suffix}").note


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
def test_thin_images(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", (size[1], size[0]), RED).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").shape == (*size, 3)
    assert probe(tmp_path / "a.png").size == size
    assert max(thumbnail(tmp_path / "a.png", 64).shape) <= 64
    assert min(thumbnail(tmp_path / "a.png", 64).shape) >= 1


# --- orientation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_every_orientation(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / f"a.{suffix}"
    options = {} if suffix == "tif" else {"quality": 95}
    scene(48, 80).save(path, exif=exif, **options)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    pixels = read_image(path)
    assert pixels.shape == ((80, 48, 3) if orientation >= 5 else (48, 80, 3))
    assert np.array_equal(pixels, expected)
    assert probe(path).size == pixels.shape[:2]
    small = thumbnail(path, 40)
    assert small.shape == ((40, 24, 3) if orientation >= 5 else (24, 40, 3))
    shrunk = np.asarray(Image.fromarray(expected).resize((small.shape[1], small.shape[0])))
    assert np.abs(small.astype(int) - shrunk).mean() < 8


def test_exif_behind_the_pixels_of_a_png_counts(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    buffer = io.BytesIO()
    scene().save(buffer, format="PNG")
    data = buffer.getvalue()
    body = exif.tobytes()[6:]
    (tmp_path / "a.png").write_bytes(data[:-12] + chunk(b"eXIf", body) + data[-12:])
    assert probe(tmp_path / "a.png").size == (20, 12)
    assert read_image(tmp_path / "a.png").shape == (20, 12, 3)


@pytest.mark.parametrize("exif", [b"Exif\0\0rubbish", b"Exif\0\0MM\0*\xff\xff\xff\xff", b""])
def test_damaged_exif_does_not_spoil_the_pixels(tmp_path: Path, exif: bytes) -> None:
    scene().save(tmp_path / "a.jpg", exif=exif, quality=95)
    assert read_image(tmp_path / "a.jpg").shape == (12, 20, 3)
    assert probe(tmp_path / "a.jpg").size == (12, 20)


def test_orientation_without_meaning_is_ignored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 99
    scene().save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").shape == (12, 20, 3)


# --- names and folders ---------------------------------------------------------------------------


def test_names_of_all_the_world(tmp_path: Path) -> None:
    folder = tmp_path / "Größe 大小"
    folder.mkdir()
    for name in ("Äpfel.png", "写真 1.png", "фото.png", "a b'c.png"):
        scene().save(folder / name)
    assert len(list_images(folder)) == 4
    for name in list_images(folder):
        assert read_image(folder / name).shape == (12, 20, 3)


def test_folder_is_listed_by_name_only(tmp_path: Path) -> None:
    for name in ("b10.JPG", "b9.jpg", "a.png", "notes.txt", ".hidden.png", "B1.tiff"):
        (tmp_path / name).touch()
    for name in ("sub", "maskloop", "Masks", ".git"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x2.png").touch()
    (tmp_path / "sub" / "x10.png").touch()
    (tmp_path / "sub" / "deeper").mkdir()
    (tmp_path / "sub" / "deeper" / "y.png").touch()
    assert list_images(tmp_path) == ("a.png", "B1.tiff", "b9.jpg", "b10.JPG", "sub/x2.png", "sub/x10.png")
    assert scan_images(tmp_path).notes == ()


def test_names_that_cannot_be_stored_are_told(tmp_path: Path) -> None:
    for name in (b"good.png", b"bad\xff.png", b"back\\slash.png"):
        (tmp_path / name.decode(errors="surrogateescape")).touch()
    scan = scan_images(tmp_path)
    assert scan.image_ids == ("good.png",)
    assert "2 image files" in scan.notes[0]


def test_thousand_images_are_listed_by_one_look_at_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1000):
        (tmp_path / f"{number}.jpg").touch()
    looks: list[Path] = []
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: looks.append(path) or scan(path))
    for name in ("stat", "open"):  # a thousand of either is what takes long on a network drive
        monkeypatch.setattr(os, name, lambda *_, **__: pytest.fail("a file was looked at"))
    monkeypatch.setattr(images.Image, "open", lambda *_, **__: pytest.fail("an image was opened"))
    found = list_images(tmp_path)
    monkeypatch.undo()
    assert found[998:] == ("998.jpg", "999.jpg")
    assert looks == [tmp_path]


def test_folder_without_images_is_empty(tmp_path: Path) -> None:
    assert list_images(tmp_path) == ()


def test_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="cannot be read") as caught:
        list_images(tmp_path / "gone")
    assert "gone" in caught.value.message
    assert caught.value.hint


def test_subfolder_that_vanishes_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").touch()
    monkeypatch.setattr(
        images,
        "_entries",
        lambda folder, required=True, real=images._entries: (
            (["a.png"], ["gone"]) if folder == tmp_path else real(folder, required=required)
        ),
    )
    assert list_images(tmp_path) == ("a.png",)


# --- thumbnails ----------------------------------------------------------------------------------


def test_thumbnail_keeps_the_shape_and_never_grows(tmp_path: Path) -> None:
    scene(600, 1000).save(tmp_path / "a.jpg", quality=95)
    small = thumbnail(tmp_path / "a.jpg", 100)
    assert small.shape == (60, 100, 3)
    assert not small.flags.writeable
    expected = np.asarray(scene(600, 1000).resize((100, 60), Image.Resampling.BOX))
    assert np.abs(small.astype(int) - expected).mean() < 4
    assert thumbnail(tmp_path / "a.jpg", 5000).shape == (600, 1000, 3)


def test_thumbnail_of_16_bit(tmp_path: Path) -> None:
    values = np.arange(200 * 300, dtype=np.uint16).reshape(200, 300)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert thumbnail(tmp_path / "a.png", 60).shape == (40, 60, 3)


def test_metadata_of_a_png_does_not_disturb(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("Comment", "x" * 1000)
    scene().save(tmp_path / "a.png", pnginfo=info)
    assert probe(tmp_path / "a.png").mode == "RGB"
    assert probe(tmp_path / "a.png").bytes == (tmp_path / "a.png").stat().st_size
