"""Class lists of other programs."""

import json

import pytest

from engine.annotate.class_files import read_class_file
from engine.annotate.palettes import default_color
from engine.errors import AnnotationError, StorageError


def write(folder, content, name="classes.json"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


_OURS = {
    "classes": [{"id": 4, "name": "sky", "color": [1, 2, 3]}, {"id": 0, "name": "Bäume", "color": [4, 5, 6]}],
    "ignore_index": 255,
}


def test_our_own_form(tmp_path):
    path = write(tmp_path, _OURS)
    classes = read_class_file(path)
    assert classes.names == ("sky", "Bäume")
    assert classes.indices == (4, 0)
    assert classes.by_index(4).color == (1, 2, 3)
    assert classes.next_index == 5


@pytest.mark.parametrize(
    "text",
    [
        "name,r,g,b\nSky,128,128,128\nRoad, main,128, 64,128\n",
        "class_name;R;G;B\nSky;128;128;128\nRoad, main;128;64;128\n",
        "# label:color_rgb:parts:actions\nSky:128,128,128::\nRoad, main:128,64,128:lane:\n",
    ],
)
def test_tables_with_colours(tmp_path, text):
    classes = read_class_file(write(tmp_path, text.encode(), "class_dict.csv"))
    assert classes.names == ("Sky", "Road, main")
    assert [spec.color for spec in classes] == [(128, 128, 128), (128, 64, 128)]
    assert classes.indices == (0, 1)


def test_names_with_numbers_stay_names(tmp_path):
    text = "lane 1, 2\nname\ncar: 3\n"
    assert read_class_file(write(tmp_path, text.encode(), "c.txt")).names == ("lane 1, 2", "name", "car: 3")


@pytest.mark.parametrize(
    "content",
    [
        ["sky", " road "],
        [{"name": "sky"}, {"name": "road"}],
        [{"name": "sky", "index": 0}, {"name": " road", "id": 1, "supercategory": "flat"}],
        {
            "classes": [
                "sky",
                {"name": "road"},
                {"id": 255, "name": "unlabelled"},
                {"id": 254, "name": "void"},
            ]
        },
    ],
)
def test_other_forms(tmp_path, content):
    path = write(tmp_path, content)
    classes = read_class_file(path)
    assert classes.names == ("sky", "road")
    assert classes.indices == (0, 1)
    assert classes.by_index(1).color == default_color(1)


def test_colours(tmp_path):
    content = [
        {"name": "a", "color": "#0a0B0c"},
        {"name": "b", "colour": [7, 8, 9]},
        {"name": "c", "color": None},
    ]
    assert [spec.color for spec in read_class_file(write(tmp_path, content))] == [
        (10, 11, 12),
        (7, 8, 9),
        default_color(2),
    ]


def test_text(tmp_path):
    text = "\ufeff# comment\n64 128 64\tAnimal\n\n  road marking \r\n1,2,3, Tree house\n12 34\n"
    path = write(tmp_path, text.encode(), "classes.TXT")
    classes = read_class_file(path)
    assert classes.names == ("Animal", "road marking", "Tree house", "12 34")
    assert classes.indices == (0, 1, 2, 3)
    assert [spec.color for spec in classes] == [(64, 128, 64), default_color(1), (1, 2, 3), default_color(3)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"\xff\xfe", "UTF-8"),
        (3, "no list"),
        ({"classes": {}}, "no list"),
        ({}, "no list"),
        ([], "no classes"),
        ([{"id": 255, "name": "unlabelled"}], "no classes"),
        ([3], "Entry 1"),
        (["a", {"id": 1}], "Entry 2 .* no name"),
        ([{"name": 3}], "no name"),
        ([{"name": "a", "id": "0"}], "no whole number"),
        ([{"name": "a", "id": True}], "no whole number"),
        ([{"name": "a", "id": 300}], "not within"),
        ([{"name": "a", "color": [1, 2]}], "colour"),
        ([{"name": "a", "color": [1, 2, True]}], "colour"),
        ([{"name": "a", "color": "red"}], "colour"),
        ([{"name": "a", "color": [1, 2, 300]}], "colour"),
        (["a", "A"], "already a class"),
        ([{"name": "a", "id": 1}, {"name": "b", "id": 1}], "index 1"),
        ([""], "needs a name"),
    ],
)
def test_what_is_no_class_list(tmp_path, content, message):
    with pytest.raises(AnnotationError, match=message) as caught:
        read_class_file(write(tmp_path, content))
    assert caught.value.message


def test_a_text_file_with_a_colour_that_is_none(tmp_path):
    with pytest.raises(AnnotationError, match="colour"):
        read_class_file(write(tmp_path, b"1 2 999 sky\n", "a.txt"))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(StorageError):
        read_class_file(tmp_path / "classes.json")
