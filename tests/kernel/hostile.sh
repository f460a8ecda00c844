# What a hostile container does with files, output, processes and signals: root in it, at a bounded
# rate, until it is killed. Nothing here may end the script.
renice -n 19 -p $$
trap '' TERM HUP INT QUIT USR1 USR2 PIPE

did() {
    echo "$1" >> /steps
}

files() {
    while :; do
        for name in passwd group; do
            file=/etc/$name
            for form in fifo device directory link endless long dangling loop; do
                rm -rf $file
                case $form in
                    fifo) mkfifo $file ;;
                    device) mknod $file c 1 5 ;;
                    directory) mkdir -p $file/d ;;
                    link) ln -s /dev/zero $file ;;
                    endless) truncate -s 100G $file ;;
                    long) echo "x:x:$(head -c 5000 /dev/zero | tr '\0' 9):0::/:/" > $file ;;
                    dangling) ln -s /proc/self/fd/99 $file ;;
                    loop) ln -s $file $file ;;
                esac
                usleep 100000
            done
        done
        for file in /etc/hosts /etc/resolv.conf /etc/hostname; do
            truncate -s 100G $file
            usleep 100000
            head -c 20000 /dev/zero | tr '\0' w > $file
            usleep 100000
        done
        did files
    done
}

logs() {
    # a line of 50 MB, and then what no client can read: 100 MB in all
    head -c 50000000 /dev/zero | tr '\0' x
    did line
    for _ in $(seq 400); do
        head -c 100000 /dev/urandom
        seq 1000 >&2
        did flood
        usleep 100000
    done
}

processes() {
    sh -c '(sleep 1000 &) ; setsid sleep 1000 &'  # two that outlive who started them
    for _ in $(seq 200); do
        for _ in 1 2 3 4 5 6 7 8 9 10; do
            (true &)
        done
        did processes
        usleep 100000
    done
}

signals() {
    while :; do
        sleep 0.3 &
        kill -STOP $!
        kill -CONT $!
        kill -TERM 1
        kill -HUP 1
        kill -USR1 1
        wait $!
        did signals
    done
}

tree() {
    cd /tmp
    for _ in $(seq 1200); do
        mkdir d
        cd -P d
    done
    did tree
}

odd_files() {
    mkdir /tmp/odd
    cd /tmp/odd
    for name in $(printf 'a\377b \001c -rf \\ $(x) %s' "$(printf '%0250d' 1)"); do
        mkdir "./$name"
        ln -s /etc/shadow "./$name/link"
        cp /bin/busybox "./$name/b"
        chmod 6755 "./$name/b"
        chmod 0 "./$name"
    done
    mkdir -p /jail/bin
    cp /bin/busybox /jail/bin
    while :; do
        chroot /jail /bin/busybox true
        head -c 200000000 /dev/zero > /dev/shm/full
        rm -f /dev/shm/full
        did odd_files
        sleep 2
    done
}

echo hostile
files &
processes &
signals &
tree 2> /dev/null &
odd_files 2> /dev/null &
logs &
# and the first process itself says and hears nothing more
exec < /dev/null > /dev/null 2>&1
while :; do
    sleep 1
done
