#!/bin/sh
# Starts the browser that CHROMIUM names, behind other programs where processors are contended.
#
# Playwright gives each browser a session of its own. Linux shares the processors among sessions first, whatever the
# niceness of their processes, so a few browsers took most of the time from the servers whose delays are measured.
{ echo 2 > /proc/self/autogroup; } 2>/dev/null
exec "$CHROMIUM" "$@"
