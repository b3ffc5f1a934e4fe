#!/bin/sh
# Waits until the proxy says that it serves this container, then becomes the given command.
#
#   MSI_CLIENT_WAIT_SECONDS  how long it waits at most, in seconds; default 30
#   MSI_CLIENT_WAIT_FAILURE  what then: "exit" (default) ends the container with code 1, "continue" starts the command
#
# `--check` asks once and says by its exit code whether the container is served.
set -u

readonly READY_URL=http://169.254.169.254/.msi-proxy/ready
readonly ASK_SECONDS=3

say() {
  echo "msi-client: $*" >&2
}

refuse_setting() {
  say "$1 is \"$2\": expected $3"
  exit 78
}

# Asks the proxy once. Sets `status` (000: no answer) and `body`.
ask() {
  if command -v curl >/dev/null; then
    answer=$(curl --silent --noproxy '*' --max-time "$ASK_SECONDS" --write-out '\n%{http_code}' "$READY_URL")
  elif command -v node >/dev/null; then
    # Node may have been told to use the proxies of the environment (NODE_USE_ENV_PROXY).
    answer=$(NO_PROXY='*' no_proxy='*' node --eval '
      const [url, seconds] = process.argv.slice(1);
      fetch(url, { signal: AbortSignal.timeout(seconds * 1000) })
        .then(async response => console.log(`${await response.text()}\n${response.status}`))
        .catch(() => console.log("000"));' "$READY_URL" "$ASK_SECONDS")
  else
    say 'neither curl nor node is in this image, one of which is needed to ask the proxy'
    answer=000
  fi
  status=${answer##*
}
  body=${answer%"$status"}
}

# What is missing, in words.
describe() {
  case $status in
    000) echo "nothing answers at $READY_URL: no proxy serves, or the monitor has not wired this container (is it labelled MSIClientContainer?)" ;;
    *) echo "the proxy answered $status: $(echo "$body" | tr -d '\n')" ;;
  esac
}

if [ "${1:-}" = --check ]; then
  ask
  [ "$status" = 200 ] && exit 0
  describe
  exit 1
fi

wait_seconds=${MSI_CLIENT_WAIT_SECONDS:-30}
on_failure=${MSI_CLIENT_WAIT_FAILURE:-exit}
case $wait_seconds in
  *[!0-9]* | 0[0-9]* | ?????*) refuse_setting MSI_CLIENT_WAIT_SECONDS "$wait_seconds" 'a whole number of seconds from 0 to 9999' ;;
esac
case $on_failure in
  exit | continue) ;;
  *) refuse_setting MSI_CLIENT_WAIT_FAILURE "$on_failure" '"exit" or "continue"' ;;
esac
if [ $# -eq 0 ]; then
  say 'no command given: name one after the image, or in CMD of an image that is based on this one'
  exit 64
fi

# As process 1, a shell ignores a signal that it does not name.
trap 'exit 143' TERM INT

deadline=$(($(date +%s) + wait_seconds))
ask
while [ "$status" != 200 ]; do
  if [ "$(date +%s)" -ge "$deadline" ]; then
    say "not served after $wait_seconds s: $(describe)"
    [ "$on_failure" = exit ] && exit 1
    say 'starting the command all the same (MSI_CLIENT_WAIT_FAILURE=continue)'
    break
  fi
  sleep 0.2 2>/dev/null || sleep 1
  ask
done

exec "$@"
