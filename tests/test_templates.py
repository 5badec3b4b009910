"""Every sentence of a template can be translated: its text, and the attributes that are read or spoken."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.template import engines
from django.utils import translation

TEMPLATES = Path(__file__).parent.parent / "templates"
NAMES = [str(path.relative_to(TEMPLATES)) for path in sorted(TEMPLATES.rglob("*.*"))]
TAGS = re.compile(
    r"\{% block body_class %\}.*?\{% endblock %\}|\{% blocktranslate .*?\{% endblocktranslate %\}"
    r"|\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}",
    re.DOTALL,
)
READ = ("alt", "aria-description", "aria-label", "placeholder", "title")
WORD = re.compile(r"[^\W\d_][\w+:/]*")
# The product, keys of the keyboard, and the start of addresses.
SAME_EVERYWHERE = {"Multichat", "E", "Esc", "F8", "https://"}


class Texts(HTMLParser):
    """Collects what a reader sees or hears, but for code."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.code = 0
        self.feed(TAGS.sub("", source))
        self.close()

    def handle_starttag(self, tag, attrs):
        self.code += tag in ("script", "code")
        self.found += [value for name, value in attrs if name in READ and value]

    def handle_endtag(self, tag):
        self.code -= tag in ("script", "code")

    def handle_data(self, data):
        if not self.code:
            self.found.append(data)


def untranslatable(source: str) -> list[str]:
    return [word for text in Texts(source).found for word in WORD.findall(text) if word not in SAME_EVERYWHERE]


@pytest.mark.parametrize("name", NAMES)
def test_no_word_stands_outside_a_tag_of_gettext(name):
    assert untranslatable((TEMPLATES / name).read_text()) == []


def test_words_outside_a_tag_of_gettext_are_found():
    assert untranslatable('<p title="{% translate \'Yes\' %}">{{ name }}: {% translate "Yes" %} Multichat</p>') == []
    assert untranslatable('<p title="No">{{ name }} is here</p>') == ["No", "is", "here"]


@pytest.mark.parametrize(("language", "wanted"), [("en", '<html lang="en">'), ("de", '<html lang="de">')])
def test_the_page_for_errors_has_its_language_without_a_context(language, wanted):
    with translation.override(language):
        assert wanted in engines["django"].get_template("500.html").render({})
