"""The models: fields, constraints and querysets, without side effects."""

import re
import secrets
import uuid
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from chat.conf import conf
from chat.fields import FormerUserField
from chat.names import MAX_KEY, SYSTEM, SYSTEM_KEY, name_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


def new_epoch() -> str:
    """Return a new name for a room's log, different from those of its earlier logs."""
    return secrets.token_hex(4)


def title_key(title: str) -> str:
    """Return a key that is the same for titles that differ only in case or in invisible characters.

    It has a column of its own, because LOWER() of SQLite knows only ASCII.
    """
    return name_key(title)


# Ends the keys of rooms whose titles collided before the rule was made. No title has a line break.
COLLIDED = "\n"


# Characters that turn the direction of the text after them.
TURNING = re.compile(r"[\u202a-\u202e\u2066-\u2069]")


# How many ids of events an index takes together, so that a search finds those of some days.
IDS_PER_BLOCK = 4096

# The columns of a room that only chat.store.log writes.
LOG_FIELDS = {"head_seq", "floor_seq", "epoch"}


class RoomQuerySet(models.QuerySet["Room"]):
    def enterable_by(self, user: "AbstractBaseUser | AnonymousUser") -> Self:
        """Narrow to the rooms that `user` may see and enter, by title.

        The rows of other users' rooms are not read, however many there are: the two parts are found by index.
        """
        if not user.is_active:
            return self.none()
        own = RoomMember.objects.filter(user=user.pk).values("room")
        shared = Room.objects.shared_by(user).order_by().values("pk")
        return self.filter(pk__in=shared.union(own, all=True)).order_by("title_key", "pk")

    def shared_by(self, user: "AbstractBaseUser | AnonymousUser") -> Self:
        """Narrow to the rooms that all active users of this user's kind may see and enter, by title."""
        rooms = self.filter(members_only=False)
        rooms = rooms if getattr(user, "is_staff", False) else rooms.filter(staff_only=False)
        return rooms.order_by("title_key", "pk")

    def titled(self, title: str) -> Self:
        """Narrow to the rooms with this title, without regard to case, those for everybody first."""
        return self.filter(title_key=title_key(title)).order_by("members_only", "staff_only", "pk")

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete these rooms as `Room.delete` does."""
        from chat.store import deletion

        return deletion.delete_rooms(list(self.order_by("pk").values_list("pk", flat=True)))


class RoomManager(models.Manager["Room"]):
    """Finds the existing rooms. Rooms whose rows are still being removed are excluded."""

    def get_queryset(self) -> RoomQuerySet:
        return RoomQuerySet(self.model, using=self._db).filter(deleted_at=None)

    def enterable_by(self, user: "AbstractBaseUser | AnonymousUser") -> RoomQuerySet:
        """Narrow to the rooms that `user` may see and enter, by title."""
        return self.get_queryset().enterable_by(user)

    def shared_by(self, user: "AbstractBaseUser | AnonymousUser") -> RoomQuerySet:
        """Narrow to the rooms that all active users of this user's kind may see and enter, by title."""
        return self.get_queryset().shared_by(user)

    def titled(self, title: str) -> RoomQuerySet:
        """Narrow to the rooms with this title, without regard to case, those for everybody first."""
        return self.get_queryset().titled(title)


class TitleKeyField(models.CharField):  # type: ignore[type-arg]
    """Follows `title`, in save() and in bulk_create()."""

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        key = title_key(str(getattr(model_instance, "title", "")))
        current = getattr(model_instance, self.attname)
        if isinstance(current, str) and current.startswith(key + COLLIDED):
            return current
        setattr(model_instance, self.attname, key)
        return key


class Room(models.Model):
    """A named place with one log: events numbered from 1 to head_seq, kept from floor_seq on.

    It is for everybody, for staff, or for its members. A direct room is a room for members who never change. Its
    title is made of their names, for each reader anew; the stored one is for the admin and the command line.
    """

    title = models.CharField(
        max_length=255,
        validators=[RegexValidator(r"[\x00-\x1f\x7f]", _("A title is one line."), inverse_match=True)],
    )
    title_key = TitleKeyField(max_length=255 * 9, editable=False)
    topic = models.CharField(
        max_length=250,
        blank=True,
        db_default="",
        default="",
        validators=[RegexValidator(r"[\x00-\x1f\x7f]", _("A topic is one line."), inverse_match=True)],
    )
    staff_only = models.BooleanField(_("staff only"), default=False)
    members_only = models.BooleanField(_("members only"), default=False, db_default=False)
    # In a direct room: the ids of its people, so that there is one room for each set of people.
    direct_key = models.CharField(max_length=200, null=True, editable=False)  # noqa: DJ001  null in all other rooms
    # The names of the people of a direct room by id, where chat.store.policies has loaded it.
    people: "Mapping[int, str]" = {}
    # How long messages are kept, by `manage.py prune`; null for ever. A legal hold keeps them all the same.
    retention_days = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1, _("Keep messages for at least a day."))]
    )
    legal_hold = models.BooleanField(_("legal hold"), default=False, db_default=False)
    # Set when the room is archived: nothing can be written there, and the list leaves it out.
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Written only by chat.store.log, under the row's lock. Not indexed, so that PostgreSQL can update it in place.
    head_seq = models.PositiveBigIntegerField(default=0, editable=False)
    floor_seq = models.PositiveBigIntegerField(default=1, editable=False)
    epoch = models.CharField(max_length=16, default=new_epoch, editable=False)
    # Set when the room is deleted. It is closed to all users at once, and its rows are then removed in pieces.
    deleted_at = models.DateTimeField(null=True, editable=False)

    objects = RoomManager()
    # Includes the rooms that are being deleted, as Django's base manager does.
    all_objects: ClassVar[models.Manager["Room"]] = models.Manager()

    class Meta:
        ordering: ClassVar = ["title_key"]
        constraints: ClassVar = [
            # Unique among rooms that the same users see: a refused title must not tell that a hidden room has it.
            models.UniqueConstraint(
                fields=["title_key", "staff_only"],
                condition=models.Q(deleted_at=None, members_only=False),
                name="room_title",
                violation_error_message=_("There is a room with this title already."),
            ),
            models.UniqueConstraint(
                fields=["direct_key"],
                condition=models.Q(deleted_at=None, direct_key__isnull=False),
                name="room_direct_key",
            ),
            models.CheckConstraint(
                condition=~models.Q(staff_only=True, members_only=True),
                name="room_staff_or_members",
                violation_error_message=_("A room is for staff or for its members, not both."),
            ),
            models.CheckConstraint(
                condition=models.Q(direct_key=None) | models.Q(members_only=True), name="room_direct_is_for_members"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["deleted_at"], name="room_deleted", condition=models.Q(deleted_at__isnull=False)),
            # Finds the rooms that users of a kind share, however many rooms of members there are.
            models.Index(fields=["title_key"], name="room_shared", condition=models.Q(members_only=False)),
            # The order of the admin's list of all rooms: no request sorts the table.
            models.Index(fields=["title_key", "-id"], name="room_listed", condition=models.Q(deleted_at=None)),
        ]

    def __str__(self) -> str:
        return self.title

    def save(self, **kwargs: Any) -> None:
        fields = kwargs.get("update_fields")
        if fields is None and not self._state.adding and not kwargs.get("force_insert"):
            # The log grows while an admin edits the room, so its columns are never written back from this object.
            fields = {field.attname for field in self._meta.concrete_fields if not field.primary_key} - LOG_FIELDS
        if fields is not None:
            kwargs["update_fields"] = {*fields, "title_key"} if "title" in fields else fields
        super().save(**kwargs)

    def delete(self, using: Any = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Close the room to all users, then remove its rows in pieces; return counts of the rows, as Django does.

        Inside a transaction, at most one piece is removed, and a server removes the other rows after the commit.
        """
        from chat.store import deletion

        assert self.pk is not None, "a room that was not saved cannot be deleted"
        removed = deletion.delete_rooms([self.pk])
        self.pk = None
        return removed

    def clean(self) -> None:
        self.title = self.title.strip()
        if not title_key(self.title):
            raise ValidationError({"title": _("A room needs a title.")})
        if title_key(self.title) == SYSTEM_KEY:
            raise ValidationError({"title": format_lazy(_("A room can't be called {name}."), name=SYSTEM)})
        stored = Room.all_objects.filter(pk=self.pk).values_list("title", flat=True)
        if TURNING.search(self.title) and self.title not in [title.strip() for title in stored]:
            # A room that has such a title already keeps it, so that the rest of it can be changed.
            raise ValidationError({"title": _("A title can't contain characters that change the direction of text.")})
        if self.title in (".", ".."):
            # Browsers remove these from an address: /chat/../ is another page.
            raise ValidationError({"title": _("A title can't be only dots, because it would have no address.")})
        # full_clean() also gets here with a title that its validators refused, and PostgreSQL cannot search for a NUL.
        if "\x00" not in self.title and self._is_title_taken():
            raise ValidationError({"title": _("There is a room with this title already.")})

    def _is_title_taken(self) -> bool:
        """Return whether a room of the same kind has this title. Rooms of members may have any."""
        rooms = Room.objects.titled(self.title).filter(members_only=False, staff_only=self.staff_only)
        return not self.members_only and rooms.exclude(pk=self.pk).exists()

    def add_member(self, user: "AbstractBaseUser") -> None:
        """Let `user` see and enter this room of members. Shorthand for room_actions.add_members.

        Raises ClientError: ROOM_INVALID (deleted meanwhile), COMMAND_INVALID (not a room of members, or a direct one).
        """
        # Imported here for the same reason as in send_message.
        from chat.store import room_actions

        room_actions.add_members(self.pk, [user.pk])

    def remove_member(self, user: "AbstractBaseUser") -> None:
        """End the right of `user` to see and enter this room of members. Shorthand for room_actions.remove_member.

        Raises ClientError: as add_member.
        """
        from chat.store import room_actions

        room_actions.remove_member(self.pk, user.pk)

    @property
    def kind(self) -> str:
        """The kind of a room of members, as frames say it; empty for a room that users share."""
        if self.direct_key is not None:
            return "direct"
        return "members" if self.members_only else ""

    def send_message(
        self,
        message: str,
        user: "AbstractBaseUser | None",
        msg_type: int = conf.MSG_TYPE_MESSAGE,
    ) -> int:
        """Post `message` in this room and return its seq. Shorthand for actions.post_message.

        Raises ClientError: MESSAGE_EMPTY, MESSAGE_TOO_LONG, MESSAGE_INVALID, ROOM_INVALID (deleted meanwhile).
        """
        # Imported here, because store imports the models. The method is the shorthand of the original tutorial.
        from chat.store import actions

        return actions.post_message(self, user, message, msg_type=msg_type)


class RoomMember(models.Model):
    """A user may see and enter a room that is for its members only."""

    room = models.ForeignKey(Room, on_delete=models.CASCADE, db_index=False, related_name="members")
    user = FormerUserField(related_name="+")
    # Whether this member may rename and archive the room, and remove others.
    is_owner = models.BooleanField(default=False)
    added_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["room", "user"], name="room_member")]

    def __str__(self) -> str:
        return f"room={self.room_id} user={self.user_id}"


class Event(models.Model):
    """A numbered fact in a room's log.

    A posted event holds its current text. Edits, deletes, reactions, and confirmations of alerts are events of their
    own that point at it by `target_seq`. An edit takes the text out of the edit before it, and a delete out of the
    message and its latest edit, so no replaced text stays in the log. The text of a reaction is its emoji.
    """

    class Kind(models.IntegerChoices):
        POSTED = 0
        EDITED = 1
        DELETED = 2
        REACTED = 3
        CONFIRMED = 4
        RESOLVED = 5

    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="events")
    seq = models.PositiveBigIntegerField()
    kind = models.PositiveSmallIntegerField(choices=Kind, default=Kind.POSTED)
    # Null for the system. The id stays when the user is deleted. The unique constraint below serves as its index.
    author = FormerUserField(null=True, db_index=False, related_name="+")
    # Copied, so that history keeps the name when the user is deleted.
    username = models.CharField(max_length=150)
    body = models.TextField(blank=True)
    msg_type = models.PositiveSmallIntegerField(default=conf.MSG_TYPE_MESSAGE)
    target_seq = models.PositiveBigIntegerField(null=True)
    # In a message: the seq of its latest edit. In an edit: that of a later edit of the same message.
    edit_seq = models.PositiveBigIntegerField(null=True)
    # The text of a message before its first edit. Kept only on a site with KEEP_EDITED_TEXT.
    first_body = models.TextField(null=True)  # noqa: DJ001  null costs no space in the rows of other sites
    # The sender's idempotency key, unique per author for ever, so that a retry at any later time posts nothing.
    client_id = models.UUIDField(null=True)
    # Whether the sender gave it. If not, the server made it, and frames do not show it.
    client_id_given = models.BooleanField(default=False)
    # In a message: the seq of the message that it answers.
    reply_to = models.PositiveBigIntegerField(null=True)
    # In a message that was sent into several rooms at once: the same for all its copies.
    across = models.UUIDField(null=True)
    # In a quote: the room and the seq of the quoted message. Its text stays there alone, and no constraint keeps it.
    source_room = models.PositiveBigIntegerField(null=True)
    source_seq = models.PositiveBigIntegerField(null=True)
    # In a message and an edit: whom its text mentions, as JSON (chat.store.mentions).
    named = models.TextField(null=True)  # noqa: DJ001
    # In a reaction: whether it was given, or taken back. In a delete and its message: whether Undo took it back.
    is_on = models.BooleanField(null=True)
    # In a message: its reactions as JSON (chat.store.reactions), so that a page of history reads no other table.
    reactions = models.TextField(null=True)  # noqa: DJ001  null costs no space in the rows without reactions
    # In a message: its files as JSON, as frames show them (chat.store.files).
    files = models.TextField(null=True)  # noqa: DJ001
    # In an alert: who has confirmed it, and who said that it is over, as JSON (chat.store.confirmations).
    confirmations = models.TextField(null=True)  # noqa: DJ001
    resolved = models.TextField(null=True)  # noqa: DJ001
    at = models.DateTimeField()
    edited_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["room", "seq"], name="event_room_seq"),
            models.UniqueConstraint(fields=["author", "client_id"], name="event_author_client_id"),
        ]
        indexes: ClassVar = [
            # Opening a room, history and counting read only messages, however many edits lie between them. Includes
            # the author and the time of deletion, so that counting reads only the index.
            models.Index(
                fields=["room", "seq", "author", "deleted_at"], name="event_posted", condition=models.Q(kind=0)
            ),
            models.Index(
                fields=["room", "target_seq"],
                name="event_room_target",
                condition=models.Q(target_seq__isnull=False),
            ),
            # Alerts are few. A join frame carries the last ones, however many messages came after them.
            models.Index(
                fields=["room", "seq"],
                name="event_alerts",
                condition=models.Q(kind=0, msg_type=conf.MSG_TYPE_ALERT),
            ),
            # Finds the copies of a message in other rooms.
            models.Index(fields=["across"], name="event_across", condition=models.Q(across__isnull=False)),
            # Finds the messages with files, newest first, however few they are.
            models.Index(fields=["id"], name="event_with_files", condition=models.Q(files__isnull=False)),
            # Finds the messages from before a user's first visit.
            models.Index(fields=["room", "at", "seq"], name="event_room_at", condition=models.Q(kind=0)),
            # Finds a user's messages in all rooms, newest first.
            models.Index(fields=["author", "id"], name="event_author_newest", condition=models.Q(kind=0)),
            # Finds which ids the messages of some days have (chat.store.id_blocks).
            models.Index(
                models.F("id") / IDS_PER_BLOCK,
                models.F("at"),
                name="event_time_of_ids",
                condition=models.Q(kind=0),
            ),
        ]

    def __str__(self) -> str:
        return f"room={self.room_id} seq={self.seq}"


class Mention(models.Model):
    """A user whom a message mentions, or all users (`chat.store.mentions.EVERYONE`)."""

    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="mentions")
    user = FormerUserField(db_index=False, related_name="+")
    # Copied from the event, so that counting a user's mentions in a room reads one range of one index.
    room_id = models.PositiveBigIntegerField()
    seq = models.PositiveBigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "room_id", "seq"], name="mention_user_room_seq")
        ]
        # A user's mentions in all rooms, newest first.
        indexes: ClassVar = [models.Index(fields=["user", "event"], name="mention_user_newest")]

    def __str__(self) -> str:
        return f"event={self.event_id} user={self.user_id}"


class Reaction(models.Model):
    """Whether a user has given a message an emoji: one row for each user, message and emoji.

    A reaction that was taken back keeps its row. Rows of deleted users stay, because their events do too.
    """

    event = models.ForeignKey(Event, on_delete=models.CASCADE, db_index=False, related_name="+")
    emoji = models.CharField(max_length=64)
    user = FormerUserField(null=True, db_index=False, related_name="+")
    # Copied, as in the event.
    username = models.CharField(max_length=150)
    is_on = models.BooleanField(default=True)
    # The number of the event that gave it or took it back last.
    seq = models.PositiveBigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["event", "emoji", "user"], name="reaction_event_emoji_user")
        ]
        indexes: ClassVar = [
            # Finds a reader's own reactions to the messages of a page, at most some for each message.
            models.Index(fields=["user", "event"], name="reaction_own", condition=models.Q(is_on=True)),
        ]

    def __str__(self) -> str:
        return f"event={self.event_id} user={self.user_id}"


class SearchText(models.Model):
    """The text of a message as chat.store.search looks for it. Deleted messages have none."""

    event = models.OneToOneField(Event, primary_key=True, on_delete=models.CASCADE, related_name="+")
    # Copied from the event, so that the rights of the reader are checked without reading it.
    room_id = models.PositiveBigIntegerField()
    text = models.TextField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["room_id", "event"], name="search_room_event")]

    def __str__(self) -> str:
        return f"event={self.event_id}"


class StoredFile(models.Model):
    """A file that a user has uploaded to a room. Without an event it was not posted yet, and expires.

    Its bytes are in the storage under its id (chat.store.file_storage), which cannot be guessed.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="+")
    # The message that was posted with it.
    event = models.ForeignKey(Event, null=True, on_delete=models.CASCADE, related_name="+")
    author = FormerUserField(null=True, db_index=False, related_name="+")
    name = models.CharField(max_length=255)
    # The media type, judged by the content.
    type = models.CharField(max_length=100)
    size = models.PositiveBigIntegerField()
    # In pixels. Only images that browsers may show have them; these have a thumbnail too.
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)
    # Whether the storage has all of its bytes.
    is_complete = models.BooleanField(default=False)
    # The uploader's idempotency key: an upload that is tried again in the room stores nothing twice.
    client_id = models.UUIDField(null=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(event=None) | models.Q(is_complete=True), name="file_complete_if_posted"
            ),
            models.CheckConstraint(
                condition=models.Q(width=None, height=None) | models.Q(width__gte=1, height__gte=1),
                name="file_width_and_height",
            ),
            models.UniqueConstraint(
                fields=["author", "room", "client_id"],
                condition=models.Q(client_id__isnull=False),
                name="file_author_room_client_id",
            ),
        ]
        indexes: ClassVar = [
            # Adds up what a user has stored, from the index alone.
            models.Index(fields=["author", "size"], name="file_author_size"),
            # Finds the files that were never posted.
            models.Index(fields=["at"], name="file_unposted", condition=models.Q(event=None)),
        ]

    def __str__(self) -> str:
        return f"file={self.pk} room={self.room_id}"


class RemovedFile(models.Model):
    """A file whose row is gone and whose bytes the janitor has yet to remove. The key is the file's id."""

    id = models.UUIDField(primary_key=True)

    def __str__(self) -> str:
        return f"file={self.pk}"


class Confirmation(models.Model):
    """A user has confirmed an alert. Rows of deleted users stay, because their events do too."""

    event = models.ForeignKey(Event, on_delete=models.CASCADE, db_index=False, related_name="+")
    user = FormerUserField(null=True, related_name="+")
    # Copied, as in the event.
    username = models.CharField(max_length=150)
    # The number of the event by which the user confirmed it.
    seq = models.PositiveBigIntegerField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["event", "user"], name="confirmation_event_user")]

    def __str__(self) -> str:
        return f"event={self.event_id} user={self.user_id}"


class Membership(models.Model):
    """A user's lasting tie to a room."""

    class Level(models.IntegerChoices):
        """What a user hears of a room: every message, what is for them, or nothing. Alerts always get through."""

        ALL = 0
        MENTIONS = 1
        QUIET = 2

    room = models.ForeignKey(Room, on_delete=models.CASCADE, db_index=False, related_name="memberships")
    user = FormerUserField(related_name="memberships")
    # Whether it was announced that the user entered, and not yet that they left. Changed only under this row's lock.
    is_here = models.BooleanField(default=False)
    # Everything up to this seq is read. Null until the user has read here; until then `Visit` decides what is read.
    read_seq = models.PositiveBigIntegerField(null=True)
    level = models.PositiveSmallIntegerField(choices=Level, default=Level.ALL, db_default=Level.ALL)
    # Up to here one of the user's devices has shown notifications, so that no other one repeats them.
    notified_seq = models.PositiveBigIntegerField(default=0, db_default=0)
    # The number of the change that wrote read_seq or level (PositionCounter), or 0 if neither was ever changed.
    read_change = models.PositiveBigIntegerField(default=0, db_default=0)
    # The position of the room's pane on the user's page; null while the pane is closed.
    position = models.PositiveSmallIntegerField(null=True)
    is_wide = models.BooleanField(default=False, db_default=False)
    # How the pane stands in the row (`chat.store.layouts.Panes`); null: as a column like the others.
    shape = models.JSONField(null=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["room", "user"], name="membership_room_user")]
        indexes: ClassVar = [
            models.Index(fields=["room"], name="membership_here", condition=models.Q(is_here=True)),
            models.Index(fields=["read_change"], name="membership_read_change", condition=models.Q(read_change__gt=0)),
        ]

    def __str__(self) -> str:
        return f"room={self.room_id} user={self.user_id}"


class Visit(models.Model):
    """When a user first watched. Messages from before that time count as read for them."""

    user = FormerUserField(db_index=False, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user"], name="visit_user")]

    def __str__(self) -> str:
        return f"user={self.user_id}"


class UsernameKey(models.Model):
    """The key of a user's name, the same for names that people take for each other (`chat.store.names`)."""

    user = FormerUserField(db_index=False, related_name="+")
    # Indexed for its beginnings too, by which users are found while a name is typed.
    key = models.CharField(max_length=MAX_KEY, db_index=True)
    # The name collided with another user's, or was reserved, before there was this table.
    is_exempt = models.BooleanField(default=False)
    # The key of the user's display name, null while they have none that they may be shown by.
    display_key = models.CharField(max_length=MAX_KEY, null=True, db_index=True)  # noqa: DJ001  null, so that it is unique

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user"], name="username_user"),
            models.UniqueConstraint(fields=["key"], condition=models.Q(is_exempt=False), name="username_key"),
            models.UniqueConstraint(fields=["display_key"], name="username_display_key"),
            models.CheckConstraint(
                condition=models.Q(is_exempt=True) | ~models.Q(key__in=["", SYSTEM_KEY]), name="username_allowed"
            ),
        ]

    def __str__(self) -> str:
        return f"user={self.user_id}"


class PositionCounter(models.Model):
    """Counts the changes of read positions and levels: one row, which each transaction that changes any raises first.

    Its lock is held until the commit, so the order of the numbers is the order of the commits.
    """

    # Changed when a backup is restored, because its numbers are then used a second time.
    epoch = models.CharField(max_length=16, default=new_epoch)
    changes = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"changes={self.changes}"


class Process(models.Model):
    """A server process. Its lease ends at `expires_at` (by the database's clock) unless it renews it."""

    id = models.CharField(max_length=32, primary_key=True)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.id


class Presence(models.Model):
    """A user has a session in a room in this process: valid as long as the process's lease."""

    room = models.ForeignKey(Room, on_delete=models.CASCADE, db_index=False, related_name="+")
    user = FormerUserField(related_name="+")
    process = models.ForeignKey(Process, on_delete=models.CASCADE, related_name="presences")
    # Since when, by the database's clock.
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["room", "user", "process"], name="presence_room_user_process")
        ]

    def __str__(self) -> str:
        return f"room={self.room_id} user={self.user_id} process={self.process_id}"


class AccessChange(models.Model):
    """A change of rights: written in its transaction, read by every process, removed soon after.

    Each change has a row of its own, so no change waits for another's commit. The key is random, because numbers
    would be committed out of order, and would be used again after a backup is restored.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    # The user or the room that the change concerns. If both are null, it concerns all users.
    user_id = models.BigIntegerField(null=True)
    room_id = models.BigIntegerField(null=True)

    def __str__(self) -> str:
        return f"user={self.user_id} room={self.room_id}"


class DeletedUser(models.Model):
    """A deleted user of whom some rows are still stored. The key is the user's id."""

    id = models.BigIntegerField(primary_key=True)

    def __str__(self) -> str:
        return f"user={self.pk}"


class Invitation(models.Model):
    """A link by which new users sign up. Only a hash of its code is stored."""

    code_hash = models.CharField(max_length=64, unique=True)
    inviter = FormerUserField(related_name="+")
    at = models.DateTimeField()
    expires_at = models.DateTimeField()
    uses_left = models.PositiveIntegerField()
    revoked_at = models.DateTimeField(null=True)
    rooms = models.ManyToManyField(Room, related_name="+")

    def __str__(self) -> str:
        return f"invitation={self.pk}"


class Bot(models.Model):
    """A program that may post in one room, and read it, by secrets of which only hashes are stored.

    It writes as a user who cannot sign in, so its name is its own among the names of users. A bot that was revoked
    keeps its row, so that the name can be used for a bot again.
    """

    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="bots")
    user = FormerUserField(related_name="+")
    # The hashes of the token, which may post and read, and of the secret in the hook's address, which may only post.
    token_hash = models.CharField(max_length=64, null=True, unique=True, editable=False)  # noqa: DJ001  null is no token
    hook_hash = models.CharField(max_length=64, null=True, unique=True, editable=False)  # noqa: DJ001
    # Encrypted, because a signature can be checked only with the secret itself. Empty: the hook takes unsigned posts.
    signing_secret = models.CharField(max_length=250, blank=True, editable=False)
    at = models.DateTimeField(default=timezone.now, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["room", "user"], name="bot_room_user")]

    def __str__(self) -> str:
        return f"bot={self.pk} room={self.room_id}"


class Webhook(models.Model):
    """An address outside to which the events of a room are posted, in order. The room's log is its queue.

    It acts by the right of its maker, who has to be able to manage the room.
    """

    class Pause(models.TextChoices):
        """Why nothing is sent."""

        BY_HAND = "hand"
        FAILING = "failing"
        GONE = "gone"
        BEHIND = "behind"
        MAKER = "maker"
        AUDIENCE = "audience"
        KEY = "key"

    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="webhooks")
    maker = FormerUserField(related_name="+")
    # What is shown of the address. The address itself is encrypted, because its path may be a secret of the receiver.
    host = models.CharField(max_length=255, editable=False)
    address = models.TextField(editable=False)
    signing_secret = models.CharField(max_length=250, editable=False)
    # Whether it gets what bots write. Without it, a receiver that answers by a bot can't make a loop.
    with_bots = models.BooleanField(_("also what bots write"), default=False)
    # The users who could see the room when it was made or resumed. When this changes, it is paused.
    audience = models.CharField(max_length=10, editable=False)
    # The events up to sent_seq of this log were sent or passed over.
    epoch = models.CharField(max_length=16, editable=False)
    sent_seq = models.PositiveBigIntegerField(editable=False)
    at = models.DateTimeField(default=timezone.now, editable=False)
    due_at = models.DateTimeField(editable=False)
    # Until when one process sends, so that no other does.
    taken_until = models.DateTimeField(null=True, editable=False)
    tries = models.PositiveIntegerField(default=0, editable=False)
    failing_since = models.DateTimeField(null=True, editable=False)
    last_error = models.CharField(max_length=200, blank=True, editable=False)
    paused_at = models.DateTimeField(null=True, editable=False)
    pause = models.CharField(max_length=10, blank=True, choices=Pause, editable=False)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["due_at"], name="webhook_due", condition=models.Q(paused_at__isnull=True))
        ]

    def __str__(self) -> str:
        return f"webhook={self.pk} room={self.room_id}"


class Appearance(models.Model):
    """How the page looks to a user, in all their browsers (`chat.appearance` has the values)."""

    user = FormerUserField(db_index=False, related_name="+")
    theme = models.CharField(max_length=8, default="system")
    density = models.CharField(max_length=12, default="comfortable")
    # 12 or 24 hours; empty: as usual in the browser's language.
    clock = models.CharField(max_length=2, default="", blank=True)
    # Empty: the browser's.
    language = models.CharField(max_length=12, default="", db_default="", blank=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user"], name="appearance_user")]

    def __str__(self) -> str:
        return f"user={self.user_id}"


class UserPicture(models.Model):
    """The picture by which a user is shown. Its bytes are in the row, because they are few and go with the user."""

    user = FormerUserField(db_index=False, related_name="+")
    # In the picture's address. Another picture has another key, so browsers may keep each for ever.
    key = models.UUIDField(unique=True, default=uuid.uuid4)
    content = models.BinaryField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user"], name="picture_user")]

    def __str__(self) -> str:
        return f"user={self.user_id}"


class PaneSet(models.Model):
    """A named set of panes, which the page calls a workspace (`chat.store.pane_sets`)."""

    MAX_NAME = 40

    user = FormerUserField(db_index=False, related_name="+")
    name = models.CharField(max_length=MAX_NAME)
    # The panes in order, each {"room": 3}, with "wide": true at the one that is widened, and perhaps a "shape".
    panes = models.JSONField(default=list)
    # Raised by each change, so that open pages know whether they have it.
    version = models.PositiveIntegerField(default=1, db_default=1)
    # The set that a new window opens. Without any, it opens the panes that belong to no set.
    is_current = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "name"], name="pane_set_user_name"),
            models.UniqueConstraint(fields=["user"], name="pane_set_current", condition=models.Q(is_current=True)),
        ]

    def __str__(self) -> str:
        return f"user={self.user_id} set={self.pk}"


class SignIn(models.Model):
    """A web session in which a user is signed in. The session's own row has the user only in its encoded data."""

    user = FormerUserField(related_name="+")
    session_key = models.CharField(max_length=40, unique=True)
    at = models.DateTimeField()
    # The User-Agent header, so that users recognise the browser.
    agent = models.CharField(max_length=200)

    def __str__(self) -> str:
        return f"user={self.user_id}"


class PushSubscription(models.Model):
    """A browser to which Web Push is sent while its user is away, as long as the web session in which it subscribed."""

    user = FormerUserField(related_name="+")
    session_key = models.CharField(max_length=40, db_index=True)
    # The address that its push service gave it. Unique by a hash, because addresses are long.
    endpoint = models.TextField()
    endpoint_hash = models.CharField(max_length=64, unique=True)
    # The browser's public key and the secret that it shares with this site, as base64url.
    p256dh = models.CharField(max_length=100)
    auth = models.CharField(max_length=100)
    # Whether the user wants rooms, authors and texts in the messages. Otherwise they only say that there is news.
    shows_text = models.BooleanField(default=False)
    paused_until = models.DateTimeField(null=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"user={self.user_id}"


class PushDelivery(models.Model):
    """The newest message of a room for one browser: to be sent at `due_at`, or done when that is null."""

    subscription = models.ForeignKey(PushSubscription, on_delete=models.CASCADE, db_index=False, related_name="+")
    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="+")
    seq = models.PositiveBigIntegerField()
    due_at = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0, db_default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["subscription", "room"], name="push_subscription_room")
        ]
        indexes: ClassVar = [models.Index(fields=["due_at"], name="push_due", condition=models.Q(due_at__isnull=False))]

    def __str__(self) -> str:
        return f"room={self.room_id} seq={self.seq}"
