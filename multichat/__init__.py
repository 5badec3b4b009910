"""The site: settings, ASGI application and server of Multichat."""

import re
from pathlib import Path

_changelog = Path(__file__).resolve().parent.parent / "CHANGELOG.md"
_heading = re.search(r"^## v(\S+)", _changelog.read_text("utf-8"), re.MULTILINE)
assert _heading, "CHANGELOG.md has no heading like '## v1.2.3'"

# The first version in the changelog, so that a release changes it in one place.
__version__ = _heading[1]
