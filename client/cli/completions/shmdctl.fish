# Completions of shmdctl for fish. shmdctl itself knows what may come next.

function __shmdctl_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l shmdctl (string replace -r '^~/' $HOME/ -- $words[1])
    set -l found ($shmdctl __complete $words[2..] $current 2>/dev/null)
    if test "$found" = :files
        __fish_complete_path $current
    else
        printf '%s\n' $found
    end
end

complete -c shmdctl -f -a '(__shmdctl_complete)'
