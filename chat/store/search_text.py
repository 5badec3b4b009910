"""Stores the text of each message in the form that search compares, beside the log, in the message's own transaction.

In this form, spellings that users take for the same are the same.
"""

import re
import unicodedata
from collections.abc import Collection

from chat.models import Event, SearchText
from chat.store import files, values
from chat.store.round_trip import RoundTrip

# Texts that one statement stores. Some builds of SQLite take 999 parameters.
STORED_AT_ONCE = 300
# The event is found by its place in the log, because its key may not be known yet. CROSS JOIN: each is one look-up.
_STORE = """
WITH stored(room_id, seq, text) AS ({rows})
INSERT INTO chat_searchtext (event_id, room_id, text)
SELECT event.id, stored.room_id, stored.text FROM stored CROSS JOIN chat_event event
WHERE event.room_id = stored.room_id AND event.seq = stored.seq
"""

# Scripts that are written without spaces, or whose words are often only two letters long: kana, Han and Hangul.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
# Marks that writers leave out as they like (accents, vowel points of Hebrew and Arabic, the Arabic stroke that only
# widens), and characters that cannot be seen (soft hyphens, joiners, direction marks, variants of emoji).
_MARKS = re.compile(
    "[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670"
    "\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff]"
)
# Of a phone's keyboard.
QUOTES = str.maketrans(dict.fromkeys("“”„‟", '"'))
# Letters that do not decompose into a base letter and an accent, as in static/chat/model/match.js, and signs that
# phones write in place of those on a keyboard.
_SAME = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i", "ð": "d", "þ": "th"}
    | dict.fromkeys("‘’‚‛ʼ", "'")
    | dict.fromkeys("‐‒–—―−", "-")
    | {chr(sign): same for sign, same in QUOTES.items()}
)
_LETTER_OF_UNSPACED = re.compile(f"([{_UNSPACED}])")


def searchable(text: str) -> str:
    """Return the form of a text that is stored: without case and accents, and with spaces around it.

    A text that is in this form already is returned unchanged. If you change the form, add a migration as 0057, which
    rewrites the stored texts.

    Each letter of a script without spaces becomes a word, so a search for two letters has a trigram too.
    """
    plain = _MARKS.sub("", unicodedata.normalize("NFKD", text)).casefold().translate(_SAME)
    spaced = _LETTER_OF_UNSPACED.sub(r" \1 ", unicodedata.normalize("NFC", plain))
    return f" {' '.join(spaced.split())} "


def searchable_part(text: str) -> str:
    """Return the form in which a part of a text stands in searchable texts."""
    part = searchable(text).strip()
    if not part:
        return ""
    before = " " if _LETTER_OF_UNSPACED.match(part[0]) else ""
    after = " " if _LETTER_OF_UNSPACED.match(part[-1]) else ""
    return f"{before}{part}{after}"


def store(events: Collection[Event], trip: RoundTrip) -> None:
    """Let a round trip store the searchable texts of these messages, whose events are stored before or in it."""
    kept = [event for event in events if event.deleted_at is None]
    for start in range(0, len(kept), STORED_AT_ONCE):
        texts = [
            (event.room_id, event.seq, searchable(files.text_with_names(event)))
            for event in kept[start : start + STORED_AT_ONCE]
        ]
        values.add(trip, _STORE, texts, ("bigint", "bigint", "text"))


def forget(changed: Collection[Event]) -> None:
    """Remove the searchable texts of messages that have changed."""
    if changed:
        SearchText.objects.filter(event__in=[event.pk for event in changed]).delete()
