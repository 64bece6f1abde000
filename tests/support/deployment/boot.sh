#!/usr/bin/env bash
# Boots this machine's systemd as the init of namespaces of its own, over a copy-on-write view of this machine's files.
# Nothing outside changes: writes go to a tmpfs; /run, control groups and processes are its own. Loopback is shared.
#
#   unshare --mount --pid --fork --uts --ipc --kill-child boot.sh FOLDER FILES GROUP PATH...
#
# FOLDER is an empty one, FILES a tree that is laid over the view, GROUP an empty control group (version 2); each PATH is a
# folder that the view must have, on whatever file system it is.
set -euo pipefail

work="$1" files="$2" group="$3" root="$1/root"
shift 3
mount --make-rprivate /
mount -t tmpfs tmpfs "$work"
mkdir -p "$work/upper" "$work/scratch" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/scratch" "$root"

# Not what this machine would start by itself.
rm -rf "$root/etc/systemd/system"
for folder in "$root"/lib/systemd/system/*.wants "$root/lib/systemd/system-generators"; do
  mount -t tmpfs -o ro tmpfs "$folder"
done
cp -a "$files/." "$root/"

for path; do
  mkdir -p "$root$path"
  mount --bind "$path" "$root$path"
done
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=755 tmpfs "$root/run"

# From here the view is all there is; a mere chroot may make no user namespaces, which PrivateUsers= needs.
echo $$ >"$group/cgroup.procs"
mkdir -p "$root/run/old"
cd "$root"
pivot_root . run/old
umount --lazy /run/old
# In a control group namespace the group we are in is the top of what systemd sees.
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=test unshare --cgroup sh -c '
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  exec /lib/systemd/systemd --system --unit=test.target --log-target=journal --show-status=no'
