//! Commands for the clock, the local reference and manual input (`chronyc.md` 5.1).

use super::split_word;
use crate::report;
use crate::scan::Scan;
use crate::session::{Outcome, Session};
use timewright_control::Request;
use timewright_control::request::{LocalReference, MakeStepRule, ManualMode, SmoothAction};

/// `makestep`, or `makestep THRESHOLD LIMIT`.
pub(super) fn make_step(_: &Session<'_>, arguments: &str) -> Result<Request, String> {
    if arguments.is_empty() {
        return Ok(Request::MakeStep);
    }
    let mut scan = Scan::new(arguments);
    match (scan.float(), scan.int()) {
        (Some(threshold), Some(limit)) => {
            Ok(Request::ModifyMakeStep(MakeStepRule { limit, threshold }))
        }
        _ => Err("Bad syntax for makestep command".to_owned()),
    }
}

/// A number; the complaint is what the command makes of its absence.
fn number(arguments: &str, complaint: &str) -> Result<f64, String> {
    Scan::new(arguments)
        .float()
        .ok_or_else(|| complaint.to_owned())
}

/// `maxupdateskew PPM`; a missing number fails without a word.
pub(super) fn max_update_skew(_: &Session<'_>, arguments: &str) -> Result<Request, String> {
    number(arguments, "").map(Request::ModifyMaxUpdateSkew)
}

/// `reselectdist S`; a missing number fails without a word.
pub(super) fn reselect_distance(_: &Session<'_>, arguments: &str) -> Result<Request, String> {
    number(arguments, "").map(Request::ReselectDistance)
}

/// `dfreq PPM`
pub(super) fn change_frequency(_: &Session<'_>, arguments: &str) -> Result<Request, String> {
    number(arguments, "Invalid value").map(Request::ChangeFrequency)
}

/// `doffset SECONDS`
pub(super) fn change_offset(_: &Session<'_>, arguments: &str) -> Result<Request, String> {
    number(arguments, "Invalid value").map(Request::ChangeOffset)
}

/// `smoothtime reset|activate`
pub(super) fn smooth_time(_: &Session<'_>, arguments: &str) -> Result<Request, String> {
    match arguments {
        "reset" => Ok(Request::SmoothTime(SmoothAction::Reset)),
        "activate" => Ok(Request::SmoothTime(SmoothAction::Activate)),
        _ => Err("Invalid syntax for smoothtime command".to_owned()),
    }
}

/// What `local` without options means (`control-protocol.md` 10).
const LOCAL_DEFAULT: LocalReference = LocalReference {
    on: true,
    stratum: 10,
    distance: 1.0,
    orphan: false,
    activate: 0.0,
    wait_synced: 0.0,
    wait_unsynced: 0.0,
};

/// How long an orphan waits for others to show up, s, unless told.
const ORPHAN_WAIT: f64 = 300.0;

/// `local off`, or `local` and options.
pub(super) fn local(_: &Session<'_>, arguments: &str) -> Result<Request, String> {
    parse_local(arguments)
        .map(Request::Local)
        .ok_or_else(|| "Invalid syntax for local command".to_owned())
}

fn parse_local(arguments: &str) -> Option<LocalReference> {
    if arguments == "off" {
        return Some(LocalReference {
            on: false,
            stratum: 0,
            distance: 0.0,
            ..LOCAL_DEFAULT
        });
    }
    let mut local = LOCAL_DEFAULT;
    let mut wait_unsynced = None;
    let mut rest = arguments;
    while !rest.is_empty() {
        let (option, after) = split_word(rest);
        rest = after;
        if option.eq_ignore_ascii_case("orphan") {
            local.orphan = true;
            continue;
        }
        let (value, after) = split_word(rest);
        rest = after;
        let seconds = || {
            let mut scan = Scan::new(value);
            scan.float().filter(|_| scan.is_done())
        };
        match option.to_ascii_lowercase().as_str() {
            "stratum" => {
                let mut scan = Scan::new(value);
                local.stratum = scan.int().filter(|stratum| (1..=15).contains(stratum))?;
                if !scan.is_done() {
                    return None;
                }
            }
            "distance" => local.distance = seconds()?,
            "activate" => local.activate = seconds()?,
            "waitsynced" => local.wait_synced = seconds()?,
            "waitunsynced" => wait_unsynced = Some(seconds()?),
            _ => return None,
        }
    }
    local.wait_unsynced = wait_unsynced.unwrap_or(if local.orphan { ORPHAN_WAIT } else { 0.0 });
    Some(local)
}

/// `manual on|off|reset|list|delete INDEX`. The last two are known by their beginning.
pub(super) fn manual(session: &mut Session<'_>, arguments: &str) -> Outcome {
    let mode = match arguments {
        "off" => ManualMode::Off,
        "on" => ManualMode::On,
        "reset" => ManualMode::Reset,
        _ if arguments.starts_with("list") => return report::manual_list(session),
        _ if arguments.starts_with("delete") => {
            return match Scan::new(split_word(arguments).1).int() {
                Some(index) => session.command(&Request::ManualDelete(index)),
                None => session.refuse("Bad syntax for manual delete command"),
            };
        }
        _ => return session.refuse("Invalid syntax for manual command"),
    };
    session.command(&Request::Manual(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_options() {
        let orphan = LocalReference {
            orphan: true,
            wait_unsynced: 300.0,
            ..LOCAL_DEFAULT
        };
        assert_eq!(parse_local(""), Some(LOCAL_DEFAULT));
        assert_eq!(parse_local("ORPHAN"), Some(orphan));
        let all = LocalReference {
            stratum: 5,
            distance: 0.5,
            orphan: true,
            activate: 0.1,
            wait_synced: 10.0,
            wait_unsynced: 20.0,
            ..LOCAL_DEFAULT
        };
        let text = "stratum 5 waitunsynced 20 distance 0.5 activate 0.1 waitsynced 10 orphan";
        assert_eq!(parse_local(text), Some(all));
        for bad in [
            "foo",
            "stratum",
            "stratum 0",
            "stratum 16",
            "stratum 5x",
            "distance x",
            "Off",
            "off x",
        ] {
            assert_eq!(parse_local(bad), None, "{bad}");
        }
    }
}
