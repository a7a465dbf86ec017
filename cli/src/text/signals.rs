//! The names of signals.

use rekindle::SignalNumber;

/// The name of a signal, with SIG; the number of a signal without a name.
pub(super) fn name(signal: i32) -> String {
    match SignalNumber::new(signal).and_then(SignalNumber::name) {
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
