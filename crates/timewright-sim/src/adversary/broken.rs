//! Servers and devices on paths that do not work: what they say must not be believed.

use super::dice::Dice;
use super::draft::{Draft, HostDraft};
use crate::oscillator::ClockModel;
use crate::spoil::{Fault, Spoil};
use crate::world::Action;
use std::fmt::Write as _;

/// Adds, now and then, servers that follow nobody and are far off, servers that have to refuse
/// requests, and paths on which responses are spoilt.
pub(super) fn add(draft: &mut Draft, dice: &mut Dice) {
    let client = draft.hosts.len() - 1;
    let servers = draft.hosts.iter().take_while(|h| !h.name.starts_with('c'));
    let servers = servers.count();
    for server in 0..servers {
        if dice.chance(0.3) {
            let spoil = spoil(draft, client, dice);
            let at_s = if dice.chance(0.3) {
                0.0
            } else {
                dice.between(0.0, draft.length_s)
            };
            let until_s = at_s + dice.scale(100.0, 10_000.0);
            let (from, to) = (Draft::id(server), Draft::id(client));
            draft.act(at_s, Action::Spoil(from, to, Some(spoil)));
            draft.act(until_s, Action::Spoil(from, to, None));
        }
        if dice.chance(0.1)
            && let Some(host) = draft.hosts.get_mut(server)
        {
            host.config += "ratelimit interval 5 burst 8 leak 3 kod 1\n";
        }
    }
    if dice.chance(0.3) {
        without_source(draft, client, dice);
    }
}

/// A server that has lost its sources, or never had any, and says so.
fn without_source(draft: &mut Draft, client: usize, dice: &mut Dice) {
    let name = format!("u{}", draft.hosts.len());
    if let Some(host) = draft.hosts.get_mut(client) {
        let _ = writeln!(host.config, "server {name} minpoll 4 maxpoll 6 iburst");
    }
    let mut host = HostDraft::new(name, "allow\n".to_owned());
    host.clock = ClockModel {
        offset_s: dice.sign() * dice.scale(0.01, 1e4),
        ..ClockModel::default()
    };
    draft.hosts.push(host);
}

fn spoil(draft: &Draft, client: usize, dice: &mut Dice) -> Spoil {
    let own = u32::try_from(client + 1).unwrap_or(0);
    let fault = *dice.pick(&[
        Fault::Leap,
        Fault::Leap,
        Fault::Stratum(0),
        Fault::Stratum(16),
        Fault::Stratum(255),
        Fault::RootDelay(40.0),
        Fault::RootDispersion(17.0),
        Fault::Version(0),
        Fault::Version(5),
        Fault::Mode(3),
        Fault::Mode(5),
        Fault::Held(4.5),
        Fault::Kiss,
        Fault::Kiss,
        Fault::NoReceive,
        Fault::NoTransmit,
        Fault::Origin,
        Fault::Loop(0x0a00_0000 | own),
    ]);
    // What is believed by mistake shall do damage, too. But root values come again in an extension
    // field, and only a server sees loops.
    let config = draft.hosts.get(client).map_or("", |host| &host.config);
    let shift_s = match fault {
        Fault::Held(_) | Fault::Kiss | Fault::Loop(_) => 0.0,
        Fault::RootDelay(_) | Fault::RootDispersion(_) if config.contains("F323") => 0.0,
        _ => dice.sign() * dice.scale(1e-3, 10.0),
    };
    Spoil {
        share: *dice.pick(&[0.1, 0.5, 1.0]),
        fault,
        shift_s,
    }
}
