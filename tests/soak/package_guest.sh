#!/usr/bin/env bash
# Runs inside the tree that package.sh boots. Does what an operator does to the service and checks the results. Prints a
# line per step: "ok" or "FAILED", and the evidence.
set -uo pipefail

readonly unit=perjouled.service address=http://127.0.0.1:10190 config=/etc/perjoule/perjoule.json
readonly drop_ins=/etc/systemd/system/perjouled.service.d energy=/srv/sys/class/powercap/intel-rapl:0/energy_uj

property() { systemctl show -P "$1" "$unit"; }
status_of() { awk -v key="$1:" '$1 == key { print $2 }' "/proc/$(property MainPID)/status"; }
metric() {
  curl -sf "$address/metrics" |
    awk -v name="$1" 'index($0, name) == 1 { print $NF; found = 1; exit } END { exit !found }'
}
journal() { journalctl -q -u "$unit" -o cat --no-pager "$@"; }
active() { [ "$(property ActiveState)" = active ]; }

ended() { echo "$(property ActiveState) $(property ExecMainStatus) $(property NRestarts)"; }

# within SECONDS COMMAND...
within() {
  local until=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $until ] || return 1
    sleep 0.2
  done
}

# step WHAT EVIDENCE COMMAND...
step() {
  local what=$1 evidence=$2
  shift 2
  if "$@"; then echo "ok      $what: $evidence"; else echo "FAILED  $what: $evidence"; fi
}
same() { [ "$1" = "$2" ]; }
holds() { case "$1" in *"$2"*) true ;; *) false ;; esac; }

restarted() { active && [ "$(property MainPID)" != "$1" ] && [ "$(property MainPID)" != 0 ]; }

started() {
  within 30 active
  step "started at boot" "$(property ActiveState), $(property StatusText)" active
  step "metrics" "$(metric perjoule_build_info) from $address/metrics" same "$(metric perjoule_build_info)" 1
  step "its user" "$(ps -o user= -p "$(property MainPID)")" same "$(ps -o user= -p "$(property MainPID)")" perjoule
  step "capabilities" "CapAmb $(status_of CapAmb), CapBnd $(status_of CapBnd)" \
    same "$(status_of CapAmb) $(status_of CapBnd)" "0000000000000004 0000000000000004"
  step "no new rights, filtered" "NoNewPrivs $(status_of NoNewPrivs), Seccomp $(status_of Seccomp)" \
    same "$(status_of NoNewPrivs)$(status_of Seccomp)" 12
  step "memory" "$(status_of VmRSS) kB resident, $(status_of Threads) threads" test "$(status_of VmRSS)" -lt 40000
  step "state" "$(stat -c '%A %U %n' /var/lib/perjoule /var/lib/perjoule/textfile | paste -sd ' ')" \
    test -s /var/lib/perjoule/ledger.db
  step "journal in priorities" "$(journal -p warning | wc -l) lines of warning, $(journal -p info | wc -l) in all" \
    test "$(journal -p info | wc -l)" -gt "$(journal -p warning | wc -l)"
  step "nothing is denied by the sandbox" "$(journal -p warning | paste -sd ';')" test -z "$(journal -p warning)"
}

reloaded() {
  local pid
  pid=$(property MainPID)
  step "reload" "$(property ActiveState)" systemctl reload "$unit"
  step "reload is in the log" "$(journal | grep -c 'configuration reloaded') times" \
    within 5 sh -c "journalctl -q -u $unit -o cat | grep -q 'configuration reloaded'"
  cp $config /tmp/good.json
  echo '{ "colectors": {} }' >$config
  step "reload of a bad configuration fails" "exit $(systemctl reload $unit 2>/dev/null; echo $?)" \
    sh -c "! systemctl reload $unit 2>/dev/null"
  within 10 sh -c "systemctl show -P StatusText $unit | grep -q refused"
  step "and the running one stays" "$(property ActiveState), $(property StatusText)" active
  step "and the metric says so" "last_reload_successful $(metric perjoule_config_last_reload_successful)" \
    same "$(metric perjoule_config_last_reload_successful)" 0
  step "the same process all along" "$pid" same "$(property MainPID)" "$pid"
  systemctl restart $unit 2>/dev/null
  within 5 sh -c "[ \"\$(systemctl show -P ActiveState $unit)\" = failed ]"
  step "a start with it fails once" "state, exit code, restarts: $(ended)" same "$(ended)" "failed 78 0"
  cp /tmp/good.json $config
  systemctl restart $unit
  step "and with the good one it is back" "$(property ActiveState)" active
}

killed() {
  local pid before after
  within 20 metric perjoule_node_energy_joules_total >/dev/null
  pid=$(property MainPID) before=$(metric perjoule_node_energy_joules_total)
  kill -9 "$pid"
  within 20 restarted "$pid"
  step "back after kill -9" "pid $pid, then $(property MainPID); $(property NRestarts) restarts" restarted "$pid"
  within 20 metric perjoule_node_energy_joules_total >/dev/null
  after=$(metric perjoule_node_energy_joules_total)
  step "no joule lost" "node energy ${before:-none} J, then ${after:-none} J" \
    awk -v before="${before:-x}" -v after="${after:-0}" 'BEGIN { exit !(before != "x" && after + 0 >= before + 0) }'
}

stalled() {
  local pid begin=$SECONDS
  pid=$(property MainPID)
  stall "$pid" >/tmp/stall.out &
  within 5 test -s /tmp/stall.out
  step "the loop is stopped" "$(cat /tmp/stall.out)" test -s /tmp/stall.out
  step "while the other threads run" "healthy: $(curl -s -o /dev/null -w '%{http_code}' $address/-/healthy)" \
    curl -sf -o /dev/null $address/-/healthy
  within 60 restarted "$pid"
  step "the watchdog restarts it" "after $((SECONDS - begin)) s: $(journal | grep -i 'watchdog timeout' | tail -1)" \
    restarted "$pid"
}

# A RAPL counter as the kernel provides it: readable by root only.
rights() {
  mkdir -p "${energy%/*}" $drop_ins
  echo package-0 >"${energy%/*}/name"
  echo 262143328850 >"${energy%/*}/max_energy_range_uj"
  install -m 400 /dev/stdin $energy <<<1000000
  sed -i 's|^ARGS=.*|ARGS="--path.sysfs=/srv/sys"|' /etc/default/perjouled
  systemctl restart $unit
  step "root's energy_uj is read by the capability" "rapl $(rapl)" same "$(rapl)" ok

  install -D -m 644 -t $drop_ins /usr/share/perjoule/systemd/00-no-rapl.conf
  systemctl daemon-reload && systemctl restart $unit
  step "not without it" "rapl $(rapl), CapAmb $(status_of CapAmb)" same "$(rapl)" denied
  local remedy
  remedy=$(journal | sed -n 's/.*rapl denied.*remedy="\(.*\)"$/\1/p' | tail -1 | sed 's/\\\(["\\]\)/\1/g')
  step "the log names the drop-in" "$remedy" holds "$remedy" $drop_ins/00-no-rapl.conf
  remedy=${remedy#*lacks CAP_DAC_READ_SEARCH: }
  eval "$(sed 's/\bsudo //g; s/; a unit .*//' <<<"$remedy")" >/dev/null
  step "and its command fixes it" "rapl $(rapl)" same "$(rapl)" ok
  rm $drop_ins/*

  install -D -m 644 -t $drop_ins /usr/share/perjoule/systemd/{kernel-log,perf,environment}.conf
  systemctl daemon-reload && systemctl restart $unit
  # DAC_READ_SEARCH 2, SYS_PTRACE 19, SYSLOG 34, PERFMON 38
  step "three drop-ins together" "CapAmb $(status_of CapAmb)" same "$(status_of CapAmb)" 0000004400080004
  rm $drop_ins/*
  systemctl daemon-reload && systemctl restart $unit
}

rapl() {
  local state
  for state in ok denied absent error stuck; do
    [ "$(curl -sf $address/metrics | grep -c "source=\"rapl\".*state=\"$state\"} 1\$")" -gt 0 ] && echo $state
  done
}

removed() {
  local files
  files=$(dpkg -L perjoule | while read -r file; do [ -d "$file" ] || echo "$file"; done)
  apt-get remove -y -q perjoule >/tmp/remove.log 2>&1
  step "remove stops it" "$(property ActiveState), pids $(pgrep -c perjouled)" same "$(pgrep -c perjouled)" 0
  step "and keeps state and configuration" "$(du -sh /var/lib/perjoule | cut -f 1) in /var/lib/perjoule" \
    test -s /var/lib/perjoule/ledger.db -a -s $config
  dpkg -i /perjoule.deb >/tmp/install.log 2>&1
  within 30 active
  step "installing starts it" "$(property ActiveState), $(property UnitFileState)" active
  dpkg -i /perjoule.deb >/tmp/upgrade.log 2>&1
  within 30 active
  step "installing over it restarts it" "$(property ActiveState)" active

  useradd --system bystander
  echo 'energy 1' >/var/lib/perjoule/textfile/site.prom
  mkdir -p $drop_ins && cp /tmp/good.json /etc/perjoule/saved.json
  apt-get purge -y -q perjoule >/tmp/purge.log 2>&1
  step "purge ends well" "exit $?" grep -q 'Purging configuration files' /tmp/purge.log
  local left
  left=$(for file in $files /var/lib/perjoule /etc/perjoule $drop_ins /etc/default/perjouled \
    /etc/systemd/system/multi-user.target.wants/$unit /etc/systemd/system/$unit; do
    [ -e "$file" ] || [ -L "$file" ] && echo "$file"
  done | paste -sd ' ')
  step "purge leaves no file" "left: ${left:-nothing}" test -z "$left"
  step "nor a file without owner" "$(find / -xdev -nouser -o -xdev -nogroup | head -3 | paste -sd ' ')" \
    test -z "$(find / -xdev -nouser -o -xdev -nogroup | head -1)"
  step "nor the user" "$(getent passwd perjoule || echo no perjoule), $(id -un bystander) stays" \
    sh -c '! getent passwd perjoule && ! getent group perjoule && getent passwd bystander >/dev/null'
  step "nor the unit" "$(property LoadState)" same "$(property LoadState)" not-found
}

started
reloaded
killed
stalled
rights
removed
echo "all steps were taken"
