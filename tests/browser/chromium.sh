#!/bin/sh
# Starts the browser that CHROMIUM names, behind other programs where processors are contended.
#
# Playwright gives each browser a session of its own, so a few browsers took most of the time from the servers whose
# delays are measured.
set -eu
exec "$(dirname "$0")/../with_weight.sh" 2 "$CHROMIUM" "$@"
