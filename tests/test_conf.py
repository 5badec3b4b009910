"""The settings that a site may override, and their effects."""

import pytest

from chat.conf import clear, conf
from chat.exceptions import ClientError, ErrorCode
from chat.store import actions


def test_the_defaults_are_those_of_the_original():
    assert conf.NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS is True
    names = ["MESSAGE", "WARNING", "ALERT", "MUTED", "ENTER", "LEAVE"]
    assert list(conf.MESSAGE_TYPES_CHOICES) == list(enumerate(names))
    assert conf.MESSAGE_TYPES_LIST == [0, 1, 2, 3, 4, 5]


def test_a_setting_of_the_site_overrides_the_default(settings):
    settings.NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS = False
    settings.MESSAGE_MAX_GRAPHEMES = 3
    assert conf.NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS is False
    with pytest.raises(ClientError):
        actions.check_text("abcd")


def test_a_renamed_setting_is_read_under_its_old_name_too(settings):
    assert conf.SEND_PRESENCE is True
    clear()
    settings.TELL_WHO_IS_PRESENT = False
    assert conf.SEND_PRESENCE is False


def test_the_list_of_message_types_follows_the_choices_unless_it_is_set(settings):
    settings.MESSAGE_TYPES_CHOICES = ((0, "MESSAGE"), (7, "PRAISE"))
    assert conf.MESSAGE_TYPES_LIST == [0, 7]
    assert actions.check_type(7) == 7
    settings.MESSAGE_TYPES_LIST = [0]
    with pytest.raises(ClientError) as caught:
        actions.check_type(7)
    assert caught.value.code == ErrorCode.MESSAGE_INVALID


def test_an_unknown_setting_raises_attribute_error():
    with pytest.raises(AttributeError, match="NO_SUCH_SETTING"):
        _ = conf.NO_SUCH_SETTING
