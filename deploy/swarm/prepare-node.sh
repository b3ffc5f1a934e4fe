#!/bin/sh
# Shuts the direct way of containers to Azure's metadata service on this node, now and at each boot before Docker starts,
# for the time in which no monitor runs there. As root, before the node joins the swarm; again does no harm. Needs the program
# nft (package nftables).
#
#   prepare-node.sh            prepares the node
#   prepare-node.sh --remove   undoes it
#
# With DESTDIR, files go below that folder, and systemd is not told.
set -eu

source=$(dirname "$0")
rules=${DESTDIR-}/etc/msi-proxy/boot-guard.nft
unit=${DESTDIR-}/etc/systemd/system/msi-proxy-boot-guard.service
service=$(basename "$unit")
firewall=${DESTDIR-}/etc/systemd/system/nftables.service.d/msi-proxy-boot-guard.conf
# What the unit starts, since Docker does not start where that fails.
nft=$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$source/$service")

tell_systemd() {
  if [ -z "${DESTDIR-}" ] && command -v systemctl >/dev/null; then systemctl "$@"; fi
}

case ${1-} in
  '')
    if [ ! -x "$nft" ]; then
      echo "$nft is missing: install the package nftables. Nothing was changed." >&2
      exit 69
    fi
    mkdir -p "$(dirname "$rules")" "$(dirname "$firewall")"
    install -m 644 "$source/boot-guard.nft" "$rules"
    install -m 644 "$source/msi-proxy-boot-guard.service" "$unit"
    install -m 644 "$source/nftables-boot-guard.conf" "$firewall"
    "$nft" -f "$rules"
    tell_systemd daemon-reload
    tell_systemd enable "$service"
    ;;
  --remove)
    tell_systemd disable "$service"
    "$nft" delete table ip msi_proxy_boot 2>/dev/null || true
    rm -f "$rules" "$unit" "$firewall"
    rmdir "$(dirname "$firewall")" 2>/dev/null || true
    tell_systemd daemon-reload
    ;;
  *)
    echo "usage: $0 [--remove]" >&2
    exit 64
    ;;
esac
