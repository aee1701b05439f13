"""Settings of Credence, all from the environment; docs/operating.md lists them.

Without any environment this is a small server on loopback: SQLite, database cache, Celery on files, keys made in `var/`.
A bad or unknown value stops the start with a sentence that names it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from portal.environment import env, switch, whole_number
from portal.local_keys import read_or_create
from protocol.errors import InvalidUrl
from protocol.urls import parse_authority, split_uri

BASE_DIR = Path(__file__).resolve().parent.parent

KNOWN_VARIABLES = {
    "CREDENCE_ISSUER", "CREDENCE_DATA_DIR", "CREDENCE_MAIL_FROM", "CREDENCE_WEB_WORKERS", "CREDENCE_LOG_LEVEL", "CREDENCE_TRUSTED_PROXY",
    "CREDENCE_OPEN_REGISTRATION", "CREDENCE_TRUST_CHECK_SECONDS", "CREDENCE_METRICS_TOKEN",
}  # fmt: skip
if unknown := sorted(name for name in os.environ if name.startswith("CREDENCE_") and name not in KNOWN_VARIABLES):
    raise ImproperlyConfigured(f"Unknown setting {', '.join(unknown)}; known are {', '.join(sorted(KNOWN_VARIABLES))}.")

# Issuer and where it is served. Only loopback may be http (house decision 21).
PORT = whole_number("PORT", 8000, 1, 65535)
ISSUER = env.str("CREDENCE_ISSUER", default=f"http://127.0.0.1:{PORT}")
try:
    _issuer = split_uri(ISSUER)
    _host = parse_authority(_issuer.authority or "").host
except InvalidUrl as error:
    raise ImproperlyConfigured(f"CREDENCE_ISSUER: {error.description} It is {ISSUER!r}.") from None
if f"{_issuer.scheme}://{_issuer.authority}" != ISSUER or _issuer.scheme not in ("https", "http"):
    raise ImproperlyConfigured(
        f"CREDENCE_ISSUER must be a scheme and host such as https://id.example.org without path, query, fragment "
        f"or a slash at the end, not {ISSUER!r}."
    )
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
ISSUER_IS_LOOPBACK = _host in LOOPBACK_HOSTS
if _issuer.scheme == "http" and not ISSUER_IS_LOOPBACK:
    raise ImproperlyConfigured(f"CREDENCE_ISSUER must begin with https:// unless it is on loopback, not {ISSUER!r}.")
HTTPS = _issuer.scheme == "https"

DATA_DIR = Path(env.str("CREDENCE_DATA_DIR", default=str(BASE_DIR / "var"))).resolve()

# Secrets. A server that is not on loopback must be given its own.
DEBUG = switch("DEBUG")
if "SECRET_KEY" in os.environ:
    SECRET_KEY = env.str("SECRET_KEY")
    if len(SECRET_KEY) < 50 or len(set(SECRET_KEY)) < 12:
        raise ImproperlyConfigured("SECRET_KEY must be at least 50 random characters.")
elif ISSUER_IS_LOOPBACK:
    SECRET_KEY = read_or_create(DATA_DIR / "keys" / "secret_key")
else:
    raise ImproperlyConfigured("SECRET_KEY is needed when CREDENCE_ISSUER is not on loopback: 50 random characters or more.")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])

# First key encrypts and digests; the others still decrypt and verify. Each is 32 random bytes in URL-safe base64.
if "FIELD_ENCRYPTION_KEYS" in os.environ:
    FIELD_ENCRYPTION_KEYS = env.list("FIELD_ENCRYPTION_KEYS")
elif ISSUER_IS_LOOPBACK:
    FIELD_ENCRYPTION_KEYS = [read_or_create(DATA_DIR / "keys" / "field_encryption_key", length=32)]
else:
    raise ImproperlyConfigured(
        "FIELD_ENCRYPTION_KEYS is needed when CREDENCE_ISSUER is not on loopback: 32 random bytes in URL-safe base64, newest first."
    )

ALLOWED_HOSTS = [_host, *(LOOPBACK_HOSTS if ISSUER_IS_LOOPBACK else ())]
USE_X_FORWARDED_HOST = False
if TRUSTED_PROXY := switch("CREDENCE_TRUSTED_PROXY"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    ALLAUTH_TRUSTED_PROXY_COUNT = 1
CSRF_TRUSTED_ORIGINS = [ISSUER] if HTTPS else []

INSTALLED_APPS = [
    "portal.apps.PortalConfig",
    "authserver.apps.AuthserverConfig",
    "dcr",
    "federation",
    "registry.apps.RegistryConfig",
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "django_htmx",
    "csp",
    "oauth2_provider",
    "rest_framework",
]

MIDDLEWARE = [
    "portal.middleware.RequestIdMiddleware",
    "portal.middleware.SourceAddressMiddleware",
    "portal.middleware.SecurityHeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "portal.middleware.WhiteNoiseMiddleware",
    "portal.middleware.CSPMiddleware",
    "portal.middleware.SessionMiddleware",
    "portal.interrupted.InterruptedFormMiddleware",
    "django.middleware.common.CommonMiddleware",
    "portal.middleware.CsrfViewMiddleware",
    "portal.middleware.AuthenticationMiddleware",
    "portal.middleware.LanguageMiddleware",
    "portal.sessions.SessionNotesMiddleware",
    "portal.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "portal.middleware.HtmxMiddleware",
    "portal.middleware.ErrorMiddleware",
]

ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
APPEND_SLASH = False  # a redirect on a protocol endpoint would break clients; page URLs are linked exactly

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
                "portal.context.site",
            ],
        },
    },
]
FORM_RENDERER = "portal.forms.renderer.PortalFormRenderer"

# Database, cache and queue: embedded by default, distributed when outgrown (house decision 15).
if DATABASE_URL := env.str("DATABASE_URL", default=""):
    DATABASES = {"default": {**env.db_url("DATABASE_URL"), "CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}}
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": DATA_DIR / "credence.sqlite3",
            "CONN_MAX_AGE": 60,
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 10,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
        }
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.str("REDIS_URL", default="")
if REDIS_URL:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL, "KEY_PREFIX": "credence"}}
    CELERY_BROKER_URL = REDIS_URL
    # Who sends a message does not wait for a broker that is away: what it would wake is found by the clock.
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1}
else:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.db.DatabaseCache",
            "LOCATION": "cache_entries",
            "OPTIONS": {"MAX_ENTRIES": 10_000},
        }
    }
    CELERY_BROKER_URL = "filesystem://localhost"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(DATA_DIR / "queue"),
        "data_folder_out": str(DATA_DIR / "queue"),
        "control_folder": str(DATA_DIR / "queue-control"),
        "processed_folder": str(DATA_DIR / "queue-done"),
        "store_processed": False,
        "polling_interval": 0.25,
    }

# Messages are wake-ups; work is rows (house decision 16). JSON only (S03).
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_TIME_LIMIT = 60
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False  # mails that are printed to the terminal are no log lines
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "seal-audit": {"task": "registry.tasks.seal_audit", "schedule": 60.0},
    "purge-single-use-values": {"task": "registry.tasks.purge_single_use_values", "schedule": 600.0},
    "purge-failed-requests": {"task": "registry.tasks.purge_failed_requests", "schedule": 3600.0},
    "purge-app-drafts": {"task": "registry.tasks.purge_app_drafts", "schedule": 3600.0},
    "purge-sessions": {"task": "registry.tasks.purge_sessions", "schedule": 3600.0},
    "refresh-due-trust": {"task": "federation.tasks.refresh_due_trust", "schedule": 15.0},
    "purge-entity-lookups": {"task": "federation.tasks.purge_entity_lookups", "schedule": 3600.0},
    "check-own-trust": {"task": "authserver.tasks.check_own_trust", "schedule": 3600.0},
    "send-due-notices": {"task": "portal.tasks.send_due_notices", "schedule": 60.0},
    "remind": {"task": "portal.tasks.remind", "schedule": 3600.0},
    "watch-trust": {"task": "portal.tasks.watch_trust", "schedule": 300.0},
    "summarize-registrations": {"task": "portal.tasks.summarize_registrations", "schedule": 3600.0},
    "check-clients": {"task": "registry.tasks.check_clients", "schedule": 86400.0},
    "end-software-statements": {"task": "dcr.tasks.end_statements", "schedule": 60.0},
    "close-unused-clients": {"task": "dcr.tasks.close_unused_clients", "schedule": 3600.0},
    "delete-dead-tokens": {"task": "authserver.tasks.delete_dead_tokens", "schedule": 300.0},
}
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat-schedule")

# People
AUTH_USER_MODEL = "registry.User"
AUTHENTICATION_BACKENDS = ["portal.accounts.AuthenticationBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher", "django.contrib.auth.hashers.PBKDF2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator", "OPTIONS": {"user_attributes": ("email", "name")}},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "organizations"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[Credence] "
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_LOGOUT_REDIRECT_URL = "home"
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True  # only in the browser that signed up, so that it goes on to the app it came from
ACCOUNT_AUTHENTICATED_LOGIN_REDIRECTS = False
ACCOUNT_DEFAULT_HTTP_PROTOCOL = _issuer.scheme
ACCOUNT_REAUTHENTICATION_TIMEOUT = 600
ACCOUNT_ADAPTER = "portal.accounts.AccountAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = ISSUER_IS_LOOPBACK

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME = "__Host-session" if HTTPS else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if HTTPS else "csrf"
CSRF_FAILURE_VIEW = "portal.views.errors.csrf_failure"
SESSION_COOKIE_AGE = 12 * 3600

# Headers (house decision 19; portal.md 5.13)
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 365 * 86400 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_SSL_REDIRECT = False  # TLS ends at the proxy; a redirect would answer protocol requests sent in clear
X_FRAME_OPTIONS = "DENY"
SILENCED_SYSTEM_CHECKS = [
    "security.W002",  # portal.middleware sends X-Frame-Options on every answer
    "security.W008",  # see SECURE_SSL_REDIRECT
    "security.W021",  # preloading is a promise for a whole domain, which is not ours to make
]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "font-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    },
}

# Mail: printed to the terminal unless EMAIL_URL says where to send it.
if "EMAIL_URL" in os.environ:
    vars().update(env.email_url("EMAIL_URL"))
else:
    EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
DEFAULT_FROM_EMAIL = env.str("CREDENCE_MAIL_FROM", default=f"credence@{_host}")
EMAIL_TIMEOUT = 10

# What people may choose. Where a catalogue in locale/ lacks a sentence, or is not there, the English one is shown.
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "German")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 500

# Registration without an initial access token: into the test stage only, and closed again after a day without use.
OPEN_REGISTRATION = switch("CREDENCE_OPEN_REGISTRATION")

# Federation (house decision 10): the longest time between two looks at a client's trust chain, and how many unknown entities one process
# looks up at once, so that slow foreign servers leave threads for everybody else.
TRUST_CHECK_SECONDS = whole_number("CREDENCE_TRUST_CHECK_SECONDS", 900, 60, 86_400)
LOOKUPS_AT_ONCE = 5

# Outbound fetches (house decision 11)
OUTBOUND_CA_BUNDLE = env.str("OUTBOUND_CA_BUNDLE", default="")
OUTBOUND_ALLOWED_HOSTS = env.list("OUTBOUND_ALLOWED_HOSTS", default=[])

# django-oauth-toolkit: every RFC 9700 switch on; its registration views and CIMD stay off.
OAUTH2_PROVIDER_APPLICATION_MODEL = "registry.Client"
OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL = "authserver.AccessToken"
OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL = "authserver.RefreshToken"
OAUTH2_PROVIDER_ID_TOKEN_MODEL = "authserver.IDToken"
OAUTH2_PROVIDER_GRANT_MODEL = "authserver.Grant"
ACCESS_TOKEN_LIFETIME_SECONDS = 600
OAUTH2_PROVIDER = {
    "OAUTH2_VALIDATOR_CLASS": "authserver.validator.Validator",
    "OAUTH2_SERVER_CLASS": "authserver.server.Server",
    "SCOPES_BACKEND_CLASS": "authserver.scopes.ClientScopes",
    "ACCESS_TOKEN_GENERATOR": "authserver.tokens.generate_access_token",
    "REFRESH_TOKEN_GENERATOR": "authserver.tokens.generate_refresh_token",
    "ACCESS_TOKEN_EXPIRE_SECONDS": ACCESS_TOKEN_LIFETIME_SECONDS,
    "AUTHORIZATION_CODE_EXPIRE_SECONDS": 60,
    "DEFAULT_SCOPES": [],
    "PKCE_REQUIRED": True,
    "ROTATE_REFRESH_TOKEN": True,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 0,
    "ALLOWED_REDIRECT_URI_SCHEMES": ["https"],
    "ALLOW_URI_WILDCARDS": False,
    "OIDC_ISS_ENDPOINT": ISSUER,
    "DCR_ENABLED": False,
    "CIMD_ENABLED": False,
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
    "COMPLIANT_BCP_RFC9700_REFRESH_TOKEN": True,
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_SCHEME": True,
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_MATCHING": True,
    "COMPLIANT_BCP_RFC9700_PKCE_REQUIRED": True,
}

REST_FRAMEWORK: dict[str, object] = {
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "EXCEPTION_HANDLER": "portal.middleware.drf_error",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Credence",
    "DESCRIPTION": "Organizations, apps, secrets, change requests and the audit trail, for apps with a client credentials token.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVERS": [{"url": ISSUER}],
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "COMPONENT_SPLIT_PATCH": False,
    "PREPROCESSING_HOOKS": ["portal.api.schema.without_the_document"],
    "POSTPROCESSING_HOOKS": ["portal.api.schema.without_hints"],
}

LOG_LEVEL = env.str("CREDENCE_LOG_LEVEL", default="INFO").upper()
if LOG_LEVEL not in ("DEBUG", "INFO", "WARNING", "ERROR"):
    raise ImproperlyConfigured(f"CREDENCE_LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR, not {LOG_LEVEL!r}.")
LOGGING_CONFIG = "portal.logs.configure"
LOGGING = {"level": LOG_LEVEL}

# Whoever sends this reads /metrics. Without it there is no such page but on one's own machine (docs/operating.md).
METRICS_TOKEN = env.str("CREDENCE_METRICS_TOKEN", default="")
if METRICS_TOKEN and not (METRICS_TOKEN.isascii() and METRICS_TOKEN.isprintable() and " " not in METRICS_TOKEN):
    raise ImproperlyConfigured("CREDENCE_METRICS_TOKEN must be printable ASCII without spaces, as a header carries it.")
if "CREDENCE_METRICS_TOKEN" in os.environ and (len(METRICS_TOKEN) < 32 or len(set(METRICS_TOKEN)) < 12):
    raise ImproperlyConfigured("CREDENCE_METRICS_TOKEN must be at least 32 random characters; leave it out to have no /metrics.")

WEB_WORKERS = whole_number("CREDENCE_WEB_WORKERS", 2, 1, 64)
# A request waits for the database or for a foreign server, rarely for the processor.
WEB_THREADS = 8
