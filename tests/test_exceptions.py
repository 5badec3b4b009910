"""How a refusal is printed, and what its sentence survives."""

import copy
import json
import pickle

from django.http import JsonResponse
from django.utils import translation
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy, ngettext_lazy

from chat import protocol
from chat.exceptions import ClientError, ErrorCode, unavailable
from tests.fakes import translate


def refusal():
    sentence = ngettext_lazy("At most {most} page.", "At most {most} pages.", 2)
    return ClientError(ErrorCode.RATE_LIMITED, detail=format_lazy(sentence, most=2))


def test_a_refusal_says_its_code_and_its_sentence():
    error = ClientError(ErrorCode.MESSAGE_EMPTY, detail="This message is empty. Add some text.")
    assert str(error) == "MESSAGE_EMPTY: This message is empty. Add some text."
    assert str(ClientError(ErrorCode.ROOM_INVALID, room=3)) == "ROOM_INVALID"
    assert ClientError(ErrorCode.ROOM_INVALID, detail=None).detail == ""


def test_a_sentence_is_translated_for_its_reader_and_not_for_the_log(monkeypatch):
    translate(monkeypatch, "de", {("At most {most} page.", 1): "Höchstens {most} Seiten."})
    error = refusal()
    pickled = ClientError(error.code, **pickle.loads(pickle.dumps(error.context)))
    for same in (error, pickled, ClientError(error.code, **copy.deepcopy(error.context))):
        with translation.override("de"):
            assert same.detail == "Höchstens 2 Seiten."
            assert json.loads(protocol.refusal(same).text)["detail"] == same.detail
            assert json.loads(JsonResponse(same.context).content)["detail"] == same.detail
            assert str(same) == "RATE_LIMITED: At most 2 pages."
        assert same.detail == "At most 2 pages."
        assert json.loads(protocol.refusal(same).text)["detail"] == "At most 2 pages."


def test_a_lazy_sentence_can_be_compared_joined_and_formatted():
    sentence = gettext_lazy("At most {most} pages.")
    assert sentence == "At most {most} pages." and "pages" in sentence and sentence in {str(sentence)}
    assert f"{sentence}|{sentence + '!'}" == "At most {most} pages.|At most {most} pages.!"
    assert unavailable().detail == unavailable().context["detail"]


def test_error_codes_have_the_same_names_on_the_wire_and_in_python():
    assert all(code.name == code.value for code in ErrorCode)
