"""The picture of a user: what may be one, who gets it, and when pages learn of another."""

import io

import pytest
from PIL import Image

from chat import limits
from chat.live import database
from chat.models import AccessChange, UserPicture
from chat.store import deletion, user_pictures
from tests.hostile_files import png_bomb
from tests.sockets import connected

pytestmark = pytest.mark.django_db
UPLOAD = "/accounts/picture/"


def image(kind="PNG", size=(300, 200), **options):
    file = io.BytesIO()
    Image.new("RGB", size, "red").save(file, kind, **options)
    return file.getvalue()


def upload(client, content):
    return client.post(UPLOAD, content, content_type="application/octet-stream")


def key_of(user):
    return user_pictures.keys_of([user.pk]).get(user.pk)


def test_an_image_becomes_a_small_square(client, bob):
    client.force_login(bob)
    for kind in ("PNG", "JPEG", "GIF", "WEBP"):
        limits.clear()
        answer = upload(client, image(kind)).json()
        assert answer == {"picture": f"/pictures/{key_of(bob)}/"}, kind
        shown = client.get(answer["picture"])
        with Image.open(io.BytesIO(shown.content)) as square:
            assert (square.format, square.size) == ("WEBP", (128, 128)), kind
            assert square.convert("RGB").getpixel((5, 5))[0] > 200, kind
    assert (shown["Content-Type"], shown["X-Content-Type-Options"]) == ("image/webp", "nosniff")
    assert "immutable" in shown["Cache-Control"] and "private" in shown["Cache-Control"]
    assert answer["picture"] in client.get("/accounts/").content.decode()


def test_metadata_is_left_out_and_the_orientation_is_applied(client, bob):
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "a secret place", 6
    half = Image.new("RGB", (200, 200), "blue")
    half.paste("red", (0, 0, 200, 100))
    file = io.BytesIO()
    half.save(file, "JPEG", exif=exif, comment=b"a secret place")
    client.force_login(bob)
    upload(client, file.getvalue())
    content = bytes(UserPicture.objects.get().content)
    assert b"secret" not in content
    with Image.open(io.BytesIO(content)) as square:
        pixels = square.convert("RGB")
        assert not square.getexif()
    # The upper half is on the right now.
    assert pixels.getpixel((110, 64))[0] > 200 and pixels.getpixel((10, 64))[2] > 200


def test_what_is_no_image_or_a_bomb_is_refused_with_a_sentence(client, bob):
    client.force_login(bob)
    for content, status, words in (
        (b"", 400, "Choose a PNG"),
        (b"<svg onload='alert(1)'/>", 400, "Choose a PNG"),
        (b"GIF89a" + b"x" * 99, 400, "damaged. Choose another one."),
        (image()[:60], 400, "damaged. Choose another one."),
        (png_bomb(8000, 8000), 413, "too many pixels. Make it smaller, or choose another one."),
    ):
        limits.clear()
        answer = upload(client, content)
        assert answer.status_code == status, content[:60]
        assert words in answer.json()["detail"], content[:60]
        assert not UserPicture.objects.exists()


def test_only_users_who_are_signed_in_get_a_picture(client, bob):
    assert upload(client, image()).status_code == 403
    client.force_login(bob)
    path = upload(client, image()).json()["picture"]
    client.logout()
    refused = client.get(path)
    assert (refused.status_code, "no-store" in refused["Cache-Control"]) == (404, True)
    client.force_login(bob)
    assert client.get("/pictures/00000000-0000-0000-0000-000000000000/").content == refused.content


def test_another_picture_has_another_address_and_the_old_one_ends(client, bob):
    client.force_login(bob)
    first = upload(client, image()).json()["picture"]
    second = upload(client, image()).json()["picture"]
    assert first != second
    assert [client.get(path).status_code for path in (first, second)] == [404, 200]
    assert client.post("/accounts/picture/remove/")["Location"] == "/accounts/"
    assert client.get(second).status_code == 404
    assert UserPicture.objects.count() == 0


def test_a_picture_goes_with_its_user(bob):
    user_pictures.save(bob.pk, b"bytes")
    bob.delete()
    assert not UserPicture.objects.exists()
    assert not deletion.unfinished().users


def test_a_picture_and_its_end_are_recorded_like_changes_of_rights(bob):
    user_pictures.save(bob.pk, b"bytes")
    user_pictures.remove(bob.pk)
    user_pictures.remove(bob.pk)  # nothing more
    assert list(AccessChange.objects.values_list("user_id", flat=True)) == [bob.pk, bob.pk]


@pytest.mark.django_db(transaction=True)
async def test_open_pages_learn_of_a_picture_and_of_its_end(alice, bob):
    async with connected(alice) as alices:
        assert await alices.ask(command="users", names=["bob"]) == {"users": {"bob": {"user": bob.pk}}}
        key = await database.write(user_pictures.save, bob.pk, b"bytes")
        assert await alices.next() == {"users": {"bob": {"user": bob.pk, "picture": key}}}
        await database.write(user_pictures.remove, bob.pk)
        assert await alices.next() == {"users": {"bob": {"user": bob.pk}}}
