//! The usual networks and the usual checks (`scenarios.md` 1).
#![allow(dead_code, reason = "every test program uses its part")]
#![allow(clippy::indexing_slicing, reason = "a failed index fails the test")]

use timewright_sim::{ClockModel, Report, Scenario};

/// The client's clock unless said otherwise: 0.1 s and 100 ppm wrong, wandering slowly.
pub(crate) const CLOCK: ClockModel = clock(0.1, 100.0, 1e-9);

/// Share of the time for which the claimed bound has to hold in every single run.
pub(crate) const COVERED: f64 = 0.999;

/// A clock this fast, s and ppm, with this random walk of its frequency.
pub(crate) const fn clock(offset_s: f64, freq_ppm: f64, wander: f64) -> ClockModel {
    ClockModel {
        offset_s,
        freq_ppm,
        wander,
        ..ClockModel::PERFECT
    }
}

/// A perfect server and a client with [`CLOCK`]; `client` is added to its configuration.
pub(crate) fn one_server(client: &str) -> Scenario {
    servers(1, client)
}

/// Perfect servers `s1`, `s2`, ... and a client `c` with [`CLOCK`] that uses all of them.
pub(crate) fn servers(count: usize, client: &str) -> Scenario {
    servers_with(count, "", client)
}

/// [`servers`] with options on the source lines.
pub(crate) fn servers_with(count: usize, options: &str, client: &str) -> Scenario {
    let mut scenario = Scenario::new();
    let mut config = "deny\n".to_owned();
    for i in 1..=count {
        let name = format!("s{i}");
        scenario = scenario.node(&name, "local stratum 1\nallow\n");
        config += &format!("server {name} {options}\n");
    }
    scenario.node("c", &(config + client)).clock("c", CLOCK)
}

/// What a synchronised clock has to keep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// When offset and frequency error have come to stay within their maxima, seconds.
    pub(crate) sync_s: (f64, f64),
    /// Largest offset after that, s.
    pub(crate) max_offset_s: f64,
    /// Root mean square of the offset after the window for `sync_s`.
    pub(crate) rms_offset_s: f64,
    /// Largest frequency error, s/s.
    pub(crate) max_freq: f64,
    /// Root mean square of it.
    pub(crate) rms_freq: f64,
}

/// The bounds of `scenarios.md` 1.2.
pub(crate) const BOUNDS: Bounds = Bounds {
    sync_s: (120.0, 210.0),
    max_offset_s: 1e-3,
    rms_offset_s: 3e-4,
    max_freq: 5e-4,
    rms_freq: 1e-5,
};

impl Bounds {
    pub(crate) const fn sync(self, from_s: f64, to_s: f64) -> Self {
        Self {
            sync_s: (from_s, to_s),
            ..self
        }
    }

    pub(crate) const fn offset(self, max_s: f64, rms_s: f64) -> Self {
        Self {
            max_offset_s: max_s,
            rms_offset_s: rms_s,
            ..self
        }
    }

    pub(crate) const fn freq(self, max: f64, rms: f64) -> Self {
        Self {
            max_freq: max,
            rms_freq: rms,
            ..self
        }
    }

    /// Why a host was not synchronised within the bounds, if it was not.
    fn violation(&self, report: &Report, host: &str) -> Option<String> {
        let settled = report.settled_after(host, self.max_offset_s, self.max_freq);
        let (from, to) = self.sync_s;
        if settled.is_none_or(|s| s < from || s > to) {
            return Some(format!("settled after {settled:?} s, not {from} to {to}"));
        }
        let seen = report.summary(host, to);
        (seen.rms_offset_s > self.rms_offset_s || seen.rms_freq > self.rms_freq)
            .then(|| format!("{seen:?}"))
    }

    #[track_caller]
    pub(crate) fn check(&self, report: &Report, host: &str) {
        if let Some(why) = self.violation(report, host) {
            panic!("{host}: {why}\n{}", tail(report, host));
        }
    }

    #[track_caller]
    pub(crate) fn check_not(&self, report: &Report, host: &str) {
        let why = self.violation(report, host);
        assert!(why.is_some(), "{host} must not be synchronised");
    }
}

/// A source was selected, and the selection never failed.
#[track_caller]
pub(crate) fn selects(report: &Report, host: &str) {
    assert!(
        selection_is_fine(report, host),
        "{host}:\n{}",
        tail(report, host)
    );
}

#[track_caller]
pub(crate) fn does_not_select(report: &Report, host: &str) {
    assert!(!selection_is_fine(report, host), "{host} must not select");
}

fn selection_is_fine(report: &Report, host: &str) -> bool {
    let node = report.node(host);
    !node.logged("Selected source").is_empty()
        && node.logged("no majority").is_empty()
        && node.logged("no selectable sources").is_empty()
}

/// Packets are neither too many nor too close (`scenarios.md` 1.2, "interval").
#[track_caller]
pub(crate) fn keeps_intervals(report: &Report, host: &str, servers: &[&str]) {
    let mut sent: Vec<f64> = Vec::new();
    let mut received = 0;
    for server in servers {
        sent.extend(report.packets(host, server).map(|p| p.at_s));
        received += report.packets(server, host).count();
    }
    sent.sort_by(f64::total_cmp);
    let shortest = sent
        .windows(2)
        .map(|w| w[1] - w[0])
        .fold(f64::MAX, f64::min);
    let least = if servers.len() > 1 { 0.18 } else { 1.8 };
    assert!(
        shortest >= least,
        "{host}: {shortest} s between two packets"
    );
    assert!(received <= sent.len(), "{received} for {}", sent.len());
}

/// The messages containing a text, as many as wanted.
#[track_caller]
pub(crate) fn logs(
    report: &Report,
    host: &str,
    text: &str,
    times: std::ops::RangeInclusive<usize>,
) {
    let found = report.node(host).logged(text).len();
    assert!(
        times.contains(&found),
        "{host}: {found} x {text:?}, not {times:?}\n{}",
        tail(report, host)
    );
}

/// The last messages of a host.
pub(crate) fn tail(report: &Report, host: &str) -> String {
    let text = report.log_text(host);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
