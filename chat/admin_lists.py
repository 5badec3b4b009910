"""What the lists of the admin share: a paginator that never counts a whole table, and explanations as text."""

from collections.abc import Iterable
from typing import Any

from django.contrib.admin import ModelAdmin, ShowFacets
from django.core.paginator import Paginator
from django.db.models import IntegerField, Max
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from chat.store.explanations import Explanation

# The most rows that are counted. Beyond it the highest id is the estimate: ids are given once, so it is never too low.
MAX_COUNTED = 10_000


class EstimatingPaginator(Paginator):  # type: ignore[type-arg]
    """Counts at most MAX_COUNTED rows, so a list of a table of any size takes the same time."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list.order_by()  # type: ignore[attr-defined]
        # Without the columns of the list, which Django would compute for each row that is counted.
        counted = int(rows.values("pk")[: MAX_COUNTED + 1].count())
        if counted <= MAX_COUNTED:
            return counted
        if not isinstance(rows.model._meta.pk, IntegerField):
            # The key of an app's own model may be a text or a UUID. Rows beyond these are found by a search.
            return counted
        highest = rows.model._base_manager.aggregate(highest=Max("pk"))["highest"]
        return max(int(highest or 0), counted)


# With these options a list reads a bounded part of its table.
BOUNDED = {"paginator": EstimatingPaginator, "show_full_result_count": False, "show_facets": ShowFacets.NEVER}


def bounded_options(admin_class: type[Any] | None) -> dict[str, Any]:
    """Return the options with which a list counts no whole table, without those that the class sets itself."""
    chosen = admin_class or ModelAdmin
    return {name: option for name, option in BOUNDED.items() if getattr(chosen, name) is getattr(ModelAdmin, name)}


def login_options(admin_class: type[Any] | None) -> dict[str, Any]:
    """Return the options with which a list of django-axes reads no whole table for dates and paths to choose from."""
    filters = [name for name in (admin_class or ModelAdmin).list_filter if name != "path_info"]
    return {"date_hierarchy": None, "list_filter": filters}


def as_text(explanations: Iterable[Explanation]) -> SafeString:
    """Return explanations as paragraphs for a page of the admin."""
    return format_html_join("", "<p>{} <b>{}</b><br>{}</p>", (_parts(explanation) for explanation in explanations))


def _parts(explanation: Explanation) -> tuple[str, str, SafeString]:
    answer = _("Yes:") if explanation.may_enter else _("No:")
    names = ", ".join(explanation.names) or _("none")
    more = [_("… and more")] if explanation.is_cut else []
    return answer, explanation.rule, format_html("{}", " ".join([names, *more]))
