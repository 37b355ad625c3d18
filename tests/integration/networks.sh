# Networks (--net, --network, --network-args) by CNI plugins: Debian's real ones, and stand-ins that write down what they
# are told. All of it happens in a network namespace of the test's own: the machine's network is not touched.
[ "$(id -u)" != 0 ] || [ "${SG_OWN_NETWORK:-}" = yes ] || SG_OWN_NETWORK=yes exec unshare --net bash "$0" "$@"
. "$(dirname "$0")/../support/lib.sh"

need_root
need_tool ip python3
ip link set lo up
mkdir -p "$T/run"
mount --bind "$T/run" /run # records of networks, leases of the plugins: none of the machine's
mkdir -p "$T/cni" && mkdir -p /var/lib/cni && mount --bind "$T/cni" /var/lib/cni
ok singularity build full.sif "oci:$IMAGES/full.oci"
chmod 755 full.sif
I=$PWD/full.sif
owed() { find /run/singularity/network -mindepth 1 2>/dev/null; }
nothing_owed() { # the keeper of a killed container needs a moment
    local i
    for ((i = 0; i < 200; i++)); do
        [ -n "$(owed)$(find /var/lib/cni -name '10.*' 2>/dev/null)" ] || return 0
        sleep 0.1
    done
    fail "left: $(owed) $(find /var/lib/cni -name '10.*')"
}

# ---- Who may, and what must not be mixed ---------------------------------------------------------

check "ordinary users have --network none alone"
if user_namespaces; then
    for words in "--net" "--network bridge" "--net --network ptp"; do
        run as_user singularity exec $words "$I" true
        expect_failure
        expect_err 'network requires root; ordinary users can only use --network=none'
    done
    host=$(readlink /proc/self/ns/net)
    run as_user singularity exec --network none "$I" readlink /proc/self/ns/net
    expect_rc 0
    expect_err 'INFO: +Setting --net \(required by --network\)'
    [ "$OUT" != "$host" ] || fail "--network none leaves the host's network"
fi
check "contradictions are refused"
run singularity exec --network none,bridge "$I" true
expect_failure 1
run singularity exec --net --network none --network-args portmap=80:80/tcp "$I" true
expect_failure 1
run singularity exec --network nosuch "$I" true
expect_failure
expect_err 'no net configuration with name "nosuch" in .*/network'
expect_err 'bridge, ipvlan, macvlan, ptp'
for bad in portmap=80 portmap=0:1/tcp portmap=80:80/sctp portmap=x/tcp novalue other:portmap=80/tcp a=b=c; do
    run singularity exec --net --network-args "$bad" "$I" true
    expect_failure 1
    expect_err "network-args $bad"
done
check "a missing plugin is named, with the package that has it"
run env SINGULARITY_CNI_PLUGIN_PATH="$T/none" singularity exec --net "$I" true
expect_failure
expect_err "network bridge: there is no CNI plugin 'bridge' in $T/none"
expect_err 'containernetworking-plugins'
nothing_owed

# ---- Stand-ins: what plugins are told --------------------------------------------------------------

mkdir -p "$T/conf" "$T/plugins"
cat >"$T/plugins/first" <<'P'
#!/bin/sh
# Writes down how it was called; ADD answers with an address. What it is to do wrong stands in a file.
log=$CNI_LOG_DIRECTORY
log=${log:-@LOG@}
in=$(cat)
name=${0##*/}
{ echo "$CNI_COMMAND $name id=$CNI_CONTAINERID if=$CNI_IFNAME args=$CNI_ARGS path=$CNI_PATH netns=$([ -e "$CNI_NETNS" ] && stat -Lc %i "$CNI_NETNS" || echo gone)"; echo "$in"; } >>"$log/calls"
[ ! -e "$log/fail-$CNI_COMMAND-$name" ] || { echo '{"cniVersion":"1.0.0","code":11,"msg":"told to fail","details":"by a file"}'; exit 1; }
[ ! -e "$log/mute-$CNI_COMMAND-$name" ] || { echo "words of $name" >&2; exit 3; }
[ "$CNI_COMMAND" != ADD ] || [ ! -e "$log/hang" ] || { : >"$log/hanging"; while [ -e "$log/hang" ]; do sleep 0.1; done; }
[ "$CNI_COMMAND" != ADD ] || echo '{"cniVersion":"1.0.0","ips":[{"address":"10.9.8.7/24"}],"said":"'"$name"'"}'
P
sed -i "s#@LOG@#$T/log#" "$T/plugins/first"
chmod 755 "$T/plugins/first"
cp "$T/plugins/first" "$T/plugins/second"
cat >"$T/conf/10.conflist" <<'J'
{"cniVersion": "1.0.0", "name": "net-a", "plugins": [
  {"type": "first", "key": {"deep": [1, 2.5, null, "x"]}},
  {"type": "second", "capabilities": {"portMappings": true, "ipRanges": true}}]}
J
echo '{"cniVersion": "0.3.1", "name": "net-b", "type": "second"}' >"$T/conf/20.conf"
echo '{"name": "broken", "plugins": [' >"$T/conf/30.conflist"
export SINGULARITY_CNI_PLUGIN_PATH=$T/plugins SINGULARITY_CNI_CONFIGURATION_PATH=$T/conf
fresh() { rm -rf "$T/log" && mkdir "$T/log"; }
calls() { grep -o '^[A-Z]* [a-z]*' "$T/log/calls" | tr '\n' ';'; }

check "ADD and DEL are called in pairs, in order, with what the specification says"
fresh
run singularity exec --network net-a,net-b --network-args 'portmap=8080:80/tcp;K=V,net-b:IP=1.2.3.4,ipRange=10.1.0.0/16' "$I" sh -c 'readlink /proc/self/ns/net; cat /proc/net/dev; exit 37'
expect_rc 37
expect_out ' lo:'
expect_equal "$(calls)" "ADD first;ADD second;ADD second;DEL second;DEL second;DEL first;"
inner=$(sed -n 's/^net:\[\(.*\)\]$/\1/p' "$T/out")
run python3 - "$T/log/calls" "$inner" "$T/plugins" <<'P'
import json, re, sys
lines = open(sys.argv[1]).read().split("\n")
calls = []
for head, body in zip(lines[0::2], lines[1::2]):
    calls.append((dict([("command", head.split()[0]), ("plugin", head.split()[1])] + [w.split("=", 1) for w in head.split()[2:]]), json.loads(body)))
ids = {c["id"] for c, _ in calls}
assert len(ids) == 1 and re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", ids.pop()), ids
for c, _ in calls:
    assert c["netns"] == sys.argv[2], ("the container's own namespace, also in DEL", c)
    assert c["path"] == sys.argv[3], c
    a = c["if"] == "eth0"
    assert c["if"] in ("eth0", "eth1")
    assert c["args"] == ("IgnoreUnknown=1;K=V" if a else "IgnoreUnknown=1;IP=1.2.3.4"), c
a1, a2, b, db, da2, da1 = [body for _, body in calls]
assert a1 == {"type": "first", "key": {"deep": [1, 2.5, None, "x"]}, "name": "net-a", "cniVersion": "1.0.0"}, a1
assert a2["prevResult"]["said"] == "first" and a2["runtimeConfig"] == {
    "portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}], "ipRanges": [[{"subnet": "10.1.0.0/16"}]]}, a2
assert "prevResult" not in b and "runtimeConfig" not in b and b["name"] == "net-b" and b["cniVersion"] == "0.3.1", b
assert "prevResult" not in db, "no result in DEL before 0.4.0"
assert da1["prevResult"]["said"] == "second" and da2["prevResult"]["said"] == "second", (da1, da2)
assert da2["runtimeConfig"] == a2["runtimeConfig"]
P
expect_rc 0
nothing_owed

check "a plugin that fails is quoted, and what was begun is undone"
for how in fail mute; do
    fresh
    touch "$T/log/$how-ADD-second"
    run singularity exec --network net-a "$I" echo ran
    expect_failure
    refuse_out ran
    if [ $how = fail ]; then
        expect_err "network net-a: the CNI plugin 'second' \(ADD\) failed: told to fail; by a file"
    else
        expect_err "the CNI plugin 'second' \(ADD\) failed: words of second"
    fi
    expect_equal "$(calls)" "ADD first;ADD second;DEL second;DEL first;"
done
check "a DEL that fails is a warning, keeps no other from being called, and the next start tries it once more"
fresh
touch "$T/log/fail-DEL-second"
run singularity exec --network net-a "$I" true
expect_rc 0
expect_err "WARNING: +a network could not be taken down: network net-a: the CNI plugin 'second' \(DEL\) failed: told to fail"
expect_equal "$(calls)" "ADD first;ADD second;DEL second;DEL first;"
fresh
run singularity exec --network net-b "$I" true
expect_rc 0
expect_equal "$(calls)" "DEL second;DEL first;ADD second;DEL second;"
nothing_owed
check "a container that cannot start leaves its network as well"
fresh
run singularity exec --network net-a -B /no/such:/x "$I" true
expect_failure
[ ! -e "$T/log/calls" ] || expect_equal "$(calls)" "ADD first;ADD second;DEL second;DEL first;"
run singularity exec --network net-a "$I" /no/such/program
expect_failure
expect_equal "$(grep -c ^ADD "$T/log/calls")" "$(grep -c ^DEL "$T/log/calls")"
check "a broken file hides no other network, and is told of when it may be the one"
run singularity exec --network broken "$I" true
expect_failure
expect_err "$T/conf/30.conflist is not usable"

# Between ADD and the end: killed are the caller, then the keeper, then both.
kept() { for p in /proc/[0-9]*; do [ "$(cat "$p/comm" 2>/dev/null)" != singularity-net ] || echo "${p#/proc/}"; done; }
running() { # in the background, with PID
    fresh
    start "$T/said" singularity exec "$@" --network net-a "$I" sh -c 'echo ready; while :; do sleep 1; done'
    until_says "$T/said" ready
}
check "the launcher is killed: DEL comes all the same"
for more in "" --pid; do
    running $more
    kill -KILL "$PID"
    ended
    nothing_owed
    expect_equal "$(calls)" "ADD first;ADD second;DEL second;DEL first;" "after SIGKILL $more"
done
check "the container is ended by a signal"
running
kill -TERM "$PID"
ended
expect_rc 143
expect_equal "$(calls)" "ADD first;ADD second;DEL second;DEL first;"
check "the keeper is killed: the launcher does its work"
running
kill -KILL $(kept)
kill -TERM "$PID"
ended
expect_rc 143
expect_equal "$(calls)" "ADD first;ADD second;DEL second;DEL first;"
nothing_owed
check "both are killed: the next start does it"
running
kill -KILL $(kept)
kill -KILL "$PID"
ended
run singularity exec --network net-b "$I" true
expect_rc 0
expect_equal "$(calls)" "ADD first;ADD second;DEL second;DEL first;ADD second;DEL second;"
nothing_owed
check "killed while a plugin works"
fresh
touch "$T/log/hang"
start "$T/said" singularity exec --network net-a "$I" echo ran
for ((i = 0; i < 200; i++)); do [ ! -e "$T/log/hanging" ] || break; sleep 0.1; done
expect_exists "$T/log/hanging"
kill -KILL "$PID"
ended
rm "$T/log/hang"
nothing_owed
expect_equal "$(calls)" "ADD first;ADD second;DEL second;DEL first;"
refuse_out ran

check "instances: the address is listed, the end leaves the network"
fresh
ok singularity instance start --network net-a "$I" netted
run singularity instance list --json netted
expect_out '"ip": *"10.9.8.7"'
host=$(readlink /proc/self/ns/net)
run singularity exec instance://netted readlink /proc/self/ns/net
expect_rc 0
[ "$OUT" != "$host" ] || fail "who joins has the host's network"
ok singularity instance stop netted
run singularity instance list
nothing_owed
expect_equal "$(calls)" "ADD first;ADD second;DEL second;DEL first;"
check "an instance's processes are killed: its keeper sees it"
fresh
ok singularity instance start --network net-a "$I" netted
run singularity instance list --json netted
kill -KILL "$(sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' "$T/out" | head -1)"
nothing_owed
run singularity instance list
expect_equal "$(calls)" "ADD first;ADD second;DEL second;DEL first;"

check "with a user namespace, a host name and nothing of the host's names"
fresh
run singularity exec --contain --userns --network net-a --hostname inside "$I" sh -c 'cat /etc/hosts; readlink /proc/self/ns/net'
expect_rc 0
expect_out '127.0.0.1'
refuse_out "$host"
expect_equal "$(calls)" "ADD first;ADD second;DEL second;DEL first;"
check "variables and --dry-run say it too"
fresh
SINGULARITY_NETWORK=net-b SINGULARITY_NETWORK_ARGS=K=V run singularity exec "$I" true
expect_rc 0
expect_equal "$(calls)" "ADD second;DEL second;"
run singularity exec --dry-run --network net-b "$I" true
expect_out '"net-b"'
# The same by an OCI runtime.
for runtime in crun runc; do
    command -v $runtime >/dev/null || { note "no $runtime"; continue; }
    export SINGULARITY_LAUNCHER=oci-runtime SINGULARITY_LAUNCHER_OCI_RUNTIME_RUNTIME=$runtime
    run singularity exec "$I" true
    [ "$RC" = 0 ] || ! grep -qi cgroup "$T/err" || { note "$runtime has no control groups here"; continue; }
    check "$runtime: the container is in the namespace that was made for it, and its /sys shows that one"
    fresh
    host=$(readlink /proc/self/ns/net)
    for more in "" --containall "--userns --contain"; do
        fresh
        run singularity exec $more --network net-a "$I" sh -c 'readlink /proc/self/ns/net; cat /proc/net/dev; ls /sys/class/net; exit 37'
        expect_rc 37
        refuse_out "$host"
        expect_out ' lo:'
        expect_equal "$(calls)" "ADD first;ADD second;DEL second;DEL first;" "with $more"
        expect_equal "net:[$(sed -n 's/.*netns=//p' "$T/log/calls" | sort -u)]" "$(sed -n 1p "$T/out")"
    done
    check "$runtime: killed, the network is left all the same; a container that cannot start leaves it too"
    running
    kill -KILL "$PID"
    ended
    nothing_owed
    expect_equal "$(calls)" "ADD first;ADD second;DEL second;DEL first;"
    fresh
    run singularity exec --network net-a "$I" /no/such/program
    expect_failure
    expect_equal "$(calls)" "ADD first;ADD second;DEL second;DEL first;"
    check "$runtime: an instance has an address, and who joins it its network"
    fresh
    ok singularity instance start --network net-a "$I" netted
    run singularity instance list --json netted
    expect_out '"ip": *"10.9.8.7"'
    run singularity exec instance://netted readlink /proc/self/ns/net
    expect_rc 0
    expect_equal "net:[$(sed -n 's/^ADD first.*netns=//p' "$T/log/calls")]" "$OUT"
    ok singularity instance stop netted
    run singularity instance list
    nothing_owed
    expect_equal "$(calls)" "ADD first;ADD second;DEL second;DEL first;"
done
unset SINGULARITY_LAUNCHER SINGULARITY_LAUNCHER_OCI_RUNTIME_RUNTIME
unset SINGULARITY_CNI_PLUGIN_PATH SINGULARITY_CNI_CONFIGURATION_PATH

# ---- The real plugins ---------------------------------------------------------------------------

if [ ! -x /usr/lib/cni/bridge ]; then
    note "no containernetworking-plugins: the real ones are not tried"
elif ! ip link add sgtest-v type veth peer name sgtest-w 2>/dev/null || ! ip link add sgtest-b type bridge 2>/dev/null || ! iptables -t nat -L >/dev/null 2>&1; then
    note "this kernel has no veth, bridge or iptables: the real plugins are not tried"
else
    ip link del sgtest-v
    ip link del sgtest-b
    rules() { iptables-save 2>/dev/null | grep -E '10\.2[23]\.|CNI-[0-9a-f]' ; }
    for net in bridge ptp; do
        check "the plugin $net: an address, a way out to the host, and nothing left"
        run singularity exec --network $net "$I" sh -c 'busybox ip -4 addr show eth0; busybox ip route'
        expect_rc 0
        expect_out 'inet 10\.2[23]\.'
        expect_out 'default via 10\.2[23]\.'
        expect_equal "$(ip -o link show type veth)" "" "veth of $net"
        expect_equal "$(rules)" "" "rules of $net"
        nothing_owed
    done
    check "two networks at once"
    run singularity exec --network bridge,ptp "$I" sh -c 'busybox ip -4 addr'
    expect_rc 0
    expect_out 'inet 10\.22\..*eth0'
    expect_out 'inet 10\.23\..*eth1'
    check "a chosen address, and containers that reach each other over the bridge"
    start "$T/server" singularity exec --network bridge --network-args "IP=10.22.0.77" "$I" sh -c 'echo ready; busybox nc -l -p 7777 </dev/null'
    until_says "$T/server" ready
    run singularity exec --network bridge "$I" sh -c 'i=0; until echo hello from a neighbour | busybox nc 10.22.0.77 7777; do i=$((i + 1)); [ $i -lt 50 ] || exit 1; sleep 0.1; done'
    expect_rc 0
    until_says "$T/server" 'hello from a neighbour'
    ended
    check "a port of the host leads into the container"
    start "$T/server" singularity exec --net --network-args "portmap=18080:80/tcp" "$I" sh -c 'echo ready; busybox nc -l -p 80 </dev/null'
    until_says "$T/server" ready
    iptables -t nat -S | grep -q 18080 || fail "no rule for the port"
    for ((i = 0; i < 50; i++)); do
        (exec 3<>"/dev/tcp/$(ip -4 -o addr show sbr0 | sed 's/.*inet \([0-9.]*\).*/\1/')/18080" && echo hello by the port >&3) 2>/dev/null && break
        sleep 0.1
    done
    until_says "$T/server" 'hello by the port'
    ended
    nothing_owed
    expect_equal "$(rules)" "" "rules"
    check "an instance has its address for others to reach"
    ok singularity instance start --net "$I" netted
    run singularity instance list --json netted
    expect_out '"ip": *"10\.22\.'
    ok singularity instance stop netted
    nothing_owed
fi

check "--netns-path joins a network that is there, also with a user namespace; it beats --net"
if ip netns add sgtest 2>/dev/null; then
    inode=$(stat -Lc %i /run/netns/sgtest)
    for launcher in native oci-runtime; do
        [ $launcher = native ] || command -v crun >/dev/null || continue
        for more in "" --userns --net; do
            run singularity exec --launcher $launcher $more --netns-path /run/netns/sgtest "$I" readlink /proc/self/ns/net
            expect_rc 0
            expect_equal "$OUT" "net:[$inode]" "$launcher with $more"
        done
    done
    run as_user singularity exec --netns-path /run/netns/sgtest "$I" true
    expect_failure
    ip netns del sgtest
    umount /run/netns 2>/dev/null
fi
umount /var/lib/cni /run
expect_nothing_left
finish
