# Singularity Hub's interface, by a registry of that kind on this machine.
. "$(dirname "$0")/../support/lib.sh"
need_tool python3
ok singularity build image.sif "oci:$IMAGES/tiny.oci"
start "$T/hub.log" python3 "$SUPPORT/fake-hub.py" "$T/w/image.sif"
HUB=$PID
until_says "$T/hub.log" '^port '
HOST=127.0.0.1:$(sed -n 's/^port //p' "$T/hub.log")

check "pull fetches the file under the name and tag, whatever way it is named"
ok singularity pull "shub://$HOST/lab/tool"
expect_exists tool_latest.sif
ok singularity inspect tool_latest.sif
ok singularity pull by-commit.sif "shub://$HOST/lab/tool@0000000000000000000000000000000000000000"

check "it is kept under its commit, and a second use fetches no file"
before=$(grep -c image.sif "$T/hub.log")
ok singularity pull --force "shub://$HOST/lab/tool:latest"
after=$(grep -c image.sif "$T/hub.log")
[ "$after" -le $((before + 1)) ] || fail "the file was fetched $((after - before)) times"

check "another registry that names the same commit has its own image"
ok singularity build other.sif "oci:$IMAGES/full.oci"
start "$T/other.log" python3 "$SUPPORT/fake-hub.py" "$T/w/other.sif"
OTHER=$PID
until_says "$T/other.log" '^port '
run singularity exec "shub://$HOST/lab/tool" true
[ -n "$(find "$HOME" "$T" -path '*/cache/shub/*.sif')" ] || fail "the first one is not in the cache"
ok singularity pull theirs.sif "shub://127.0.0.1:$(sed -n 's/^port //p' "$T/other.log")/lab/tool"
expect_same_file theirs.sif other.sif
kill "$OTHER"

check "what is missing, broken or leads elsewhere is refused with nothing left"
for name in none gone html short file commit; do
    run singularity pull out.sif "shub://$HOST/lab/$name"
    expect_failure
    expect_absent out.sif
done
expect_equal "$(find . -name '.out.sif*' | wc -l)" 0 "leftovers"
run singularity pull out.sif "shub://$HOST/lab/file"
expect_err 'not fetched by https'
for name in tool "$HOST/lab/" "$HOST/lab/tool:a:b" "$HOST/lab/tool@123" "$HOST/../tool"; do
    run singularity pull out.sif "shub://$name"
    expect_failure
    expect_err 'names no image of a hub'
done
kill "$HUB"

check "a registry that is not there"
run singularity pull out.sif "shub://$HOST/lab/tool:other"
expect_failure
expect_absent out.sif
finish
