//! Failures of the operating system: the message of a refused system call, the exhausted resource, and a child's end.

use rekindle_core::failure::CREATE_PROCESS;
use rekindle_core::{ChildExit, KillSignal, OsFailure, Shortage, SpawnError};
use serde_json::json;
use std::path::Path;

#[test]
fn a_refused_call_names_the_operation_the_path_and_the_errno() {
    let bare = OsFailure::new("open the record", "permission denied");
    assert_eq!((bare.path(), bare.raw_errno()), (None, None));
    assert_eq!(bare.to_string(), "failed to open the record: permission denied");
    let full = bare.on("/run/x").errno(13);
    assert_eq!((full.path(), full.raw_errno()), (Some(Path::new("/run/x")), Some(13)));
    assert_eq!(full.to_string(), "failed to open the record `/run/x`: permission denied (errno 13)");
}

/// Every errno of an exhausted resource; `EAGAIN` counts only after a fork.
#[test]
fn a_shortage_is_told_by_its_errno() {
    use Shortage::{DiskFull, FileSizeLimit, OutOfMemory, TooManyOpenFiles, TooManyProcesses};
    #[rustfmt::skip]
    let table = [
        (Some(28),  Some(DiskFull),         Some(DiskFull)),
        (Some(122), Some(DiskFull),         Some(DiskFull)),
        (Some(27),  Some(FileSizeLimit),    Some(FileSizeLimit)),
        (Some(23),  Some(TooManyOpenFiles), Some(TooManyOpenFiles)),
        (Some(24),  Some(TooManyOpenFiles), Some(TooManyOpenFiles)),
        (Some(12),  Some(OutOfMemory),      Some(OutOfMemory)),
        (Some(11),  Some(TooManyProcesses), None),
        (Some(13),  None,                   None),
        (None,      None,                   None),
    ];
    for (errno, of_fork, of_write) in table {
        let failure = |operation: &str| {
            let failure = OsFailure::new(operation, "refused");
            errno.map_or(failure.clone(), |errno| failure.errno(errno))
        };
        assert_eq!(failure(CREATE_PROCESS).shortage(), of_fork, "{errno:?}");
        assert_eq!(failure("write the record").shortage(), of_write, "{errno:?}");
        assert_eq!(SpawnError::Os(failure(CREATE_PROCESS)).shortage(), of_fork, "{errno:?}");
    }
    assert_eq!(SpawnError::NoProgram.shortage(), None);
}

#[test]
fn an_end_is_a_status_or_a_signal_or_neither() {
    let told = [ChildExit::Code(3), ChildExit::Signal(9), ChildExit::Unknown]
        .map(|exit| (exit.code(), exit.signal()));
    assert_eq!(told, [(Some(3), None), (None, Some(9)), (None, None)]);
    let words = [ChildExit::Code(3), ChildExit::Signal(9), ChildExit::Unknown].map(|exit| exit.to_string());
    assert_eq!(words, ["exited with 3", "was ended by signal 9", "ended"]);
    assert_eq!([KillSignal::Term, KillSignal::Kill].map(KillSignal::name), ["SIGTERM", "SIGKILL"]);
}

/// The JSON of a start that failed: the shortage for a program, the message for people.
#[test]
fn a_failed_start_is_written_with_its_shortage() {
    let full = SpawnError::Os(OsFailure::new("write the record", "no space left").errno(28));
    for (error, reason) in [(full, json!("disk-full")), (SpawnError::NoProgram, json!(null))] {
        let written = json!({ "reason": reason, "message": error.to_string() });
        assert_eq!(serde_json::to_value(error).unwrap(), written);
    }
}
