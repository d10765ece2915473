# Sourced by the start scripts: installs what a lock file says into `.installed/`, once, and gives `$installed`.

# install LOCK COMMAND..: runs the command in a fresh copy of this folder. It gets its name, the lock file's sum, when it
# is complete: an interrupted install is begun afresh, of two at the same time one counts, and a changed lock file is
# installed anew.
install() {
    lock=$1
    shift
    installed=$PWD/.installed/$(cksum <"$lock" | tr ' ' -)
    [ -d "$installed" ] && return
    mkdir -p .installed
    fresh=$(mktemp -d "$PWD/.installed/incomplete.XXXXXX")
    # The server is a link, so that it can be edited; its imports are looked up beside the link.
    for server in server.*; do ln -s "../../$server" "$fresh"; done
    cp "$lock" package.json "$fresh" 2>/dev/null || cp "$lock" "$fresh"
    (cd "$fresh" && "$@") >&2 || { rm -rf "$fresh"; return 1; }
    if [ -d "$installed" ]; then rm -rf "$fresh"; else mv "$fresh" "$installed"; fi
}
