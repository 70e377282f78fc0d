//! Time sources and the client side (`config.md` 4.1).

use timewright_time::Seconds;

use super::{Arity, Directive, Section, Status, rows};
use crate::config::{InitStepSlew, TrustedCerts};
use crate::error::{Applied, Failure};
use crate::lexical::text;
use crate::parser::{Args, Parser, path, ranged_int};
use crate::refclock::parse_refclock;
use crate::source::{SourceError, SourceKind, parse_source};

rows! { Sources:
    "server" "HOST [OPTION]...", Arity::Free, "", "Use an NTP server as a time source.",
        |p, a| source(p, a, SourceKind::Server);
    "pool" "NAME [OPTION]...", Arity::Free, "", "Use several servers behind one name.",
        |p, a| source(p, a, SourceKind::Pool);
    "peer" "HOST [OPTION]...", Arity::Free, "", "Exchange time with another server.",
        |p, a| source(p, a, SourceKind::Peer);
    "refclock" "DRIVER PARAMETER[:DRIVER-OPTION]... [OPTION]...", Arity::Free, "",
        "Use a hardware reference clock as a time source.", refclock;
    "initstepslew" "THRESHOLD [HOST]...", Arity::Free, "",
        "Correct the clock from these hosts before normal operation.", initstepslew;
    "acquisitionport" "PORT", Arity::Exactly(1), "", "Use one client port for all requests.",
        |p, a| { p.config.client.acquisition_port = Some(a.int(0, 65535)?); Ok(()) };
    "bindacqaddress" "ADDRESS", Arity::Exactly(1), "", "Local address of client sockets.",
        |p, a| { p.config.client.bind_addresses.set(a.address()?); Ok(()) };
    "bindacqdevice" "INTERFACE", Arity::Exactly(1), "", "Network interface of client sockets.",
        |p, a| { p.config.client.bind_device = Some(a.string()); Ok(()) };
    "dscp" "POINT", Arity::Exactly(1), "0", "Differentiated services code point of NTP packets.",
        |p, a| { p.config.client.dscp = a.int(0, 63)?; Ok(()) };
    "dumpdir" "DIRECTORY", Arity::Exactly(1), "", "Where measurements are saved at exit.",
        |p, a| { p.config.client.dump_dir = Some(a.path()); Ok(()) };
    "maxsamples" "COUNT", Arity::Exactly(1), "0", "Most samples kept for a source; 0 is 64.",
        |p, a| { p.config.client.samples.max = a.count_value()?; Ok(()) };
    "minsamples" "COUNT", Arity::Exactly(1), "6", "Least samples kept for a source.",
        |p, a| { p.config.client.samples.min = a.count_value()?; Ok(()) };
    "ntsaeads" "[ID]...", Arity::Free, "30 15",
        "Authenticated encryption of NTS packets by decreasing priority.", ntsaeads;
    "ntsdumpdir" "DIRECTORY", Arity::Exactly(1), "", "Where NTS keys and cookies are saved.",
        |p, a| { p.config.nts.dump_dir = Some(a.path()); Ok(()) };
    "ntsrefresh" "SECONDS", Arity::Exactly(1), "2419200",
        "Longest time between NTS key establishments of a source.",
        |p, a| { p.config.nts.refresh_s = a.count_value()?; Ok(()) };
    "ntstrustedcerts" "[SET] PATH", Arity::Between(1, 2), "",
        "Certificates that NTS servers are verified with.", ntstrustedcerts;
    "nosystemcert" "", Arity::Exactly(0), "", "Do not trust the system's certificate authorities.",
        |p, _| { p.config.nts.no_system_cert = true; Ok(()) };
    "nocerttimecheck" "UPDATES", Arity::Exactly(1), "0",
        "Ignore certificate times until this many clock updates were made.",
        |p, a| { p.config.nts.no_cert_time_check = a.count_value()?; Ok(()) };
    "refresh" "SECONDS", Arity::Exactly(1), "1209600",
        "Least time before the name of a working source is resolved again.",
        |p, a| { p.config.client.refresh_s = a.count_value()?; Ok(()) };
}

fn source(parser: &mut Parser<'_>, args: &Args<'_>, kind: SourceKind) -> Applied {
    let spec = parse_source(kind, args.text).map_err(|error| match error {
        SourceError::MissingHost => Failure::MissingHost,
        SourceError::Option(error) => error.into(),
    })?;
    parser.config.sources.push(spec);
    Ok(())
}

fn refclock(parser: &mut Parser<'_>, args: &Args<'_>) -> Applied {
    let spec = parse_refclock(args.text).ok_or(Failure::Syntax)??;
    parser.config.refclocks.push(spec);
    Ok(())
}

fn initstepslew(parser: &mut Parser<'_>, args: &Args<'_>) -> Applied {
    if parser.options.restart {
        return Ok(());
    }
    let mut words = args.words();
    let threshold = args.float()?;
    words.next();
    let hosts = words.map(text).collect();
    parser.config.initstepslew = Some(InitStepSlew {
        threshold: Seconds(threshold),
        hosts,
    });
    Ok(())
}

fn ntsaeads(parser: &mut Parser<'_>, args: &Args<'_>) -> Applied {
    let id = |word| ranged_int(word, 0, i64::from(i32::MAX));
    parser.config.nts.aeads = args.words().map(id).collect::<Result<_, _>>()?;
    Ok(())
}

fn ntstrustedcerts(parser: &mut Parser<'_>, args: &Args<'_>) -> Applied {
    let set = if args.count() > 1 {
        args.cursor().uint().ok_or(Failure::Syntax)?
    } else {
        0
    };
    let path = args.words().last().map(path).ok_or(Failure::Syntax)?;
    parser
        .config
        .nts
        .trusted_certs
        .push(TrustedCerts { set, path });
    Ok(())
}
