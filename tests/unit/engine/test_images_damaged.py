"""Bad image files: each is refused with file, cause and remedy."""

import contextlib
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from engine.errors import ImageError
from engine.project import images
from engine.project.images import (
    decode_image,
    probe,
    read_image,
    thumbnail,
)
from tests.support.scene import chunk, scene


def png_header(width: int, height: int) -> bytes:
    """The beginning of a PNG that claims a size, and a few bytes of data."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


# --- bad files -----------------------------------------------------------------------------------


def refused(path: Path) -> ImageError:
    """The error of a file that cannot be read, after checking that it helps."""
    with pytest.raises(ImageError) as caught:
        decode_image(path)
    error = caught.value
    assert str(path) in error.message
    assert error.hint
    assert error.message.endswith(".")
    with pytest.raises(ImageError):
        thumbnail(path)
    return error


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    assert "empty" in refused(tmp_path / "a.jpg").message


def test_something_else(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("<html>not found</html>")
    assert "no known kind" in refused(tmp_path / "a.jpg").message


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "bmp", "gif"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_cut_off_file(tmp_path: Path, suffix: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (80, 120, 3), dtype=np.uint8)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(noise).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    refused(path)


def test_missing_file_and_missing_folder(tmp_path: Path) -> None:
    assert "no longer there" in refused(tmp_path / "a.jpg").message
    error = refused(tmp_path / "gone" / "a.jpg")
    assert "folder is gone" in error.message
    assert "Connect" in error.hint


def test_folder_in_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").mkdir()
    refused(tmp_path / "a.jpg")


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene().save(tmp_path / "a.png")

    def deny(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)
    assert "permission" in refused(tmp_path / "a.png").message


def test_failing_drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene().save(tmp_path / "a.png")

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "open", fail)
    error = refused(tmp_path / "a.png")
    assert "Input/output error" in error.message
    assert "drive" in error.hint


def test_metadata_that_cannot_be_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene().save(tmp_path / "a.jpg")

    def fail(image: Image.Image) -> None:
        raise SyntaxError("not a TIFF file")

    monkeypatch.setattr(Image.Image, "getexif", fail)
    assert read_image(tmp_path / "a.jpg").shape == (12, 20, 3)


def test_not_enough_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene().save(tmp_path / "a.png")

    def full(image: Image.Image) -> None:
        raise MemoryError

    monkeypatch.setattr(images, "to_rgb", full)
    assert "memory" in refused(tmp_path / "a.png").message


@pytest.mark.parametrize("size", [(40_000, 40_000), (2**31 - 1, 1), (100_000, 2**30)])
def test_huge_header_is_refused_at_once(
    tmp_path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(png_header(*size))
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: pytest.fail("pixels were asked for"))
    message = refused(tmp_path / "a.png").message
    assert "too large" in message
    assert f"{size[0]} × {size[1]}" in message


def test_limit_is_ours_and_not_pillows(tmp_path: Path) -> None:
    scene().save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="too large"):
        read_image(tmp_path / "a.png", max_pixels=12 * 20 - 1)
    assert read_image(tmp_path / "a.png", max_pixels=12 * 20).shape == (12, 20, 3)
    with pytest.raises(ImageError, match="too large"):
        thumbnail(tmp_path / "a.png", max_pixels=12 * 20 - 1)
    # 190 megapixels of nothing: above the size at which Pillow itself gives up.
    Image.new("1", (19_000, 10_000)).save(tmp_path / "b.png")
    assert probe(tmp_path / "b.png").size == (10_000, 19_000)


def test_a_program_is_no_image_whatever_it_is_called(tmp_path: Path) -> None:
    scene().save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")
    for read in (probe, decode_image, thumbnail):
        with pytest.raises(ImageError, match="no known kind of image"):
            read(tmp_path / "a.png")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data(), suffix=st.sampled_from(["jpg", "png", "gif", "tif", "bmp", "webp", "ppm"]))
def test_no_damage_gets_past_as_another_error(tmp_path: Path, data: st.DataObject, suffix: str) -> None:
    path = tmp_path / f"fuzz.{suffix}"
    scene().save(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(1, len(content)))]))
    for read in (probe, decode_image, thumbnail):
        with contextlib.suppress(ImageError):
            read(path)
