#!/usr/bin/env bash
# needs: root, mmdebstrap, a Debian mirror; an hour of two cores
# Both commands of the README on Debian 13 (trixie), in a fresh root with a clean clone: deploy/quickstart.sh until
# /metrics answers, then tests/run.sh. QUICK=--quick runs only its first stage; MIRROR=URL selects another mirror;
# KEEP=yes keeps the root and prints its path.
set -euo pipefail

cd "$(dirname "$(readlink -f "$0")")/../.."
readonly mirror=${MIRROR:-http://deb.debian.org/debian} port=${PORT:-10193}
work=$(mktemp -d "${TMPDIR:-/tmp}/perjoule-debian13-XXXXXX")
readonly work root=$work/root

for tool in mmdebstrap unshare chroot git; do
  command -v "$tool" >/dev/null && continue
  echo "debian13.sh: no $tool; apt-get install mmdebstrap util-linux coreutils git"
  exit 1
done
[ "$(id -u)" -eq 0 ] || { echo "debian13.sh: needs root, to make and enter a root"; exit 1; }

clean() {
  if [ "${KEEP:-}" = yes ]; then echo "the root is kept: $root"; else rm -rf --one-file-system "$work"; fi
}
trap clean EXIT

# Runs a command in the root, with mounts that end with it.
inside() {
  # shellcheck disable=SC2016 # expanded inside
  unshare --mount --propagation private bash -c '
    mount -t proc proc "$0/proc" && mount --rbind /sys "$0/sys" && mount --rbind /dev "$0/dev" &&
      mount -t tmpfs tmpfs "$0/tmp" && exec chroot "$0" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
      CI=true DEBIAN_FRONTEND=noninteractive bash -c "cd /src && $1"' "$root" "$1"
}

echo "debian13.sh: a root of trixie from $mirror"
mmdebstrap --variant=minbase --include=ca-certificates,git,curl trixie "$root" "$mirror" 2>"$work/mmdebstrap.log" ||
  { tail -20 "$work/mmdebstrap.log"; exit 1; }
cp /etc/resolv.conf "$root/etc/resolv.conf"
git clone --quiet . "$root/src"

echo "debian13.sh: deploy/quickstart.sh"
inside "set -e
  deploy/quickstart.sh --build-only
  deploy/quickstart.sh -- --web.listen-address=127.0.0.1:$port & pid=\$!
  for try in \$(seq 60); do curl -sf http://127.0.0.1:$port/metrics -o /tmp/scrape && break; sleep 1; done
  echo \"\$(grep -c ^perjoule_ /tmp/scrape) series\"
  kill \$pid
  wait \$pid"

echo "debian13.sh: tests/run.sh ${QUICK:-}"
inside "tests/run.sh ${QUICK:-}"
