//! Key files: every type and form of key, and everything that can be wrong with a line.

use super::Seed;
use timewright_config::KeyType;

pub(super) fn seeds(add: &mut impl FnMut(Seed)) {
    let mut add = |name: &str, text: String| {
        add(Seed {
            target: "keys",
            name: name.into(),
            bytes: text.into_bytes(),
        });
    };
    let mut every_type = String::from("# every type\n");
    for (id, (name, kind)) in (1..).zip(KeyType::NAMES) {
        let digits = "a5".repeat(kind.key_length().unwrap_or(20));
        let line = format!("{id} {name} HEX:{digits}\n");
        add(&format!("type-{}", name.to_ascii_lowercase()), line.clone());
        every_type += &line;
    }
    add("every-type", every_type);
    add(
        "forms",
        "1 secret\n2 MD5 secret\n3 SHA1 ASCII:secret\n4 SHA1 HEX:0123456789ABCDEFabcdef\n".into(),
    );
    add(
        "comments",
        "! a\n; b\n# c\n% d\n\n \t 10  MD5\tkey \r\n".into(),
    );
    add(
        "numbers",
        "0 a\n4294967295 a\n4294967296 a\n-1 a\n+7 a\n007 a\n12x a\n".into(),
    );
    add("duplicates", "1 a\n2 b\n1 c\n2 d\n1 e\n".into());
    add("syntax", "1\nx a\n1 2 3 4\n".into());
    add(
        "undecodable",
        "1 MD5 HEX:\n2 MD5 HEX:0\n3 MD5 HEX:0g\n4 MD5 ASCII:\n".into(),
    );
    add("unknown-type", "1 md5 key\n2 SHA3 key\n".into());
    add("wrong-length", "1 AES128 HEX:00\n2 AES256 short\n".into());
    add("zero-byte", "1 a\0b\n2 c\n".into());
    add(
        "long-line",
        format!("1 MD5 {}\n2 MD5 x\n", "k".repeat(2100)),
    );
    add("no-newline", "1 MD5 key".into());
}
