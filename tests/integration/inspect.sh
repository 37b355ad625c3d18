# inspect in its forms, on SIFs and directories.
. "$(dirname "$0")/../support/lib.sh"
need_tool jq

ok singularity build x.sif "oci:$IMAGES/full.oci:latest"
ok singularity build --sandbox x.d "oci:$IMAGES/full.oci:latest"
json() { jq -e "$1" "$T/out" >/dev/null || { fail "no $1 in the JSON"; told; }; }

for image in x.sif x.d; do
    check "inspect $image prints labels as a JSON object"
    ok singularity inspect $image
    json '."org.label-schema.usage.singularity.deffile.bootstrap" == "oci"'
    json '."org.label-schema.usage.singularity.deffile.from" | test("full.oci")'
    json '."org.label-schema.usage.singularity.version" | length > 0'
    json '."org.label-schema.build-date" == "Sunday_13_September_2020_12:26:40_UTC"'
    json '."org.label-schema.schema-version" == "1.0"'
    json '."org.label-schema.build-arch" | length > 0'
    json '."org.example.quote" == "a \"quoted\" $value"'
    ok singularity inspect --labels $image
    json '."org.example.name" == "full"'
    ok singularity inspect --labels --format text $image
    expect_out '^org.example.name: full$'
    expect_equal "$OUT" "$(sort <<<"$OUT")" "labels are sorted"
    check "inspect --json of $image is the envelope"
    ok singularity inspect --json $image
    json '.type == "container"'
    json '.data.attributes.labels."org.example.name" == "full"'
    ok singularity inspect --json --all $image
    for part in labels environment runscript deffile; do json ".data.attributes.$part | length > 0"; done
    json '.data.attributes.environment | to_entries[] | select(.key | test("10-docker")) | .value | test("COLOUR")'
    ok singularity inspect --all $image
    json '.data.attributes.deffile'
    check "the parts of $image as text"
    ok singularity inspect --deffile $image
    expect_out '^bootstrap: oci$'
    expect_out '^from: .*full.oci'
    ok singularity inspect -d $image
    ok singularity inspect --runscript $image
    expect_out '^#!/bin/sh'
    expect_out "^OCI_ENTRYPOINT='\"/bin/sh\" \"-c\" \"echo entry"
    expect_out "^OCI_CMD='\"cmd\" \"two words\"'"
    expect_out '^eval "set \$\{SINGULARITY_OCI_RUN\}"$'
    ok singularity inspect -r $image
    ok singularity inspect --environment $image
    expect_out '^=== /\.singularity\.d/env/10-docker2singularity\.sh ===$'
    expect_out '^export COLOUR="\$\{COLOUR:-"blue"\}"'
    ok singularity inspect -e $image
    run singularity inspect --helpfile $image
    run singularity inspect --test $image
    run singularity inspect --startscript $image
done

check "the runscript of the guide's example is the guide's"
python3 - "$IMAGES/full.oci" lolcow.oci <<'P'
import hashlib, json, os, shutil, sys
src, dst = sys.argv[1:]
shutil.copytree(src, dst)
def put(data):
    d = hashlib.sha256(data).hexdigest()
    open(dst + "/blobs/sha256/" + d, "wb").write(data)
    return "sha256:" + d, len(data)
index = json.load(open(dst + "/index.json"))
blob = lambda d: dst + "/blobs/sha256/" + d["digest"][7:]
manifest = json.load(open(blob(index["manifests"][0])))
config = json.load(open(blob(manifest["config"])))
config["config"]["Entrypoint"], config["config"]["Cmd"] = ["/bin/sh", "-c", "fortune | cowsay | lolcat"], None
manifest["config"]["digest"], manifest["config"]["size"] = put(json.dumps(config).encode())
index["manifests"][0]["digest"], index["manifests"][0]["size"] = put(json.dumps(manifest).encode())
json.dump(index, open(dst + "/index.json", "w"))
P
ok singularity build lolcow.sif oci:lolcow.oci
ok singularity inspect --runscript lolcow.sif
grep -qxF "OCI_ENTRYPOINT='\"/bin/sh\" \"-c\" \"fortune | cowsay | lolcat\"'" "$T/out" || { fail "another entrypoint line"; told; }
grep -qxF "OCI_CMD=''" "$T/out" || { fail "another cmd line"; told; }

check "what is no image is an error, or empty in JSON"
mkdir empty
run singularity inspect --json empty
if [ "$RC" = 0 ]; then json '.data.attributes == {}'; else expect_failure; fi
echo text >text.sif
run singularity inspect text.sif
expect_failure
expect_err 'text\.sif'
run singularity inspect no-such.sif
expect_failure
expect_err 'no-such\.sif'
expect_nothing_left
finish
