//! Drawing simulations with expectations: honest sources, disturbed clients, liars.

use super::Kind;
use super::broken;
use super::chaos;
use super::dice::Dice;
use super::draft::{Draft, HostDraft, Lie};
use super::steady;
use crate::link::Link;
use crate::node::Stamps;
use crate::oscillator::ClockModel;
use crate::random::SimRng;
use crate::world::{Action, START_NS};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use timewright_control::Request;
use timewright_control::request::{Burst, MakeStepRule, SourceMask};
use timewright_time::{Cooked, NtpTimestamp, Seconds, Timestamp};

/// Stream of the seed that the drawing uses; the world uses the low ones.
const STREAM: u64 = 1 << 32;

/// 2008-12-31 20:00:00 UTC, four hours before a leap second.
const LEAP_START_S: i64 = 1_230_753_600;
const LEAP_AFTER_S: f64 = 14_400.0;

/// Draws the simulation of a seed.
pub(super) fn draft(seed: u64) -> Draft {
    let mut dice = Dice(SimRng::new(seed, STREAM));
    match dice.below(20) {
        0..7 => honest(seed, &mut dice),
        7..13 => disturbed(seed, &mut dice),
        13..16 => liars(seed, &mut dice),
        16 => steady::draft(seed, &mut dice),
        _ => chaos::draft(seed, &mut dice),
    }
}

/// Draws chaos.
pub(super) fn chaotic(seed: u64) -> Draft {
    chaos::draft(seed, &mut Dice(SimRng::new(seed, STREAM)))
}

/// Honest primaries, perhaps honest secondaries with wandering clocks, one or two clients.
fn honest(seed: u64, dice: &mut Dice) -> Draft {
    let mut draft = network(seed, Kind::Honest, dice);
    for _ in 0..dice.below(6) {
        weather(&mut draft, dice);
    }
    forgeries(&mut draft);
    broken::add(&mut draft, &mut Dice(SimRng::new(seed, STREAM + 2)));
    draft
}

/// The same with trouble for the last client.
fn disturbed(seed: u64, dice: &mut Dice) -> Draft {
    let mut draft = network(seed, Kind::Disturbed, dice);
    let leap = dice.chance(0.15);
    if leap {
        leap_second(&mut draft, dice);
    }
    for _ in 0..=dice.below(5) {
        match dice.below(3) {
            0 => weather(&mut draft, dice),
            _ => trouble(&mut draft, dice),
        }
    }
    forgeries(&mut draft);
    broken::add(&mut draft, &mut Dice(SimRng::new(seed, STREAM + 2)));
    draft
}

fn network(seed: u64, kind: Kind, dice: &mut Dice) -> Draft {
    let mut draft = Draft::new(seed, kind);
    draft.length_s = dice.scale(2500.0, 30_000.0);
    draft.sample_s = (draft.length_s / 2000.0).max(1.0);
    draft.default_link = dice.honest_link();
    let primaries = 1 + dice.below(4);
    for n in 0..primaries {
        draft.hosts.push(HostDraft::new(
            format!("s{n}"),
            "local stratum 1\nallow\n".to_owned(),
        ));
    }
    for n in 0..*dice.pick(&[0, 0, 1, 2]) {
        let mut config = String::from("allow\n");
        let sources = draft.hosts.len().min(1 + dice.below(3));
        for source in 0..sources {
            let name = draft.hosts.get(source).map_or("", |h| &h.name);
            let _ = writeln!(config, "server {name} minpoll 4 maxpoll 7");
        }
        let mut host = HostDraft::new(format!("m{n}"), config);
        host.clock = dice.honest_clock();
        draft.covered.push(draft.hosts.len());
        draft.hosts.push(host);
    }
    let servers = draft.hosts.len();
    for n in 0..1 + dice.below(2) {
        let config = client_config(&draft, servers, dice);
        let mut host = HostDraft::new(format!("c{n}"), config);
        host.clock = dice.honest_clock();
        host.stamps = *dice.pick(&[Stamps::Kernel, Stamps::Kernel, Stamps::Daemon]);
        host.load_dumps = dice.chance(0.4);
        host.leaves_clock_alone = dice.chance(0.05);
        draft.covered.push(draft.hosts.len());
        draft.hosts.push(host);
    }
    if dice.chance(0.15) {
        refclock(&mut draft, dice);
    }
    let client = draft.hosts.len() - 1;
    for server in 0..servers {
        if dice.chance(0.5) {
            let (up, down) = if dice.chance(0.3) {
                // Asymmetric in the constant part too: only the bound can know.
                (dice.honest_link(), dice.honest_link())
            } else {
                let link = dice.honest_link();
                (link, link)
            };
            draft.links.push((client, server, up));
            draft.links.push((server, client, down));
        }
    }
    draft
}

/// The last client has a reference clock, too.
fn refclock(draft: &mut Draft, dice: &mut Dice) {
    let Some(host) = draft.hosts.last_mut() else {
        return;
    };
    let noise_s = dice.scale(1e-7, 1e-3);
    host.refclock_noise_s = Some(noise_s);
    let _ = writeln!(
        host.config,
        "refclock SHM 0 poll {} filter {} delay {}{}",
        2 + dice.below(3),
        *dice.pick(&[4, 16]),
        1e-6 + 10.0 * noise_s,
        *dice.pick(&["", " prefer", " noselect", " dpoll 1"])
    );
}

/// Options that leave a source as honest as it is.
const SOURCE_OPTIONS: &[&str] = &[
    "iburst",
    "iburst",
    "burst",
    "xleave",
    "xleave",
    "filter 3",
    "filter 5",
    "presend 5",
    "minsamples 8",
    "minsamples 32",
    "maxsamples 6",
    "maxsamples 20",
    "maxdelay 0.3",
    "maxdelayratio 2",
    "maxdelaydevratio 3",
    "maxdelayquant 0.3",
    "polltarget 4",
    "polltarget 20",
    "prefer",
    "trust",
    "require",
    "version 3",
    "extfield F323",
    "extfield F324",
    "maxunreach 20",
    "auto_offline",
    "minpoll 0 maxpoll 3",
    "minpoll 2",
    "maxpoll 6",
    "minpoll 4 maxpoll 5",
];

/// Settings that do not change what is true.
const SETTINGS: &[&str] = &[
    "makestep 1 3",
    "makestep 0.1 -1",
    "makestep 0.001 1",
    "maxslewrate 500",
    "maxslewrate 50000",
    "maxupdateskew 5",
    "corrtimeratio 1",
    "corrtimeratio 100",
    "minsources 2",
    "combinelimit 0",
    "combinelimit 10",
    "smoothtime 400 0.01",
    "smoothtime 50000 0.1",
    "fallbackdrift 6 10",
    "driftfile /sim/drift interval 600",
    "dumpdir /sim",
    "acquisitionport 123",
    "acquisitionport 0",
    "log measurements statistics tracking selection",
    "reselectdist 0",
    "stratumweight 0.1",
    "maxjitter 0.01",
    "maxdistance 0.1",
    "maxdrift 500",
    "allow",
    "manual",
    "clientloglimit 65536",
    "local stratum 10",
    "local stratum 7 orphan",
    "local stratum 9 activate 0.005 waitunsynced 500",
    "local stratum 8 distance 0.003 waitsynced 300",
];

fn options(dice: &mut Dice) -> String {
    let mut text = String::new();
    for option in SOURCE_OPTIONS {
        let clashes = option.contains("poll ") && text.contains("poll ");
        if !clashes && dice.chance(0.1) {
            let _ = write!(text, " {option}");
        }
    }
    text
}

fn client_config(draft: &Draft, servers: usize, dice: &mut Dice) -> String {
    let mut config = String::new();
    let first = dice.below(servers);
    for (index, host) in draft.hosts.iter().take(servers).enumerate() {
        if index == first || dice.chance(0.6) {
            let _ = writeln!(config, "server {}{}", host.name, options(dice));
        }
    }
    for setting in SETTINGS {
        if dice.chance(0.1) {
            config += setting;
            config.push('\n');
        }
    }
    config
}

/// Something on the paths, or a request that does not touch the clock.
fn weather(draft: &mut Draft, dice: &mut Dice) {
    let client = draft.hosts.len() - 1;
    let at_s = dice.between(0.0, draft.length_s);
    let id = Draft::id(client);
    match dice.below(8) {
        0..4 => {
            let other = Draft::id(dice.below(client));
            let link = dice.honest_link();
            let (from, to) = if dice.chance(0.5) {
                (id, other)
            } else {
                (other, id)
            };
            draft.act(at_s, Action::SetLink(from, to, link));
        }
        4 => {
            let until_s = at_s + dice.scale(10.0, 3000.0);
            draft.act(at_s, Action::SetRouted(id, false));
            draft.act(until_s, Action::SetRouted(id, true));
        }
        5 => {
            let until_s = at_s + dice.scale(10.0, 3000.0);
            draft.act(at_s, Action::Command(id, Request::Offline(SourceMask::ALL)));
            draft.act(
                until_s,
                Action::Command(id, Request::Online(SourceMask::ALL)),
            );
        }
        6 => {
            let burst = Burst {
                sources: SourceMask::ALL,
                good: 4,
                total: 8,
            };
            draft.act(at_s, Action::Command(id, Request::Burst(burst)));
        }
        _ => {
            let request = dice
                .pick(&[
                    Request::Reselect,
                    Request::Refresh,
                    Request::Dump,
                    Request::MakeStep,
                    Request::ModifyMaxUpdateSkew(10.0),
                    Request::ModifyMakeStep(MakeStepRule {
                        limit: 2,
                        threshold: 0.01,
                    }),
                ])
                .clone();
            draft.act(at_s, Action::Command(id, request));
        }
    }
}

/// Smaller steps from outside are not noticed as such.
const NOTICED_S: f64 = 0.02;

/// Something that the clock or the daemon of the last client cannot foresee.
fn trouble(draft: &mut Draft, dice: &mut Dice) {
    let client = draft.hosts.len() - 1;
    let id = Draft::id(client);
    let at_s = dice.between(300.0, draft.length_s);
    match dice.below(8) {
        0 | 1 => {
            let (low, high) = *dice.pick(&[(1e-3, 1.0), (1.0, 9.0), (12.0, 1e4)]);
            let by = dice.sign() * dice.scale(low, high);
            draft.fault(at_s, client, Action::StepClock(id, Seconds(by)));
            if by.abs() < NOTICED_S {
                draft.unnoticed.push((client, at_s));
            }
        }
        2 => {
            let time = Seconds(dice.scale(1.0, 2000.0));
            draft.fault(at_s, client, Action::Suspend(id, time));
            draft.faults.push((client, at_s + time.0));
        }
        3 => {
            let time = Seconds(dice.scale(1.0, 1000.0));
            draft.fault(at_s, client, Action::Pause(id, time));
            draft.faults.push((client, at_s + time.0));
        }
        4 | 5 => {
            let away_s = dice.scale(1.0, 2000.0);
            let end = if dice.chance(0.5) {
                Action::Shutdown(id)
            } else {
                Action::Kill(id)
            };
            draft.fault(at_s, client, end);
            draft.fault(at_s + away_s, client, Action::Start(id));
        }
        6 => {
            let ppm = dice.sign() * dice.scale(0.1, 50.0);
            let request = Request::ChangeFrequency(ppm);
            draft.fault(at_s, client, Action::Command(id, request));
            draft.unnoticed.push((client, at_s));
        }
        _ => {
            let by = dice.sign() * dice.scale(1e-4, 1.0);
            let request = Request::ChangeOffset(by);
            draft.fault(at_s, client, Action::Command(id, request));
            draft.unnoticed.push((client, at_s));
        }
    }
}

/// Somebody who cannot see the traffic sends responses in the name of the servers to a client that
/// always uses the same port. All they lack is the origin time stamp.
fn forgeries(draft: &mut Draft) {
    const FORGERIES: usize = 60;
    let mut dice = Dice(SimRng::new(draft.seed, STREAM + 1));
    let client = draft.hosts.len() - 1;
    let start_s = draft.start_s.unwrap_or(START_NS / 1_000_000_000);
    let Some(host) = draft.hosts.last_mut().filter(|_| dice.chance(0.4)) else {
        return;
    };
    if !host.config.contains("acquisitionport") {
        host.config += "acquisitionport 123\n";
    }
    for _ in 0..FORGERIES {
        let server = dice.below(client);
        let at_s = dice.between(0.0, draft.length_s);
        let now = Timestamp::<Cooked>::from_parts(start_s, 0) + Seconds(at_s + dice.normal());
        let stamp = NtpTimestamp::from_timestamp(now).0.to_be_bytes();
        // Version 4, mode 4, stratum 1, no delay or dispersion; the origin is guessed.
        let mut bytes = vec![0x24, 1, 6, 0xe9];
        bytes.resize(16, 0);
        bytes.extend(stamp);
        bytes.extend(dice.bytes(8));
        bytes.extend(stamp);
        bytes.extend(stamp);
        let action = Action::Inject {
            from: address(server),
            to: address(client),
            bytes,
        };
        draft.act(at_s, action);
    }
}

/// The NTP port of a host.
fn address(host: usize) -> SocketAddr {
    let n = u8::try_from(host + 1).unwrap_or(u8::MAX);
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, n)), 123)
}

/// A leap second that the primaries follow and a list announces to everybody else.
fn leap_second(draft: &mut Draft, dice: &mut Dice) {
    let leap: i8 = if dice.chance(0.5) { 1 } else { -1 };
    let (before, after) = if leap > 0 { (33, 34) } else { (35, 34) };
    let at_s = LEAP_AFTER_S - if leap > 0 { 0.0 } else { 1.0 };
    draft.start_s = Some(LEAP_START_S);
    draft.length_s = draft.length_s.max(LEAP_AFTER_S + 4000.0);
    draft.act(at_s, Action::Leap(leap));
    // Not `ignore`: secondaries would serve a second of error.
    let mode = *dice.pick(&["system", "step", "slew"]);
    let names: Vec<bool> = draft
        .hosts
        .iter()
        .map(|h| h.name.starts_with('s'))
        .collect();
    for (index, primary) in names.into_iter().enumerate() {
        if primary {
            let by = Seconds(-f64::from(leap));
            draft.act(at_s, Action::StepClock(Draft::id(index), by));
        } else if let Some(host) = draft.hosts.get_mut(index) {
            draft.faults.push((index, at_s - 1.0));
            draft.faults.push((index, LEAP_AFTER_S + 2.0));
            let _ = writeln!(host.config, "leapsecmode {mode}\nleapseclist /sim/leap");
            // A clock that is seconds off has its midnight at another time.
            host.clock.offset_s = host.clock.offset_s.clamp(-0.1, 0.1);
            host.leap_list = Some(
                format!(
                    "#$\t3535228800\n#@\t4102444800\n3345062400\t{before}\n3439756800\t{after}\n\
                     3535228800\t34\n3550089600\t35\n"
                )
                .into_bytes(),
            );
        }
    }
}

/// Honest primaries and no more liars than those, one client that treats all alike.
fn liars(seed: u64, dice: &mut Dice) -> Draft {
    let mut draft = Draft::new(seed, Kind::Liars);
    draft.length_s = dice.scale(4000.0, 12_000.0);
    draft.sample_s = 4.0;
    let delay_s = dice.scale(1e-5, 5e-3);
    draft.default_link = Link::exponential(delay_s, delay_s * dice.scale(0.01, 1.0));
    let honest = 1 + dice.below(3);
    let lying = 1 + dice.below(honest);
    let drags = dice.chance(0.5);
    let at_s = dice.between(1500.0, 2500.0);
    let lie = Lie {
        at_s,
        jump_s: if drags {
            0.0
        } else {
            dice.sign() * dice.scale(0.1, 1e3)
        },
        drag: if drags {
            dice.sign() * dice.scale(1e-6, 1e-3)
        } else {
            0.0
        },
    };
    // Order is no help.
    let mut roles: Vec<bool> = vec![false; honest];
    for _ in 0..lying {
        roles.insert(dice.below(roles.len() + 1), true);
    }
    let mut config = String::new();
    for (n, &liar) in roles.iter().enumerate() {
        let name = format!("{}{n}", if liar { "l" } else { "s" });
        let _ = writeln!(
            config,
            "server {name} minpoll 4 maxpoll 6{}",
            *dice.pick(&["", " iburst", " xleave"])
        );
        draft
            .hosts
            .push(HostDraft::new(name, "local stratum 1\nallow\n".to_owned()));
        if liar {
            tell_lies(&mut draft, n, lie);
        }
    }
    config += *dice.pick(&[
        "",
        "makestep 0.1 -1\n",
        "maxslewrate 1000\n",
        "maxchange 0.001 3 -1\n",
    ]);
    let mut client = HostDraft::new("c0".to_owned(), config);
    client.clock = ClockModel {
        offset_s: dice.normal() * 0.01,
        freq_ppm: dice.normal() * 10.0,
        wander: 1e-10,
        ..ClockModel::default()
    };
    draft.hosts.push(client);
    draft.lie = Some(lie);
    draft
}

/// A liar's clock jumps, or is pushed a little every few seconds.
fn tell_lies(draft: &mut Draft, host: usize, lie: Lie) {
    const PUSH_S: f64 = 4.0;
    let id = Draft::id(host);
    if lie.jump_s.abs() > 0.0 {
        draft.act(lie.at_s, Action::StepClock(id, Seconds(lie.jump_s)));
        return;
    }
    let mut at_s = lie.at_s;
    while at_s < draft.length_s {
        draft.act(at_s, Action::StepClock(id, Seconds(lie.drag * PUSH_S)));
        at_s += PUSH_S;
    }
}
