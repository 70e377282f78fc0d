//! `add server|peer|pool NAME [options]` (`chronyc.md` 5.2).

use super::split_word;
use crate::scan::Scan;
use crate::session::Session;
use std::ops::RangeInclusive;
use timewright_control::Request;
use timewright_control::request::{AddSource, Name, SourceFlags, SourceType};

/// How the value of an option is read and where it goes.
enum Value {
    Int(RangeInclusive<i32>, fn(&mut AddSource) -> &mut i32),
    UInt(RangeInclusive<u32>, fn(&mut AddSource) -> &mut u32),
    Float(fn(&mut AddSource) -> &mut f64),
    /// The number of an extension field.
    Field,
}

/// Options without value and the flag they set; `offline` takes one away.
const FLAGS: [(&str, SourceFlags); 13] = [
    ("auto_offline", SourceFlags::AUTO_OFFLINE),
    ("burst", SourceFlags::BURST),
    ("copy", SourceFlags::COPY),
    ("iburst", SourceFlags::IBURST),
    ("ipv4", SourceFlags::IPV4),
    ("ipv6", SourceFlags::IPV6),
    ("nts", SourceFlags::NTS),
    ("xleave", SourceFlags::INTERLEAVED),
    ("noselect", SourceFlags::NOSELECT),
    ("offline", SourceFlags::ONLINE),
    ("prefer", SourceFlags::PREFER),
    ("require", SourceFlags::REQUIRE),
    ("trust", SourceFlags::TRUST),
];

/// Options with a value.
const VALUES: &[(&str, Value)] = &[
    ("asymmetry", Value::Float(|s| &mut s.asymmetry)),
    ("certset", Value::UInt(0..=u32::MAX, |s| &mut s.cert_set)),
    ("extfield", Value::Field),
    ("filter", Value::Int(0..=i32::MAX, |s| &mut s.filter_length)),
    ("key", Value::UInt(1..=u32::MAX, |s| &mut s.auth_key)),
    ("maxdelay", Value::Float(|s| &mut s.max_delay)),
    (
        "maxdelaydevratio",
        Value::Float(|s| &mut s.max_delay_dev_ratio),
    ),
    ("maxdelayquant", Value::Float(|s| &mut s.max_delay_quant)),
    ("maxdelayratio", Value::Float(|s| &mut s.max_delay_ratio)),
    ("maxpoll", Value::Int(-32..=32, |s| &mut s.maxpoll)),
    (
        "maxsamples",
        Value::Int(0..=i32::MAX, |s| &mut s.max_samples),
    ),
    (
        "maxsources",
        Value::UInt(1..=INT_MAX, |s| &mut s.max_sources),
    ),
    (
        "maxunreach",
        Value::Int(0..=i32::MAX, |s| &mut s.max_unreach),
    ),
    ("mindelay", Value::Float(|s| &mut s.min_delay)),
    (
        "minpoll",
        Value::Int(i32::MIN..=i32::MAX, |s| &mut s.minpoll),
    ),
    (
        "minsamples",
        Value::Int(0..=i32::MAX, |s| &mut s.min_samples),
    ),
    ("minstratum", Value::UInt(0..=16, |s| &mut s.min_stratum)),
    ("ntsport", Value::UInt(0..=65_535, |s| &mut s.nts_port)),
    ("offset", Value::Float(|s| &mut s.offset)),
    (
        "polltarget",
        Value::UInt(1..=INT_MAX, |s| &mut s.poll_target),
    ),
    ("port", Value::UInt(0..=65_535, |s| &mut s.port)),
    ("presend", Value::Int(-32..=32, |s| &mut s.presend_minpoll)),
    ("version", Value::UInt(1..=4, |s| &mut s.version)),
];

/// Above it a number read with a sign would be negative.
const INT_MAX: u32 = i32::MAX.unsigned_abs();

/// The extension fields a source may use; network correction also by its registered number.
const FIELDS: [(u32, SourceFlags); 3] = [
    (0x010a, SourceFlags::EXTFIELD_NET_CORRECTION),
    (0xf323, SourceFlags::EXTFIELD_MONO_ROOT),
    (0xf324, SourceFlags::EXTFIELD_NET_CORRECTION),
];

pub(super) fn add(session: &Session<'_>, arguments: &str) -> Result<Request, String> {
    let (kind, rest) = split_word(arguments);
    let (name, options) = split_word(rest);
    let source_type = [
        ("server", SourceType::Server),
        ("peer", SourceType::Peer),
        ("pool", SourceType::Pool),
    ]
    .into_iter()
    .find(|(word, _)| word.eq_ignore_ascii_case(kind))
    .map(|(_, source_type)| source_type);
    let (Some(source_type), false) = (source_type, name.is_empty()) else {
        return Err("Invalid syntax for add command".to_owned());
    };
    let mut source = AddSource::new(source_type, Name::default());
    set_options(&mut source, options)?;
    // The daemon resolves the name again; asking first tells a typing error at once.
    source.name = Name::new(name)
        .ok()
        .filter(|_| session.ip(name).is_some())
        .ok_or("Invalid host/IP address")?;
    Ok(Request::AddSource(Box::new(source)))
}

fn set_options(source: &mut AddSource, options: &str) -> Result<(), String> {
    let mut rest = options;
    while !rest.is_empty() {
        let (option, after) = split_word(rest);
        rest = after;
        if let Some((_, flag)) = FLAGS
            .into_iter()
            .find(|row| row.0.eq_ignore_ascii_case(option))
        {
            if flag == SourceFlags::IPV4 || flag == SourceFlags::IPV6 {
                // Of the two the last one counts.
                let both = SourceFlags::IPV4 | SourceFlags::IPV6;
                source.flags = source.flags.with(both, false);
            }
            source.flags = source.flags.with(flag, flag != SourceFlags::ONLINE);
            continue;
        }
        let (_, value) = VALUES
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(option))
            .ok_or("Invalid option in add command")?;
        let mut scan = Scan::new(rest);
        set_value(source, value, &mut scan).ok_or("Invalid value in add command")?;
        // What follows the number without a blank is read as the next option, and refused.
        rest = scan.rest().trim_start();
    }
    Ok(())
}

fn set_value(source: &mut AddSource, value: &Value, scan: &mut Scan<'_>) -> Option<()> {
    match value {
        Value::Int(range, field) => *field(source) = scan.int().filter(|n| range.contains(n))?,
        Value::UInt(range, field) => *field(source) = scan.uint().filter(|n| range.contains(n))?,
        Value::Float(field) => *field(source) = scan.float()?,
        Value::Field => {
            let number = scan.hex()?;
            let (_, flag) = FIELDS.into_iter().find(|(field, _)| *field == number)?;
            source.flags |= flag;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &str) -> Result<AddSource, String> {
        let mut source = AddSource::new(SourceType::Server, Name::default());
        set_options(&mut source, options).map(|()| source)
    }

    #[test]
    fn options_set_their_fields() {
        let line =
            "port 124 minpoll 2 maxpoll 3 key 10 iburst prefer trust offset 0.5 maxunreach 5 ipv4";
        let got = parse(line).unwrap();
        assert_eq!(
            (got.port, got.minpoll, got.maxpoll, got.auth_key),
            (124, 2, 3, 10)
        );
        assert_eq!((got.max_unreach, got.flags), (5, SourceFlags(0x202d)));
        let got = parse("OFFLINE burst ExtField F323 extfield 0xF324").unwrap();
        assert_eq!(got.flags, SourceFlags(0x1900));
        assert_eq!(parse("extfield 10A"), parse("extfield F324"));
        let families = parse("ipv4 ipv6").unwrap().flags;
        assert_eq!(families, SourceFlags::ONLINE | SourceFlags::IPV6);
        assert_eq!(parse("certset -1").unwrap().cert_set, u32::MAX);
    }

    #[test]
    fn refusals() {
        for bad in [
            "port",
            "port x",
            "port 70000",
            "port -1",
            "maxpoll 33",
            "presend -33",
            "key 0",
            "version 5",
            "version 0",
            "minstratum 17",
            "polltarget 0",
            "maxsources -1",
            "minsamples -1",
            "filter -1",
            "extfield F325",
            "asymmetry x",
        ] {
            assert_eq!(
                parse(bad),
                Err("Invalid value in add command".to_owned()),
                "{bad}"
            );
        }
        for bad in ["foo", "port 12x", "iburst maxdelays 1"] {
            assert_eq!(
                parse(bad),
                Err("Invalid option in add command".to_owned()),
                "{bad}"
            );
        }
    }
}
