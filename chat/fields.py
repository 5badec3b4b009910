"""Our own model fields (FormerUserField)."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from django.db.models.fields.related_descriptors import ForwardManyToOneDescriptor


class _NoneIfDeleted(ForwardManyToOneDescriptor):  # type: ignore[type-arg]
    """Returns None for a deleted user, whose id stays in the row."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        try:
            return super().__get__(instance, cls)
        except ObjectDoesNotExist:
            return None


class FormerUserField(models.ForeignKey):  # type: ignore[type-arg]
    """Refers to a user who may have been deleted.

    The database has no constraint for it, so deleting a user writes to none of the rows that refer to them, however
    many there are. Users' ids are never used again (see `chat.store.deletion.disown`).
    """

    forward_related_accessor_class = _NoneIfDeleted

    def __init__(self, to: Any = settings.AUTH_USER_MODEL, **kwargs: Any) -> None:
        kwargs |= {"on_delete": models.DO_NOTHING, "db_constraint": False}
        super().__init__(to, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["on_delete"], kwargs["db_constraint"]
        return name, path, args, kwargs
