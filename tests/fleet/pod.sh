#!/bin/sh
# pod.sh USER FOLDER CHECKOUT PYTHON SOURCE:TARGET:ro|rw... -- COMMAND...
# Inside new namespaces: be a container. Its root holds the system, the checkout and its interpreter
# read-only, and the volumes; its first process is the command, as a user without any capability.
set -eu
user=$1 folder=$2 checkout=$3 python=$4
shift 4
mount --make-rprivate /
root=$folder/.root
mkdir -p "$root"
mount -t tmpfs -o mode=755 tmpfs "$root"
bind() { # bind SOURCE TARGET [ro]
    mkdir -p "$root$2"
    mount --bind "$1" "$root$2"
    [ "${3:-}" != ro ] || mount -o remount,bind,ro "$root$2"
}
for each in /usr /etc; do bind "$each" "$each" ro; done
for each in bin sbin lib lib64; do ln -s "usr/$each" "$root/$each"; done
mkdir -p "$root/proc" "$root/dev" "$root/tmp"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do
    source=${1%%:*} rest=${1#*:}
    bind "$source" "${rest%:*}" "${rest##*:}"
    shift
done
shift
# After the volumes: a checkout may lie below /tmp.
for each in "$checkout" "$python"; do bind "$each" "$each" ro; done
mount -o remount,ro "$root"
exec chroot "$root" setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs \
    --bounding-set=-all --inh-caps=-all "$@"
