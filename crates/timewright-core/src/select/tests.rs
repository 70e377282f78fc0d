//! Selection as a whole.

mod behaviour;
mod dumps;
mod golden_runs;
mod random;
mod statuses;

use super::*;
use crate::stats::StatsConfig;

const START_S: i64 = 1_700_000_000;

/// A selector with a clock, and what it said.
struct Bench {
    selector: Selector,
    cx: SelectContext,
    out: Vec<SelectAction>,
}

/// A source under test.
#[derive(Clone, Copy)]
struct Probe {
    kind: SourceKind,
    options: &'static str,
    authenticated: bool,
    active: bool,
}

const NTP: Probe = Probe {
    kind: SourceKind::Ntp,
    options: "",
    authenticated: false,
    active: true,
};

const REFCLOCK: Probe = Probe {
    kind: SourceKind::Refclock,
    ..NTP
};

fn options(letters: &str) -> SelectOptions {
    SelectOptions {
        noselect: letters.contains('N'),
        prefer: letters.contains('P'),
        trust: letters.contains('T'),
        require: letters.contains('R'),
    }
}

impl Bench {
    fn new(config: SelectConfig) -> Self {
        Self {
            selector: Selector::new(config),
            cx: SelectContext {
                now: Timestamp::from_parts(START_S, 0),
                normal_mode: true,
                orphan_stratum: 16,
            },
            out: Vec::new(),
        }
    }

    /// With sources numbered from 0.
    fn with(config: SelectConfig, probes: &[Probe]) -> Self {
        let mut bench = Self::new(config);
        for (i, probe) in (0..).zip(probes) {
            bench.add(i, probe);
        }
        bench
    }

    fn add(&mut self, i: u32, probe: &Probe) {
        let added = self.selector.add(
            SourceId(i),
            SourceSetup {
                kind: probe.kind,
                ref_id: 0x0A00_0001 + i,
                name: match probe.kind {
                    SourceKind::Ntp => {
                        SourceName::ntp(&format!("10.0.0.{}", i + 1), &format!("ntp{i}.test"))
                    }
                    SourceKind::Refclock => SourceName::refclock("PPS"),
                },
                authenticated: probe.authenticated,
                options: options(probe.options),
                max_unreachable: 100_000,
                stats: StatsConfig::new(6, 0, Seconds(1e-7)),
            },
        );
        assert!(added, "{i} is a new id");
        self.selector.set_active(SourceId(i), probe.active);
    }

    /// One answered poll: the local clock is `fast` seconds fast of source `i`, give or take
    /// `error`. The sample is of now.
    fn poll(&mut self, i: u32, fast: f64, error: f64) {
        let Self { selector, cx, out } = self;
        let id = SourceId(i);
        selector.update_reachability(id, true, cx, out);
        selector.update_status(id, 1, Leap::Normal, false, out);
        let sample = Sample {
            time: cx.now,
            offset: Seconds(-fast),
            peer_delay: Seconds(error),
            peer_dispersion: Seconds(1e-7),
            root_delay: Seconds(error),
            root_dispersion: Seconds(error / 2.0),
        };
        selector.accumulate(id, sample, false, out);
        selector.select(cx, Some(id), out);
    }

    /// Time passes.
    fn wait(&mut self, s: f64) {
        self.cx.now += Seconds(s);
    }

    /// `rounds` of answered polls 16 s apart, source i being `fast[i]` with an error of 10 ms.
    fn rounds(&mut self, rounds: usize, fast: &[f64]) {
        for round in 0..rounds {
            self.wait(16.0);
            for (i, fast) in (0..).zip(fast) {
                let jitter = if round % 2 == 0 { 1e-6 } else { -1e-6 };
                self.poll(i, fast + jitter, 0.01);
            }
        }
    }

    /// An unanswered poll of source `i`.
    fn miss(&mut self, i: u32) {
        self.selector
            .update_reachability(SourceId(i), false, &self.cx, &mut self.out);
    }

    fn letters(&self) -> String {
        let sources = self.selector.sources.iter();
        sources.map(|source| source.status.letter()).collect()
    }

    /// The messages since the last call.
    fn messages(&mut self) -> Vec<String> {
        let texts = self.out.iter().filter_map(|action| match action {
            SelectAction::Log(event) => Some(event.to_string()),
            _ => None,
        });
        let texts = texts.collect();
        self.out.clear();
        texts
    }
}
