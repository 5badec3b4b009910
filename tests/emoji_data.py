"""Makes the names of emoji in static/chat/: `npm pack emojibase-data`, unpack it, python -m tests.emoji_data FOLDER."""

import json
import sys
from pathlib import Path
from typing import Any

from chat.store.emoji import canonical

CHAT = Path(__file__).parent.parent / "static" / "chat"
FILES = {"en": CHAT / "emoji.json", "de": CHAT / "emoji.de.json"}
# Parts of other emoji: skin tones and hair.
COMPONENTS = 2
# Newer emoji are empty boxes on systems of the last years.
NEWEST = 15.1


def trimmed(package: Path, language: str) -> dict[str, Any]:
    """Return the emoji by group, each as [emoji, name, short names and tags, number of short names].

    The short names are English in each language, because users know them from other programs.
    """
    data = json.loads((package / language / "data.json").read_text("utf-8"))
    messages = json.loads((package / language / "messages.json").read_text("utf-8"))
    version = json.loads((package / "package.json").read_text("utf-8"))["version"]
    # GitHub's are the best known; emojibase's complete them.
    shortcodes = [
        json.loads((package / "en" / "shortcodes" / f"{name}.json").read_text("utf-8"))
        for name in ("github", "emojibase")
    ]
    groups: dict[int, list[list[Any]]] = {}
    for item in sorted((item for item in data if "group" in item), key=lambda item: item["order"]):
        if item["group"] == COMPONENTS or item["version"] > NEWEST:
            continue
        names = list(dict.fromkeys(name for codes in shortcodes for name in _list(codes.get(item["hexcode"], []))))
        tags = [tag for tag in item.get("tags", []) if " " not in tag and tag not in names]
        groups.setdefault(item["group"], []).append(
            [canonical(item["emoji"]), item["label"], " ".join(names + tags), len(names)]
        )
    # Only the first letter, because German nouns keep theirs.
    titles = {group["order"]: group["message"][0].upper() + group["message"][1:] for group in messages["groups"]}
    return {
        "source": f"emojibase-data {version} by Miles Johnson, MIT licence, from data of Unicode",
        "groups": [{"name": titles[order], "emoji": emoji} for order, emoji in sorted(groups.items())],
    }


def _list(names: str | list[str]) -> list[str]:
    return [names] if isinstance(names, str) else names


if __name__ == "__main__":
    for language, file in FILES.items():
        groups = trimmed(Path(sys.argv[1]), language)
        file.write_text(json.dumps(groups, ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8")
