//! Anything goes: nothing is expected of the clocks, everything of the checks at every step.

use super::Kind;
use super::dice::Dice;
use super::draft::{Draft, HostDraft};
use crate::link::{Jitter, Link, Pass};
use crate::node::Stamps;
use crate::oscillator::ClockModel;
use crate::scenario::Families;
use crate::world::{Action, NodeId, START_NS};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use timewright_control::Request;
use timewright_control::request::{Burst, MakeStepRule, SmoothAction, SourceMask, Subnet};
use timewright_time::{Cooked, Seconds, Timestamp};

/// Hosts whose names are many enough for a pool.
const HOSTS_MAX: usize = 6;

/// Draws a network in which nothing can be relied upon.
pub(super) fn draft(seed: u64, dice: &mut Dice) -> Draft {
    let mut draft = Draft::new(seed, Kind::Chaos);
    draft.length_s = dice.scale(1000.0, 8000.0);
    draft.sample_s = 20.0;
    draft.default_link = link(dice);
    if dice.chance(0.2) {
        draft.families = Families::Both;
    }
    let hosts = 2 + dice.below(HOSTS_MAX - 1);
    for own in 0..hosts {
        let mut host = HostDraft::new(format!("h{own}"), config(own, hosts, dice));
        host.clock = clock(dice);
        host.stamps = *dice.pick(&[Stamps::Kernel, Stamps::Kernel, Stamps::Daemon]);
        host.load_dumps = dice.chance(0.3);
        host.leaves_clock_alone = dice.chance(0.1);
        draft.hosts.push(host);
    }
    for _ in 0..dice.below(60) {
        let at_s = dice.between(0.0, draft.length_s);
        let action = action(hosts, dice);
        draft.act(at_s, action);
    }
    if dice.chance(0.25) {
        operator(&mut draft, dice);
    }
    draft
}

/// Somebody looks at a clock on the wall and types what it shows.
fn operator(draft: &mut Draft, dice: &mut Dice) {
    let host = dice.below(draft.hosts.len());
    if let Some(host) = draft.hosts.get_mut(host) {
        host.config += "manual\n";
    }
    for _ in 0..6 {
        let at_s = dice.between(0.0, draft.length_s);
        let wall = Timestamp::<Cooked>::from_ns(START_NS) + Seconds(at_s + 0.3 * dice.normal());
        let request = Request::SetTime(wall.into());
        draft.act(at_s, Action::Command(Draft::id(host), request));
    }
}

fn link(dice: &mut Dice) -> Link {
    let rarely = |dice: &mut Dice, p: f64| if dice.chance(0.2) { p } else { 0.0 };
    Link {
        delay_s: dice.scale(1e-5, 1.0),
        jitter_s: dice.scale(1e-6, 0.1),
        jitter: *dice.pick(&[
            Jitter::Exponential,
            Jitter::Uniform,
            Jitter::Pareto { shape: 1.2 },
        ]),
        loss: rarely(dice, 0.3),
        duplicate: rarely(dice, 0.3),
        reorder: rarely(dice, 0.3),
        hold_s: dice.between(0.0, 100.0),
        corrupt: rarely(dice, 0.2),
        truncate: rarely(dice, 0.2),
        pass: *dice.pick(&[
            Pass::Always,
            Pass::Always,
            Pass::Always,
            Pass::Every(3),
            Pass::Window {
                period_s: 2000.0,
                open_s: 900.0,
            },
        ]),
    }
}

fn clock(dice: &mut Dice) -> ClockModel {
    ClockModel {
        offset_s: dice.normal() * *dice.pick(&[0.0, 1e-3, 1.0, 1e5]),
        freq_ppm: dice.normal() * *dice.pick(&[0.0, 10.0, 500.0]),
        wander: *dice.pick(&[0.0, 1e-9, 1e-7]),
        sine_ppm: *dice.pick(&[0.0, 1.0]),
        sine_period_s: 3000.0,
        ..ClockModel::default()
    }
}

const SOURCE_OPTIONS: &[&str] = &[
    "iburst",
    "burst",
    "xleave",
    "minpoll 0 maxpoll 4",
    "minpoll 4",
    "maxpoll 6",
    "filter 3",
    "presend 5",
    "noselect",
    "prefer",
    "trust",
    "require",
    "offline",
    "auto_offline",
    "maxdelay 0.1",
    "maxdelayratio 2",
    "maxdelayquant 0.5",
    "maxsamples 8",
    "minsamples 16",
    "polltarget 3",
    "offset 0.1",
    "asymmetry 0.3",
    "copy",
    "extfield F323",
    "version 3",
    "maxunreach 10",
];

const SETTINGS: &[&str] = &[
    "makestep 1 3",
    "makestep 0.01 -1",
    "maxchange 10 2 5",
    "maxslewrate 500",
    "maxupdateskew 10",
    "corrtimeratio 30",
    "minsources 2",
    "combinelimit 0",
    "local stratum 7 orphan waitunsynced 100",
    "local stratum 9 activate 0.1 waitunsynced 50",
    "local stratum 8 distance 0.01 waitsynced 100",
    "minstratum 2",
    "maxstratum 4",
    "smoothtime 400 0.01",
    "fallbackdrift 6 10",
    "ratelimit interval 3 burst 4 leak 2 kod 2",
    "noclientlog",
    "clientloglimit 65536",
    "acquisitionport 123",
    "acquisitionport 0",
    "driftfile /sim/drift interval 600",
    "dumpdir /sim",
    "log measurements statistics tracking selection rawmeasurements",
    "initstepslew 10 h0",
    "reselectdist 0",
    "stratumweight 0",
    "manual",
    "leapsecmode slew",
    "maxdistance 0.5",
    "maxjitter 0.1",
    "broadcast 30 10.0.0.1",
];

fn config(own: usize, hosts: usize, dice: &mut Dice) -> String {
    let mut text = String::from("allow\n");
    if own == 0 || dice.chance(0.2) {
        text += "local stratum 3\n";
    }
    for other in (0..hosts).filter(|&h| h != own) {
        if !dice.chance(0.6) {
            continue;
        }
        let kind = *dice.pick(&["server", "server", "server", "peer", "pool"]);
        let name = if kind == "pool" && dice.chance(0.5) {
            "pool".to_owned()
        } else {
            format!("h{other}")
        };
        let _ = write!(text, "{kind} {name}");
        for option in SOURCE_OPTIONS {
            if dice.chance(0.12) {
                let _ = write!(text, " {option}");
            }
        }
        text.push('\n');
    }
    for line in SETTINGS {
        if dice.chance(0.12) {
            text += line;
            text.push('\n');
        }
    }
    text
}

fn request(dice: &mut Dice) -> Request {
    let everywhere = Subnet {
        address: timewright_control::Address::Unspecified,
        bits: 0,
    };
    let requests = [
        Request::Online(SourceMask::ALL),
        Request::Offline(SourceMask::ALL),
        Request::OnOffline,
        Request::Burst(Burst {
            sources: SourceMask::ALL,
            good: 4,
            total: 8,
        }),
        Request::MakeStep,
        Request::ModifyMakeStep(MakeStepRule {
            limit: 3,
            threshold: 0.1,
        }),
        Request::Reselect,
        Request::ResetSources,
        Request::Refresh,
        Request::Dump,
        Request::Deny(everywhere.clone()),
        Request::Allow(everywhere),
        Request::ChangeFrequency(3.0),
        Request::ChangeOffset(0.01),
        Request::ModifyMaxUpdateSkew(100.0),
        Request::Tracking,
        Request::SourceStats(0),
        Request::SelectData(1),
        Request::ServerStats,
        Request::Activity,
        Request::ReloadSources,
        Request::Rekey,
        Request::CycleLogs,
        Request::SetTime(timewright_control::Timespec::default()),
        Request::SmoothTime(SmoothAction::Reset),
        Request::SmoothTime(SmoothAction::Activate),
    ];
    dice.pick(&requests).clone()
}

fn action(hosts: usize, dice: &mut Dice) -> Action {
    let id = NodeId(dice.below(hosts));
    let other = NodeId(dice.below(hosts));
    match dice.below(10) {
        0 => Action::StepClock(id, Seconds(dice.normal() * *dice.pick(&[0.1, 20.0, 1e6]))),
        1 => Action::SetLink(id, other, link(dice)),
        2 => Action::SetRouted(id, dice.chance(0.5)),
        3 => Action::Shutdown(id),
        4 => Action::Kill(id),
        5 => Action::Start(id),
        6 => Action::Pause(id, Seconds(dice.between(0.0, 200.0))),
        7 => Action::Suspend(id, Seconds(dice.between(0.0, 200.0))),
        8 => {
            let len = dice.below(200);
            let host = |n: usize| {
                let n = u8::try_from(n + 1).unwrap_or(u8::MAX);
                SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, n)), 123)
            };
            let mut bytes = dice.bytes(len);
            // Often enough a version and mode that get further.
            if let Some(first) = bytes.first_mut()
                && dice.chance(0.8)
            {
                *first = *dice.pick(&[0x23, 0x1b, 0x24, 0x21, 0x22, 0x25, 0xe4]);
            }
            Action::Inject {
                from: host(other.0),
                to: host(id.0),
                bytes,
            }
        }
        _ => Action::Command(id, request(dice)),
    }
}
