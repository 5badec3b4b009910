"""What HTTPS changes for a browser: redirect, cookies, and the health check that stays reachable."""

import pytest


@pytest.fixture
def https(settings):
    settings.SECURE_SSL_REDIRECT = settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.SECURE_HSTS_SECONDS = 60
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")


def test_plain_http_is_redirected(https, client, db):
    response = client.get("/accounts/login/")
    assert (response.status_code, response["Location"]) == (301, "https://testserver/accounts/login/")


def test_the_health_check_answers_over_plain_http(https, client, db):
    assert client.get("/healthz").status_code == 200


def test_behind_a_proxy_with_tls_the_page_is_served(https, client, db):
    response = client.get("/accounts/login/", headers={"X-Forwarded-Proto": "https"})
    assert response.status_code == 200
    assert response["Strict-Transport-Security"] == "max-age=60"
    assert response.cookies["csrftoken"]["secure"]


def test_on_loopback_that_header_changes_nothing(client, db):
    assert not client.get("/accounts/login/", headers={"X-Forwarded-Proto": "https"}).wsgi_request.is_secure()


def test_a_wrong_host_is_one_line_in_the_log(client, db, settings, caplog):
    settings.ALLOWED_HOSTS = ["chat.example"]
    assert client.get("/accounts/login/").status_code == 400
    (record,) = caplog.records
    assert record.exc_info is None
    assert record.getMessage() == (
        "Invalid HTTP_HOST header: 'testserver'. You may need to add 'testserver' to ALLOWED_HOSTS."
    )
