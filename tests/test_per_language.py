"""Parts of a page that are rendered once for each language."""

from django.template import engines
from django.utils import translation


def render(source, **values):
    return engines["django"].from_string("{% load i18n per_language %}" + source).render(values)


def test_a_part_is_rendered_once_for_each_language():
    template = engines["django"].from_string(
        "{% load i18n per_language %}{% per_language %}{% translate 'Rooms' %} {% now 'u' %}{% end_per_language %}"
    )
    english = template.render()
    assert template.render() == english
    with translation.override("de"):
        german = template.render()
        assert german.startswith("Räume ") and template.render() == german
    assert template.render() == english


def test_a_part_sees_no_variables_so_no_user_sees_another_users():
    source = "{{ name }}{% per_language %}[{{ name }}{{ user }}{{ request }}]{% end_per_language %}"
    assert render(source, name="alice", user="alice") == "alice[]"


def test_a_part_may_include_templates():
    included = "{% include 'chat/icon.html' with name='bell' %}"
    assert render("{% per_language %}" + included + "{% end_per_language %}") == render(included)
    assert "#i-bell" in render(included)
