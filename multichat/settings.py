"""Django's settings, read from environment variables. docs/configuration.md lists the variables."""

import json
import mimetypes
import socket
import sys
from datetime import timedelta
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from csp.constants import NONCE, NONE, SELF
from django.utils.translation import gettext_lazy

from . import __version__ as VERSION  # noqa: F401  templates and commands read settings.VERSION
from . import database_url, environment, file_storage_url, logs, mail, optional_accounts

BASE_DIR = Path(__file__).resolve().parent.parent
environment.refuse_path_prefix()
COMMAND = "".join(sys.argv[1:2])  # of manage.py
# A management command, which ends by itself, and not a server.
IS_COMMAND = sys.argv[0].endswith(("manage.py", "django-admin", "django/__main__.py")) and COMMAND != "runserver"

# The directory for state: the database, the secret key, collected static files.
VAR = BASE_DIR / environment.text("VAR", "var")
try:
    VAR.mkdir(mode=0o700, parents=True, exist_ok=True)
except OSError as error:
    environment.refuse(f"VAR is {str(VAR)!r}, but this directory cannot be created: {error.strerror}.")

# The address to listen on, and what follows from it

HOST = environment.host("HOST", "127.0.0.1")
PORT = environment.port("PORT", 8000)
# The number of server processes on this address. More than one need Redis to work together.
WORKERS = environment.count("WORKERS", 1, 64)
ON_LOOPBACK = environment.is_loopback(HOST)

DEBUG = environment.flag("DEBUG", default=False)
if DEBUG and not ON_LOOPBACK:
    environment.refuse(
        f"DEBUG is on and HOST is {HOST}: error pages would show secrets to the network. Change one of them."
    )

LOOPBACK_NAMES = ["localhost", "127.0.0.1", "[::1]"]
LISTEN_NAME = socket.gethostname().lower() if environment.is_wildcard(HOST) else environment.in_url(HOST)
# Loopback names are always allowed, so that a health check on the same machine needs no setting.
ALLOWED_HOSTS = LOOPBACK_NAMES + environment.names(
    "ALLOWED_HOSTS",
    [LISTEN_NAME],
    environment.is_host_pattern,
    "host names like chat.example.com, without scheme or port",
)
ALLOWED_HOSTS = list(dict.fromkeys(ALLOWED_HOSTS))
CSRF_TRUSTED_ORIGINS = environment.names(
    "CSRF_TRUSTED_ORIGINS", [], environment.is_origin, "origins like https://chat.example.com, without a path"
)

# Secrets and cookies

SECRET_KEY = environment.secret_key("SECRET_KEY", VAR)
# The key by which push services know this site. With another one, browsers have to subscribe again.
VAPID_KEY = environment.vapid_key("VAPID_KEY", VAR)

# Whether manage.py first_run creates an admin. Beyond loopback, its printed password could end up in a log.
FIRST_RUN = environment.flag("FIRST_RUN", default=ON_LOOPBACK)

HTTPS = environment.flag("HTTPS", default=not ON_LOOPBACK)
# The address for users on this machine.
URL_HOST = "localhost" if environment.is_wildcard(HOST) else environment.in_url(HOST)
URL = f"{'https' if HTTPS else 'http'}://{URL_HOST}:{PORT}/"
SECURE_SSL_REDIRECT = HTTPS
# The server itself speaks plain HTTP. With HTTPS, a proxy in front sets this header.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
# Forwarded headers (the visitor's address and scheme) are accepted only from these addresses.
TRUSTED_PROXIES = environment.names(
    "TRUSTED_PROXIES",
    ["127.0.0.0/8", "::1"] if HTTPS else [],
    environment.is_network,
    "addresses or networks like 10.0.0.7 or 10.0.0.0/24, or unix",
)
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]  # requested over plain HTTP from the same machine
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_ENGINE = "chat.store.web_sessions"
SESSION_DAYS = environment.number("SESSION_DAYS", 14)
if not SESSION_DAYS:
    environment.refuse("SESSION_DAYS is 0, but a session has to last for some time, as in 14.")
SESSION_COOKIE_AGE = max(60, int(SESSION_DAYS * 24 * 3600))
# With the prefix, browsers refuse the cookie from a subdomain or over plain HTTP. Browsers ignore ports in cookies, so
# two sites on one host need different names.
_prefix, _suffix = "__Host-" if HTTPS else "", environment.cookie_suffix("COOKIE_SUFFIX")
SESSION_COOKIE_NAME = f"{_prefix}sessionid{_suffix}"
CSRF_COOKIE_NAME = f"{_prefix}csrftoken{_suffix}"
# HSTS for subdomains, and the browsers' preload list, are decisions for the owner of the whole domain.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

# Trusted Types and nonces ensure that a message never becomes markup or code, even if our script has a bug.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "manifest-src": [SELF],
        "connect-src": [SELF],  # current browsers include ws: and wss: of the same host and port
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "require-trusted-types-for": ["'script'"],
        # The one script address that is not in a page is that of the service worker (static/chat/lazy/push.js).
        "trusted-types": ["service-worker"],
    }
}

ROOMS_BY_EVERYBODY = environment.flag("ROOMS_BY_EVERYBODY", default=False)
KEEP_EDITED_TEXT = environment.flag("KEEP_EDITED_TEXT", default=False)
OUTGOING_LOOPBACK = environment.flag("OUTGOING_LOOPBACK", default=False)
SHOW_WHO_IS_TYPING = environment.flag("SHOW_WHO_IS_TYPING", default=True)
SHOW_WHO_IS_AROUND = environment.flag("SHOW_WHO_IS_AROUND", default=True)

# Limits: LIMIT_MESSAGES_AT_ONCE=60 and so on. 0 means unlimited. LIMITS=0 lifts all limits except those of failed
# logins and BOUND_DEFAULTS.

LIMIT_DEFAULTS = {
    # Per user and process: messages, edits and deletes.
    "MESSAGES_AT_ONCE": 60,
    "MESSAGES_PER_SECOND": 10,
    "SOCKETS_PER_USER": 30,
    # Per socket: commands of all kinds; rooms joined or resumed, pages of history, watch; refused frames; rooms.
    "COMMANDS_AT_ONCE": 300,
    "COMMANDS_PER_SECOND": 50,
    "JOINS_AT_ONCE": 200,
    "JOINS_PER_SECOND": 10,
    "HISTORY_AT_ONCE": 200,
    "HISTORY_PER_SECOND": 10,
    "WATCH_AT_ONCE": 10,
    "WATCH_PER_SECOND": 1,
    "BAD_FRAMES_AT_ONCE": 40,
    "BAD_FRAMES_PER_SECOND": 1,
    "ROOMS_PER_SOCKET": 64,
    # Per address (for IPv6, per /64).
    "SOCKETS_PER_ADDRESS": 1000,
    "HANDSHAKES_AT_ONCE": 300,
    "HANDSHAKES_PER_SECOND": 100,
    # Per process: sockets that are not, or not yet, signed in.
    "UNAUTHENTICATED_SOCKETS": 1000,
    # Per address: sockets without a session, which may wait a few seconds before their first command.
    "UNAUTHENTICATED_PER_ADDRESS": 50,
    # Per frame: bytes, and the depth of its JSON. Per page of history: messages.
    "FRAME_BYTES": 64 * 1024,
    "JSON_DEPTH": 8,
    "HISTORY_PAGE": 100,
    # Per connection: the time for a request with its headers to arrive, and then for its body.
    "HANDSHAKE_SECONDS": 10,
    "BODY_SECONDS": 30,
    "BODY_BYTES": 1024 * 1024,
    # Per address: sign-ins.
    "SIGN_INS_AT_ONCE": 60,
    "SIGN_INS_PER_SECOND": 2,
    # Per user: tries to change the own password. Per address, and per e-mail address: mails to reset a password.
    "PASSWORD_CHANGES_AT_ONCE": 10,
    "PASSWORD_CHANGES_PER_SECOND": 0.02,
    # Per address: links with an invalid code of an invitation.
    "INVITATIONS_AT_ONCE": 20,
    "INVITATIONS_PER_SECOND": 0.1,
    # Per bot: posts, and pages of events. Per address: requests with an invalid token or address of a hook.
    "BOT_POSTS_AT_ONCE": 60,
    "BOT_POSTS_PER_SECOND": 1,
    "BOT_READS_AT_ONCE": 60,
    "BOT_READS_PER_SECOND": 2,
    "BOT_REFUSALS_AT_ONCE": 60,
    "BOT_REFUSALS_PER_SECOND": 0.5,
    # Per file, per user and for the whole site: megabytes that are stored. Per user: uploads.
    "FILE_MB": 25,
    "FILES_MB_PER_USER": 2048,
    "FILES_MB": 10240,
    "UPLOADS_AT_ONCE": 60,
    "UPLOADS_PER_SECOND": 1,
    # Per address: uploads at the same time. Per user: downloads at the same time. Per upload: the time to arrive.
    "UPLOADS_PER_ADDRESS": 20,
    "DOWNLOADS_PER_USER": 40,
    "UPLOAD_SECONDS": 1800,
    # Per process: lines in the security log that any client can cause.
    "LOG_LINES_AT_ONCE": 100,
    "LOG_LINES_PER_SECOND": 10,
}
# Limits of what one process does and keeps at the same time. LIMITS=0 does not lift these.
BOUND_DEFAULTS = {
    # HTTP requests: each uses a thread, and with PostgreSQL a connection. Others wait, for a limited time.
    "HTTP_REQUESTS": 8,
    "HTTP_REQUESTS_WAITING": 1000,
    "HTTP_REQUESTS_WAIT_SECONDS": 20,
    # Passwords that are being checked or hashed. Each uses 19 MiB.
    "PASSWORD_CHECKS": 2,
    "PASSWORD_CHECKS_WAITING": 200,
    "PASSWORD_CHECKS_WAIT_SECONDS": 20,
    # Uploads that arrive, each in a temporary file. Uploads whose content is being checked; others wait.
    "UPLOADS_PER_PROCESS": 40,
    "FILE_CHECKS": 2,
    "FILE_CHECKS_WAITING": 100,
    "FILE_CHECKS_WAIT_SECONDS": 60,
    # Connections without a request, or between two requests.
    "IDLE_CONNECTIONS": 2500,
}
LIMITED = environment.flag("LIMITS", default=True)
LIMITS = {
    name: environment.number(f"LIMIT_{name}", default) if LIMITED else 0.0 for name, default in LIMIT_DEFAULTS.items()
} | {name: environment.number(f"LIMIT_{name}", default) for name, default in BOUND_DEFAULTS.items()}
FRAME_MAX_BYTES = int(LIMITS["FRAME_BYTES"]) or 1024 * 1024
HISTORY_PAGE_MAX = int(LIMITS["HISTORY_PAGE"]) or 1000
LIMIT_LOGIN_FAILURES = int(environment.number("LIMIT_LOGIN_FAILURES", 10))
LIMIT_LOGIN_MINUTES = environment.number("LIMIT_LOGIN_MINUTES", 5)

# Applications

INSTALLED_APPS = [
    # Only for the development server, because it costs 28 MB in each process.
    *(["daphne"] if COMMAND == "runserver" else []),
    "chat.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic",
    "django.contrib.staticfiles",
    "channels",
    "csp",
    "axes",
    "chat",
]
MIDDLEWARE = [
    "multichat.headers.Middleware",
    "django.middleware.security.SecurityMiddleware",
    "multichat.csp.Middleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "multichat.sessions.Middleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "multichat.language.Middleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
    "multichat.passwords.Middleware",
]
CSRF_FAILURE_VIEW = "chat.accounts.csrf_failure"
ROOT_URLCONF = "multichat.urls"
ASGI_APPLICATION = "multichat.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "chat.appearance.context",
                "multichat.language.context",
            ]
        },
    }
]

# Data

DATABASES = {
    "default": database_url.parse("DATABASE_URL", environment.text("DATABASE_URL"), BASE_DIR, VAR / "db.sqlite3")
}
_options: dict[str, Any] = DATABASES["default"].setdefault("OPTIONS", {})
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # IMMEDIATE: a transaction takes the write lock when it begins, so that it waits instead of failing half-way.
    # FULL: acknowledged messages survive a power cut.
    _options |= {
        "transaction_mode": "IMMEDIATE",
        # Shorter than DRAFT_HOLD_SECONDS, so that a sender who waits for the lock gets an answer and a server can exit.
        "timeout": 5,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
    # Tests use a file too, because threads and server processes share the database.
    DATABASES["default"]["TEST"] = {"NAME": DATABASES["default"]["NAME"] + ".test"}
else:
    if "pool" in _options:
        _options["pool"] = str(_options["pool"]).lower() in environment.YES
    _is_pooled = environment.is_pooled("DATABASE_URL", _options)
    # A pooler may give each transaction another connection, and refuses options at the start of a session. So the
    # pooler sets the limits (docs/operating.md). Django does not prepare statements with psycopg by default.
    DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = _is_pooled
    DATABASES["default"]["OPTIONS"] = environment.postgres_options(
        _options, is_server=not IS_COMMAND and not _is_pooled
    )
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = environment.redis_url("REDIS_URL", "REDIS_HOST")
CHANNEL_LAYERS: dict[str, dict[str, Any]] = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
if REDIS_URL:
    # A dict per host, to set socket_timeout: redis-py's default of 5 s would end the layer's blocking read.
    _redis = {"address": REDIS_URL, "socket_timeout": None, "socket_connect_timeout": 5}
    CHANNEL_LAYERS["default"] = {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        # Encrypted and signed, so that access to Redis alone permits neither reading nor forging presence.
        "CONFIG": {"hosts": [_redis], "prefix": "multichat", "symmetric_encryption_keys": [SECRET_KEY]},
    }

# Accounts

PASSWORD_HASHERS = ["multichat.passwords.Argon2", "multichat.passwords.PBKDF2", "multichat.passwords.Scrypt"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
# After this many wrong passwords for one name from one address, further ones are refused unchecked for some minutes.
# The name alone does not count, because any client could then lock out any user. Further tries do not extend the time.
AXES_ENABLED = LIMIT_LOGIN_FAILURES > 0
AXES_FAILURE_LIMIT = LIMIT_LOGIN_FAILURES
AXES_COOLOFF_TIME = timedelta(minutes=LIMIT_LOGIN_MINUTES)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_CLIENT_IP_CALLABLE = "multichat.proxies.address_of"
AXES_LOCKOUT_TEMPLATE = "registration/locked.html"
AXES_HTTP_RESPONSE_CODE = 429
AXES_VERBOSE = False
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "/"

# Whether any visitor may become a user. Otherwise new users need an invitation.
SIGN_UP = environment.flag("SIGN_UP", default=False)

# Second factors (codes of an authenticator app, passkeys), and single sign-on by OpenID Connect.
SECOND_FACTOR = environment.flag("SECOND_FACTOR", default=False)
OIDC = optional_accounts.provider(
    environment.text("OIDC_ISSUER"),
    environment.text("OIDC_CLIENT_ID"),
    environment.text("OIDC_CLIENT_SECRET"),
    environment.text("OIDC_NAME") or gettext_lazy("single sign-on"),
)
# Whether an identity that no user has linked becomes a new user.
OIDC_SIGN_UP = environment.flag("OIDC_SIGN_UP", default=False)
# Whether passwords are refused. They stay stored, so turning this off lets the administrator in again.
OIDC_ONLY = environment.flag("OIDC_ONLY", default=False)
# The claim and the value that make staff, and whose absence ends it, at each sign-in.
OIDC_STAFF = optional_accounts.staff_claim(environment.text("OIDC_STAFF"))

# Mail. Without a server for it, users ask an administrator for a new password.
EMAIL_URL = environment.text("EMAIL_URL")
# The address in links that leave the page, as in mails. The Host header is not used there, because clients choose it.
SITE_URL = environment.site_url("SITE_URL", URL if ON_LOOPBACK else "")
if EMAIL_URL and not SITE_URL:
    environment.refuse("EMAIL_URL is set, so SITE_URL is needed for links in mails, as in https://chat.example.com.")
EMAIL_BACKEND = "multichat.mail.Backend"
globals().update(mail.parse("EMAIL_URL", EMAIL_URL))
EMAIL_TIMEOUT = mail.TIMEOUT_SECONDS
DEFAULT_FROM_EMAIL = environment.text("EMAIL_FROM", f"multichat@{urlsplit(SITE_URL).hostname or 'localhost'}")
# Whom a push service may ask about messages of this site.
PUSH_CONTACT = environment.contact(
    "PUSH_CONTACT", f"mailto:{parseaddr(DEFAULT_FROM_EMAIL)[1] or 'multichat@localhost'}"
)
PASSWORD_RESET_TIMEOUT = 24 * 3600

_optional = optional_accounts.parse(second_factor=SECOND_FACTOR, provider=OIDC, is_only=OIDC_ONLY, site_url=SITE_URL)
INSTALLED_APPS += _optional["apps"]
MIDDLEWARE += _optional["middleware"]
globals().update(_optional["options"])
if OIDC_ONLY:
    AUTHENTICATION_BACKENDS.insert(1, "multichat.login.RefusedPasswords")

# Static files

mimetypes.add_type("text/javascript", ".mjs")  # slim images lack /etc/mime.types, and browsers refuse other types
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / environment.text("STATIC_ROOT", str(VAR / "static"))
STATICFILES_DIRS = [
    BASE_DIR / "static",
    # Only the package's dist, so that the rest of node_modules is not published.
    ("vendor/reconnecting-websocket", BASE_DIR / "node_modules/reconnecting-websocket/dist"),
]
# script/server collects static files with hashed names, compressed, to be cached forever. Without a collection (tests,
# runserver), they are served from their source directories.
COLLECTED = COMMAND == "collectstatic" or (
    not DEBUG and COMMAND != "runserver" and (STATIC_ROOT / "staticfiles.json").is_file()
)
SERVESTATIC_USE_FINDERS = not COLLECTED
SERVESTATIC_USE_MANIFEST = COLLECTED
SERVESTATIC_AUTOREFRESH = not COLLECTED
SERVESTATIC_MAX_AGE = 60 if COLLECTED else 0  # for unhashed names; hashed ones are cached forever
SERVESTATIC_ALLOW_ALL_ORIGINS = False
# Changes whenever a served file changes. A page that was loaded before an upgrade learns it and says so.
PAGE_VERSION = (
    json.loads((STATIC_ROOT / "staticfiles.json").read_text())["hash"]
    if COLLECTED and COMMAND != "collectstatic"
    else ""
)
STORAGES = {
    # The files that users upload. Browsers get them from chat/file_views.py alone, so this has no address.
    "default": file_storage_url.parse("FILES_URL", environment.text("FILES_URL"), VAR / "files"),
    "staticfiles": {
        "BACKEND": "multichat.static.Storage" if COLLECTED else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

# Language and time

# Each has a catalogue in locale/ and one for the page in static/chat/languages/ (script/languages makes both).
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
# For visitors whose browser asks for no language of these, and for texts that are stored once for all readers.
LANGUAGE_CODE = environment.choice("SITE_LANGUAGE", [code for code, _ in LANGUAGES])
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True


_handler = logs.handler_class(is_command=IS_COMMAND)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname:<7} {process} {name}: {message}", "style": "{"},
        "bare": {"format": "{message}", "style": "{"},
    },
    "filters": {
        "noise": {"()": "multichat.hints.Noise"},
        "hidden_codes": {"()": "multichat.hints.HiddenCodes"},
        "once_per_host": {"()": "multichat.hints.OncePerHost"},
        "once_per_origin": {"()": "multichat.hints.OncePerOrigin"},
    },
    "handlers": {
        "stderr": {"class": _handler, "formatter": "line", "filters": ["noise", "hidden_codes"]},
        "security": {"class": _handler, "formatter": "bare"},
    },
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "chat": {"level": "INFO"},
        # One line for each join and each message, with process and user, but never the message itself.
        "chat.served": {"level": "INFO" if environment.flag("LOG_SERVED", default=True) else "WARNING"},
        "multichat": {"level": "INFO"},
        # One JSON object per line (chat/audit.py).
        "multichat.security": {"handlers": ["security"], "level": "INFO", "propagate": False},
        # It logs the names of failed sign-ins, and users sometimes type a password as the name. Our log does not.
        "axes": {"level": "CRITICAL"},
        # It logs every invalid request, so that any client could fill the disk.
        "uvicorn.error": {"level": "ERROR"},
        # Django's own handlers print only with DEBUG.
        "django": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        # Any client can send a wrong Host. One line per Host names the setting that would allow it.
        "django.security.DisallowedHost": {"filters": ["once_per_host"]},
        "django.security.csrf": {"filters": ["once_per_origin"]},
    },
}
