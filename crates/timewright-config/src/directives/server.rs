//! NTP and NTS server (`config.md` 4.4).

use super::{Arity, Directive, Section, Status, rows};
use crate::access::{AccessRule, parse_access, parse_ip};
use crate::config::{Broadcast, SmoothTime};
use crate::error::{Applied, Failure, OptionRow};
use crate::local::parse_local;
use crate::parser::{Args, Parser, or_syntax};
use crate::ratelimit::{NTP_OPTIONS, NTS_OPTIONS, RateLimit, parse_ratelimit};

rows! { Server:
    "allow" "[all] [SUBNET]", Arity::Free, "", "Give NTP clients access.",
        |p, a| { let rule = rule(p, a, true)?; p.config.server.access.push(rule); Ok(()) };
    "deny" "[all] [SUBNET]", Arity::Free, "", "Deny NTP clients access.",
        |p, a| { let rule = rule(p, a, false)?; p.config.server.access.push(rule); Ok(()) };
    "bindaddress" "ADDRESS", Arity::Exactly(1), "", "Local address of server sockets.",
        |p, a| { p.config.server.bind_addresses.set(a.address()?); Ok(()) };
    "binddevice" "INTERFACE", Arity::Exactly(1), "", "Network interface of server sockets.",
        |p, a| { p.config.server.bind_device = Some(a.string()); Ok(()) };
    "broadcast" "INTERVAL ADDRESS [PORT]", Arity::Free, "", "Broadcast time to a network.",
        |p, a| or_syntax(broadcast(p, a));
    "clientloglimit" "BYTES", Arity::Exactly(1), "524288", "Memory for records of clients.",
        |p, a| {
            p.config.server.client_log_limit = a.cursor().ulong().ok_or(Failure::Syntax)?;
            Ok(())
        };
    "noclientlog" "", Arity::Exactly(0), "", "Keep no records of clients.",
        |p, _| { p.config.server.no_client_log = true; Ok(()) };
    "local" "[OPTION]...", Arity::Free, "", "Serve time even when not synchronised.",
        |p, a| { p.config.server.local = Some(parse_local(a.text)?); Ok(()) };
    "ntpsigndsocket" "DIRECTORY", Arity::Exactly(1), "", "Where the MS-SNTP signing service is.",
        |p, a| { p.config.server.signd_dir = Some(a.path()); Ok(()) };
    "ntsport" "PORT", Arity::Exactly(1), "4460", "TCP port of the NTS key establishment.",
        |p, a| { p.config.nts.port = a.int(0, 65535)?; Ok(()) };
    "ntsservercert" "FILE", Arity::Exactly(1), "", "Certificate of the NTS server.",
        |p, a| { p.config.nts.server_certs.push(a.path()); Ok(()) };
    "ntsserverkey" "FILE", Arity::Exactly(1), "", "Private key of the NTS server.",
        |p, a| { p.config.nts.server_keys.push(a.path()); Ok(()) };
    "ntsprocesses" "COUNT", Arity::Exactly(1), "1", "Helper processes for key establishment.",
        |p, a| { p.config.nts.processes = a.int(0, 1000)?; Ok(()) };
    "maxntsconnections" "COUNT", Arity::Exactly(1), "100",
        "Concurrent key establishments of a process.",
        |p, a| { p.config.nts.max_connections = a.int(1, i64::from(i32::MAX))?; Ok(()) };
    "ntsntpserver" "HOST", Arity::Exactly(1), "", "NTP server that NTS clients are sent to.",
        |p, a| { p.config.nts.ntp_server = Some(a.string()); Ok(()) };
    "ntsrotate" "SECONDS", Arity::Exactly(1), "604800", "Time between rotations of server keys.",
        |p, a| { p.config.nts.rotate_s = a.count_value()?; Ok(()) };
    "port" "PORT", Arity::Exactly(1), "123", "UDP port of the server; 0 disables it.",
        |p, a| { p.config.server.port = a.int(0, 65535)?; Ok(()) };
    "ratelimit" "[OPTION]...", Arity::Free, "", "Limit the rate of responses to NTP clients.",
        |p, a| limit(&mut p.config.server.rate_limit, RateLimit::NTP, NTP_OPTIONS, a);
    "ntsratelimit" "[OPTION]...", Arity::Free, "", "Limit the rate of key establishments.",
        |p, a| limit(&mut p.config.nts.rate_limit, RateLimit::NTS, NTS_OPTIONS, a);
    "smoothtime" "MAXFREQ MAXWANDER [leaponly]", Arity::Between(2, 3), "",
        "Smooth the time that is served.", |p, a| or_syntax(smoothtime(p, a));
    "ptpport" "PORT", Arity::Exactly(1), "0", "UDP port of NTP over PTP; 0 disables it.",
        |p, a| { p.config.server.ptp_port = a.int(0, 65535)?; Ok(()) };
    "ptpdomain" "NUMBER", Arity::Exactly(1), "123", "PTP domain of NTP over PTP.",
        |p, a| { p.config.server.ptp_domain = a.int(0, 255)?; Ok(()) };
}

/// A rule with its place, so that a name that cannot be resolved can be reported.
pub(super) fn rule(
    parser: &Parser<'_>,
    args: &Args<'_>,
    allow: bool,
) -> Result<AccessRule, Failure> {
    let arguments = parse_access(args.text).ok_or(Failure::Syntax)?;
    Ok(AccessRule {
        allow,
        all: arguments.all,
        subnet: arguments.subnet,
        directive: args.name.clone().into_owned(),
        at: parser.at.clone(),
    })
}

/// Options of repeated lines accumulate.
pub(super) fn limit(
    slot: &mut Option<RateLimit>,
    initial: RateLimit,
    options: &[OptionRow<RateLimit>],
    args: &Args<'_>,
) -> Applied {
    let mut limit = slot.unwrap_or(initial);
    parse_ratelimit(&mut limit, options, args.text).ok_or(Failure::Syntax)?;
    *slot = Some(limit);
    Ok(())
}

/// Longest time between broadcast packets.
const BROADCAST_INTERVAL_MAX_S: i32 = 1 << 24;

fn broadcast(parser: &mut Parser<'_>, args: &Args<'_>) -> Option<()> {
    let mut words = args.words();
    let interval = args.cursor().int()?.clamp(1, BROADCAST_INTERVAL_MAX_S);
    words.next()?;
    let address = parse_ip(words.next()?)?;
    let port = match words.next() {
        None => 123,
        Some(word) => crate::scan::Cursor::new(word).int()?,
    };
    if words.next().is_some() {
        return None;
    }
    parser.config.server.broadcasts.push(Broadcast {
        interval_s: interval.unsigned_abs(),
        address,
        // The range is not checked; the number is stored in 16 bits.
        port: u16::try_from(port.rem_euclid(1 << 16)).ok()?,
    });
    Some(())
}

fn smoothtime(parser: &mut Parser<'_>, args: &Args<'_>) -> Option<()> {
    let mut cursor = args.cursor();
    let (max_freq_ppm, max_wander_ppm) = (cursor.float()?, cursor.float()?);
    let leap_only = match args.words().nth(2) {
        None => false,
        Some(word) if word.eq_ignore_ascii_case(b"leaponly") => true,
        Some(_) => return None,
    };
    parser.config.server.smooth_time = Some(SmoothTime {
        max_freq_ppm,
        max_wander_ppm,
        leap_only,
    });
    Some(())
}
