#!/bin/bash
# Runs an offline bundle on a machine made for it: a root of its own with a shell, gzip and the C and C++ libraries of
# this one, and nothing else; no Node, no Vulkan, no driver, no home, no network; the bundle read-only.
#   tools/bundle-offline/check.sh [BUNDLE]
# Needs Linux x64 with unshare, as root or where users may make namespaces. Prints times; fails if anything fails.
set -euo pipefail

bundle=$(realpath "${1:-out/star-offline}")
[ -x "$bundle/star" ] || { echo "check: $bundle must be a bundle, got none. Make it with tools/bundle-offline.main.ts." >&2 && exit 1; }

if [ -z "${STAR_CHECK_INSIDE:-}" ]; then
  flags=(--mount --net --pid --fork --kill-child)
  [ "$(id -u)" = 0 ] || flags+=(--map-root-user)
  STAR_CHECK_INSIDE=1 exec unshare "${flags[@]}" bash "$(realpath "$0")" "$bundle"
fi

# Within the namespaces: the root is in memory and gone when this ends.
root=$(mktemp -d)
mount -t tmpfs tmpfs "$root"
mkdir -p "$root"/{bin,lib64,lib/x86_64-linux-gnu,proc,dev,tmp,home,star}
touch "$root/dev/null" "$root/dev/urandom"
for device in null urandom; do mount --bind "/dev/$device" "$root/dev/$device"; done
# A copy, without what an earlier start may have unpacked there.
cp "$bundle"/* "$root/star/"
mount --bind "$root/star" "$root/star"
mount -o remount,bind,ro "$root/star"
mount -t proc proc "$root/proc"

programs=(sh gzip xz mkdir mktemp rm id dirname uname readlink chmod sha256sum cat ls)
libraries=(libstdc++.so.6 libgcc_s.so.1 libm.so.6 libdl.so.2 libpthread.so.0 libresolv.so.2 librt.so.1)
copy_libraries() { ldd "$1" | grep -oE '/[^ ]+' | while read -r file; do cp -Ln "$file" "$root/lib/x86_64-linux-gnu/" || true; done; }
for program in "${programs[@]}"; do
  file=$(command -v "$program") || continue
  cp -L "$file" "$root/bin/"
  copy_libraries "$file"
done
for library in "${libraries[@]}"; do
  file=$(ldconfig -p | grep -F "$library (libc6,x86-64" | head -n 1 | sed 's/.* //')
  cp -Ln "$file" "$root/lib/x86_64-linux-gnu/"
  copy_libraries "$file"
done
cp -L /lib64/ld-linux-x86-64.so.2 "$root/lib64/"

chroot=$(PATH=$PATH:/usr/sbin:/sbin command -v chroot)
inside() { env -i PATH=/bin HOME=/home VK_DRIVER_FILES=/nowhere "$chroot" "$root" "$@"; }

failures=0
# expect NAME STATUS COMMAND...: runs a command inside, prints how long it took, compares its exit code.
expect() {
  local name=$1 wanted=$2 before after got=0
  shift 2
  before=$(date +%s%N)
  inside "$@" >"$root/tmp/output" 2>&1 || got=$?
  after=$(date +%s%N)
  local verdict=ok
  [ "$got" = "$wanted" ] || { verdict=FAILED && failures=$((failures + 1)); }
  printf '%-6s %-44s %6d ms\n' "$verdict" "$name" $(((after - before) / 1000000))
  [ "$verdict" = ok ] || sed 's/^/         /' "$root/tmp/output"
}
# shows TEXT: the last command must have printed a text.
shows() {
  grep -qF -- "$1" "$root/tmp/output" && return
  failures=$((failures + 1))
  printf '%-6s the output has no "%s":\n' FAILED "$1"
  sed 's/^/         /' "$root/tmp/output"
}

expect 'there is no Node' 127 /bin/sh -c 'node --version'
expect 'first start (unpacks): --help' 0 /star/star --help
expect 'second start: --version' 0 /star/star --version
expect 'doctor' 0 /star/star doctor
shows 'swiftshader'
expect 'sample, first' 0 /star/star sample 'red apple' --out '/home/my pictures'
expect 'sample, second' 0 /star/star sample 'red apple' --out '/home/my pictures'
picture='/home/my pictures/red-apple-42.png'
expect 'the picture is a PNG' 0 /bin/sh -c 'read -r line <"$0"; case $line in *PNG*) ;; *) exit 1 ;; esac' "$picture"
printf 'a red apple\n' >"$root${picture%.png}.txt"
expect 'pack a folder' 0 /star/star pack '/home/my pictures' --size 64 --out /home/mine.lmdb
shows '1 pictures'
if [ -e "$bundle/emoji.br" ]; then
  expect 'pack emoji' 0 /star/star pack emoji --distinct --size 64 --out /home/emoji.lmdb
else
  expect 'pack emoji says what is missing' 1 /star/star pack emoji --out /home/emoji.lmdb
  shows '@lobehub/fluent-emoji-3d'
fi
expect 'a wrong command keeps its exit code' 2 /star/star nonsense
rm -rf "$root/home/.cache"
expect 'without a home: unpacks into TMPDIR' 0 /bin/sh -c 'unset HOME; exec /star/star --help'
expect 'without a home, second start' 0 /bin/sh -c 'unset HOME; exec /star/star --help'
exit $((failures > 0))
