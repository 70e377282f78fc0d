//! A key file.

use std::path::Path;
use timewright_config::{KeyFile, KeyType};

/// Keys of a file that are written anew; more would only be slower.
const REWRITTEN_MAX: usize = 2;

/// Parses `data` as a key file, for a build with all algorithms and for one without some.
pub fn run(data: &[u8]) {
    let all = parse(data, |_| true);
    // Hashes or ciphers are missing, as the length of the input has it.
    let some = parse(data, |kind| {
        kind.is_cipher() == data.len().is_multiple_of(2)
    });
    let count = |file: &KeyFile| file.keys.len() + file.warnings.len();
    assert_eq!(count(&all), count(&some));
    assert!(some.keys.len() <= all.keys.len());

    for key in all.keys.iter().take(REWRITTEN_MAX) {
        assert!(!key.secret.bytes().is_empty());
        assert!(
            key.kind
                .key_length()
                .is_none_or(|length| length == key.secret.bytes().len())
        );
        assert_eq!(
            KeyType::from_name(key.kind.to_string().as_bytes()),
            Some(key.kind)
        );
        assert_eq!(format!("{:?}", key.secret), "Secret(..)");
        // Written anew the key is the same.
        let digits: String = key
            .secret
            .bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let secret = timewright_config::Secret::new(key.secret.bytes().to_vec());
        assert_eq!(secret, key.secret);
        let line = format!("{} {} HEX:{digits}\n", key.id, key.kind);
        if line.len() < 2000 {
            assert_eq!(
                parse(line.as_bytes(), |_| true).keys,
                std::slice::from_ref(key)
            );
        }
    }
}

fn parse(data: &[u8], supports: impl Fn(KeyType) -> bool) -> KeyFile {
    let file = KeyFile::parse(data, Path::new("/etc/chrony.keys"), supports);
    for warning in file.warnings.iter().chain(&file.duplicates) {
        assert!(!warning.to_string().is_empty());
    }
    file
}
