//! A client of good servers over good paths, which nothing disturbs: its estimate has to be as good
//! as that allows.

use super::Kind;
use super::dice::Dice;
use super::draft::{Draft, HostDraft, Steady};
use crate::link::{Jitter, Link};
use crate::oscillator::ClockModel;
use std::fmt::Write as _;

/// Draws paths of one kind with little constant delay, so that jitter is all there is, in one
/// direction or in both.
pub(super) fn draft(seed: u64, dice: &mut Dice) -> Draft {
    let mut draft = Draft::new(seed, Kind::Steady);
    draft.length_s = 12_000.0;
    draft.sample_s = 4.0;
    let jitter_s = dice.scale(1e-3, 1e-2);
    let link = Link {
        delay_s: 0.01 * jitter_s,
        jitter_s,
        jitter: *dice.pick(&[Jitter::Exponential, Jitter::HalfNormal, Jitter::Uniform]),
        ..Link::default()
    };
    // As the option: how much of the jitter is that of the responses, -0.5 to 0.5.
    let asymmetry = *dice.pick(&[-0.5, -0.5, 0.0, 0.5, 0.5]);
    let (up, down) = link.asymmetric(asymmetry);
    let option = match dice.below(3) {
        0 => String::new(),
        _ => format!(" asymmetry {asymmetry}"),
    };
    let servers = 1 + dice.below(2);
    let mut config = String::new();
    for n in 0..servers {
        let name = format!("s{n}");
        let _ = writeln!(config, "server {name} minpoll 4 maxpoll 4{option}");
        let server = HostDraft::new(name, "local stratum 1\nallow\n".to_owned());
        draft.hosts.push(server);
        draft.links.push((servers, n, up));
        draft.links.push((n, servers, down));
    }
    let mut client = HostDraft::new("c0".to_owned(), config);
    client.clock = ClockModel {
        offset_s: dice.normal() * 0.01,
        freq_ppm: dice.normal() * 10.0,
        wander: 1e-10,
        ..ClockModel::default()
    };
    draft.hosts.push(client);
    draft.steady = Some(Steady {
        client: servers,
        jitter_s,
        asymmetry,
        told: !option.is_empty(),
    });
    draft
}
