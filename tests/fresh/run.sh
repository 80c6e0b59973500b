#!/bin/sh
# run.sh: does Drift work for a new user? A bare Debian is made for the purpose, with git and nothing else; it clones
# this repository (its last commit) and runs the two commands of the README. Needs root, debootstrap and a network.
#
#   tests/fresh/run.sh [--keep] [--suite bookworm] [COMMAND...]     default: the main job twice, the tests
#
# Each COMMAND is one word for sh -c, e.g. './drift version'. What belongs to the network rather than to the system is
# handed on: the package mirror, the CA bundle, pip's settings (its file, PIP_*, proxies, the variables that name
# certificates). Nothing else of this system is seen inside. The last line is the verdict, and so is the exit status.
set -eu
repository=$(cd "$(dirname "$0")/../.." && pwd)
keep='' suite=bookworm
while [ $# -gt 0 ]; do
    case $1 in
    --keep)  keep=yes ;;
    --suite) suite=$2; shift ;;
    *)       break ;;
    esac
    shift
done
main_job='./drift run experiments/mnist_flow.lua'
[ $# -gt 0 ] || set -- "$main_job" "$main_job" './drift test'

fail() { echo "fresh: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "chroot and debootstrap need root"
command -v debootstrap >/dev/null || fail "debootstrap is missing (apt-get install debootstrap)"

# The mirror that this system itself uses; FRESH_MIRROR names another.
mirror=${FRESH_MIRROR:-$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
    sed -n -E 's/^URIs: *([^ ]+).*/\1/p; s/^deb +(\[[^]]*\] +)?([^ ]+) .*/\2/p' |
    grep -E '/(debian|ubuntu)/?$' | head -n 1)}
root=$(mktemp -d "${TMPDIR:-/var/tmp}/drift-fresh.XXXXXX")
clean_up() {
    for mounted in dev/shm dev proc; do ! mountpoint -q "$root/$mounted" || umount "$root/$mounted"; done
    if [ -n "$keep" ]; then echo "fresh: kept $root"; else rm -rf --one-file-system "$root"; fi
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

start=$(date +%s)
step() { printf '\n== fresh: %s (%d s)\n' "$*" "$(($(date +%s) - start))"; }

step "debootstrap $suite from ${mirror:-its default mirror}"
# shellcheck disable=SC2086   # no word at all when there is no mirror
debootstrap --variant=minbase --include=git,ca-certificates "$suite" "$root" $mirror >"$root.log" 2>&1 ||
    { tail -n 20 "$root.log" >&2; fail "debootstrap failed"; }
rm -f "$root.log"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 "$root/dev/${node%:*}" c 1 "${node#*:}"; done
ln -s /proc/self/fd "$root/dev/fd"
mkdir "$root/dev/shm"
mount -t tmpfs tmpfs "$root/dev/shm"

# What belongs to the network rather than to the system.
for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs/ca-certificates.crt /etc/apt/apt.conf; do
    [ ! -f "$file" ] || { mkdir -p "$root${file%/*}"; cp -L "$file" "$root$file"; }
done
for file in /etc/apt/apt.conf.d/*; do
    if grep -q -E '^ *Acquire' "$file" 2>/dev/null; then cp -L "$file" "$root/etc/apt/apt.conf.d/"; fi
done
environment=$(env | grep -E '^(PIP_[A-Z_]+|[A-Za-z_]+_(proxy|PROXY)|SSL_CERT_FILE|REQUESTS_CA_BUNDLE)=' || :)
find_links=${PIP_FIND_LINKS:-}
if [ -d "$find_links" ]; then mkdir -p "$root$find_links"; fi        # pip warns about a folder that is not there
inside() {
    # shellcheck disable=SC2086   # one word per variable; their values hold no spaces
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LANG=C.UTF-8 $environment \
        chroot "$root" sh -c "$1" </dev/null
}

step "git clone"
mkdir "$root/repository.git"
git -c safe.directory='*' clone --quiet --bare "$repository" "$root/repository.git"
inside 'cd /root && git clone --quiet /repository.git drift && cd drift && git log -1 --format="%h %s"' ||
    fail "git clone failed"
rm -rf "$root/repository.git"

for command in "$@"; do
    step "$command"
    began=$(date +%s)
    inside "cd /root/drift && $command" || { echo "fresh: FAILED: $command"; exit 1; }
    echo "fresh: ok after $(($(date +%s) - began)) s: $command"
done
step 'every command worked'
