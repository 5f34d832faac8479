"""How the window looks. Only the chrome is themed: colours of classes mean something and never pass here."""

from app.theme.look import THEME_TITLES, Look, Theme
from app.theme.sheet import refinement
from app.theme.tokens import DARK, LIGHT, Tokens, contrast, palette_of, text_on

__all__ = [
    "DARK",
    "LIGHT",
    "THEME_TITLES",
    "Look",
    "Theme",
    "Tokens",
    "contrast",
    "palette_of",
    "refinement",
    "text_on",
]
