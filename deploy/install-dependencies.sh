#!/usr/bin/env bash
# Installs the Debian packages that perjoule is built, tested or measured with, and nothing that is already there.
#
#   deploy/install-dependencies.sh [build|test|bench]     build is the default; test contains build, bench contains test
#
# It prints the list before it touches anything. Root is needed only when a package is missing: as a user it goes on
# through sudo, and where there is no sudo it says what to run. Exit 0: all there; 1: it could not install; 2: usage.
set -euo pipefail

self=$(readlink -f "$0")
readonly policy=/usr/sbin/policy-rc.d

# Written word by word, so that a package can be found with grep.
readonly build_packages=(g++ cmake ninja-build git ca-certificates libboost1.81-dev prometheus-cpp-dev
  libsqlite3-dev nlohmann-json3-dev libfmt-dev libcli11-dev libssl-dev zlib1g-dev libre2-dev)
readonly test_packages=(doctest-dev clang-14 libclang-rt-14-dev clang-tidy-19 clang-format-14 shellcheck prometheus
  prometheus-alertmanager python3 python3-prometheus-client sqlite3 curl strace lintian systemd dpkg-dev file)
readonly bench_packages=(prometheus-node-exporter victoria-metrics wrk)
# These make a build faster and change nothing else: they come along when something is installed anyway.
readonly optional_packages=(ccache mold)
# What Debian would start when it installs the packages above.
readonly services=(prometheus prometheus-alertmanager prometheus-node-exporter victoria-metrics)

say() { printf 'install-dependencies: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# One question for all of them: dpkg's database takes longer to open than to read. dpkg-query fails when it knows not
# one of the names, and still answers for the others.
missing() {
  local known
  known=$({ dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true; } | sed -n 's/^installed //p')
  printf '%s\n' "$@" | grep -vxF "$known" || true
}

check_system() {
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    die "this is not a Debian system (no apt-get). The packages of Debian 12 that you need the like of: ${needed[*]}"
  fi
  if ! grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release; then
    say "warning: made for Debian 12 (bookworm); on another release some of these packages may have other names"
  fi
}

# Debian starts a service as soon as its package is unpacked. policy-rc.d is the place where that can be refused; it is
# written only for the time of the installation. A policy that the host already has is its administrator's: it stays and
# decides. Services that came with this run are then disabled, so that the next boot does not start them either.
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
        say "$service is installed, not started and not enabled (systemctl enable --now $service turns it on)" ;;
    esac
  done
}

install_packages() {
  local package available=()
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q || say "warning: apt-get update failed; going on with the lists that are there"
  for package in "$@"; do
    case " ${optional_packages[*]} " in
      *" $package "*)
        apt-cache show "$package" >/dev/null 2>&1 || { say "no $package here: going on without it"; continue; } ;;
    esac
    available+=("$package")
  done
  [ ${#available[@]} -gt 0 ] || return 0
  refuse_starts
  # --no-remove: nothing that the host has is taken away for a build.
  # Two minutes for another apt to finish: a fresh cloud image updates itself first.
  apt-get -o DPkg::Lock::Timeout=120 install -y -q --no-install-recommends --no-remove "${available[@]}" </dev/null ||
    die "apt-get could not install: ${available[*]}. Its message is above; nothing of the host was removed"
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
  say "all ${#needed[@]} packages for $profile are there"
  exit 0
fi
mapfile -t absent < <(missing "${needed[@]}" "${optional_packages[@]}")
if [ "${PERJOULE_PLAN_SHOWN:-}" != yes ]; then
  say "for $profile, these packages will be installed with apt-get: ${absent[*]}"
fi
if installed libboost1.74-dev && ! installed libboost1.81-dev; then
  die "libboost1.74-dev is installed and excludes libboost1.81-dev, which perjoule needs. Nothing was changed. If no
  else needs it: apt-get remove libboost1.74-dev, then run this again"
fi

if [ "$(id -u)" -eq 0 ]; then
  install_packages "${absent[@]}"
elif command -v sudo >/dev/null; then
  say "this needs root: going on through sudo"
  exec sudo PERJOULE_PLAN_SHOWN=yes "$self" "$profile"
else
  die "this needs root and there is no sudo. As root, run: $self $profile"
fi
