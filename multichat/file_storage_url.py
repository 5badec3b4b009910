"""Reads FILES_URL, which says where uploaded files are stored: a directory, or a bucket that speaks S3's protocol."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from multichat import environment

# What may follow the question mark, and the names that django-storages has for it.
OPTIONS = {"endpoint": "endpoint_url", "region": "region_name"}
EXAMPLE = "s3://KEY:SECRET@bucket/folder?region=eu-central-1, or with ?endpoint=https://minio.example.com"


def parse(name: str, value: str, directory: Path) -> dict[str, Any]:
    """Return the entry of STORAGES for a variable; unset, files are stored in `directory`."""
    if not value:
        # Only the server's own user may read them.
        options = {"location": str(directory), "file_permissions_mode": 0o600, "directory_permissions_mode": 0o700}
        return {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}
    parts = environment.urlsplit_or_none(value)
    query = parse_qs(parts.query) if parts else {}
    if not parts or parts.scheme != "s3" or not parts.hostname or set(query) - set(OPTIONS):
        environment.refuse(f"{name} is not an address of a bucket. Write {EXAMPLE}.")
    if find_spec("storages") is None or find_spec("boto3") is None:
        environment.refuse(f"{name} is set, and django-storages is missing. Run pip install -r requirements-s3.txt.")
    options = {
        "bucket_name": parts.hostname,
        "location": parts.path.strip("/"),
        "default_acl": None,
        # A file is never replaced: its path has an id that is used once.
        "file_overwrite": False,
        # A file is fetched whole when it is opened. Larger ones wait on the disk, because downloads may take minutes.
        "max_memory_size": 4 * 1024 * 1024,
        **{OPTIONS[key]: values[-1] for key, values in query.items()},
    }
    if parts.username:
        # Without them, boto3 finds credentials in its own places, such as the role of the machine.
        options |= {"access_key": unquote(parts.username), "secret_key": unquote(parts.password or "")}
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
