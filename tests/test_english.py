"""The language of code, comments and documents: each sentence names its actor, in words that all engineers know."""

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
SUFFIXES = {".py", ".js", ".css", ".html", ".md"}
# Words that hide the actor. A few of them are right, so they are counted and not forbidden.
VAGUE = re.compile(r"\b(?:nobody|somebody|anybody|whoever)\b", re.IGNORECASE)
MOST_PER_1000_WORDS = 0.3
# The start of a line, string, table cell, tag's content or comment, or the end of the sentence before.
_BEGINS = r"(?:^[\s\"'`#/*<>!|_({\[=-]*|[.!?:…][\"'`)*]*\s+|[\"'`|>]\s*|(?:#|//|/\*+)\s*)"
OPENING = re.compile(_BEGINS + r"(?P<words>(?:Of the|Else|Not so|Whoever|Who)\b)(?![-'])", re.MULTILINE)
# The same as the name of a test.
TEST_NAME = re.compile(r"\btest(?:_|\([\"'`])(?P<words>(?:of.the|else|not.so|whoever|who))(?=[_ ])")
_END = re.compile(r"[.!?](?=[\s\"'`*)<|]|$)")


class Line(NamedTuple):
    """A line that breaks a rule."""

    file: str
    number: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.number}: {self.text.strip()[:140]}"


def sources() -> dict[str, str]:
    """Return the text of all code and documents of the repository by name, but for this file, which names the words."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
    paths = [ROOT / name for name in listed.stdout.split("\0") if Path(name).suffix in SUFFIXES]
    return {str(path.relative_to(ROOT)): path.read_text() for path in paths if path != Path(__file__) and path.exists()}


def vague_words(file: str, text: str) -> list[Line]:
    """Return a line for each vague word, those inside snake_case names included."""
    lines = [Line(file, number, line) for number, line in enumerate(text.splitlines(), 1)]
    return [line for line in lines for _ in VAGUE.findall(line.text.replace("_", " "))]


def bad_openings(file: str, text: str) -> list[Line]:
    """Return the lines on which a sentence begins with words that are no subject; questions may."""
    found = [*OPENING.finditer(text), *TEST_NAME.finditer(text)]
    starts = sorted(match.start("words") for match in found if not is_question(text, match.start("words")))
    lines = text.splitlines()
    return [Line(file, number, lines[number - 1]) for number in (text.count("\n", 0, start) + 1 for start in starts)]


def is_question(text: str, start: int) -> bool:
    """Tell whether the sentence that begins at `start` ends in a question mark."""
    end = _END.search(text, start)
    return end is not None and end.group() == "?"


def test_words_that_hide_the_actor_are_rare():
    texts = sources()
    words = sum(len(text.split()) for text in texts.values())
    lines = [line for file, text in texts.items() for line in vague_words(file, text)]
    rate = 1000 * len(lines) / words
    assert rate <= MOST_PER_1000_WORDS, f"{rate:.2f} in 1,000 words\n" + "\n".join(map(str, lines))


def test_sentences_begin_with_their_subject():
    lines = [line for file, text in sources().items() for line in bad_openings(file, text)]
    assert not lines, "\n" + "\n".join(map(str, lines))


def test_the_sources_are_code_and_documents():
    assert {"README.md", "chat/protocol.py", "static/chat/main.js", "docs/glossary.md"} <= sources().keys()
    assert not [name for name in sources() if name.endswith((".lock", ".json"))]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Nobody waits for it.", 1),
        ("# Whoever comes is told, and somebody else is not.", 2),
        ("def test_nobody_flickers(): ...", 1),
        ("ANYBODY", 1),
        ("No other session waits for it.", 0),
    ],
)
def test_vague_words_are_counted(text, count):
    assert len(vague_words("a.py", text)) == count


@pytest.mark.parametrize(
    "text",
    [
        "# Of the dead first: they are expired.",
        "Rows go in pieces. Of the rest one piece goes along.",
        '"""Who is here, by the leases of processes."""',
        "/** Who watches. */",
        "// Else the text is lost.",
        "- Who reaches Redis can stop it.",
        "| table | Who needs more takes PostgreSQL. |",
        "**Whoever** was away gets everything.",
        "The page waits.\n    # Not so the others: they go on.",
        "<p>Who is not signed in sees a form.</p>",
        "def test_who_is_away_misses_nothing(): ...",
        'test("else it is sent again", () => {});',
        "It ends here: Else nothing would.",
        "Is it so? Who asks is told.",
    ],
)
def test_an_opening_that_is_no_subject_is_found(text):
    assert [line.text for line in bad_openings("a.py", text)] == [text.splitlines()[-1]]


@pytest.mark.parametrize(
    "text",
    [
        "Who may enter this room?",
        '"""Who is here? The users whose lease holds."""',
        "Most of the rows, and all of the others.",
        "The user who writes is asked again.",
        "if ready:\n    go()\nelse:\n    wait()",
        "The WHO. Whole rooms, whose names are known.",
        "Otherwise the text is lost.",
        "def test_the_user_who_left_gets_no_frame(): ...",
        'test("whole pages are kept", () => {});',
    ],
)
def test_other_openings_are_not_found(text):
    assert not bad_openings("a.py", text)


def test_a_finding_names_file_and_line():
    [line] = bad_openings("chat/log.py", "first\n# Else it is lost.\n")
    assert str(line) == "chat/log.py:2: # Else it is lost."
