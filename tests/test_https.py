"""The effects of HTTPS for a browser: redirects, cookies, and a health check that stays reachable over HTTP."""

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


def test_a_page_behind_a_tls_proxy_is_served_with_hsts_and_secure_cookies(https, client, db):
    response = client.get("/accounts/login/", headers={"X-Forwarded-Proto": "https"})
    assert response.status_code == 200
    assert response["Strict-Transport-Security"] == "max-age=60"
    assert response.cookies["csrftoken"]["secure"]


def test_on_loopback_a_forwarded_proto_header_has_no_effect(client, db):
    assert not client.get("/accounts/login/", headers={"X-Forwarded-Proto": "https"}).wsgi_request.is_secure()


def test_a_request_for_a_wrong_host_logs_one_line(client, db, settings, caplog):
    settings.ALLOWED_HOSTS = ["chat.example"]
    assert client.get("/accounts/login/").status_code == 400
    (record,) = caplog.records
    assert record.exc_info is None
    assert record.getMessage() == (
        "Invalid HTTP_HOST header: 'testserver'. You may need to add 'testserver' to ALLOWED_HOSTS."
    )
