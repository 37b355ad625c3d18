# Apptainer's options: each that `apptainer exec --help` lists stands in the table of docs/user/options.md, and each that the
# table does not call refused is taken by run, exec, shell and test. With APPTAINER= the list here is held against the real one.
. "$(dirname "$0")/../support/lib.sh"
need_tool python3

ok singularity build full.sif "oci:$IMAGES/full.oci"
chmod 755 full.sif
mkdir -p -m 755 d
printf '[pids]\nlimit = 30\n' >limits.toml
echo 'A=b' >file.env
echo '{}' >auth.json
DISK=$(find /dev -maxdepth 1 -type b | head -n 1)
[ -n "$DISK" ] || ! mknod disk b 7 0 2>/dev/null || DISK=$PWD/disk
[ -n "$DISK" ] || skip "no block device here"
# Each option as a program's user writes it, in a form that is valid here.
cat >options <<END
--add-caps CAP_NET_RAW
--allow-setuid
--app one
--apply-cgroups $PWD/limits.toml
--authfile $PWD/auth.json
-B $PWD/d:/x
--bind $PWD/d:/x
--blkio-weight 100
--blkio-weight-device $DISK:100
-e
--cleanenv
--compat
-c
--contain
-C
--containall
--cpu-shares 512
--cpus 1.5
--cpuset-cpus 0
--cpuset-mems 0
--cwd /etc
--disable-cache
--dns 192.0.2.1
--docker-host unix:///run/docker.sock
--docker-login
--drop-caps CAP_CHOWN
--env A=b
--env-file $PWD/file.env
-f
--fakeroot
--fusemount host:true /x
-h
--help
-H $PWD/d:/x
--home $PWD/d:/x
--hostname inside
-i
--ipc
--keep-privs
--memory 64m
--memory-reservation 32m
--memory-swap -1
--mount type=bind,source=$PWD/d,destination=/x
-n
--net
--netns-path /proc/self/ns/net
--network none
--network-args portmap=8080:80/tcp
--no-eval
--no-home
--no-https
--no-init
--no-mount tmp
--no-pid
--no-privs
--no-umask
--nv
--nvccli
--oom-kill-disable
-o $PWD/d:ro
--overlay $PWD/d:ro
--passphrase
--pem-path $PWD/file.env
-p
--pid
--pids-limit 20
--rocm
-S /x
--scratch /x
--security uid:5
--sharens
--unsquash
-u
--userns
--uts
-W $PWD/d
--workdir $PWD/d
-w
--writable
--writable-tmpfs
END

check "each stands in the table, with what it does here"
cat >table.py <<'P'
import re, sys
state, said = {}, {}
for line in open(sys.argv[1]):
    cells = [c.strip() for c in line.strip().strip("|").split("|")]
    if len(cells) < 2 or not cells[0].startswith("`"):
        continue
    for name in re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", " ".join(re.findall(r"`([^`]*)`", cells[0]))):
        state[name], said[name] = cells[1], cells[2] if len(cells) > 2 else ""
wrong = 0
for line in open(sys.argv[2]):
    name = line.split()[0]
    word = state.get(name)
    if word not in ("same", "different", "refused") or word != "same" and not said[name]:
        print(f"{name} is '{word}' in the table: {said.get(name)}")
        wrong = 1
for name, word in state.items():
    print(word, name, file=sys.stderr)
sys.exit(wrong)
P
ok python3 table.py "$SG_SOURCE/docs/user/options.md" options
cp "$T/err" states

check "each is taken"
singularity exec --help >help
while read -r option value; do
    if grep -q "^refused $option$" states; then continue; fi
    case $option in -h | --help | --docker-login | --passphrase) ;; # asked for below
    *)
        for words in "exec full.sif true" "run full.sif" "shell full.sif" "test full.sif"; do
            # shellcheck disable=SC2086 # words
            set -- $words
            beside=()
            [ "$option" != --network-args ] || beside=(--network bridge)
            run singularity "$1" --dry-run "${beside[@]}" "$option" ${value:+"$value"} "${@:2}"
            refuse_err 'unknown option'
            [ "$RC" != 1 ] || { fail "$option is a usage error of $1"; told; }
        done
        [ "$RC" = 0 ] || expect_failure
        ;;
    esac
    case $option in --sharens | --unsquash) continue ;; esac # of no use here, and so not offered
    grep -qE -- "(^|[ ,])$option([ ,=]|$)" help || fail "exec --help has no $option"
done <options
for option in -h --help; do
    run singularity exec $option
    expect_rc 0
    expect_out 'IMAGE COMMAND'
done

check "what the table calls refused is refused, with a word about it"
while read -r word option; do
    [ "$word" = refused ] || continue
    run singularity instance start $option full.sif name
    expect_failure 1
    expect_err "$option"
done <states

if [ -n "${APPTAINER:-}" ]; then
    check "the list is that of Apptainer itself"
    # shellcheck disable=SC2086 # may be several words
    $APPTAINER exec --help >real 2>"$T/err" || fail "$APPTAINER does not run"
    sed -n '/^Options:/,/^Examples:/p' real | grep -oE '^ +(-[A-Za-z], )?--[a-z0-9-]+' | tr -d ' ' | tr , '\n' | sort -u >theirs
    cut -d ' ' -f 1 options | sort -u >ours
    expect_equal "$(cat ours)" "$(cat theirs)"
else
    note "APPTAINER= names no Apptainer: its own list is not looked at"
fi
rm -rf d disk
expect_nothing_left
finish
