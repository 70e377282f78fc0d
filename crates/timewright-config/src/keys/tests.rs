use proptest::prelude::*;

use super::*;

fn parse(text: impl AsRef<[u8]>) -> KeyFile {
    let supports = |kind| !matches!(kind, KeyType::Tiger | KeyType::Whirlpool);
    KeyFile::parse(text.as_ref(), Path::new("keys"), supports)
}

fn texts(warnings: &[KeyWarning]) -> Vec<String> {
    warnings.iter().map(ToString::to_string).collect()
}

/// The messages are those of chrony 4.9 for the same file.
#[test]
fn a_file_full_of_mistakes() {
    let mut file = b"\
# c
1 secretkey
2 MD5 HEX:00112233445566778899
3 SHA1 ASCII:abc
4 FOO abc
5 AES128 HEX:00
6 AES256 HEX:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
7 HEX:0
8 HEX:zz
9 HEX:
10 ASCII:
11
12 a b c
x SHA1 abc
13x SHA1 abc
-1 SHA1 abc
4294967297 SHA1 abc
0 SHA1 abc
14 TIGER abc
15 WHIRLPOOL abc
16 SHA3-256 abc
17 sha1 abc
18 MD5 hex:aabb
3 SHA1 dup
3 SHA1 dup2
2 MD5 dup
19 FOO HEX:zz
20 AES128 HEX:zz
21 SHA3-512 HEX:aBcD
 22   SHA256\tHEX:00 \r
23 SHA384 HEX:0011 22
"
    .to_vec();
    for (id, length) in [(24, 2039), (25, 2040), (26, 2041)] {
        file.extend(format!("{id} MD5 {}\n", "x".repeat(length)).bytes());
    }
    file.extend(format!("27 MD5 {} 5\n", "x".repeat(2050)).bytes());
    file.extend(
        b"28 foo\0bar\n\xff\n29 AES128\n30 SHA512\n31 DES abc\n32 AES192 abc\n33 MD5 \n34 MD5",
    );
    let parsed = parse(&file);
    assert_eq!(
        texts(&parsed.warnings),
        [
            "Invalid type in key 4",
            "Invalid length of AES128 key 5 (expected 128 bits)",
            "Could not decode key 7",
            "Could not decode key 8",
            "Could not decode key 9",
            "Could not decode key 10",
            "Could not parse key at line 12 in file keys",
            "Could not parse key at line 13 in file keys",
            "Could not parse key at line 14 in file keys",
            "Unsupported hash function in key 14",
            "Unsupported hash function in key 15",
            "Invalid type in key 17",
            "Could not decode key 19",
            "Could not decode key 20",
            "Could not parse key at line 31 in file keys",
            "Could not parse key at line 36 in file keys",
            "Could not parse key at line 38 in file keys",
            "Could not parse key at line 40 in file keys",
            "Invalid type in key 31",
            "Invalid type in key 32",
        ]
    );
    assert_eq!(parsed.keys.len(), 24);
    assert_eq!(
        texts(&parsed.duplicates),
        [
            "Detected duplicate key 1",
            "Detected duplicate key 2",
            "Detected duplicate key 3",
            "Detected duplicate key 3",
        ]
    );
}

#[test]
fn keys_are_decoded() {
    for (line, id, kind, secret) in [
        ("1 abc", 1, KeyType::Md5, &b"abc"[..]),
        ("2 HEX:0aFf", 2, KeyType::Md5, b"\x0a\xff"),
        ("3 SHA1 ASCII:HEX:00", 3, KeyType::Sha1, b"HEX:00"),
        ("4 SHA512 hex:00", 4, KeyType::Sha512, b"hex:00"),
        ("-1 SHA3-224 x", u32::MAX, KeyType::Sha3_224, b"x"),
        (
            "5 AES128 0123456789abcdef",
            5,
            KeyType::Aes128,
            b"0123456789abcdef",
        ),
        ("6 AES128", 6, KeyType::Md5, b"AES128"),
    ] {
        let parsed = parse(line);
        let want = KeySpec {
            id,
            kind,
            secret: Secret::new(secret.to_vec()),
        };
        assert_eq!(parsed.keys, [want], "{line}");
        assert!(parsed.warnings.is_empty(), "{line}");
    }
}

#[test]
fn an_unsupported_cipher_has_its_own_message() {
    let parsed = KeyFile::parse(b"7 AES256 x\n", Path::new("k"), |_| false);
    assert_eq!(texts(&parsed.warnings), ["Unsupported cipher in key 7"]);
}

#[test]
fn types_have_names() {
    for (name, kind) in KeyType::NAMES {
        assert_eq!(KeyType::from_name(name.as_bytes()), Some(kind));
        assert_eq!(kind.to_string(), name);
    }
    assert_eq!(KeyType::from_name(b"md5"), None);
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!("{:?}", parse("1 MD5 swordfish"));
    assert!(
        !shown.contains("swordfish") && shown.contains("Secret(..)"),
        "{shown}"
    );
}

proptest! {
    #[test]
    fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let parsed = parse(&bytes);
        prop_assert!(parsed.keys.len() + parsed.warnings.len() <= bytes.len() + 1);
    }
}
