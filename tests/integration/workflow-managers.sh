# Workflow managers themselves, not replayed lines: Debian's run a small workflow in one of our containers.
. "$(dirname "$0")/../support/lib.sh"

need_tool cwltool
ok singularity build full.sif "oci:$IMAGES/full.oci"
chmod 755 full.sif
I=$PWD/full.sif

managers() {
    check "cwltool: a file passes through two steps"
    me mkdir -p cwl
    me sh -c 'cat >cwl/step.cwl' <<'CWL'
cwlVersion: v1.2
class: CommandLineTool
requirements:
  DockerRequirement: {dockerPull: full.sif, dockerImageId: full.sif}
baseCommand: [sh, -c, 'cat "$0"; echo "$1"; echo "in ${SINGULARITY_NAME:-none}"']
inputs:
  file: {type: File, inputBinding: {position: 1}}
  word: {type: string, inputBinding: {position: 2}}
outputs:
  out: {type: stdout}
stdout: out.txt
CWL
    me sh -c 'cat >cwl/flow.cwl' <<'CWL'
cwlVersion: v1.2
class: Workflow
inputs: {file: File, word: string}
outputs: {result: {type: File, outputSource: b/out}}
steps:
  a: {run: step.cwl, in: {file: file, word: word}, out: [out]}
  b: {run: step.cwl, in: {file: a/out, word: word}, out: [out]}
CWL
    me sh -c "echo input >cwl/in.txt; cp '$I' cwl/full.sif"
    run me sh -c 'cd cwl && cwltool --singularity --tmpdir-prefix "$PWD/tmp/" --tmp-outdir-prefix "$PWD/tmp/" --outdir out flow.cwl --file in.txt --word "a \$b"'
    expect_rc 0
    expect_equal "$(cat cwl/out/out.txt)" "$(printf '%s\n' input 'a $b' 'in full.sif' 'a $b' 'in full.sif')"
    rm -rf cwl
}
each_user managers
expect_nothing_left
finish
