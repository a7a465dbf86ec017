//! The messages of a starting worker: how datagrams are read, and what follows.

use proptest::prelude::*;
use rekindle_core::Pid;
use rekindle_core::notify::{
    Assignment, DATAGRAM_LEN_MAX, EXTENSION_FACTOR_MAX, Notices, STATUS_LEN_MAX, parse,
};
use rekindle_gates::property;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);

fn pid(raw: i32) -> Pid {
    Pid::new(raw).expect("the pids of this file are positive")
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The notices after hearing all assignments at once.
fn after(said: impl IntoIterator<Item = Assignment>) -> Notices {
    said.into_iter().fold(Notices::none(TIMEOUT), |notices, said| notices.hear(said, Duration::ZERO))
}

/// Datagrams of real senders, byte for byte.
#[test]
fn messages_of_real_senders_are_understood() {
    let status = |text: &str| Assignment::Status(text.into());
    let table: [(&[u8], &[Assignment]); 8] = [
        (b"READY=1", &[Assignment::Ready]),
        (b"READY=1\n", &[Assignment::Ready]),
        (b"READY=1\0", &[Assignment::Ready]),
        // systemd-notify --ready --status=up --pid=4711
        (
            b"READY=1\nSTATUS=up\nMAINPID=4711",
            &[Assignment::Ready, status("up"), Assignment::MainPid(pid(4711))],
        ),
        // redis-server
        (b"STATUS=Ready to accept connections\n", &[status("Ready to accept connections")]),
        (b"EXTEND_TIMEOUT_USEC=1500000", &[Assignment::ExtendTimeout(Duration::from_millis(1500))]),
        (b"STOPPING=1\nSTATUS=a=b", &[Assignment::Stopping, status("a=b")]),
        (b"BARRIER=1", &[]),
    ];
    for (datagram, said) in table {
        assert_eq!(parse(datagram), said, "{}", datagram.escape_ascii());
    }
}

#[test]
fn what_is_unknown_or_malformed_says_nothing() {
    let datagrams: [&[u8]; 18] = [
        b"",
        b"\n\n",
        b"\0",
        b"READY",
        b"READY=",
        b"READY=0",
        b"READY=11",
        b"READY= 1",
        b"ready=1",
        b" READY=1",
        b"READY=1\0READY=1",
        b"STOPPING=0",
        b"RELOADING=1\nWATCHDOG=1\nFDSTORE=1",
        b"MAINPID=0",
        b"MAINPID=-1\nMAINPID=+1\nMAINPID=\nMAINPID=4711 ",
        b"MAINPID=2147483648\nMAINPID=99999999999999999999999",
        b"EXTEND_TIMEOUT_USEC=-1\nEXTEND_TIMEOUT_USEC=1s\nEXTEND_TIMEOUT_USEC=18446744073709551616",
        b"=1\n=READY",
    ];
    for datagram in datagrams {
        assert_eq!(parse(datagram), [], "{}", datagram.escape_ascii());
    }
}

/// The rest of a truncated message may have another meaning.
#[test]
fn a_message_that_is_too_long_says_nothing_at_all() {
    let padded = |len: usize| {
        let mut datagram = b"READY=1\nX=".to_vec();
        datagram.resize(len, b'x');
        datagram
    };
    assert_eq!(parse(&padded(DATAGRAM_LEN_MAX)), [Assignment::Ready]);
    assert_eq!(parse(&padded(DATAGRAM_LEN_MAX + 1)), []);
}

/// X7: a terminal obeys control characters.
#[test]
fn a_status_can_be_shown() {
    let status = |text: &[u8]| match parse(&[b"STATUS=", text].concat()).as_slice() {
        [Assignment::Status(text)] => text.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(status(b"\x1b[31m50%\x07."), "\\u{1b}[31m50%\\u{7}.");
    assert_eq!(status("caf\u{e9} \u{9b}1m".as_bytes()), "caf\u{e9} \\u{9b}1m");
    assert_eq!(status(b"\xff\xfe"), "\u{fffd}\u{fffd}");
    assert_eq!(status(&b"x".repeat(4000)).chars().count(), STATUS_LEN_MAX);
    assert_eq!(status(&b"\x1b".repeat(4000)).chars().count(), STATUS_LEN_MAX);
}

#[test]
fn an_empty_status_takes_the_last_one_back() {
    let status = |text: &str| Assignment::Status(text.into());
    assert_eq!(after([status("loading")]).status(), Some("loading"));
    assert_eq!(after([status("loading"), status("")]).status(), None);
}

#[test]
fn nothing_is_ready_unless_it_says_so() {
    assert!(!Notices::none(TIMEOUT).is_ready());
    assert!(!after([Assignment::Status("ready".into()), Assignment::MainPid(pid(7))]).is_ready());
    assert!(after([Assignment::Ready]).is_ready());
    assert!(after([Assignment::Ready, Assignment::Ready]).is_ready());
}

/// An adopted worker: the messages to the dead launcher are unknown, and are not repeated.
#[test]
fn a_worker_that_nobody_heard_may_have_been_ready() {
    assert!(Notices::missed(TIMEOUT).is_ready());
    assert!(!Notices::missed(TIMEOUT).hear(Assignment::Stopping, seconds(1)).is_ready());
}

#[test]
fn a_worker_that_stops_is_not_ready_in_any_order() {
    for said in [[Assignment::Ready, Assignment::Stopping], [Assignment::Stopping, Assignment::Ready]] {
        let notices = after(said);
        assert!(!notices.is_ready() && notices.is_stopping());
    }
}

#[test]
fn the_last_main_process_counts() {
    assert_eq!(after([Assignment::MainPid(pid(7)), Assignment::MainPid(pid(8))]).main_pid(), Some(pid(8)));
}

#[test]
fn an_extension_counts_from_when_it_was_asked_for_and_never_shortens() {
    let asked =
        |by: u64, at: u64| Notices::none(TIMEOUT).hear(Assignment::ExtendTimeout(seconds(by)), seconds(at));
    assert_eq!(Notices::none(TIMEOUT).deadline(), TIMEOUT);
    assert_eq!((asked(20, 25).deadline(), asked(20, 25).extension()), (seconds(45), seconds(15)));
    assert_eq!((asked(1, 2).deadline(), asked(1, 2).extension()), (TIMEOUT, Duration::ZERO));
    let twice = asked(20, 25).hear(Assignment::ExtendTimeout(seconds(1)), seconds(26));
    assert_eq!(twice.deadline(), seconds(45), "a shorter wish takes nothing back");
    let again = asked(20, 25).hear(Assignment::ExtendTimeout(seconds(20)), seconds(40));
    assert_eq!(again.deadline(), seconds(60));
}

/// Rule 7 of the design: every path is bounded.
#[test]
fn an_extension_is_capped() {
    let longest = TIMEOUT * EXTENSION_FACTOR_MAX;
    for by in [Duration::MAX, seconds(u64::MAX), longest * 2] {
        assert_eq!(after([Assignment::ExtendTimeout(by)]).deadline(), longest);
    }
    let late = Notices::none(TIMEOUT).hear(Assignment::ExtendTimeout(seconds(60)), longest - seconds(1));
    assert_eq!(late.deadline(), longest, "also if it is asked for bit by bit");
}

fn arb_line() -> impl Strategy<Value = Vec<u8>> {
    let names = ["READY=1", "STOPPING=1", "STATUS=", "EXTEND_TIMEOUT_USEC=", "MAINPID=", "X=", ""];
    (prop::sample::select(names.to_vec()), prop::collection::vec(any::<u8>(), 0..24))
        .prop_map(|(name, more)| [name.as_bytes(), &more].concat())
}

fn arb_datagram() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..DATAGRAM_LEN_MAX + 64),
        prop::collection::vec(arb_line(), 0..12).prop_map(|lines| lines.join(&b'\n')),
        "(READY=1\n|STOPPING=1\n|STATUS=[^\n]{0,300}\n|EXTEND_TIMEOUT_USEC=[0-9]{1,22}\n|MAINPID=[0-9]{1,12}\n){0,8}"
            .prop_map(String::into_bytes),
    ]
}

/// Any bytes at any time: no panic, and the retained text is bounded and printable.
#[test]
fn arbitrary_bytes_never_break_what_is_promised() {
    let history = prop::collection::vec((arb_datagram(), 0..600_000_u64), 0..8);
    property!("notify", arbitrary_bytes_never_break_what_is_promised).check(&history, |history| {
        let mut notices = Notices::none(TIMEOUT);
        let mut stopping = false;
        for (datagram, at_ms) in history {
            for said in parse(&datagram) {
                let before = notices.deadline();
                stopping |= said == Assignment::Stopping;
                notices = notices.hear(said, Duration::from_millis(at_ms));
                prop_assert!(notices.deadline() >= before, "an extension takes nothing back");
            }
        }
        prop_assert!(notices.deadline() <= TIMEOUT * EXTENSION_FACTOR_MAX);
        prop_assert_eq!(notices.is_stopping(), stopping);
        prop_assert!(!(stopping && notices.is_ready()));
        let status = notices.status().unwrap_or_default();
        prop_assert!(status.chars().count() <= STATUS_LEN_MAX);
        prop_assert!(!status.chars().any(char::is_control));
        Ok(())
    });
}

/// A worker without a listening launcher may have sent READY=1, and sends READY=1 only once.
#[test]
fn a_worker_that_was_missed_may_have_said_that_it_is_ready() {
    let missed = Notices::missed(TIMEOUT);
    assert!(missed.is_ready() && !missed.is_stopping());
    assert_eq!((missed.deadline(), missed.status(), missed.main_pid()), (TIMEOUT, None, None));
    assert!(!missed.hear(Assignment::Stopping, seconds(1)).is_ready());
}
