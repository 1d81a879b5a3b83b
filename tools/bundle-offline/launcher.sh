#!/bin/sh
# star on Linux x64 without Node. The first run unpacks the parts beside this file into a folder of the user; later runs
# start from there at once. Needs sh, @UNPACKER@, and the usual small commands (mkdir, mktemp, rm, id, dirname).
set -eu

id='@ID@'
node_file='@NODE_FILE@'
node_sha256='@NODE_SHA256@'
unpacker='@UNPACKER@'
needs='@NEEDS@'

# The folder of this file, behind links.
self=$0
while [ -h "$self" ]; do
  target=$(readlink "$self")
  case $target in
    /*) self=$target ;;
    *) self=$(dirname "$self")/$target ;;
  esac
done
here=$(CDPATH='' cd "$(dirname "$self")" && pwd -P)

# Where the parts may lie unpacked, best first. The last one is in a folder that all users share, so it must be our own.
cache=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
first=${cache:+$cache/star-webgpu}
second=$here/.unpacked
third=${TMPDIR:-/tmp}/star-webgpu-$(id -u)

say() { printf 'star: %s\n' "$*" >&2; }

start() {
  folder=$1
  shift
  # What the caller had there comes first, so that another Vulkan loader can be put before ours.
  LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder/lib
  export LD_LIBRARY_PATH
  exec "$folder/node" "$folder/app/main.js" "$@"
}

trusted() { [ "$1" != "$third" ] || [ -O "$1" ]; }

partial=''
clean() { [ -z "$partial" ] || rm -rf "$partial"; }
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Unpacks into a folder of its own; the last step renames it, so that nobody meets half of it.
# Status 0: done; 1: not possible in this place, $why says why; anything else ends the command.
unpack() {
  why=$( (umask 077 && mkdir -p "$1") 2>&1) || return 1
  trusted "$1" || { why="$1 belongs to another user" && return 1; }
  partial=$(mktemp -d "$1/partial.XXXXXX" 2>&1) || { why=$partial && partial='' && return 1; }
  why=$("$unpacker" -dc "$here/$node_file" 2>&1 >"$partial/node") || { clean && return 1; }
  chmod 755 "$partial/node"
  if command -v sha256sum >/dev/null 2>&1; then
    sum=$(sha256sum "$partial/node")
    [ "${sum%% *}" = "$node_sha256" ] || { why="$node_file is damaged" && clean && return 1; }
  fi
  why=$("$partial/node" --version 2>&1 >/dev/null) || { why="$why (needs $needs)" && clean && return 1; }
  status=0
  "$partial/node" "$here/unpack.mjs" "$here" "$partial" "$1/offline-$id" "$id" || status=$?
  clean
  case $status in
    0) return 0 ;;
    3) why='see above' && return 1 ;;
    *) exit 1 ;;
  esac
}

for place in "$first" "$second" "$third"; do
  [ -n "$place" ] && [ -x "$place/offline-$id/node" ] && trusted "$place" && start "$place/offline-$id" "$@"
done

if [ "$(uname -s) $(uname -m)" != 'Linux x86_64' ]; then
  say "this bundle must run on Linux x86_64, got $(uname -s) $(uname -m). Make one on such a machine, or install Node there."
  exit 1
fi
if ! command -v "$unpacker" >/dev/null 2>&1; then
  say "the command $unpacker must exist for the first start, got none. Install it, or make the bundle with --compression gzip."
  exit 1
fi
say 'unpacking, once'
tried=''
for place in "$first" "$second" "$third"; do
  [ -n "$place" ] || continue
  if unpack "$place"; then
    partial=''
    trap - EXIT INT TERM
    start "$place/offline-$id" "$@"
  fi
  partial=''
  tried="$tried
  $place: $why"
done
say "a folder must be writable, allow programs and have room, got none:$tried
Set XDG_CACHE_HOME to one that is."
exit 1
