//! Splits an unfinished command line into words, as a shell does. Nothing is expanded.

/// The words of a line; the last word is unfinished, and empty if the line ends between two words.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    let mut is_between = true;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        let word = words.last_mut().expect("there is a word from the start");
        match (letter, quote) {
            ('\'' | '"', None) => quote = Some(letter),
            (_, Some(open)) if letter == open => quote = None,
            ('\\', None | Some('"')) => word.extend(letters.next()),
            (' ' | '\t' | '\n', None) => {
                if !is_between {
                    words.push(String::new());
                }
                is_between = true;
                continue;
            }
            _ => word.push(letter),
        }
        is_between = false;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn a_line_is_split_where_a_shell_would_split_it() {
        assert_eq!(words("rekindle show we"), ["rekindle", "show", "we"]);
        assert_eq!(words("rekindle  show "), ["rekindle", "show", ""]);
        assert_eq!(words(r#"r --dir 'my "dir' a\ b "c\"d"#), ["r", "--dir", "my \"dir", "a b", "c\"d"]);
        assert_eq!(words("r '' "), ["r", "", ""]);
        assert_eq!(words(""), [""]);
    }
}
