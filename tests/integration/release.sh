# scripts/release refuses what it must not release, and changes nothing then; what it makes is of one commit.
. "$(dirname "$0")/../support/lib.sh"
need_tool git
# In a HOME of the test's own.
export GIT_CONFIG_GLOBAL=$T/gitconfig GIT_CONFIG_NOSYSTEM=1
git config --global --add safe.directory '*'
git config --global user.email tests@example.org
git config --global user.name Tests
git -C "$SG_SOURCE" rev-parse HEAD >/dev/null 2>&1 || skip "the source is no git checkout"
git clone -q --no-hardlinks --no-tags "$SG_SOURCE" repo || skip "git cannot clone the source"
cd repo || exit 1
cp "$SG_SOURCE"/scripts/{release,reproducible} scripts/ # those of this tree, though they may not be committed yet
git add -A && git commit -q --allow-empty -m "The scripts of this tree"
before=$(git rev-parse HEAD)
version=$(sed -n 's/^## \([0-9.]*\) .*/\1/p' CHANGELOG.md | head -n 1)

refused() { # TEXT WORDS...
    run scripts/release "${@:2}"
    expect_rc 1
    expect_err "$1"
    expect_equal "$(git rev-parse HEAD)" "$before" "a commit was made"
    expect_equal "$(git tag)" "${TAGS:-}" "tags"
}
check "a version that is none, or that the changelog does not have"
refused 'a version is' nonsense
refused 'a version is'
refused 'unknown option' --force "$version"
refused 'the changelog begins with' 99.9.9
check "a tree that is not clean"
echo x >untracked
refused 'not clean.*untracked' "$version"
rm untracked
echo >>README.md
refused 'not clean.*README' "$version"
git checkout -q README.md
check "an interface that is not as it was described"
sed -i 's/SG_OK = 0/SG_OK = 5/' sdk/include/singularity/plugin.h
git commit -q -a -m "break it"
before=$(git rev-parse HEAD)
refused 'not as sdk/abi' "$version"
git reset -q --hard HEAD~1
before=$(git rev-parse HEAD)
check "a version that was released"
git tag "v$version"
TAGS=v$version refused 'there is a tag' "$version"
git tag -d "v$version" >/dev/null

# A build and an install that copy one file; somebody else commits during the first.
mkdir "$T/bin"
cat >"$T/bin/cmake" <<'SH'
#!/bin/bash
case $1 in
--build)
    if [ ! -e "$T/committed" ]; then
        touch "$T/committed"
        cd "$T/w/repo" && echo more >>README.md && git commit -q -a -m "Meanwhile"
    fi
    ;;
--install) mkdir -p "$DESTDIR/usr" && cp README.md "$DESTDIR/usr/" && { [ -z "${RANDOM_BUILD:-}" ] || echo $RANDOM$RANDOM$RANDOM >"$DESTDIR/usr/dice"; } ;;
esac
SH
printf '#!/bin/bash\nmkdir -p "$2" && cp README.md "$2/readme.pkg"\n' >scripts/package
chmod 755 "$T/bin/cmake" scripts/package
git commit -q -a -m "Packages of one file"
export T
check "what is committed during the builds is no part of a release"
before=$(git rev-parse HEAD)
PATH=$T/bin:$PATH ok scripts/release "$version" --dry-run --no-test --output "$T/out-of-release"
expect_exists "$T/committed"
[ "$(git rev-parse HEAD)" != "$before" ] || fail "nothing was committed meanwhile"
git show "$before:README.md" | cmp -s - "$T/out-of-release/readme.pkg" || fail "the package is of another commit"
tar -xzOf "$T/out-of-release/singularity-$version.tar.gz" "singularity-$version/README.md" | cmp -s - "$T/out-of-release/readme.pkg" || fail "the source is of another commit"
(cd "$T/out-of-release" && sha256sum --check --quiet SHA256SUMS) || fail "the sums are wrong"
check "two builds that differ are no release, and the file is named"
RANDOM_BUILD=1 PATH=$T/bin:$PATH run scripts/reproducible
expect_rc 1
expect_err 'what is installed differs'
expect_err 'usr/dice'
finish
