# shellcheck shell=bash disable=SC2034,SC2119,SC2120
# Shared by tools/check and tools/quickstart: packages, build, log, progress. Source it, then call
# setup_log NAME. Nothing here asks a question.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
started=$SECONDS

# Packages of Debian 12 and Ubuntu 24.04, by their common names.
packages_required=(
  cmake g++ git make ninja-build pkg-config ccache
  libfmt-dev nlohmann-json3-dev libcli11-dev libeigen3-dev
  libpng-dev libjpeg-dev libzip-dev zlib1g-dev
  catch2 dataset-fashion-mnist
)
packages_optional=(libdnnl-dev libopenblas-openmp-dev libboost-context-dev)

say() { printf '%s\n' "$*" | tee -a "${log:-/dev/null}"; }

# fail TEXT [HINT]: the message of all our programs; exits 1.
fail() {
  say "error: $1"
  [ -z "${2:-}" ] || say "hint: $2"
  exit 1
}

# setup_log NAME: from here on, output also goes to build/NAME.log.
setup_log() {
  mkdir -p "$root/build"
  log=$root/build/$1.log
  : >"$log"
  say "log: build/$1.log"
}

minutes() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

is_installed() { dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii'; }
is_offered() { [ -n "$(apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: *\([^(].*\)/\1/p')" ]; }

# Installs what is missing. Without root and sudo: prints the line to run, exits 1.
install_packages() {
  local missing=() optional=() package as_root=()
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "packages: no apt here; docs/dependencies.md names what is needed"
    return 0
  fi
  for package in "${packages_required[@]}"; do is_installed "$package" || missing+=("$package"); done
  for package in "${packages_optional[@]}"; do is_installed "$package" || optional+=("$package"); done
  if [ ${#missing[@]} -eq 0 ] && [ ${#optional[@]} -eq 0 ]; then
    say "packages: all there"
    return 0
  fi
  if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
      [ ${#missing[@]} -gt 0 ] || { say "packages: without ${optional[*]} (optional)"; return 0; }
      fail "packages are missing, and this is neither root nor a user with sudo" \
        "sudo apt-get install -y --no-install-recommends ${missing[*]} ${optional[*]}"
    fi
    as_root=(sudo -n)
  fi
  "${as_root[@]}" apt-get update -q >>"$log" 2>&1 || say "packages: apt-get update failed; trying with the old lists"
  for package in "${optional[@]}"; do
    if is_offered "$package"; then missing+=("$package"); else say "packages: no $package here (optional)"; fi
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "packages: installing ${missing[*]}"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    "${missing[@]}" >>"$log" 2>&1 </dev/null ||
    { tail -n 20 "$log"; fail "apt-get could not install them" "see $log"; }
}

# Two gigabytes of memory a compiler process, at most one a core.
build_jobs() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/MemAvailable/ {print int($2 / 2097152)}' /proc/meminfo)
  [ "$memory" -ge 1 ] || memory=1
  echo $((cores < memory ? cores : memory))
}

# progress [--echo]: logs its input; every 15 seconds says how far it is and what is left, judged by
# the counters of ninja ("[3/70] ...") or ctest (" 3/70 Test ..."). --echo shows the input, too.
progress() {
  local line number total seconds shown=0 begun=$SECONDS
  while IFS= read -r line; do
    printf '%s\n' "$line" >>"$log"
    [ "${1:-}" != --echo ] || printf '%s\n' "$line"
    if [[ $line =~ ^\[([0-9]+)/([0-9]+)\] || $line =~ ^\ *([0-9]+)/([0-9]+)\ Test\  ]]; then
      number=${BASH_REMATCH[1]} total=${BASH_REMATCH[2]} seconds=$((SECONDS - begun))
      if ((seconds - shown >= 15 && number > 0)); then
        shown=$seconds
        printf '  -- %d of %d, %s so far, about %s left\n' "$number" "$total" \
          "$(minutes $seconds)" "$(minutes $((seconds * (total - number) / number)))"
      fi
    fi
  done
}

# build_preset PRESET [TARGET...]: configures and builds.
build_preset() {
  local preset=$1 jobs begun=$SECONDS
  shift
  cd "$root" || exit 1
  command -v cmake >/dev/null || fail "cmake is not installed" "run without --no-install"
  say "configuring preset $preset"
  cmake --preset "$preset" >>"$log" 2>&1 </dev/null ||
    { tail -n 25 "$log"; fail "configuring failed" "see $log"; }
  jobs=$(build_jobs)
  say "building in build/$preset, $jobs jobs"
  if ! NINJA_STATUS='[%f/%t] ' cmake --build --preset "$preset" -j "$jobs" ${1:+--target "$@"} \
    2>&1 </dev/null | progress; then
    grep -nE 'error:|FAILED|Error' "$log" | tail -n 30
    fail "the build failed" "see $log"
  fi
  say "built in $(minutes $((SECONDS - begun)))"
}
