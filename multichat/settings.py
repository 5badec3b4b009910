"""Every setting, read from the environment once. The README has them in a table."""

import logging
import mimetypes
import socket
import sys
from pathlib import Path
from typing import Any

from csp.constants import NONCE, NONE, SELF

from . import __version__ as VERSION  # noqa: F401  templates and commands read settings.VERSION
from . import environment

BASE_DIR = Path(__file__).resolve().parent.parent
COMMAND = "".join(sys.argv[1:2])  # of manage.py

# State: the database, the secret key, collected static files. Back up this directory and you have everything.
VAR = BASE_DIR / environment.text("VAR", "var")
try:
    VAR.mkdir(mode=0o700, parents=True, exist_ok=True)
except OSError as error:
    environment.refuse(f"VAR is {str(VAR)!r}, where no directory can be made: {error.strerror}.")

# Where it listens, and what follows from that

HOST = environment.host("HOST", "127.0.0.1")
PORT = environment.port("PORT", 8000)
# Server processes on this one address; more than one need Redis between them.
WORKERS = environment.count("WORKERS", 1, 64)
ON_LOOPBACK = environment.is_loopback(HOST)

DEBUG = environment.flag("DEBUG", default=False)
if DEBUG and not ON_LOOPBACK:
    environment.refuse(
        f"DEBUG is on and HOST is {HOST}: error pages would show secrets to the network. Turn one of them back."
    )

LOOPBACK_NAMES = ["localhost", "127.0.0.1", "[::1]"]
LISTEN_NAME = socket.gethostname().lower() if environment.is_wildcard(HOST) else environment.in_url(HOST)
# Loopback names are always in, so that a health check beside the server needs no setting.
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

HTTPS = environment.flag("HTTPS", default=not ON_LOOPBACK)
# Where a person on this machine opens it.
URL_HOST = "localhost" if environment.is_wildcard(HOST) else environment.in_url(HOST)
URL = f"{'https' if HTTPS else 'http'}://{URL_HOST}:{PORT}/"
SECURE_SSL_REDIRECT = HTTPS
# The server itself speaks plain HTTP: with HTTPS there is a proxy in front, which says so in this header.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]  # asked over plain HTTP from beside the server
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
# The prefix makes browsers refuse such a cookie from a subdomain or over plain HTTP.
SESSION_COOKIE_NAME = "__Host-sessionid" if HTTPS else "sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken" if HTTPS else "csrftoken"
# Subdomains and the browsers' preload list are for the owner of the whole domain to decide.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

# Trusted Types and nonces: a message can never become markup or code, even if our own script has a bug.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],  # in today's browsers this includes ws: and wss: of the same host and port
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "require-trusted-types-for": ["'script'"],
        "trusted-types": [NONE],
    }
}

# Applications

INSTALLED_APPS = [
    # Only for the development server: elsewhere it would cost 28 MB in each process.
    *(["daphne"] if COMMAND == "runserver" else []),
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic",
    "django.contrib.staticfiles",
    "channels",
    "csp",
    "chat",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "multichat.csp.Middleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
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
            ]
        },
    }
]

# Data

DATABASES = {"default": environment.database("DATABASE_URL", f"sqlite:///{VAR / 'db.sqlite3'}", BASE_DIR)}
_options: dict[str, Any] = DATABASES["default"].setdefault("OPTIONS", {})
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # IMMEDIATE: a transaction takes the write lock at its beginning, so that it waits instead of failing half-way.
    # FULL: what was acknowledged survives a power cut.
    _options |= {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
    # A file also in tests: threads and server processes have to see it.
    DATABASES["default"]["TEST"] = {"NAME": DATABASES["default"]["NAME"] + ".test"}
elif "pool" in _options:
    _options["pool"] = str(_options["pool"]).lower() in environment.YES
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = environment.redis_url("REDIS_URL", "REDIS_HOST")
CHANNEL_LAYERS: dict[str, dict[str, Any]] = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
if REDIS_URL:
    # A dict per host, with socket_timeout: redis-py's own default of 5 s ends the layer's blocking read.
    _redis = {"address": REDIS_URL, "socket_timeout": None, "socket_connect_timeout": 5}
    CHANNEL_LAYERS["default"] = {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [_redis], "prefix": "multichat"},
    }

# Accounts

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "/"

# Static files

mimetypes.add_type("text/javascript", ".mjs")  # slim images have no /etc/mime.types, and browsers refuse other types
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / environment.text("STATIC_ROOT", str(VAR / "static"))
STATICFILES_DIRS = [
    BASE_DIR / "static",
    # The package's dist only: the whole of node_modules would be published.
    ("vendor/reconnecting-websocket", BASE_DIR / "node_modules/reconnecting-websocket/dist"),
]
# script/server collects: hashed names, compressed, cached for ever. Without a collection (tests, runserver) files are
# served from where they lie.
COLLECTED = COMMAND == "collectstatic" or (
    not DEBUG and COMMAND != "runserver" and (STATIC_ROOT / "staticfiles.json").is_file()
)
SERVESTATIC_USE_FINDERS = not COLLECTED
SERVESTATIC_USE_MANIFEST = COLLECTED
SERVESTATIC_AUTOREFRESH = not COLLECTED
SERVESTATIC_MAX_AGE = 60 if COLLECTED else 0  # of unhashed names; hashed ones are kept for ever
SERVESTATIC_ALLOW_ALL_ORIGINS = False
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "multichat.static.Storage" if COLLECTED else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

# Words and time

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True


def without_traceback(record: logging.LogRecord) -> bool:
    record.exc_info = None
    return True


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname:<7} {process} {name}: {message}", "style": "{"}},
    "filters": {"without_traceback": {"()": "django.utils.log.CallbackFilter", "callback": without_traceback}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "chat": {"level": "INFO"},
        # Who was served by which process: a line for each join and each message, never its text.
        "chat.served": {"level": "INFO" if environment.flag("LOG_SERVED", default=True) else "WARNING"},
        "multichat": {"level": "INFO"},
        # Django's own handlers print only with DEBUG; here as everywhere, to stderr.
        "django": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        # Anybody can send a wrong Host: one line says which setting would allow it.
        "django.security.DisallowedHost": {"filters": ["without_traceback"]},
    },
}
