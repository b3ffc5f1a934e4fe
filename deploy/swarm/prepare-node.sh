#!/bin/sh
# Shuts the direct way of containers to Azure's metadata service on this node, now and at each boot before Docker starts,
# for the time in which there is no monitor yet. As root, before the node joins the swarm; again does no harm.
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

tell_systemd() {
  if [ -z "${DESTDIR-}" ] && command -v systemctl >/dev/null; then systemctl "$@"; fi
}

case ${1-} in
  '')
    mkdir -p "$(dirname "$rules")" "$(dirname "$unit")"
    install -m 644 "$source/boot-guard.nft" "$rules"
    install -m 644 "$source/msi-proxy-boot-guard.service" "$unit"
    nft -f "$rules"
    tell_systemd daemon-reload
    tell_systemd enable "$service"
    ;;
  --remove)
    tell_systemd disable "$service"
    nft delete table ip msi_proxy_boot 2>/dev/null || true
    rm -f "$rules" "$unit"
    tell_systemd daemon-reload
    ;;
  *)
    echo "usage: $0 [--remove]" >&2
    exit 64
    ;;
esac
