"""How static files are collected: hashed names, also inside our own JavaScript modules, and compressed."""

from servestatic.storage import CompressedManifestStaticFilesStorage


class Storage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # it ships no types
    # Rewrites `import … from "./x.js";` to the hashed name; without it a browser would mix versions after an upgrade.
    # It is a regular expression: every import ends with a semicolon, none stands in a comment, no cycles.
    support_js_module_import_aggregation = True
