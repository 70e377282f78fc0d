//! Sources with symmetric keys, and with means that are not at hand.
#![allow(clippy::unwrap_used, reason = "a wrong configuration fails the test")]

use timewright_sim::Scenario;

const KEYS: &str = "\
1 MD5 ASCII:abcdefghijkl
2 SHA256 HEX:000102030405060708090a0b0c0d0e0f
3 AES128 HEX:000102030405060708090a0b0c0d0e0f
";
const OTHER_KEYS: &str = "1 MD5 ASCII:abcdefghijkm\n";

fn run(client: &str, client_keys: &'static str, server: &str) -> timewright_sim::Report {
    let keyfile = "keyfile /keys\n";
    Scenario::new()
        .node("server", &format!("{server}\nallow\n{keyfile}"))
        .node("client", &format!("{client}\n{keyfile}"))
        .boot("server", |boot| boot.keys = Some(KEYS.into()))
        .boot("client", move |boot| boot.keys = Some(client_keys.into()))
        .run(1, 1000.0)
        .unwrap()
}

#[test]
fn a_source_with_its_key_is_followed() {
    for key in [1, 2, 3] {
        let report = run(
            &format!("server server iburst key {key}"),
            KEYS,
            "local stratum 1",
        );
        let log = report.log_text("client");
        assert!(log.contains("Loaded 3 symmetric keys"), "{log}");
        assert!(log.contains("Selected source"), "{key}: {log}");
    }
}

#[test]
fn peers_share_keys() {
    let report = run(
        "peer server minpoll 4 maxpoll 4 key 2",
        KEYS,
        "local stratum 1\npeer client minpoll 4 maxpoll 4 key 2",
    );
    assert!(report.log_text("client").contains("Selected source"));
}

#[test]
fn a_source_with_another_key_is_never_believed() {
    for (option, keys) in [("key 1", OTHER_KEYS), ("key 1", KEYS)] {
        let report = run(
            &format!("server server iburst {option}"),
            keys,
            "local stratum 1",
        );
        let node = report.node("client");
        assert!(node.sent > 0);
        let selected = report.log_text("client").contains("Selected source");
        assert_eq!(selected, keys == KEYS, "only with the key of the server");
    }
}

#[test]
fn a_source_without_its_key_is_never_asked() {
    for option in ["key 7", "nts"] {
        let report = run(
            &format!("server server iburst {option}"),
            KEYS,
            "local stratum 1",
        );
        assert_eq!(report.node("client").sent, 0, "{option}");
        let log = report.log_text("client");
        assert!(!log.contains("Selected source"), "{option}");
        assert_eq!(log.contains("Key 7 is missing"), option == "key 7", "{log}");
    }
}
