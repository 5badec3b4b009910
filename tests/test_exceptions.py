"""A refusal as people read it in a shell."""

from chat.exceptions import ClientError, ErrorCode


def test_a_refusal_says_its_code_and_its_sentence():
    error = ClientError(ErrorCode.MESSAGE_EMPTY, detail="This message is empty. Add some text.")
    assert str(error) == "MESSAGE_EMPTY: This message is empty. Add some text."
    assert str(ClientError(ErrorCode.ROOM_INVALID, room=3)) == "ROOM_INVALID"


def test_codes_are_called_on_the_wire_as_in_python():
    assert all(code.name == code.value for code in ErrorCode)
