"""A template tag for parts of a page that are the same for all users."""

from django import template
from django.template.base import NodeList, Parser, Token
from django.template.context import Context
from django.utils.translation import get_language

register = template.Library()


class PerLanguage(template.Node):
    """Renders its nodes once for each language, and as long as the template is loaded."""

    def __init__(self, nodelist: NodeList) -> None:
        self.nodelist = nodelist
        self._rendered: dict[str | None, str] = {}

    def render(self, context: Context) -> str:
        language = get_language()
        rendered = self._rendered.get(language)
        if rendered is None:
            # Without variables, so that nothing of one user can reach the page of another one.
            rendered = self._rendered[language] = self.nodelist.render(context.new())
        return rendered


@register.tag
def per_language(parser: Parser, token: Token) -> PerLanguage:
    """Render what is between `{% per_language %}` and `{% end_per_language %}` once. It sees no variables."""
    nodelist = parser.parse(("end_per_language",))
    parser.delete_first_token()
    return PerLanguage(nodelist)
