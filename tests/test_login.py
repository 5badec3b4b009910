"""The address to which the login page leads back."""

import pytest

from multichat.login import NEXT_LENGTH


@pytest.mark.parametrize(("length", "is_kept"), [(NEXT_LENGTH, True), (NEXT_LENGTH + 1, False), (50_000, False)])
def test_the_login_form_keeps_a_next_address_of_reasonable_length(client, db, length, is_kept):
    following = "/" + "x" * (length - 1)
    answer = client.get("/accounts/login/", {"next": following})
    assert (following in answer.content.decode()) is is_kept
    assert len(answer.content) < 10_000


def test_a_login_with_too_long_a_next_address_leads_to_the_page(client, bob, password):
    form = {"username": "bob", "password": password, "next": "/" + "x" * 50_000}
    assert client.post("/accounts/login/", form)["Location"] == "/"
