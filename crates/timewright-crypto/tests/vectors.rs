//! Golden vectors: `data/README.md` names their origins.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a malformed vector fails the test")]
#![allow(clippy::indexing_slicing, reason = "a failed index fails the test")]

use proptest::prelude::*;
use serde_json::Value;
use timewright_crypto::{Aead, AeadError, AeadKey, MacAlgorithm, MacError, MacKey, TAG_LEN};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    assert!(text.len().is_multiple_of(2), "{text}");
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

fn algorithm(name: &str) -> MacAlgorithm {
    match name {
        "MD5" => MacAlgorithm::Md5,
        "SHA1" => MacAlgorithm::Sha1,
        "SHA256" => MacAlgorithm::Sha256,
        "SHA384" => MacAlgorithm::Sha384,
        "SHA512" => MacAlgorithm::Sha512,
        "SHA3-224" => MacAlgorithm::Sha3_224,
        "SHA3-256" => MacAlgorithm::Sha3_256,
        "SHA3-384" => MacAlgorithm::Sha3_384,
        "SHA3-512" => MacAlgorithm::Sha3_512,
        "AES128" => MacAlgorithm::Aes128,
        "AES256" => MacAlgorithm::Aes256,
        _ => panic!("{name}"),
    }
}

#[test]
fn packets_of_every_key_type_have_the_codes_of_the_reference() {
    let file = json(include_str!("data/symmetric.json"));
    let vectors = file["vectors"].as_array().unwrap();
    let mut seen = Vec::new();
    for vector in vectors {
        let name = vector["type"].as_str().unwrap();
        let key = MacKey::new(algorithm(name), &hex(&vector["key"])).unwrap();
        let mac_len = usize::try_from(vector["mac_length_with_key_id"].as_u64().unwrap()).unwrap();
        for packet in ["request", "response"] {
            let bytes = hex(&vector[packet]);
            let (message, mac) = bytes.split_at(bytes.len() - mac_len);
            let (id, digest) = mac.split_at(4);
            let id = u32::from_be_bytes(id.try_into().unwrap());
            assert_eq!(u64::from(id), vector["key_id"].as_u64().unwrap());
            let longest = if vector["packet_version"] == 4 {
                20
            } else {
                64
            };
            assert_eq!(key.tag(message).cut(longest), digest, "{name} {packet}");
            assert!(key.verify(message, digest, longest), "{name} {packet}");
            let cut = &digest[..digest.len() - 1];
            assert!(!key.verify(message, cut, longest), "{name}: a byte missing");
            for bit in 0..digest.len() * 8 {
                let mut bad = digest.to_vec();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert!(!key.verify(message, &bad, longest), "{name}: bit {bit}");
            }
        }
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    assert_eq!(seen.len(), 11, "{seen:?}");
}

#[test]
fn cmac_is_that_of_rfc_4493() {
    for vector in json(include_str!("data/aead.json"))["aes_cmac"]
        .as_array()
        .unwrap()
    {
        let key = MacKey::new(MacAlgorithm::Aes128, &hex(&vector["key"])).unwrap();
        let tag = key.tag(&hex(&vector["message"]));
        assert_eq!(tag.bytes(), hex(&vector["tag"]), "{}", vector["source"]);
    }
}

#[test]
fn gcm_siv_is_that_of_rfc_8452() {
    let file = json(include_str!("data/aead.json"));
    let vectors = file["aes_128_gcm_siv"].as_array().unwrap();
    assert!(!vectors.is_empty());
    for vector in vectors {
        check_aead(
            Aead::Aes128GcmSiv,
            &hex(&vector["key"]),
            &hex(&vector["nonce"]),
            &hex(&vector["aad"]),
            &hex(&vector["plaintext"]),
            &hex(&vector["output"]),
        );
    }
}

fn check_aead(
    algorithm: Aead,
    key: &[u8],
    nonce: &[u8],
    associated: &[u8],
    plain: &[u8],
    output: &[u8],
) {
    let mut key = AeadKey::new(algorithm, key).unwrap();
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + TAG_LEN, 0xee);
    key.seal(nonce, associated, &mut buffer).unwrap();
    assert_eq!(buffer, output);
    assert_eq!(key.open(nonce, associated, &mut buffer), Ok(plain));
    for bit in 0..output.len() * 8 {
        let mut bad = output.to_vec();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            key.open(nonce, associated, &mut bad),
            Err(AeadError::Forged)
        );
    }
    let mut other = associated.to_vec();
    other.push(0);
    assert_eq!(
        key.open(nonce, &other, &mut output.to_vec()),
        Err(AeadError::Forged)
    );
}

/// What cannot be made or opened is refused before anything is touched.
#[test]
fn lengths_that_do_not_fit_are_refused() {
    for (algorithm, id) in [(Aead::AesSivCmac256, 15), (Aead::Aes128GcmSiv, 30)] {
        assert_eq!((algorithm.id(), Aead::from_id(id)), (id, Some(algorithm)));
        for len in (0..70).filter(|len| *len != algorithm.key_len()) {
            let key = AeadKey::new(algorithm, &vec![0; len]);
            assert_eq!(key.err(), Some(AeadError::KeyLength { len }));
        }
        let mut key = AeadKey::new(algorithm, &vec![7; algorithm.key_len()]).unwrap();
        for len in (0..40).filter(|len| !algorithm.takes_nonce(*len)) {
            let mut buffer = [5; 40];
            let refused = Err(AeadError::NonceLength { len });
            assert_eq!(key.seal(&vec![0; len], b"", &mut buffer), refused);
            assert_eq!(key.open(&vec![0; len], b"", &mut buffer).map(drop), refused);
            assert_eq!(buffer, [5; 40]);
        }
        let nonce = vec![1; algorithm.nonce_len()];
        for len in 0..TAG_LEN {
            let refused = Err(AeadError::Short { len });
            assert_eq!(key.seal(&nonce, b"", &mut vec![0; len]), refused);
            assert_eq!(key.open(&nonce, b"", &mut vec![0; len]).map(drop), refused);
        }
    }
    assert_eq!(Aead::from_id(16), None);
    for algorithm in [MacAlgorithm::Aes128, MacAlgorithm::Aes256] {
        for len in (0..70).filter(|len| Some(*len) != algorithm.key_len()) {
            let key = MacKey::new(algorithm, &vec![0; len]);
            assert_eq!(key.err(), Some(MacError::Length { len }));
        }
    }
    let empty = MacKey::new(MacAlgorithm::Sha1, b"");
    assert_eq!(empty.err(), Some(MacError::Length { len: 0 }));
}

#[test]
fn keys_are_not_shown() {
    let mac = MacKey::new(MacAlgorithm::Sha1, b"secret").unwrap();
    let aead = AeadKey::new(Aead::Aes128GcmSiv, b"0123456789abcdef").unwrap();
    assert_eq!(format!("{mac:?}"), "MacKey { algorithm: Sha1, .. }");
    assert_eq!(
        format!("{aead:?}"),
        "AeadKey { algorithm: Aes128GcmSiv, .. }"
    );
}

proptest! {
    #[test]
    fn what_is_sealed_can_be_opened(
        siv: bool,
        secret: [u8; 32],
        nonce: [u8; 12],
        associated in prop::collection::vec(any::<u8>(), 0..1200),
        plain in prop::collection::vec(any::<u8>(), 0..1200),
    ) {
        let algorithm = if siv { Aead::AesSivCmac256 } else { Aead::Aes128GcmSiv };
        let mut key = AeadKey::new(algorithm, &secret[..algorithm.key_len()]).unwrap();
        let mut buffer = plain.clone();
        buffer.resize(plain.len() + TAG_LEN, 0);
        key.seal(&nonce, &associated, &mut buffer).unwrap();
        prop_assert_eq!(key.open(&nonce, &associated, &mut buffer), Ok(plain.as_slice()));
    }
}
