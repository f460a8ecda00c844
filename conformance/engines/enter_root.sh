# enter_root.sh TREE FOLDER HIDDEN COMMAND...
#
# Runs COMMAND as if TREE were the machine. It has to be started in a mount namespace of its own
# with private propagation: all that is mounted here is seen by nobody else and goes with the last
# process in it. What COMMAND writes outside FOLDER goes to memory; TREE stays as it is.
#
# pivot_root, not chroot: docker import and load refuse to work in a chroot (`remount /, flags:
# 0x84000: invalid argument`).
set -eu
tree=$1 folder=$2 hidden=$3
shift 3

mkdir -p "$folder/root"
mount -t tmpfs -o mode=755 tmpfs "$folder/root"
mkdir "$folder/root/upper" "$folder/root/work" "$folder/root/merged"
# From within, since a colon or a comma in TREE would be read as a part of the option.
cd "$tree"
mount -t overlay overlay \
    -o "lowerdir=.,upperdir=$folder/root/upper,workdir=$folder/root/work" "$folder/root/merged"
cd "$folder/root/merged"

mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs -o mode=755 tmpfs run
if [ -d /lib/modules ]; then
    mkdir -p lib/modules
    mount --bind /lib/modules lib/modules
fi
# What the machine resolves with; a link would lead to nothing in here.
rm -f etc/resolv.conf
cat /etc/resolv.conf >etc/resolv.conf
mkdir -p "./$folder" .old
mount --rbind "$folder" "./$folder"
if [ -n "$hidden" ] && mountpoint -q ".$hidden"; then umount ".$hidden"; fi

pivot_root . .old
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd /
umount -l /.old
rmdir /.old
exec "$@"
