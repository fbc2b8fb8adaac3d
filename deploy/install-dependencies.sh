#!/usr/bin/env bash
# Installs the Debian packages that building, testing or measuring perjoule needs, and only those that are missing.
#
#   deploy/install-dependencies.sh [build|test|bench]     build is the default; test contains build, bench contains test
#
# It prints the list before it changes anything. Root is needed only when a package is missing: as a user it continues
# with sudo, and without sudo it prints the command to run. Exit 0: all installed; 1: it could not install; 2: usage.
set -euo pipefail

self=$(readlink -f "$0")
readonly policy=/usr/sbin/policy-rc.d

# Debian 12's libboost-dev is 1.74, which is too old; Debian 13's is 1.83. clang is 14 in Debian 12 and 19 in Debian 13,
# and only clang-format 14 formats as the project is formatted.
boost=libboost-dev
formatter=()
if grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release; then
  boost=libboost1.81-dev
  formatter=(clang-format-14)
fi

# Full names, so that grep finds a package.
readonly build_packages=(g++ cmake ninja-build git ca-certificates "$boost" prometheus-cpp-dev
  libsqlite3-dev nlohmann-json3-dev libfmt-dev libcli11-dev libssl-dev zlib1g-dev libre2-dev)
readonly test_packages=(doctest-dev clang libclang-rt-dev clang-tidy-19 "${formatter[@]}" shellcheck prometheus
  prometheus-alertmanager python3 python3-prometheus-client sqlite3 curl strace lintian systemd dpkg-dev file nginx
  tinyproxy-bin openssl)
readonly bench_packages=(prometheus-node-exporter victoria-metrics wrk)
# These only make a build faster: they are installed together with other missing packages, and never alone.
readonly optional_packages=(ccache mold)
# Services that Debian would start when it installs the packages above.
readonly services=(prometheus prometheus-alertmanager prometheus-node-exporter victoria-metrics nginx)

say() { printf 'install-dependencies: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# One query for all packages, because opening dpkg's database takes longer than reading it. dpkg-query fails when it
# does not know one of the names, and still answers for the others.
missing() {
  local known
  known=$({ dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true; } | sed -n 's/^installed //p')
  printf '%s\n' "$@" | grep -vxF "$known" || true
}

check_system() {
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    die "this is not a Debian system (no apt-get). Install the equivalents of these Debian 12 packages: ${needed[*]}"
  fi
  if ! grep -qsE '^VERSION_CODENAME=(bookworm|trixie)' /etc/os-release; then
    say "warning: this script is for Debian 12 and 13; on other releases some packages have other names"
  fi
}

# Debian starts a service as soon as its package is configured. A policy-rc.d that exits with 101 forbids that; it is
# removed after the installation. If the host has a policy already, it is the administrator's and stays in force.
# Services that this run installed are then disabled, so that the next boot does not start them either.
refuse_starts() {
  [ -e "$policy" ] && return
  trap 'rm -f "$policy"' EXIT
  trap 'exit 1' INT TERM HUP
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
}

keep_stopped() {
  local service
  command -v systemctl >/dev/null || return 0
  for service in "${services[@]}"; do
    case " $* " in
      *" $service "*)
        systemctl --quiet disable "$service.service" 2>/dev/null || true
        say "$service is installed but neither started nor enabled (to start it: systemctl enable --now $service)" ;;
    esac
  done
}

install_packages() {
  local package available=()
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q || say "warning: apt-get update failed; continuing with the existing package lists"
  for package in "$@"; do
    case " ${optional_packages[*]} " in
      *" $package "*)
        apt-cache show "$package" >/dev/null 2>&1 || { say "no $package here: continuing without it"; continue; } ;;
    esac
    available+=("$package")
  done
  [ ${#available[@]} -gt 0 ] || return 0
  refuse_starts
  # --no-remove: no package of the host is removed for a build.
  # Wait up to two minutes for another apt: a fresh cloud image updates itself first.
  apt-get -o DPkg::Lock::Timeout=120 install -y -q --no-install-recommends --no-remove "${available[@]}" </dev/null ||
    die "apt-get could not install: ${available[*]}. See its message above; no package was removed"
  keep_stopped "${available[@]}"
}

profile=${1:-build}
needed=("${build_packages[@]}")
case "$profile" in
  build) ;;
  test) needed+=("${test_packages[@]}") ;;
  bench) needed+=("${test_packages[@]}" "${bench_packages[@]}") ;;
  -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$self"; exit 0 ;;
  *) say "unknown profile \"$profile\"; one of: build, test, bench"; exit 2 ;;
esac
check_system

mapfile -t absent < <(missing "${needed[@]}")
if [ ${#absent[@]} -eq 0 ]; then
  say "all ${#needed[@]} packages for $profile are installed"
  exit 0
fi
mapfile -t absent < <(missing "${needed[@]}" "${optional_packages[@]}")
if [ "${PERJOULE_PLAN_SHOWN:-}" != yes ]; then
  say "installing with apt-get for $profile: ${absent[*]}"
fi
if [ "$boost" = libboost1.81-dev ] && installed libboost1.74-dev && ! installed libboost1.81-dev; then
  die "libboost1.74-dev is installed and conflicts with libboost1.81-dev, which perjoule needs. Nothing was changed. If
  nothing else needs it: apt-get remove libboost1.74-dev, then run this again"
fi

if [ "$(id -u)" -eq 0 ]; then
  install_packages "${absent[@]}"
elif command -v sudo >/dev/null; then
  say "this needs root: continuing with sudo"
  exec sudo PERJOULE_PLAN_SHOWN=yes "$self" "$profile"
else
  die "this needs root and sudo is not installed. As root, run: $self $profile"
fi
