"""Decides what one emoji is, and gives each emoji one spelling, because some can be written in several ways."""

import regex

# Longer than any emoji in use: a family of four with skin tones has 41 bytes.
MAX_BYTES = 64

_JOINER, _SHOWN_AS_EMOJI = "\u200d", "\ufe0f"
_FLAG = r"[\U0001F1E6-\U0001F1FF]{2}"
_KEYCAP = r"[0-9#*]\ufe0f?\u20e3"
_SKIN_TONE = r"[\U0001F3FB-\U0001F3FF]"
# Flags and skin tones alone have the property too, but are parts of other emoji.
_BASE = (
    rf"(?![\U0001F1E6-\U0001F1FF]|{_SKIN_TONE})(?:\p{{Emoji_Presentation}}|(?=\p{{Emoji}})\p{{Extended_Pictographic}})"
)
# The flags of England, Scotland and Wales are a black flag with tags.
_TAGS = r"[\U000E0020-\U000E007E]+\U000E007F"
_ELEMENT = regex.compile(rf"({_BASE})(\ufe0f?)({_SKIN_TONE}?)((?:{_TAGS})?)")
_EMOJI = regex.compile(rf"{_FLAG}|{_KEYCAP}|{_ELEMENT.pattern}(?:\u200d{_ELEMENT.pattern})*")
_IS_SHOWN_AS_EMOJI = regex.compile(r"\p{Emoji_Presentation}")


def canonical(text: str) -> str | None:
    """Return the one spelling of an emoji, which is the one that keyboards send; None if the text is not one emoji."""
    if len(text) > MAX_BYTES or len(text.encode()) > MAX_BYTES or not _EMOJI.fullmatch(text):
        return None
    if regex.fullmatch(_KEYCAP, text):
        return f"{text[0]}{_SHOWN_AS_EMOJI}\u20e3"
    if regex.fullmatch(_FLAG, text):
        return text
    return _JOINER.join(_canonical_element(element) for element in text.split(_JOINER))


def _canonical_element(element: str) -> str:
    found = _ELEMENT.fullmatch(element)
    assert found is not None, "the whole emoji has matched"
    base, _, skin_tone, tags = found.groups()
    # A character that is text by default needs a selector, unless a skin tone makes it an emoji.
    needs_selector = not skin_tone and not tags and not _IS_SHOWN_AS_EMOJI.fullmatch(base)
    return f"{base}{_SHOWN_AS_EMOJI if needs_selector else ''}{skin_tone}{tags}"
