//! Where a worker answers: one spelling, and nothing else is read (issue 14).

use core::net::SocketAddr;
use proptest::prelude::*;
use rekindle_core::Endpoint;
use rekindle_core::byte_text::from_bytes;
use rekindle_core::endpoint::{Address, EndpointKind, Owner, reached_at, serves};
use rekindle_gates::property;
use std::ffi::OsString;

fn at(text: &str) -> SocketAddr {
    text.parse().expect("the test names an address")
}

/// An endpoint, and its text.
fn texts() -> Vec<(Endpoint, &'static [u8])> {
    vec![
        (Endpoint::Unix("/run/cache/sock".into()), b"unix:/run/cache/sock"),
        (Endpoint::Unix("relative".into()), b"unix:relative"),
        (Endpoint::Unix("/a:b,c d".into()), b"unix:/a:b,c d"),
        (Endpoint::Unix("".into()), b"unix:"),
        (Endpoint::Unix(from_bytes(b"/caf\xe9".to_vec()).into()), b"unix:/caf\xe9"),
        (Endpoint::Tcp(at("127.0.0.1:3000")), b"tcp:127.0.0.1:3000"),
        (Endpoint::Tcp(at("0.0.0.0:1")), b"tcp:0.0.0.0:1"),
        (Endpoint::Tcp(at("[::1]:65535")), b"tcp:[::1]:65535"),
        (Endpoint::Tcp(at("[2001:db8::7]:80")), b"tcp:[2001:db8::7]:80"),
        (Endpoint::None, b"none"),
    ]
}

/// Invariant 1.
#[test]
fn an_endpoint_has_one_spelling_everywhere() {
    for (endpoint, text) in texts() {
        let text = from_bytes(text.to_vec());
        assert_eq!(endpoint.to_text(), text);
        assert_eq!(Endpoint::from_text(&text).as_ref(), Ok(&endpoint));
        let json = serde_json::to_value(&endpoint).unwrap();
        assert_eq!(json.as_str(), text.to_str(), "bytes that are no text are no plain string");
        assert_eq!(serde_json::from_value::<Endpoint>(json).unwrap(), endpoint);
        if let Some(text) = text.to_str() {
            assert_eq!((endpoint.to_string().as_str(), text.parse()), (text, Ok(endpoint)));
        }
    }
}

/// Invariant 2, for any path and any port.
#[test]
fn what_is_written_is_read_back() {
    let bytes = prop::collection::vec(any::<u8>(), 0..20);
    let tcp = (any::<core::net::IpAddr>(), any::<u16>());
    let endpoint = prop_oneof![
        bytes.prop_map(|bytes| Endpoint::Unix(from_bytes(bytes).into())),
        tcp.prop_map(|(host, port)| Endpoint::Tcp(SocketAddr::new(host, port))),
        Just(Endpoint::None),
    ];
    property!("endpoint", what_is_written_is_read_back).check(&endpoint, |endpoint| {
        prop_assert_eq!(Endpoint::from_text(&endpoint.to_text()), Ok(endpoint.clone()));
        let json = serde_json::to_string(&endpoint).unwrap();
        prop_assert_eq!(serde_json::from_str::<Endpoint>(&json).unwrap(), endpoint);
        Ok(())
    });
}

/// A port alone and `localhost` mean the loopback interface; both are written with the address.
#[test]
fn the_short_forms_of_a_port_are_its_loopback_address() {
    for text in ["tcp:3000", "tcp:localhost:3000", "tcp:127.0.0.1:3000"] {
        let endpoint: Endpoint = text.parse().unwrap();
        assert_eq!(endpoint.to_string(), "tcp:127.0.0.1:3000", "{text}");
    }
}

/// Invariant 2: every other text is an error that names all spellings.
#[test]
fn any_other_text_is_refused() {
    for text in [
        "",
        "unix",
        "tcp",
        "tcp:",
        "tcp::80",
        "tcp:80 ",
        "tcp: 80",
        "tcp:+80",
        "tcp:-1",
        "tcp:65536",
        "tcp:http",
        "tcp:host:80",
        "tcp:127.0.0.1",
        "tcp:127.0.0.1:",
        "tcp:127.0.0.1:+80",
        "tcp:127.1:80",
        "tcp:::1:80",
        "tcp:[::1]",
        "tcp:[::1]80",
        "tcp:[::1]:",
        "tcp:[127.0.0.1]:80",
        "tcp:[localhost]:80",
        "tcp:[::1:80",
        "tcp:LOCALHOST:80",
        "TCP:80",
        "None",
        "none ",
        " none",
        "udp:80",
        "http://127.0.0.1:80",
        "/run/sock",
        "3000",
    ] {
        let error = Endpoint::from_text(text.as_ref()).unwrap_err();
        let expected = format!(
            "`{text}` is no address: use unix, unix:PATH, tcp:PORT, tcp:HOST:PORT, tcp:[IPV6]:PORT or none; HOST is an \
             IP address or localhost"
        );
        assert_eq!(error.to_string(), expected);
        assert_eq!(text.parse::<Endpoint>(), Err(error));
        let json = serde_json::to_string(text).unwrap();
        assert!(serde_json::from_str::<Endpoint>(&json).is_err(), "{text}");
    }
    let bytes = from_bytes(b"tcp:\xff".to_vec());
    let error = Endpoint::from_text(&bytes).unwrap_err().to_string();
    assert!(error.starts_with(r"`tcp:\xff` is no address"), "{error}");
    for json in ["7", "null", "[]", "{}"] {
        assert!(serde_json::from_str::<Endpoint>(json).is_err(), "{json}");
    }
}

/// What a caller may ask for: the session's own socket, a port of the launcher's choice, or an endpoint.
#[test]
fn an_address_may_leave_the_choice_to_the_launcher() {
    let of = |text: &str| Address::from_text(text.as_ref());
    assert_eq!((of("unix"), Address::default()), (Ok(Address::OwnSocket), Address::OwnSocket));
    for (text, host) in [
        ("tcp:0", "127.0.0.1"),
        ("tcp:localhost:0", "127.0.0.1"),
        ("tcp:0.0.0.0:0", "0.0.0.0"),
        ("tcp:[::1]:0", "::1"),
    ] {
        let address = Address::AnyPort(host.parse().unwrap());
        assert_eq!((of(text), address.kind()), (Ok(address.clone()), EndpointKind::Tcp), "{text}");
    }
    for (endpoint, text) in texts() {
        let address = Address::from_text(&from_bytes(text.to_vec())).unwrap();
        assert_eq!((&address, address.kind()), (&Address::At(endpoint.clone()), endpoint.kind()));
    }
    assert_eq!(Address::OwnSocket.kind(), EndpointKind::Unix);
    assert_eq!(of("tcp:host:0").unwrap_err().given, "tcp:host:0");
}

#[test]
fn each_kind_gives_a_worker_what_it_needs() {
    let pair = |(name, value): (&'static str, OsString)| format!("{name}={}", value.display());
    let [unix, tcp, none] =
        ["unix:/run/s", "tcp:[::1]:80", "none"].map(|text| text.parse::<Endpoint>().unwrap());
    let placeholders = |of: &Endpoint| of.placeholders().into_iter().map(pair).collect::<Vec<_>>();
    let variables = |of: &Endpoint| of.variables().into_iter().map(pair).collect::<Vec<_>>();
    assert_eq!(placeholders(&unix), ["{address}=unix:/run/s", "{socket}=/run/s"]);
    assert_eq!(placeholders(&tcp), ["{address}=tcp:[::1]:80", "{host}=::1", "{port}=80"]);
    assert_eq!(placeholders(&none), ["{address}=none"]);
    assert_eq!(variables(&unix), ["REKINDLE_ADDRESS=unix:/run/s", "REKINDLE_SOCKET=/run/s"]);
    assert_eq!(variables(&tcp), ["REKINDLE_ADDRESS=tcp:[::1]:80", "REKINDLE_PORT=80"]);
    assert_eq!(variables(&none), ["REKINDLE_ADDRESS=none"]);
    assert_eq!([&unix, &tcp, &none].map(Endpoint::in_words), ["/run/s", "tcp:[::1]:80", "none"]);
    assert_eq!([&unix, &tcp, &none].map(|it| it.kind().to_string()), ["unix", "tcp", "none"]);
    assert_eq!([&unix, &tcp, &none].map(|it| it.socket().is_some()), [true, false, false]);
    assert_eq!([&unix, &tcp, &none].map(Endpoint::tcp), [None, Some(at("[::1]:80")), None]);
}

/// Foreign text steers no terminal.
#[test]
fn a_path_is_shown_with_its_control_bytes_escaped() {
    let endpoint = Endpoint::Unix("/run/\u{1b}[2J".into());
    assert!(!endpoint.to_string().contains('\u{1b}') && !endpoint.in_words().contains('\u{1b}'));
}

/// A listener and an address: whether the listener receives what is sent there, and the address to connect to.
#[test]
fn a_listener_serves_its_address_a_wildcard_its_family_and_a_loopback_the_other() {
    #[rustfmt::skip]
    let table = [
        ("127.0.0.1:80",          "127.0.0.1:80",  Some("127.0.0.1:80")),
        ("127.0.0.1:80",          "127.0.0.1:81",  None),
        ("127.0.0.2:80",          "127.0.0.1:80",  None),
        ("127.0.0.1:80",          "127.0.0.2:80",  None),
        ("0.0.0.0:80",            "127.0.0.1:80",  Some("127.0.0.1:80")),
        ("0.0.0.0:80",            "127.0.0.2:80",  Some("127.0.0.2:80")),
        ("0.0.0.0:80",            "192.0.2.1:80",  Some("192.0.2.1:80")),
        ("0.0.0.0:81",            "127.0.0.1:80",  None),
        ("0.0.0.0:80",            "[::1]:80",      None),
        ("[::]:80",               "[::1]:80",      Some("[::1]:80")),
        ("[::]:80",               "127.0.0.1:80",  Some("127.0.0.1:80")),
        ("[::]:80",               "192.0.2.1:80",  Some("192.0.2.1:80")),
        ("[::]:81",               "[::1]:80",      None),
        ("[::1]:80",              "127.0.0.1:80",  Some("[::1]:80")),
        ("127.0.0.1:80",          "[::1]:80",      Some("127.0.0.1:80")),
        ("[::1]:80",              "127.0.0.1:81",  None),
        ("[::1]:80",              "192.0.2.1:80",  None),
        ("192.0.2.1:80",          "127.0.0.1:80",  None),
        ("[2001:db8::7]:80",      "[::1]:80",      None),
        ("[::ffff:127.0.0.1]:80", "127.0.0.1:80",  Some("127.0.0.1:80")),
        ("[::ffff:127.0.0.1]:80", "127.0.0.2:80",  None),
        ("[::ffff:0.0.0.0]:80",   "127.0.0.1:80",  Some("127.0.0.1:80")),
        ("127.0.0.1:80",          "0.0.0.0:80",    None),
    ];
    for (bound, wanted, reached) in table {
        assert_eq!(serves(at(bound), at(wanted)), reached.is_some(), "{bound} for {wanted}");
        if let Some(reached) = reached {
            assert_eq!(reached_at(at(bound), at(wanted)), at(reached), "{bound} for {wanted}");
        }
    }
}

#[test]
fn an_owner_is_verified_or_not() {
    for (owner, word) in [(Owner::Verified, "verified"), (Owner::Unverified, "unverified")] {
        assert_eq!((owner.to_string().as_str(), serde_json::to_value(owner).unwrap()), (word, word.into()));
    }
}
