#!/bin/sh
# The entry point of the image: a command, then its flags. `exec`, so that signals reach the process itself. The kernel drops
# signals to process 1 until it has installed handlers, so there the shell stays the parent and forwards them.
set -eu

# The original's image was run as `tidal-server cluster …`; its command lines still work.
if [ "${1:-}" = tidal-server ]; then shift; fi

command=${1:-}
case $command in
  region) main=services/region/main.js port=9510 ;;
  router) main=services/router/main.js port=9500 ;;
  cluster) main=deploy/local/main.js port=9500 ;;
  # Beside the regions: `docker compose run --rm us-east backup --to …`.
  backup) main=deploy/backup/main.js port=0 ;;
  restore) main=deploy/backup/restore.js port=0 ;;
  tidal) main=deploy/tidal/main.js port=0 ;;
  *)
    echo "unknown command \"$command\"; the image takes: region | router | cluster | backup | restore | tidal, then flags (<command> --help lists them)" >&2
    exit 2
    ;;
esac
shift
# With this variable the first start of a router makes its keys.
if [ "$command" = router ] && [ -n "${TIDAL_KEYS_DIRECTORY:-}" ]; then
  node /app/dist/deploy/tidal/main.js keys init --directory "$TIDAL_KEYS_DIRECTORY"
  export TIDAL_API_KEYS_FILE="$TIDAL_KEYS_DIRECTORY/keys.yaml"
fi
export TIDAL_LISTEN="${TIDAL_LISTEN:-0.0.0.0:$port}"
if [ $$ -ne 1 ]; then exec node "/app/dist/$main" "$@"; fi
node "/app/dist/$main" "$@" &
child=$!
trap 'kill -TERM $child 2>/dev/null || true' INT TERM
trap 'kill -HUP $child 2>/dev/null || true' HUP
while :; do
  code=0
  wait $child || code=$?
  # A signal ends the wait, not the child.
  kill -0 $child 2>/dev/null || exit $code
done
