# machine.sh FOLDER TREE HIDDEN CGROUP [EMPTIED...]
#
# Makes the mounts that an engine sees. It has to be started in the engine's network namespace and
# in a mount namespace of its own from which nothing propagates: all that is mounted here is seen by
# nobody else and goes with that namespace.
#
# FOLDER  the engine's own folder, which it sees at the same path
# TREE    what it takes for the file system of its machine; "" = that of this machine. What it writes
#         outside FOLDER goes to memory; TREE stays as it is
# HIDDEN  a mount of this machine that it must not see; "" = none
# CGROUP  "own" = it sees its own control group as the root of version 2, and no version 1
# EMPTIED folders of this machine, in /run and elsewhere in memory, that it finds empty if it has no TREE
set -eu
umask 022
folder=$1 tree=$2 hidden=$3 cgroup=$4
shift 4

# mount_sys PLACE
#
# sysfs shows the links of the network namespace in which it was mounted: with this machine's /sys an
# engine finds none of its own in /sys/class/net. What is mounted below it (control groups, security,
# bpf) belongs to the machine and is bound into the new one.
mount_sys() {
    mount -t sysfs sysfs "$1"
    while read -r _ _ _ _ point _; do
        case $point in
        # a mount inside one that is bound already came with it
        /sys/*) mountpoint -q "$1${point#/sys}" || mount --rbind "$point" "$1${point#/sys}" ;;
        esac
    done <"$folder/machine/mountinfo"
    if [ "$cgroup" = own ]; then
        umount -R "$1/fs/cgroup"
        mount -t cgroup2 cgroup2 "$1/fs/cgroup"
    fi
}

cat /proc/self/mountinfo >"$folder/machine/mountinfo"

if [ -z "$tree" ]; then
    mkdir "$folder/machine/sys"
    mount_sys "$folder/machine/sys"
    mount --move "$folder/machine/sys" /sys
    if [ $# -gt 0 ]; then
        # What is in /run stays to be seen; what it makes there, such as these folders, is its own.
        mkdir "$folder/machine/run" "$folder/machine/run-work"
        mount -t overlay overlay \
            -o "lowerdir=/run,upperdir=$folder/machine/run,workdir=$folder/machine/run-work" /run
        for place; do
            mkdir -p "$place"
            mount -t tmpfs -o mode=1777 tmpfs "$place"
        done
    fi
    # its own, so that a row may write another one without touching that of this machine
    cat /etc/resolv.conf >"$folder/machine/resolv.conf"
    mount --bind "$folder/machine/resolv.conf" /etc/resolv.conf
    if [ -n "$hidden" ] && mountpoint -q "$hidden"; then umount "$hidden"; fi
    exit
fi

mkdir "$folder/machine/upper" "$folder/machine/work" "$folder/machine/merged"
# From within, since a colon or a comma in TREE would be read as a part of the option.
cd "$tree"
mount -t overlay overlay \
    -o "lowerdir=.,upperdir=$folder/machine/upper,workdir=$folder/machine/work" \
    "$folder/machine/merged"
cd "$folder/machine/merged"

mount -t proc proc proc
mount_sys ./sys
mount --rbind /dev dev
# Podman keeps its locks there, under one name for all Podmans of a machine.
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
if [ -d /lib/modules ]; then
    mkdir -p lib/modules
    mount --bind /lib/modules lib/modules
fi
# What the machine resolves with; a link would lead to nothing in here. The second one is what Docker
# reads where the first names only the server of systemd-resolved.
rm -f etc/resolv.conf
cat /etc/resolv.conf >etc/resolv.conf
if [ -f /run/systemd/resolve/resolv.conf ]; then
    mkdir -p run/systemd/resolve
    cat /run/systemd/resolve/resolv.conf >run/systemd/resolve/resolv.conf
fi
mkdir -p "./$folder" .old
mount --rbind "$folder" "./$folder"
umount -l "./$folder/machine" # the tree once more, within itself
if [ -n "$hidden" ] && mountpoint -q ".$hidden"; then umount ".$hidden"; fi

# Not chroot: docker import and load refuse to work in one (`remount /, flags: 0x84000: invalid
# argument`).
pivot_root . .old
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd /
umount -l /.old
rmdir /.old
