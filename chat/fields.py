"""Model fields of our own (FormerUserField)."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from django.db.models.fields.related_descriptors import ForwardManyToOneDescriptor


class _GoneIsNone(ForwardManyToOneDescriptor):  # type: ignore[type-arg]
    """Answers None for a user who was deleted; their number stays."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        try:
            return super().__get__(instance, cls)
        except ObjectDoesNotExist:
            return None


class FormerUserField(models.ForeignKey):  # type: ignore[type-arg]
    """Refers to a user who may have been deleted.

    The database does not check it, so deleting a user touches no row that refers to them, however many
    there are. Numbers of users are never given out again (see `chat.store.deletion.disown`).
    """

    forward_related_accessor_class = _GoneIsNone

    def __init__(self, to: Any = settings.AUTH_USER_MODEL, **kwargs: Any) -> None:
        kwargs |= {"on_delete": models.DO_NOTHING, "db_constraint": False}
        super().__init__(to, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["on_delete"], kwargs["db_constraint"]
        return name, path, args, kwargs
