# bash completion for rekindle. The command itself answers, so the script stays right after an update.
_rekindle() {
    local answer
    COMPREPLY=()
    mapfile -t answer < <("${1/#\~\//$HOME/}" completions bash -- "${COMP_LINE:0:COMP_POINT}" "$2" 2>/dev/null)
    case ${answer[0]-} in
        words)
            COMPREPLY=("${answer[@]:1}")
            # A word that is not finished: `--dir=` or `tcp:`.
            if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=:] ]]; then
                compopt -o nospace
            fi
            ;;
        files) compopt -o default ;;
        dirs) compopt -o dirnames ;;
        program)
            local index=1
            while [[ $index -lt $COMP_CWORD && ${COMP_WORDS[index]} != -- ]]; do ((index++)); done
            if declare -F _command_offset >/dev/null; then
                _command_offset $((index + 1))
            elif [[ $((index + 1)) -eq $COMP_CWORD ]]; then
                mapfile -t COMPREPLY < <(compgen -c -- "$2")
            else
                compopt -o default
            fi
            ;;
    esac
}
complete -o nosort -F _rekindle rekindle 2>/dev/null || complete -F _rekindle rekindle
