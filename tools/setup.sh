# shellcheck shell=bash
# What tools/report and tools/test share: packages, configuring, building. Sourced, not run.

export LC_ALL=C.UTF-8  # the same numbers and messages everywhere
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*"; }
heading() { printf '\n== %s\n' "$*"; }
refuse() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 2; }

# The packages of the given sections of tools/packages.txt.
packages_of() {
  local section here line
  for section in "$@"; do
    here=
    while read -r line; do
      line=${line%%#*}
      case $line in
        "[$section]"*) here=yes ;;
        "["*) here= ;;
        ?*) [[ -z $here ]] || say "${line// /}" ;;
      esac
    done <"$root/tools/packages.txt"
  done
}

is_installed() { [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# Those of the given packages that are not installed. Of a|b either will do.
missing_of() {
  local choice package found
  for choice in "$@"; do
    found=
    for package in ${choice//|/ }; do
      ! is_installed "$package" || found=yes
    done
    [[ -n $found ]] || say "${choice%%|*}"
  done
}

# Installs what is missing of the given sections, after saying what that is. Exits with 2 and the line to run when
# this user may not install packages.
install_packages() {
  local wanted missing extra install=(apt-get install --yes --no-install-recommends) as_root=()
  mapfile -t wanted < <(packages_of "$@")
  [[ ${#wanted[@]} -gt 0 ]] || refuse "tools/packages.txt lists nothing under $*"
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "This is no Debian: nothing is installed. Debian 12 has what is needed in: ${wanted[*]}"
    return
  fi
  mapfile -t missing < <(missing_of "${wanted[@]}")
  [[ ${#missing[@]} -gt 0 ]] || return 0
  mapfile -t wanted < <(packages_of optional)
  mapfile -t extra < <(missing_of "${wanted[@]}")
  install+=("${missing[@]}" "${extra[@]}")
  if [[ $(id -u) -ne 0 ]]; then
    as_root=(sudo -n)
    if ! sudo -n true 2>/dev/null; then
      say "Packages are missing, and this user may not install them. This line does:" >&2
      say "sudo apt-get update && sudo ${install[*]}" >&2
      exit 2
    fi
  fi
  heading "Installing packages"
  say "With apt-get, and without what they only recommend: ${missing[*]} ${extra[*]}"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update --quiet=2 || refuse "apt-get update failed"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive "${install[@]}" --quiet || refuse "apt-get install failed"
}

configure() {
  (cd "$root" && cmake --preset release) || refuse "the build could not be configured"
}

# Builds the given targets, everything when none is given.
build() {
  local targets=()
  [[ $# -eq 0 ]] || targets=(--target "$@")
  cmake --build "$root/build" --parallel "$(nproc)" "${targets[@]}" || refuse "the build failed"
}
