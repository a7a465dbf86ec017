//! Which socket paths are usable (S10).

use rekindle_core::endpoint::EndpointKind;
use rekindle_core::target::{
    BadTarget, SOCKET_NAME_LEN_MAX, SOCKET_PATH_LEN_MAX, check_inherited_socket_path, check_notify_path,
    check_socket_path,
};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

fn check(path: &str) -> Result<(), BadTarget> {
    check_socket_path(Path::new(path))
}

#[test]
fn an_absolute_path_with_a_name_is_usable() {
    for path in ["/s", "/run/user/1000/cache/sock", "/a b/\u{e9}", "/run/../s", "/run/.s", "/run/s..", "//s"]
    {
        assert_eq!(check(path), Ok(()), "{path}");
    }
}

/// A relative path would mean two sockets for two shells in two directories.
#[test]
fn a_relative_path_is_refused() {
    for path in ["sock", "./sock", "../sock", "~/sock", " /sock"] {
        assert_eq!(check(path), Err(BadTarget::Relative { path: path.into() }));
    }
}

#[test]
fn nothing_and_a_directory_are_refused() {
    assert_eq!(check(""), Err(BadTarget::Empty));
    for path in ["/", "/run/", "/run/.", "/run/..", "/.."] {
        assert_eq!(check(path), Err(BadTarget::NoFileName { path: path.into() }), "{path}");
    }
}

#[test]
fn a_nul_byte_is_refused_even_where_the_path_is_refused_anyway() {
    for path in ["/run/so\0ck", "so\0ck", "/\0", "\0abstract"] {
        assert_eq!(check(path), Err(BadTarget::HoldsNul { path: path.into() }));
    }
}

/// U8: a path is bytes, and a refusal shows the exact bytes.
#[test]
fn a_path_that_is_not_utf_8_is_a_path() {
    let path = Path::new(OsStr::from_bytes(b"/run/caf\xe9/sock"));
    assert_eq!([check_socket_path(path), check_inherited_socket_path(path)], [Ok(()), Ok(())]);
    let refusal = check_socket_path(Path::new(OsStr::from_bytes(b"caf\xe9/sock"))).unwrap_err();
    assert!(refusal.to_string().contains("`caf\\xe9/sock`"), "{refusal}");
}

/// S10: the kernel accepts 107 bytes and not 108; the refusal names the remedy.
#[test]
fn the_length_limit_is_exact_and_counts_bytes() {
    let of_len = |len: usize| PathBuf::from(format!("/{}", "x".repeat(len - 1)));
    for len in [100, SOCKET_PATH_LEN_MAX] {
        assert_eq!(check_socket_path(&of_len(len)), Ok(()));
    }
    for len in [SOCKET_PATH_LEN_MAX + 1, 300] {
        let path = of_len(len);
        let refusal = check_socket_path(&path).unwrap_err();
        assert_eq!(refusal, BadTarget::TooLong { path, len });
        assert!(refusal.to_string().contains(&format!("{len} bytes")), "{refusal}");
    }
    let wide = format!("/{}", "\u{e9}".repeat(54));
    assert_eq!(check(&wide), Err(BadTarget::TooLong { path: wide.clone().into(), len: 109 }));
}

#[test]
fn a_refusal_shows_no_control_bytes_of_a_nul_path() {
    let shown = check("/run/\0").unwrap_err().to_string();
    assert!(!shown.contains('\0'), "{shown:?}");
}

/// S10: a bind through the directory needs a short last name only.
#[test]
fn an_inherited_socket_may_be_deep_and_not_long() {
    let deep = |name_len: usize| PathBuf::from(format!("/{}/{}", "d/".repeat(100), "x".repeat(name_len)));
    assert_eq!(check_inherited_socket_path(&deep(SOCKET_NAME_LEN_MAX)), Ok(()));
    let (path, len) = (deep(SOCKET_NAME_LEN_MAX + 1), SOCKET_NAME_LEN_MAX + 1);
    assert_eq!(check_inherited_socket_path(&path), Err(BadTarget::NameTooLong { path: path.clone(), len }));
    for path in ["", "sock", "/run/", "/run/so\0ck"] {
        let refused = check(path);
        assert!(refused.is_err());
        assert_eq!(check_inherited_socket_path(Path::new(path)), refused, "{path:?}");
    }
}

/// The refusal names the helpful option: the notify socket is in the state directory.
#[test]
fn a_notify_socket_has_to_fit_into_an_address() {
    let of_len = |len: usize| PathBuf::from(format!("/{}", "x".repeat(len - 1)));
    assert_eq!(check_notify_path(&of_len(SOCKET_PATH_LEN_MAX)), Ok(()));
    let refusal = check_notify_path(&of_len(SOCKET_PATH_LEN_MAX + 1)).unwrap_err();
    assert!(matches!(refusal, BadTarget::NotifyTooLong { len: 108, .. }), "{refusal:?}");
    // The advice is the caller's task: a message names no option.
    assert!(refusal.to_string().contains("108 bytes") && !refusal.to_string().contains("--"), "{refusal}");
}

/// A condition that does not suit the endpoint is refused in the caller's words.
#[test]
fn a_condition_that_does_not_suit_the_endpoint_is_named() {
    for (endpoint, words) in [
        (EndpointKind::Unix, "a Unix socket"),
        (EndpointKind::Tcp, "a TCP port"),
        (EndpointKind::None, "no endpoint"),
    ] {
        let refusal = BadTarget::Unsuited { ready: "http=/health".to_owned(), endpoint };
        assert_eq!(refusal.to_string(), format!("`--ready http=/health` cannot be used with {words}"));
    }
}
