#!/bin/bash
# The published ABI: the headers are as sdk/abi/released.txt says, and each way to break the word is noticed.
set -uo pipefail
: "${SG_SOURCE:?set by CTest}"
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
failed=0

fail() {
    echo "FAILED: $*"
    failed=1
}

# What the changed copy of HEADER gives: the sed program must have changed something.
changed() { # HEADER SED
    rm -rf "$T/include"
    cp -r "$SG_SOURCE/sdk/include" "$T/include"
    sed -i -E "$2" "$T/include/singularity/$1"
    ! cmp -s "$SG_SOURCE/sdk/include/singularity/$1" "$T/include/singularity/$1" || fail "the change '$2' of $1 changes nothing"
}
check_copy() { "$SG_SOURCE/scripts/abi" --check --headers "$T/include" >"$T/out" 2>&1; }

breaks() { # WHAT HEADER SED PATTERN: refused, with the entry's name, and not to be added away
    changed "$2" "$3"
    ! check_copy || fail "$1: it passes"
    grep -qE "$4" "$T/out" || { fail "$1: no word of $4"; cat "$T/out"; }
    cp "$SG_SOURCE/sdk/abi/released.txt" "$T/released.txt"
    ! "$SG_SOURCE/scripts/abi" --add --headers "$T/include" --released "$T/released.txt" >/dev/null 2>&1 || fail "$1: --add takes it"
    cmp -s "$SG_SOURCE/sdk/abi/released.txt" "$T/released.txt" || fail "$1: --add wrote"
}

echo "== the headers are what is published"
"$SG_SOURCE/scripts/abi" --check || fail "the headers differ from sdk/abi/released.txt"

echo "== a published declaration that changes or goes is refused"
breaks "a member more" hook.h 's/^( *)int32_t exit_status;/&\n\1int32_t more;/' 'struct sg_event is published and has changed'
breaks "another size" plugin.h 's/char hint\[768\]/char hint[512]/' 'struct sg_error is published and has changed'
breaks "another order" transport.h '/^ *uint32_t connect_timeout_ms/d; s/^( *)uint32_t total_timeout_ms;/&\n\1uint32_t connect_timeout_ms;/' 'struct sg_request is published'
breaks "another parameter" hook.h 's/const sg_event \*event, sg_error/const sg_event *event, int32_t more, sg_error/' 'struct sg_hook_v1 is published'
breaks "a parameter of the same size and another sign" bootstrap.h 's/uint64_t capacity, sg_error/int64_t capacity, sg_error/' 'struct sg_publish_v1 is published'
breaks "another result" command.h 's/int32_t \(\*run\)/int64_t (*run)/' 'struct sg_command_v1 is published'
breaks "another callback" format.h 's/uint64_t node, uint32_t type,/uint64_t node, uint64_t type,/' 'function sg_visit_entry is published'
breaks "another constant" plugin.h 's/SG_EVETO = 15/SG_EVETO = 17/' 'constant SG_EVETO is published'
breaks "another name of a table" host.h 's/sg_host_config_v1/sg_host_config_v9/' 'struct sg_host_config_v1 is published and gone'

echo "== what an author cannot notice may change"
changed hook.h 's/sg_error \*err\);/sg_error *error);/; s/Members that/All members that/'
check_copy || { fail "a parameter's name or a comment counts"; cat "$T/out"; }

echo "== a new table must be published, and then holds"
changed hook.h 's/^typedef struct sg_hook_v1 /typedef struct sg_hook_v2 {\n    int32_t (*notify)(const sg_event *event);\n} sg_hook_v2;\n&/'
! check_copy || fail "an unpublished table passes"
grep -q 'struct sg_hook_v2 is new' "$T/out" || { fail "it does not say what is new"; cat "$T/out"; }
cp "$SG_SOURCE/sdk/abi/released.txt" "$T/released.txt"
"$SG_SOURCE/scripts/abi" --add --headers "$T/include" --released "$T/released.txt" || fail "it cannot be added"
"$SG_SOURCE/scripts/abi" --check --headers "$T/include" --released "$T/released.txt" || fail "added, it is not found"
"$SG_SOURCE/scripts/abi" --check --released "$T/released.txt" >/dev/null 2>&1 && fail "a published table that is gone again passes"

echo "== a declaration that the script does not understand is no success"
changed hook.h 's/^( *)int32_t exit_status;/\1int32_t exit_status : 4;/'
! check_copy || fail "a bit field passes"
grep -q "cannot read this declaration: int32_t exit_status : 4" "$T/out" || { fail "it does not say which"; cat "$T/out"; }

echo "== the reference for authors is made from these headers, and has every structure"
"$SG_SOURCE/scripts/abi" --reference >"$T/abi.md" || fail "no reference"
diff "$SG_SOURCE/docs/plugin-author/abi.md" "$T/abi.md" >"$T/out" || { fail "make it again: scripts/abi --reference >docs/plugin-author/abi.md"; head "$T/out"; }
while read -r name; do
    grep -q "^### $name " "$T/abi.md" || fail "the reference lacks $name"
done < <(sed -n 's/^struct \(.*\): .*/\1/p' "$SG_SOURCE/sdk/abi/released.txt")
exit $failed
