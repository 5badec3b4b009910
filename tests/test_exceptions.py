"""How a refusal is printed."""

from chat.exceptions import ClientError, ErrorCode


def test_a_refusal_says_its_code_and_its_sentence():
    error = ClientError(ErrorCode.MESSAGE_EMPTY, detail="This message is empty. Add some text.")
    assert str(error) == "MESSAGE_EMPTY: This message is empty. Add some text."
    assert str(ClientError(ErrorCode.ROOM_INVALID, room=3)) == "ROOM_INVALID"


def test_error_codes_have_the_same_names_on_the_wire_and_in_python():
    assert all(code.name == code.value for code in ErrorCode)
