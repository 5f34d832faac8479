"""What may be an image id: a plain relative POSIX path that cannot lead out of its folder on any system."""

from engine.errors import ProjectError


def is_image_id(text: str) -> bool:
    """Whether a text is a plain relative POSIX path: no way up, no drive, no backslash, storable as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    if "\\" in text or "\0" in text or text[1:2] == ":":
        return False
    return all(part not in {"", ".", ".."} for part in text.split("/"))


def check_image_id(text: str) -> None:
    """Refuse what is no image id.

    Raises:
        ProjectError: the text is no plain relative POSIX path.
    """
    if not is_image_id(text):
        raise ProjectError(
            f"The name {text!r} does not stay inside the project's folder.",
            "Restore project.json from a backup.",
        )
