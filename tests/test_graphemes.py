"""Counting characters as users see them (grapheme clusters)."""

import time

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from chat.store import graphemes

FLAG = "\U0001f1e9"
# Characters that join or are joined: flags, marks, joiners, emoji with modifiers, syllables, prefixes, line ends.
PARTS = st.sampled_from(
    [
        *(FLAG, "\U0001f1ff", "a", "\u0301", "\u200d", "👩", "👍", "\U0001f3fd", "❤", "\ufe0f", "🏴", "\U000e0067"),
        *("\u1100", "\u1161", "\u11a8", "\uac00", "\uac01", "\u0600", "\u0903", "क", "\u094d", "\r", "\n", "\u200b"),
    ]
)
RUNS = {
    "flags": FLAG,
    "flags after letters": "aaa" + FLAG * 40,
    "flags with marks": FLAG * 4 + "\u0301",
    "flags after a prefix": "\u0600" + FLAG * 7,
    "marks": "\u0301",
    "joiners": "\u200d",
    "women joined": "👩\u200d",
    "marks and joiners": "👩\u0301\u200d",
    "skin tones": "👍\U0001f3fd",
    "hearts": "❤\ufe0f",
    "tags": "🏴\U000e0067",
    "Hangul L": "\u1100",
    "Hangul V": "\u1161",
    "Hangul LV T": "\uac00\u11a8",
    "prefixes": "\u0600",
    "prefixes and flags": "\u0600" + FLAG,
    "spacing marks": "\u0903",
    "conjuncts": "क\u094d",
    "linkers": "\u094d",
    "line ends": "\r\n",
    "letters": "x",
}


@given(st.lists(PARTS | st.text(max_size=2), max_size=30).map("".join), st.integers(0, 20))
@example("\u0600" + FLAG * 4 + "\u0301", 20)
@example(FLAG * 5 + "\u200d" + FLAG * 6 + "\u0301" + FLAG * 7, 20)
def test_the_count_matches_the_unicode_rules(text, most):
    expected = len(regex.findall(r"\X", text))
    assert graphemes.count(text, most=100) == expected
    assert graphemes.count(text, most=most) == min(expected, most + 1)


@given(st.integers(0, 50), st.text(max_size=2), st.text(max_size=2))
def test_flags_are_counted_in_pairs_between_any_other_characters(number, before, after):
    text = before + FLAG * number + after
    assert graphemes.count(text, most=100) == len(regex.findall(r"\X", text))


def seconds(text):
    """Return the lowest CPU time of three counts."""

    def once():
        start = time.thread_time()
        graphemes.count(text, most=10**6)
        return time.thread_time() - start

    return min(once() for _ in range(3))


@pytest.mark.parametrize("part", RUNS.values(), ids=RUNS)
def test_counting_takes_linear_time(part):
    short, long = (part * (length // len(part)) for length in (4_000, 32_000))
    # For a text eight times as long, a quadratic count would take 64 times as long.
    took = seconds(long)
    assert took < 24 * seconds(short) + 0.002
    assert took < 0.06
