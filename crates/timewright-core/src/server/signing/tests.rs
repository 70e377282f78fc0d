use super::*;

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

fn at(s: i64) -> MonoTime {
    MonoTime::ZERO + Seconds(s as f64)
}

/// A reply of the service.
fn reply(operation: u32, id: u32, packet: &[u8]) -> Vec<u8> {
    let len = u32::try_from(12 + packet.len()).unwrap();
    let words = [len, 0, operation, id];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    bytes.extend(packet);
    bytes
}

/// Writes all that there is to write.
fn write(signing: &mut Signing<u32>) -> Vec<u8> {
    let bytes = signing.to_write().to_vec();
    signing.wrote(bytes.len());
    bytes
}

/// What the reference implementation wrote to its service, and what a service answered.
#[test]
fn the_bytes_are_those_of_the_reference() {
    let text = include_str!("../../../tests/data/mssntp.json");
    let file: serde_json::Value = serde_json::from_str(text).unwrap();
    let mut signing = Signing::default();
    let exchanges = file["exchanges"].as_array().unwrap();
    assert_eq!(exchanges.len(), 2);
    for exchange in exchanges {
        let to = unhex(exchange["to_signd"].as_str().unwrap());
        let from = unhex(exchange["from_signd"].as_str().unwrap());
        let key_id = word(&to, 16).unwrap();
        assert!(signing.push(&to[20..], key_id, key_id, at(1)));
        assert_eq!(write(&mut signing), to);
        let (packet, client) = signing.read(&from, at(1)).unwrap().unwrap();
        assert_eq!((packet.as_slice(), client), (&from[16..], key_id));
        assert!(signing.is_idle());
    }
}

#[test]
fn one_request_is_asked_at_a_time_in_any_pieces() {
    let mut signing = Signing::default();
    for client in 0..3 {
        assert!(signing.push(&[7; 48], 5, client, at(1)));
    }
    for client in 0..3u32 {
        let mut request = Vec::new();
        while !signing.to_write().is_empty() {
            request.push(signing.to_write()[0]);
            signing.wrote(1);
        }
        assert_eq!(
            (request.len(), word(&request, 12)),
            (68, Some(client << 16))
        );
        let reply = reply(3, client, &[9; 68]);
        for (i, byte) in reply.iter().enumerate() {
            let got = signing.read(&[*byte], at(1)).unwrap();
            let want = (i + 1 == reply.len()).then(|| (vec![9; 68], client));
            assert_eq!(got, want);
        }
    }
    assert!(signing.is_idle());
}

#[test]
fn no_more_than_fifteen_wait_and_ids_go_round() {
    let mut signing = Signing::default();
    for client in 0..15 {
        assert!(signing.push(&[7; 48], 5, client, at(1)));
    }
    assert!(!signing.push(&[7; 48], 5, 15, at(1)), "full");
    for id in 0..15 {
        write(&mut signing);
        let got = signing.read(&reply(3, id, &[1; 68]), at(1)).unwrap();
        assert_eq!(got.unwrap().1, id);
    }
    for id in [15, 0, 1] {
        assert!(signing.push(&[7; 48], 5, 99, at(1)));
        assert_eq!(word(&write(&mut signing), 12), Some(id << 16));
        let got = signing.read(&reply(3, id, &[1; 68]), at(1)).unwrap();
        assert_eq!(got.unwrap().1, 99);
    }
}

#[test]
fn only_plain_responses_are_signed() {
    for len in [0, 47, 49, 52, 76] {
        assert!(
            !Signing::default().push(&vec![0; len], 5, 0, at(1)),
            "{len}"
        );
    }
}

/// Failures and answers to other questions cost one response, not the connection.
#[test]
fn what_was_not_signed_is_dropped() {
    for bad in [
        reply(4, 0, &[1; 68]),
        reply(3, 1, &[1; 68]),
        reply(4, 0, &[]),
    ] {
        let mut signing = Signing::default();
        signing.push(&[7; 48], 5, 1, at(1));
        signing.push(&[7; 48], 5, 2, at(1));
        write(&mut signing);
        assert_eq!(signing.read(&bad, at(1)), Ok(None));
        write(&mut signing);
        let got = signing.read(&reply(3, 1, &[1; 68]), at(1)).unwrap();
        assert_eq!(got.unwrap().1, 2);
    }
}

#[test]
fn nonsense_ends_the_conversation() {
    let with_len = |len: u32| {
        let mut bytes = reply(3, 0, &[1; 68]);
        bytes[..4].copy_from_slice(&len.to_be_bytes());
        bytes
    };
    let mut more = reply(3, 0, &[1; 68]);
    more.push(0);
    for bad in [
        with_len(0),
        with_len(11),
        with_len(1153),
        with_len(u32::MAX),
        more,
    ] {
        let mut signing = Signing::default();
        signing.push(&[7; 48], 5, 1, at(1));
        write(&mut signing);
        assert_eq!(signing.read(&bad, at(1)), Err(Broken), "{bad:?}");
        signing.reset();
        assert!(signing.is_idle() && signing.to_write().is_empty());
    }
    let mut signing = Signing::<u32>::default();
    assert_eq!(signing.read(&[0], at(1)), Err(Broken), "nothing was asked");
    signing.reset();
    signing.push(&[7; 48], 5, 1, at(1));
    signing.wrote(67);
    assert_eq!(signing.read(&[0], at(1)), Err(Broken), "not asked yet");
}

#[test]
fn the_service_has_two_seconds_for_each_answer() {
    let mut signing = Signing::default();
    assert_eq!(signing.deadline(), None);
    signing.push(&[7; 48], 5, 1, at(1));
    signing.push(&[7; 48], 5, 2, at(2));
    assert_eq!(signing.deadline(), Some(at(3)), "since the first was asked");
    write(&mut signing);
    let got = signing.read(&reply(3, 0, &[1; 68]), at(3)).unwrap();
    assert!(got.is_some());
    assert_eq!(signing.deadline(), Some(at(5)));
    signing.reset();
    assert_eq!(signing.deadline(), None);
}
