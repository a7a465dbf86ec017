//! The names of signals.

/// The names of the standard signals of Linux, from 1 on, as on x86 and ARM.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// The name of a signal, with SIG; the number of a signal without a name.
pub(super) fn name(signal: i32) -> String {
    let index = usize::try_from(signal).ok().and_then(|number| number.checked_sub(1));
    match index.and_then(|index| NAMES.get(index)) {
        Some(name) => format!("SIG{name}"),
        None => format!("signal {signal}"),
    }
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn signals_have_their_names() {
        assert_eq!(
            [name(1), name(9), name(11), name(15), name(31)].join(" "),
            "SIGHUP SIGKILL SIGSEGV SIGTERM SIGSYS"
        );
        assert_eq!([name(0), name(-1), name(34)].join(", "), "signal 0, signal -1, signal 34");
    }
}
