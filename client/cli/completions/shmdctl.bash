# Completions of shmdctl for bash. shmdctl itself knows what may come next.

_shmdctl() {
    local cur prev words cword line
    # Keys, entries and labels have these in them.
    _get_comp_words_by_ref -n '=:@' cur prev words cword || return
    local shmdctl=${words[0]/#\~\//$HOME/}
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ $line == :files ]]; then
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return
        fi
        [[ ${line%%$'\t'*} != *= ]] || compopt -o nospace
        COMPREPLY+=("${line%%$'\t'*}")
    done < <("$shmdctl" __complete "${words[@]:1:cword-1}" "$cur" 2>/dev/null)
    # What stands before the last of these is not replaced.
    local breaks=${COMP_WORDBREAKS//[^=:@]/}
    if [[ $breaks && $cur == *["$breaks"]* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${cur%"${cur##*["$breaks"]}"}"}")
    fi
}

complete -F _shmdctl shmdctl
