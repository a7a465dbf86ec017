# fish completion for rekindle. The command itself answers, so the script stays right after an update.
function __rekindle_complete
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    set -l current (commandline --current-token --cut-at-cursor)
    set -l us (string replace --regex '^~/' "$HOME/" -- $words[1])
    set -l answer ($us completions fish -- $words "$current" 2>/dev/null)
    set -l option (string match --regex -- '^--[^=]*=' "$current")
    # An empty list would make the product below empty too.
    set -q option[1]; or set option ''
    set -l value (string replace -- "$option" '' "$current")
    switch "$answer[1]"
        case words
            printf '%s\n' $answer[2..]
        case files
            printf '%s\n' $option(__fish_complete_path $value)
        case dirs
            printf '%s\n' $option(__fish_complete_directories $value '')
        case program
            set -l dashes (contains --index -- -- $words)
            set -l line (string escape -- $words[(math $dashes + 1)..])
            complete --do-complete "$line $current"
    end
end
complete --command rekindle --no-files --keep-order --arguments '(__rekindle_complete)'
