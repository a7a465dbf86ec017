#compdef rekindle
# zsh completion for rekindle. The command itself answers, so the script stays right after an update.
_rekindle() {
    local -a answer candidates
    answer=("${(@f)$(${(Q)~words[1]} completions zsh -- "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    candidates=("${(@)answer[2,-1]}")
    case $answer[1] in
        words)
            # A word is not finished if its value is still to come: `--ready=http=`, with a description or without.
            local -a whole=(${candidates:#*=(|:*)}) unfinished=(${(M)candidates:#*=(|:*)})
            (( $#whole )) && _describe -V rekindle whole
            (( $#unfinished )) && _describe -V rekindle unfinished -S ''
            ;;
        files) compset -P '--*='; _files ;;
        dirs) compset -P '--*='; _files -/ ;;
        program)
            local -i dashes=${words[(i)--]}
            shift $dashes words
            (( CURRENT -= dashes ))
            _normal
            ;;
    esac
}
if [[ ${funcstack[1]} == _rekindle ]]; then
    _rekindle "$@"
else
    compdef _rekindle rekindle
fi
