#!/usr/bin/env bash
# needs: root, debootstrap, systemd-container, cmake, gcc, a Debian mirror; 5 minutes
# Tests the Debian package in a fresh Debian tree that is booted with systemd: it is installed without a running
# systemd, then started, scraped, reloaded, killed, stalled, removed and purged under a real one. package_guest.sh runs
# inside and prints the results. MIRROR=URL selects another mirror; KEEP=yes keeps the tree and prints its path.
set -euo pipefail

cd "$(dirname "$(readlink -f "$0")")/../.."
readonly mirror=${MIRROR:-http://deb.debian.org/debian}
readonly cgroups=/sys/fs/cgroup group=perjoule-soak-$$
work=$(mktemp -d "${TMPDIR:-/tmp}/perjoule-package-XXXXXX")
readonly work tree=$work/tree

for tool in debootstrap systemd-nspawn cmake cpack gcc; do
  command -v "$tool" >/dev/null && continue
  echo "package.sh: no $tool; apt-get install debootstrap systemd-container gcc cmake"
  exit 1
done
[ "$(id -u)" -eq 0 ] || { echo "package.sh: needs root, to make and boot a tree"; exit 1; }

clean() {
  local name
  for name in systemd unified; do
    [ -d "$cgroups/$name/$group" ] || continue
    find "$cgroups/$name/$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
  if [ "${KEEP:-}" = yes ]; then echo "the tree is kept: $work"; else rm -rf --one-file-system "$work"; fi
}
trap clean EXIT

# In a subshell, so that only it and its children join the cgroups. On a host with only the unified cgroup hierarchy,
# nspawn needs no help. On one with the old hierarchies, systemd inside requires its own named hierarchy, in which this
# shell may not be.
boot() (
  options=()
  if [ ! -e $cgroups/cgroup.controllers ]; then
    options=(systemd.unified_cgroup_hierarchy=0)
    for name in systemd unified; do
      [ -d "$cgroups/$name" ] || continue
      mkdir -p "$cgroups/$name/$group"
      echo "$BASHPID" >"$cgroups/$name/$group/cgroup.procs"
    done
  fi
  # -M sets the name of the scope, and thus that of the cgroup.
  exec timeout 400 systemd-nspawn --quiet --console=pipe --register=no --keep-unit --private-network -M "$group" \
    --capability=CAP_SYSLOG,CAP_PERFMON -D "$tree" -b "${options[@]}" </dev/null
)

echo "package.sh: building the package"
cmake --preset release >/dev/null
cmake --build build/release >/dev/null
cpack -G DEB --config build/release/CPackConfig.cmake -B "$work/package" >/dev/null
gcc -static -O1 -Wall -o "$work/stall" tests/soak/stall.c
deb=$(echo "$work"/package/*.deb)
dpkg-deb --field "$deb" Package Version Depends Installed-Size

echo "package.sh: a Debian 12 tree from $mirror"
debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,udev,iproute2,procps,ca-certificates,curl,passwd \
  bookworm "$tree" "$mirror" >"$work/debootstrap.log" || { tail -20 "$work/debootstrap.log"; exit 1; }
cp "$deb" "$tree/perjoule.deb"
install -m 755 "$work/stall" "$tree/usr/local/bin/stall"
install -m 755 tests/soak/package_guest.sh "$tree/usr/local/bin/package_guest"

# In the chroot no systemd runs and there are no sensors; the installation must succeed anyway.
echo "package.sh: installing without a running systemd"
chroot "$tree" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q /perjoule.deb >"$work/install.log" 2>&1 ||
  { tail -20 "$work/install.log"; exit 1; }
chroot "$tree" systemctl is-enabled perjouled.service

cat >"$tree/etc/systemd/system/selftest.service" <<'UNIT'
[Unit]
After=perjouled.service
[Service]
Type=oneshot
ExecStart=/usr/local/bin/package_guest
ExecStopPost=/bin/systemctl --no-block poweroff
StandardOutput=file:/selftest.out
StandardError=inherit
TimeoutStartSec=380
[Install]
WantedBy=multi-user.target
UNIT
chroot "$tree" systemctl enable --quiet selftest.service

echo "package.sh: booting it"
boot >"$work/console.log" 2>&1 || true
cat "$tree/selftest.out" || { tail -30 "$work/console.log"; exit 1; }
failed=$(grep -c '^FAILED' "$tree/selftest.out" || true)
grep -q '^all steps were taken$' "$tree/selftest.out" || { echo "the guest did not come to its end"; exit 1; }
[ "$failed" -eq 0 ]
