# Runs as process 1 of a client: asks 169.254.169.254 for a token as its first instruction and every few seconds from then
# on, over a new connection each time. For each request it appends two lines to a file that all clients share: one when the
# request begins (`B`), one when it ends (`E`) with the status and the claims of the token. The token itself is not written. Nothing
# is started for it, so that hundreds fit on a small machine.
#
#   bash -c <this> <name> <file> <target> <seconds between requests>
name=$0 file=$1 target=$2 pause=$3
trap '' PIPE
exec 4>>"$file" 9<> <(:)
while :; do
  printf 'B %s %s\n' "$name" "${EPOCHREALTIME/[.,]/}" >&4
  status=unreachable claims=- answer=
  if { exec 3<>/dev/tcp/169.254.169.254/80; } 2>/dev/null; then
    printf 'GET %s HTTP/1.1\r\nHost: 169.254.169.254\r\nMetadata: true\r\nConnection: close\r\n\r\n' "$target" >&3 2>/dev/null
    IFS= read -r -d '' -t 35 answer <&3 2>/dev/null
    exec 3>&-
    case $answer in
      'HTTP/1.1 200 '*)
        status=200 claims=${answer#*\"access_token\":\"*.} claims=${claims%%.*}
        ;;
      'HTTP/1.1 '*) status=${answer:9:3} ;;
      *) status=none ;;
    esac
  fi
  printf 'E %s %s %s %s\n' "$name" "${EPOCHREALTIME/[.,]/}" "$status" "$claims" >&4
  read -r -t "$pause" -u 9
done
