//! Commands that concern the client alone (`chronyc.md` 5.4 and 5.5).

use crate::scan::Scan;
use crate::session::{Outcome, Session};
use timewright_sys::names::Families;

/// `dns -n|+n|-4|-6|-46`
pub(super) fn dns(session: &mut Session<'_>, arguments: &str) -> Outcome {
    let naming = &mut session.naming;
    match arguments {
        "-n" => naming.numeric = true,
        "+n" => naming.numeric = false,
        "-4" => naming.families = Families::V4,
        "-6" => naming.families = Families::V6,
        "-46" => naming.families = Families::Any,
        _ => return session.refuse("Unrecognized dns command"),
    }
    Ok(())
}

/// Shortest first wait, ms.
pub(super) const TIMEOUT_MIN_MS: i32 = 100;

/// `timeout MS`
pub(super) fn timeout(session: &mut Session<'_>, arguments: &str) -> Outcome {
    let ms = Scan::new(arguments).int().unwrap_or(0);
    match u32::try_from(ms) {
        Ok(timeout_ms) if ms >= TIMEOUT_MIN_MS => {
            session.connection.timeout_ms = timeout_ms;
            Ok(())
        }
        _ => session.refuse(&format!("Timeout {ms} is too short")),
    }
}

/// Most attempts after the first: the wait doubles each time.
pub(super) const RETRIES_MAX: u16 = 30;

/// `retries N`
pub(super) fn retries(session: &mut Session<'_>, arguments: &str) -> Outcome {
    let wanted = Scan::new(arguments).int().unwrap_or(0);
    match u16::try_from(wanted) {
        Ok(retries @ ..=RETRIES_MAX) => {
            session.connection.retries = retries;
            Ok(())
        }
        _ => session.refuse("Invalid maximum number of retries"),
    }
}

/// Hash functions, whose keys may have any length.
const HASHES: [&str; 9] = [
    "MD5", "SHA1", "SHA256", "SHA384", "SHA512", "SHA3-224", "SHA3-256", "SHA3-384", "SHA3-512",
];

/// Ciphers and their key lengths in bytes.
const CIPHERS: [(&str, usize); 2] = [("AES128", 16), ("AES256", 32)];

/// Key lengths of hashes, bytes: shorter ones are not safe, longer ones do not fit a key file.
const HASH_KEY_MIN: usize = 10;
const HASH_KEY_MAX: usize = 512;

/// `keygen [ID [TYPE [BITS]]]`
pub(super) fn keygen(session: &mut Session<'_>, arguments: &str) -> Outcome {
    const BAD: &str = "Invalid syntax for keygen command";
    let mut words = arguments.split(' ').filter(|word| !word.is_empty());
    let (id, kind, bits, more) = (words.next(), words.next(), words.next(), words.next());
    let number =
        |word: Option<&str>, default| word.map_or(Some(default), |word| Scan::new(word).uint());
    let (Some(id), Some(bits), None) = (number(id, 1), number(bits, 160), more) else {
        return session.refuse(BAD);
    };
    let kind = kind.unwrap_or("SHA1");
    let cipher = CIPHERS.into_iter().find(|(name, _)| *name == kind);
    let len = if let Some((_, len)) = cipher {
        len
    } else if HASHES.contains(&kind) {
        // -1 is read as the largest number, and rounding it up wraps.
        usize::try_from(bits.wrapping_add(7) / 8)
            .unwrap_or(usize::MAX)
            .clamp(HASH_KEY_MIN, HASH_KEY_MAX)
    } else {
        return session.refuse(&format!("Unknown hash function or cipher {kind}"));
    };
    let mut key = vec![0; len];
    if let Err(error) = session.host.fill_random(&mut key) {
        return session.refuse(&format!("Could not get random bytes : {error}"));
    }
    let digits: String = key.iter().map(|byte| format!("{byte:02X}")).collect();
    session.output.print(&format!("{id} {kind} HEX:{digits}\n"));
    Ok(())
}
