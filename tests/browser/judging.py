"""axe-core on the part of a page that a test has opened, where test_accessibility.py judges what stands around it."""

from tests.browser.test_accessibility import LOOKS, RULES, inside, violations
from tests.servers.quantities import IS_FULL

POPOVER, DIALOG = "[popover]:popover-open", "dialog:modal"
# A part that is judged in one of these is judged in all looks at full size.
WIDE_AND_DARK, NARROW_AND_LIGHT = (1320, "dark", RULES), (360, "light", RULES)


def violations_in_part(page, part, rules=RULES):
    """Return what axe finds within a CSS selector, and at full size what it finds on the whole page.

    axe fails where nothing matches the selector.
    """
    return violations(page, rules, inside(part))


def violations_of_part_in_looks(page, part, *looks):
    """Return the same for each of these looks: a width, a theme and rules. At full size, for all looks."""
    found = []
    for width, theme, rules in LOOKS if IS_FULL else looks:
        page.set_viewport_size({"width": width, "height": 1000})
        page.emulate_media(color_scheme=theme)
        found += [(width, theme, violation) for violation in violations_in_part(page, part, rules)]
    return found
