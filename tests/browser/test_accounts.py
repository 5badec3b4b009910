"""An invitation, from the button to the first room, and the pages of the account."""

import io
import os
import re

from PIL import Image
from playwright.sync_api import expect

from tests.browser.test_accessibility import looks_in_turn, violations_in_all_looks

CHOSEN = "five other words, hard to guess"


def picture(page, name):
    """Keep a picture for the eye, if PICTURES names a folder."""
    if folder := os.environ.get("PICTURES"):
        for width, theme in ((1320, "light"), (360, "dark")):
            page.set_viewport_size({"width": width, "height": 740})
            page.emulate_media(color_scheme=theme)
            page.screenshot(path=f"{folder}/{name}-{width}.png", full_page=True)


def png():
    file = io.BytesIO()
    Image.radial_gradient("L").resize((300, 200)).save(file, "PNG")
    return file.getvalue()


def test_a_person_who_was_invited_signs_up_and_every_page_of_accounts_is_accessible(visit, site):
    page = visit("alice").page
    looks = looks_in_turn()
    picture(page, "chat")
    page.set_viewport_size({"width": 1320, "height": 740})
    page.get_by_role("button", name="Invite", exact=True).click()
    page.get_by_role("checkbox", name="Random").check()
    page.get_by_role("button", name="Make a link").click()
    link = page.get_by_role("link", name="/invite/").inner_text()
    picture(page, "invite")
    assert violations_in_all_looks(page, next(looks)) == []
    page.goto(site.url)
    page.set_viewport_size({"width": 1320, "height": 740})
    page.get_by_role("button", name="My account").click()
    expect(page.get_by_text("Signed in here since")).to_be_visible()
    page.get_by_label("Choose a picture").set_input_files({"name": "me.png", "mimeType": "image/png", "buffer": png()})
    expect(page.get_by_role("img", name="Your picture")).to_be_visible()
    picture(page, "account")
    assert violations_in_all_looks(page, next(looks)) == []
    page.goto(site.url)
    expect(page.locator("[data-part=my-avatar]")).to_have_css("background-image", re.compile("/pictures/"))
    # Other tests expect initials.
    site.shell(
        "from django.contrib.auth.models import User\nfrom chat.store import user_pictures\n"
        "user_pictures.remove(User.objects.get(username='alice').pk)"
    )
    page.goto(f"{site.url}/accounts/")
    page.get_by_role("link", name="Change password").click()
    page.get_by_role("button", name="Change password").click()
    picture(page, "password")
    assert violations_in_all_looks(page, next(looks)) == []

    # The invited person, in the same browser, because its process has compiled axe.
    page.context.clear_cookies()
    page.goto(link)
    picture(page, "sign_up")
    assert violations_in_all_looks(page, next(looks)) == []
    page.get_by_label("Username").fill("dora")
    page.locator("#id_password1").fill(CHOSEN)
    page.locator("#id_password2").fill(CHOSEN)
    # The page sends no Referer, so the browser gives the form the Origin "null".
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("region", name="Random")).to_be_visible()
    expect(page.locator(".me")).to_have_text("dora")
    expect(page.get_by_role("button", name="Invite", exact=True)).to_have_count(0)
    page.goto(link)
    expect(page.get_by_role("heading", name="This invitation doesn't work")).to_be_visible()
