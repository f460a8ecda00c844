#!/bin/sh
# An OCI runtime that makes no container: what the gate measures is the daemon, and runc's own
# 50 ms would drown it. It starts a process that sleeps, says which one, and kills it on request.
# Called as: --root DIR --log FILE --log-format json run|kill|delete ...
case $1 in --version) echo 'stub version 1.0'; exit ;; esac
root=$2
shift 6
case $1 in
    run) # --detach --bundle DIR --pid-file FILE ID
        shift
        while [ $# -gt 1 ]; do
            case $1 in --pid-file) pid_file=$2; shift ;; --bundle) shift ;; esac
            shift
        done
        sleep 86400 </dev/null >/dev/null 2>&1 &
        echo $! >"$pid_file"
        echo $! >"$root-scratch/stub-$1"
        ;;
    kill) # [--all] ID SIGNAL
        [ "$2" != --all ] || shift
        read -r pid <"$root-scratch/stub-$2"
        kill -s "$3" "$pid"
        ;;
esac
