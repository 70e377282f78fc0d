//! Commands by their `chronyc` text: those that change something.
//!
//! Names are host names of the scenario or IP addresses. Reports are of no use in a scenario, so
//! they are not here.

use super::words::{Words, unknown};
use super::{add, quantity};
use std::net::IpAddr;
use timewright_config::{self as config, parse_access, parse_local};
use timewright_control::request::{
    Burst, MakeStepRule, ManualMode, SelectFlags, SelectOptions, SmoothAction, SourceMask,
    SourceOffset, SourceRatio, SourceValue, Subnet,
};
use timewright_control::{Address, Request, Timespec};

/// What a name stands for.
pub(super) type Resolve<'a> = &'a dyn Fn(&str) -> Option<IpAddr>;

pub(super) struct Row {
    pub(super) name: &'static str,
    /// What follows, for messages and the manual.
    pub(super) synopsis: &'static str,
    read: fn(&mut Words<'_>, Resolve<'_>) -> Result<Request, String>,
}

pub(super) const COMMANDS: &[Row] = &[
    Row {
        name: "makestep",
        synopsis: "[THRESHOLD LIMIT]",
        read: |words, _| {
            if words.peek().is_none() {
                return Ok(Request::MakeStep);
            }
            let threshold = real(words)?;
            let limit = integer(words)?;
            Ok(Request::ModifyMakeStep(MakeStepRule { limit, threshold }))
        },
    },
    Row {
        name: "burst",
        synopsis: "GOOD/MAX [SOURCE]",
        read: |words, resolve| {
            let counts = words.need("GOOD/MAX")?;
            let (good, total) = counts
                .split_once('/')
                .and_then(|(good, total)| Some((good.parse().ok()?, total.parse().ok()?)))
                .ok_or_else(|| format!("`{counts}` should be two numbers like 4/6"))?;
            Ok(Request::Burst(Burst {
                sources: sources(words, resolve)?,
                good,
                total,
            }))
        },
    },
    Row {
        name: "online",
        synopsis: "[SOURCE]",
        read: |words, resolve| Ok(Request::Online(sources(words, resolve)?)),
    },
    Row {
        name: "offline",
        synopsis: "[SOURCE]",
        read: |words, resolve| Ok(Request::Offline(sources(words, resolve)?)),
    },
    Row {
        name: "onoffline",
        synopsis: "",
        read: |_, _| Ok(Request::OnOffline),
    },
    Row {
        name: "refresh",
        synopsis: "",
        read: |_, _| Ok(Request::Refresh),
    },
    Row {
        name: "reselect",
        synopsis: "",
        read: |_, _| Ok(Request::Reselect),
    },
    Row {
        name: "reselectdist",
        synopsis: "SECONDS",
        read: |words, _| Ok(Request::ReselectDistance(real(words)?)),
    },
    Row {
        name: "reset",
        synopsis: "sources",
        read: |words, _| match words.need("sources")? {
            "sources" => Ok(Request::ResetSources),
            other => Err(unknown(other, "reset", ["sources"])),
        },
    },
    Row {
        name: "reload",
        synopsis: "sources",
        read: |words, _| match words.need("sources")? {
            "sources" => Ok(Request::ReloadSources),
            other => Err(unknown(other, "reload", ["sources"])),
        },
    },
    Row {
        name: "add",
        synopsis: "server|peer|pool NAME [OPTION]...",
        read: |words, resolve| {
            let line = words.all().join(" ");
            add::source(&line, |name| match resolve(&name) {
                Some(address) => address.to_string(),
                None => name,
            })
        },
    },
    Row {
        name: "delete",
        synopsis: "SOURCE",
        read: |words, resolve| Ok(Request::DeleteSource(source(words, resolve)?)),
    },
    Row {
        name: "minpoll",
        synopsis: "SOURCE POLL",
        read: |words, resolve| setting(words, resolve, Request::ModifyMinPoll),
    },
    Row {
        name: "maxpoll",
        synopsis: "SOURCE POLL",
        read: |words, resolve| setting(words, resolve, Request::ModifyMaxPoll),
    },
    Row {
        name: "minstratum",
        synopsis: "SOURCE STRATUM",
        read: |words, resolve| setting(words, resolve, Request::ModifyMinStratum),
    },
    Row {
        name: "polltarget",
        synopsis: "SOURCE SAMPLES",
        read: |words, resolve| setting(words, resolve, Request::ModifyPollTarget),
    },
    Row {
        name: "maxdelay",
        synopsis: "SOURCE SECONDS",
        read: |words, resolve| ratio(words, resolve, Request::ModifyMaxDelay),
    },
    Row {
        name: "maxdelayratio",
        synopsis: "SOURCE RATIO",
        read: |words, resolve| ratio(words, resolve, Request::ModifyMaxDelayRatio),
    },
    Row {
        name: "maxdelaydevratio",
        synopsis: "SOURCE RATIO",
        read: |words, resolve| ratio(words, resolve, Request::ModifyMaxDelayDevRatio),
    },
    Row {
        name: "offset",
        synopsis: "SOURCE SECONDS",
        read: |words, resolve| {
            Ok(Request::ModifyOffset(SourceOffset {
                address: source(words, resolve)?,
                refid: 0,
                offset: real(words)?,
            }))
        },
    },
    Row {
        name: "selectopts",
        synopsis: "SOURCE [+|-]noselect|prefer|require|trust...",
        read: select_options,
    },
    Row {
        name: "maxupdateskew",
        synopsis: "PPM",
        read: |words, _| Ok(Request::ModifyMaxUpdateSkew(real(words)?)),
    },
    Row {
        name: "dfreq",
        synopsis: "PPM",
        read: |words, _| Ok(Request::ChangeFrequency(real(words)?)),
    },
    Row {
        name: "doffset",
        synopsis: "SECONDS",
        read: |words, _| Ok(Request::ChangeOffset(real(words)?)),
    },
    Row {
        name: "manual",
        synopsis: "on|off|reset|delete INDEX",
        read: |words, _| {
            let mode = match words.need("on, off, reset or delete")? {
                "on" => ManualMode::On,
                "off" => ManualMode::Off,
                "reset" => ManualMode::Reset,
                "delete" => return integer(words).map(Request::ManualDelete),
                other => return Err(unknown(other, "manual", ["on", "off", "reset", "delete"])),
            };
            Ok(Request::Manual(mode))
        },
    },
    Row {
        name: "settime",
        synopsis: "DATE",
        read: |words, _| {
            let sec = quantity::date(words.need("the date")?)?;
            Ok(Request::SetTime(Timespec { sec, nsec: 0 }))
        },
    },
    Row {
        name: "local",
        synopsis: "[off] [OPTION]...",
        read: |words, _| {
            if words.peek() == Some("off") {
                words.need("off")?;
                return Ok(add::local(None));
            }
            let options = words.all().join(" ");
            match parse_local(options.as_bytes()) {
                Ok(spec) => Ok(add::local(Some(&spec))),
                Err(error) => Err(error.to_string()),
            }
        },
    },
    Row {
        name: "allow",
        synopsis: "[all] [SUBNET]",
        read: |words, resolve| access(words, resolve, Request::Allow, Request::AllowAll),
    },
    Row {
        name: "deny",
        synopsis: "[all] [SUBNET]",
        read: |words, resolve| access(words, resolve, Request::Deny, Request::DenyAll),
    },
    Row {
        name: "cyclelogs",
        synopsis: "",
        read: |_, _| Ok(Request::CycleLogs),
    },
    Row {
        name: "smoothtime",
        synopsis: "reset|activate",
        read: |words, _| {
            let action = match words.need("reset or activate")? {
                "reset" => SmoothAction::Reset,
                "activate" => SmoothAction::Activate,
                other => return Err(unknown(other, "smoothtime", ["reset", "activate"])),
            };
            Ok(Request::SmoothTime(action))
        },
    },
    Row {
        name: "dump",
        synopsis: "",
        read: |_, _| Ok(Request::Dump),
    },
    Row {
        name: "shutdown",
        synopsis: "",
        read: |_, _| Ok(Request::Shutdown),
    },
];

/// Reads a command.
pub(super) fn parse(text: &str, resolve: Resolve<'_>) -> Result<Request, String> {
    let mut words = Words::new(text);
    let word = words.need("the command")?;
    let row = COMMANDS
        .iter()
        .find(|row| row.name == word)
        .ok_or_else(|| unknown(word, "chronyc", COMMANDS.iter().map(|row| row.name)))?;
    let request = (row.read)(&mut words, resolve);
    request
        .and_then(|request| words.end().map(|()| request))
        .map_err(|why| format!("{why} (`{} {}`)", row.name, row.synopsis))
}

fn real(words: &mut Words<'_>) -> Result<f64, String> {
    quantity::within(words.need("a number")?, -1e9, 1e9)
}

fn integer(words: &mut Words<'_>) -> Result<i32, String> {
    let word = words.need("a number")?;
    word.parse()
        .map_err(|_| format!("`{word}` is no whole number"))
}

fn source(words: &mut Words<'_>, resolve: Resolve<'_>) -> Result<Address, String> {
    let word = words.need("a source")?;
    resolve(word)
        .map(Address::from)
        .ok_or_else(|| format!("`{word}` is neither a host nor an IP address"))
}

/// One source, or all if there is no word.
fn sources(words: &mut Words<'_>, resolve: Resolve<'_>) -> Result<SourceMask, String> {
    match words.peek() {
        Some(_) => Ok(SourceMask::one(source(words, resolve)?)),
        None => Ok(SourceMask::ALL),
    }
}

/// The arguments of an access rule: as in a configuration, or a host of the scenario.
fn access(
    words: &mut Words<'_>,
    resolve: Resolve<'_>,
    some: fn(Subnet) -> Request,
    all: fn(Subnet) -> Request,
) -> Result<Request, String> {
    let text = words.all().join(" ");
    let wrong = || format!("`{text}` is no subnet");
    let arguments = parse_access(text.as_bytes()).ok_or_else(wrong)?;
    let subnet = match arguments.subnet {
        config::Subnet::Name(name) => config::Subnet::host(resolve(&name).ok_or_else(wrong)?),
        other => other,
    };
    if !subnet.is_valid() {
        return Err(wrong());
    }
    let (address, bits) = match subnet {
        config::Subnet::Prefix { address, bits } => (Address::from(address), bits),
        config::Subnet::Any | config::Subnet::Name(_) => (Address::Unspecified, 0),
    };
    let bits = i32::try_from(bits).map_err(|_| wrong())?;
    let request = if arguments.all { all } else { some };
    Ok(request(Subnet { address, bits }))
}

fn setting(
    words: &mut Words<'_>,
    resolve: Resolve<'_>,
    request: fn(SourceValue) -> Request,
) -> Result<Request, String> {
    let address = source(words, resolve)?;
    let value = integer(words)?;
    Ok(request(SourceValue { address, value }))
}

fn ratio(
    words: &mut Words<'_>,
    resolve: Resolve<'_>,
    request: fn(SourceRatio) -> Request,
) -> Result<Request, String> {
    let address = source(words, resolve)?;
    let value = real(words)?;
    Ok(request(SourceRatio { address, value }))
}

fn select_options(words: &mut Words<'_>, resolve: Resolve<'_>) -> Result<Request, String> {
    const FLAGS: [(&str, SelectFlags); 4] = [
        ("noselect", SelectFlags::NOSELECT),
        ("prefer", SelectFlags::PREFER),
        ("require", SelectFlags::REQUIRE),
        ("trust", SelectFlags::TRUST),
    ];
    let mut changes = SelectOptions {
        address: source(words, resolve)?,
        refid: 0,
        mask: SelectFlags::default(),
        options: SelectFlags::default(),
    };
    while let Some(word) = words.next() {
        let found = FLAGS
            .iter()
            .find(|(name, _)| word.strip_prefix(['+', '-']) == Some(*name));
        let Some((_, flag)) = found else {
            let names = FLAGS.iter().map(|(name, _)| *name);
            return Err(unknown(word, "selectopts, after + or -", names));
        };
        changes.mask |= *flag;
        if word.starts_with('+') {
            changes.options |= *flag;
        }
    }
    Ok(Request::ModifySelectOptions(changes))
}
