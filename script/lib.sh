# The other scripts source this file from the top of the repository. Each step leaves a stamp (versions and a checksum
# of its inputs). While the stamp is current, the step does nothing and does not use the network.

# The unit tests that run a second time on PostgreSQL: what differs between the databases, in script/test, and what else
# queries the database, in script/soak alone.
POSTGRESQL_MODULES="access actions database deletion event_rows files janitor jobs lease_keeper lock_waits log log_races
  memberships migration_of_edits notifications presence push search unread upgrade watchers writer"
POSTGRESQL_MORE_MODULES="access_table accounts admin admin_lists alerts appearance around attendance audit bots cleaning
  commands confirmations consumers deactivation display_names file_archive health held hidden_rooms hostile_frames
  invitations languages layouts mentions models my_account names original_client own_mentions own_password pane_sets
  policies positions quotes reactions records retention revocation room_actions room_views sweep threads user_pictures
  views web_sessions webhooks"

say() { printf '%s\n' "$*" >&2; }
step() { say "==> $*"; }
fail() { say "$(basename "$0"): $*"; exit 1; }

have() { command -v "$1" >/dev/null 2>&1; }
stamp() { cat "$1" 2>/dev/null || true; }

# Finds a suitable Python, or checks the one that PYTHON names.
find_python() {
  for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if have "$python" && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      return
    fi
  done
  found=$(python3 -V 2>/dev/null || echo "none")
  fail "Multichat needs Python 3.11 or newer (found: $found). Install a newer one, or set its path: PYTHON=/path/to/python3.12 $0"
}

# Installs Debian packages. Without permission, it says what to install.
apt_install() {
  if ! have apt-get; then
    fail "please install these packages (Debian's names): $*"
  elif [ "$(id -u)" = 0 ]; then
    sudo=
  elif have sudo && sudo -n true 2>/dev/null; then
    sudo="sudo -n"
  else
    fail "please run: sudo apt-get install $*"
  fi
  step "Installing $* (apt)"
  # One at a time, because script/test installs the services while script/setup runs, which may install too.
  lock=
  have flock && lock="flock /var/lock/multichat-apt"
  apt="$sudo $lock env DEBIAN_FRONTEND=noninteractive apt-get -qq"
  $apt install -y --no-install-recommends "$@" >/dev/null 2>&1 ||
    { $apt update >/dev/null && $apt install -y --no-install-recommends "$@" >/dev/null; } ||
    fail "apt-get could not install: $*"
}

# ensure_python runtime|dev: creates the virtual environment. A dev environment is sufficient for runtime too.
ensure_python() {
  want="$(cksum < requirements.lock) $(cksum < requirements-dev.lock)"
  case "$(stamp .venv/.stamp)" in
    "$want dev") [ -x .venv/bin/python ] && .venv/bin/python -c '' 2>/dev/null && return ;;
    "$want runtime") [ "$1" = runtime ] && .venv/bin/python -c '' 2>/dev/null && return ;;
  esac
  find_python
  if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    "$python" -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv
    step "Creating a virtual environment in .venv ($("$python" -V))"
    "$python" -m venv --clear .venv || fail "$python could not create .venv (on Debian: apt-get install python3-venv)"
  fi
  # A dev environment keeps its tools when the lock files change and script/server runs.
  lock=requirements.lock kind=runtime
  case "$1 $(stamp .venv/.stamp)" in dev* | *dev) lock=requirements-dev.lock kind=dev ;; esac
  step "Installing Python packages from $lock"
  rm -f .venv/.stamp
  install_by_uv "$lock" || install_by_pip "$lock" ||
    fail "Python packages could not be installed; the reason is above. Check the network connection."
  printf '%s' "$want $kind" > .venv/.stamp
}

# --no-compile: Python compiles modules at their first import, which makes the first start some seconds faster. uv does
# the same.
install_by_pip() {
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r "$@"
}

# uv takes seconds where pip takes a minute. Its output is hidden, because pip is tried next, which works without a wheel
# of uv, and knows more ways to a registry than the one address that uv is given.
install_by_uv() {
  [ -z "${PIP_NO_INDEX:-}" ] || return 1
  install_by_pip requirements-uv.lock --only-binary :all: --retries 0 --timeout 10 >/dev/null 2>&1 || return 1
  registry=${PIP_INDEX_URL:-}
  for option in install.index-url global.index-url; do
    registry=${registry:-$(.venv/bin/python -m pip config get "$option" 2>/dev/null)} || registry=
  done
  UV_HTTP_RETRIES=1 UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-${registry:-https://pypi.org/simple}} \
    .venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r "$1" >/dev/null 2>&1
}

# ensure_npm runtime|dev: installs node_modules. Node is needed to install and to check, but not to serve.
ensure_npm() {
  want="$(cksum < package-lock.json)"
  case "$(stamp node_modules/.stamp)" in
    "$want dev") return ;;
    "$want runtime") [ "$1" = runtime ] && return ;;
  esac
  have node && have npm || fail "Multichat needs Node.js 20 or newer with npm, to fetch the browser's packages. On Debian: apt-get install nodejs npm"
  node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' ||
    fail "Multichat needs Node.js 20 or newer (found: $(node -v))."
  kind=runtime omit=--omit=dev
  case "$1 $(stamp node_modules/.stamp)" in dev* | *dev) kind=dev omit= ;; esac
  step "Installing the browser's packages (npm)"
  rm -f node_modules/.stamp
  # shellcheck disable=SC2086
  npm ci --silent --ignore-scripts --no-audit --no-fund $omit ||
    fail "npm could not install the packages; run 'npm ci' to see why. Check the network connection."
  printf '%s' "$want $kind" > node_modules/.stamp
}

# ensure_services: installs the programs that the tests start on sockets of their own.
ensure_services() {
  missing=
  have redis-server || missing="$missing redis-server"
  have initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
  have pgbouncer || ls /usr/sbin/pgbouncer >/dev/null 2>&1 || missing="$missing pgbouncer"
  have chromium || have chromium-browser || have google-chrome || missing="$missing chromium"
  have firefox-esr || have firefox || missing="$missing firefox-esr"
  have WebKitWebDriver || missing="$missing webkit2gtk-driver"
  have Xvfb || missing="$missing xvfb"
  have xgettext || missing="$missing gettext"
  # shellcheck disable=SC2086
  [ -z "$missing" ] || apt_install $missing
  # Chromium without the desktop's parts needs a third less processor time. Not every distribution has it.
  have chromium-headless-shell || (apt_install chromium-headless-shell) ||
    say "The browser tests run in the whole Chromium, which takes longer."
}

# ensure_static: collects hashed and compressed copies of static files in STATIC_ROOT or under var/.
ensure_static() {
  want=$({ cat requirements.lock package-lock.json multichat/static.py && find static -type f -exec cksum {} + | sort; } | cksum)
  collected=${STATIC_ROOT:-${VAR:-var}/static}
  [ "$(stamp "$collected/.stamp")" = "$want" ] && return
  step "Collecting static files"
  mkdir -p "$collected" || fail "STATIC_ROOT is $collected, but this directory cannot be created. Set it to a writable directory."
  .venv/bin/python manage.py collectstatic --no-input --verbosity 0
  printf '%s' "$want" > "$collected/.stamp"
}
