"""The key of a name: the same for names that people take for each other, because they differ in case or invisibly."""

import hashlib
import unicodedata

import regex

# The name of messages without an author on the page.
SYSTEM = "System"
# A longer key is cut, and ends in a digest of the whole, because databases do not index long values.
MAX_KEY = 300
_CUT = 200

# Characters that show nothing: zero-width and bidirectional ones, fillers, variation selectors, controls.
_INVISIBLE = regex.compile(r"[\p{Default_Ignorable_Code_Point}\p{Cc}\p{Cf}\p{Cs}\p{Co}\u2800]")
_SPACES = regex.compile(r"[\s\p{Z}]+")


def name_key(name: str) -> str:
    """Return a key that is the same for names that differ only in case, spelling of a character, or invisibly.

    Follows Unicode's caseless match for compatible characters (NFKC).
    """
    # White space first, because some control characters are white space.
    visible = _INVISIBLE.sub("", _SPACES.sub(" ", unicodedata.normalize("NFKC", name)))
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", visible).casefold())
    key = _SPACES.sub(" ", _INVISIBLE.sub("", folded)).strip()
    if len(key) <= MAX_KEY:
        return key
    return f"{key[:_CUT]}…{hashlib.sha256(key.encode()).hexdigest()}"


SYSTEM_KEY = name_key(SYSTEM)
