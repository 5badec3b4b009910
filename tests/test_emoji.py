"""Emoji: what counts as one, and the one spelling of each."""

import json
from pathlib import Path

import pytest

from chat.store.emoji import canonical

HEART, OK, SHRUG = "❤️", "👍🏽", "🤷🏻‍♂️"


@pytest.mark.parametrize(
    "text",
    ["👍", "🎉", HEART, OK, SHRUG, "👨‍👩‍👧‍👦", "🏳️‍🌈", "❤️‍🔥", "🇩🇪", "1️⃣", "#️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🧑🏿‍❤️‍💋‍🧑🏻", "☺️", "©️", "🫠"],
)
def test_an_emoji_keeps_the_spelling_that_keyboards_send(text):
    assert canonical(text) == text


@pytest.mark.parametrize(
    ("text", "spelling"),
    [("❤", HEART), ("👍️", "👍"), ("✌️🏻", "✌🏻"), ("1⃣", "1️⃣"), ("🏳‍🌈", "🏳️‍🌈"), ("🤷🏻‍♂", SHRUG)],
)
def test_other_spellings_of_an_emoji_become_the_same(text, spelling):
    assert canonical(text) == spelling


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "1",
        "#",
        ":)",
        "👍👍",
        "👍 ",
        "👍a",
        "🇩",
        "🇩🇪🇫🇷",
        "🏽",
        "\ufe0f",
        "\u200d",
        "👍\u200d",
        "\u200d👍",
        "👩\u200d" * 20 + "👩",
        "☆",
        "é",
        "\x00",
        "<img>",
        "👍\u202e",
        "🏴" + "\U000e0067" * 30 + "\U000e007f",
    ],
    ids=ascii,
)
def test_anything_else_is_not_one_emoji(text):
    assert canonical(text) is None


@pytest.mark.parametrize("name", ["emoji.json", "emoji.de.json"])
def test_the_picker_offers_only_emoji_in_the_spelling_that_the_server_keeps(name):
    groups = json.loads((Path(__file__).parent.parent / "static/chat" / name).read_text("utf-8"))["groups"]
    offered = [emoji for group in groups for emoji, *_ in group["emoji"]]
    assert [emoji for emoji in offered if canonical(emoji) != emoji] == []
