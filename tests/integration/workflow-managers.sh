# Workflow managers themselves, not replayed lines: Debian's run a small workflow in one of our containers.
. "$(dirname "$0")/../support/lib.sh"

command -v cwltool >/dev/null || command -v snakemake >/dev/null || skip "needs cwltool or snakemake"
ok singularity build full.sif "oci:$IMAGES/full.oci"
chmod 755 full.sif
I=$PWD/full.sif

cwltool_runs() {
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
snakemake_runs() {
    check "Snakemake: a file passes through two rules, each in the container"
    me mkdir -p smk/data
    me sh -c 'cat >smk/Snakefile' <<'S'
shell.executable("/bin/sh")
rule all:
    input: "b.txt"
rule first:
    input: "data/in.txt"
    output: "a.txt"
    params: word="a $b"
    container: "full.sif"
    shell: "cat {input} >{output}; echo '{params.word}' >>{output}; echo \"in ${{SINGULARITY_NAME:-none}}\" >>{output}"
rule second:
    input: "a.txt"
    output: "b.txt"
    container: "full.sif"
    threads: 2
    shell: "tr a-z A-Z <{input} >{output}; echo {threads} >>{output}; pwd >>{output}"
rule failing:
    output: "never.txt"
    container: "full.sif"
    shell: "echo part >{output}; exit 3"
S
    me sh -c "echo input >smk/data/in.txt; cp '$I' smk/full.sif"
    run me sh -c 'cd smk && XDG_CACHE_HOME="$PWD/cache" snakemake --use-singularity "--singularity-args=--cleanenv" --cores 2'
    expect_rc 0
    expect_equal "$(cat smk/b.txt 2>/dev/null)" "$(printf '%s\n' INPUT 'A $B' 'IN FULL.SIF' 2 "$PWD/smk")"
    check "Snakemake: a rule that fails is told of, and its half output goes"
    run me sh -c 'cd smk && XDG_CACHE_HOME="$PWD/cache" snakemake --use-singularity --cores 1 failing'
    [ "$RC" != 0 ] || fail "the failure was not seen"
    expect_absent smk/never.txt
    rm -rf smk
}
if command -v cwltool >/dev/null; then each_user cwltool_runs; else note "no cwltool"; fi
if command -v snakemake >/dev/null; then each_user snakemake_runs; else note "no Snakemake"; fi
expect_nothing_left
finish
