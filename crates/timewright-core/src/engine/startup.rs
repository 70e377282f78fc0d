//! The order of the start: `initstepslew`, readiness, sources, and the ends of special modes
//! (`daemon-and-files.md` 2, `ntp-engine.md` 6.6, `discipline.md` 8.13).

use super::{Context, Engine, Purpose};
use crate::event::Event;
use crate::output::{Exit, Family, FamilyFilter, Output};
use crate::reference::Mode;
use crate::source::{ConfId, NewSource, Origin, SourceConfig, SourceKind};
use crate::timers::Timer;
use std::collections::BTreeMap;
use timewright_config::SourceSpec;
use timewright_time::{Now, Seconds};

/// The pause between the end of `initstepslew` and normal operation.
const INIT_STEP_PAUSE: Seconds = Seconds(2.0);
/// The port of its hosts.
const NTP_PORT: u16 = 123;

/// How far the start has come.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Nothing was begun.
    Starting,
    /// The hosts of `initstepslew` are asked.
    InitStepSlew(Vec<ConfId>),
    /// Readiness was announced.
    Ready,
    /// Sources were added and their names are being resolved for the first time.
    Resolving,
    /// Sources are started as they are added.
    Running,
}

impl Phase {
    /// Whether the configured sources are yet to be added.
    pub(super) const fn is_before_sources(&self) -> bool {
        match self {
            Self::Starting | Self::InitStepSlew(_) | Self::Ready => true,
            Self::Resolving | Self::Running => false,
        }
    }
}

impl Engine {
    pub(super) fn begin_startup(&mut self, cx: &mut Context<'_>) {
        let hosts: Vec<_> = self
            .config
            .initstepslew
            .iter()
            .flat_map(|init| &init.hosts)
            .filter_map(|host| {
                let address = host
                    .parse()
                    .ok()
                    .or_else(|| self.boot.hosts.get(host).copied());
                if address.is_none() {
                    cx.out.log(Event::warning(format_args!(
                        "Could not resolve address of initstepslew server {host}"
                    )));
                }
                address
            })
            .collect();
        let threshold = self.config.initstepslew.as_ref().map(|init| init.threshold);
        let (Some(threshold), false) = (threshold, hosts.is_empty()) else {
            self.announce_ready(cx);
            return;
        };
        let mut added = Vec::new();
        for host in hosts {
            let new = NewSource {
                name: host.to_string(),
                kind: SourceKind::Server,
                port: NTP_PORT,
                families: FamilyFilter::Any,
                config: SourceConfig {
                    iburst: true,
                    ..SourceConfig::default()
                },
            };
            let result = self.with_table(cx, |table, env| table.add(&new, Origin::Config, env));
            added.extend(result.map(|done| done.conf));
        }
        self.settle(cx);
        if self.boot.purpose == Purpose::Daemon {
            self.reference.set_mode(Mode::InitStepSlew { threshold });
        }
        self.phase = Phase::InitStepSlew(added);
        self.with_table(cx, |table, env| table.start_all(env));
        self.settle(cx);
        self.give_up_without_sources(cx);
    }

    fn announce_ready(&mut self, cx: &mut Context<'_>) {
        self.phase = Phase::Ready;
        cx.out.push(Output::Ready);
    }

    /// The driver has announced readiness ([`Output::Ready`]): adds the configured sources and
    /// begins to resolve their names.
    pub fn handle_ready(&mut self, now: Now, cx: &mut Context<'_>) {
        if !matches!(self.phase, Phase::Ready) {
            return;
        }
        self.begin(now);
        self.phase = Phase::Resolving;
        for spec in self.config.sources.iter().chain(&self.boot.fragments) {
            if spec.options.nts && spec.kind == timewright_config::SourceKind::Peer {
                cx.out.log(Event::warning("NTS not supported with peers"));
            }
        }
        let configured: Vec<_> = self.config.sources.iter().map(new_source).collect();
        self.with_table(cx, |table, env| table.add_configured(&configured, env));
        self.settle(cx);
        self.start_broadcasts(cx);
        // Ends with a round of lookups over both kinds of sources.
        let fragments = self.boot.fragments.iter().map(new_source).collect();
        self.with_table(cx, |table, env| table.reload(fragments, env));
        self.settle(cx);
        self.start_when_resolved(cx);
    }

    /// After the first round of lookups all sources are started; later ones start by themselves.
    pub(super) fn start_when_resolved(&mut self, cx: &mut Context<'_>) {
        let finished = self.table.take_resolving_finished();
        if !finished || !matches!(self.phase, Phase::Resolving) {
            return;
        }
        self.phase = Phase::Running;
        cx.out.push(Output::SourcesStarted);
    }

    /// The driver has loaded and removed the dump files ([`Output::SourcesStarted`]); polling
    /// begins.
    pub fn handle_sources_started(
        &mut self,
        now: Now,
        dumps: &BTreeMap<String, String>,
        cx: &mut Context<'_>,
    ) {
        self.begin(now);
        self.load_dumps(dumps, cx);
        self.start_refclocks();
        self.with_table(cx, |table, env| table.start_all(env));
        self.settle(cx);
        self.give_up_without_sources(cx);
    }

    /// Takes the state of sources from their dump files, by file name.
    fn load_dumps(&mut self, dumps: &BTreeMap<String, String>, cx: &mut Context<'_>) {
        if dumps.is_empty() {
            return;
        }
        let mut out = Vec::new();
        let ids: Vec<_> = self.selector.ids().collect();
        for id in ids {
            let name = self.dump_file_name(id);
            if let Some(text) = name.and_then(|name| dumps.get(&name)) {
                let era_s = self.boot.era_s;
                self.selector
                    .load_dump(id, text, self.event_time, era_s, &mut out);
            }
        }
        let scx = self.select_context();
        self.selector.loaded_dumps(&scx, &mut out);
        self.carry_out_selection(out, cx);
    }

    /// A special mode without any active source fails at once.
    fn give_up_without_sources(&mut self, cx: &mut Context<'_>) {
        let special = !matches!(self.reference.mode(), Mode::Normal | Mode::Ignore);
        if special && !self.selector.has_active() {
            self.with_clock(cx, |engine, dcx| {
                engine.reference.set_unsynchronised(&mut engine.local, dcx);
            });
            self.settle(cx);
        }
    }

    /// A special mode is over, or the daemon has to end because of `maxchange`.
    pub(super) fn end_mode(&mut self, mode: Mode, ok: bool, cx: &mut Context<'_>) {
        if let Mode::InitStepSlew { .. } = mode {
            self.timers
                .arm(Timer::InitStepEnd, self.wake.mono + INIT_STEP_PAUSE);
        } else {
            cx.out
                .push(Output::Quit(if ok { Exit::Done } else { Exit::Failed }));
        }
    }

    pub(super) fn end_initstepslew(&mut self, cx: &mut Context<'_>) {
        if let Phase::InitStepSlew(added) = std::mem::replace(&mut self.phase, Phase::Starting) {
            for id in added {
                self.with_table(cx, |table, env| {
                    table.remove_by_conf(id, Origin::Config, env)
                });
            }
            self.settle(cx);
        }
        self.reference.set_mode(Mode::Normal);
        self.announce_ready(cx);
    }
}

/// The source a configuration line means.
pub(super) fn new_source(spec: &SourceSpec) -> NewSource {
    NewSource {
        name: spec.name.clone(),
        kind: match spec.kind {
            timewright_config::SourceKind::Server => SourceKind::Server,
            timewright_config::SourceKind::Peer => SourceKind::Peer,
            timewright_config::SourceKind::Pool => SourceKind::Pool,
        },
        port: spec.options.port,
        families: match spec.options.family {
            None => FamilyFilter::Any,
            Some(timewright_config::Family::V4) => FamilyFilter::Only(Family::V4),
            Some(timewright_config::Family::V6) => FamilyFilter::Only(Family::V6),
        },
        config: SourceConfig::from(&spec.options),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Boot, testing::Bench};

    /// A one-shot run gives up at once only if nothing can come of it; a name may still resolve.
    #[test]
    fn a_one_shot_run_waits_for_names() {
        for (config, ended) in [
            ("", true),
            ("server 192.0.2.1 offline", true),
            ("server 192.0.2.1 iburst", false),
            ("server name.example", false),
            ("pool name.example iburst", false),
            ("server name.example offline", true),
        ] {
            let boot = Boot {
                purpose: Purpose::PrintOnce,
                ..Boot::default()
            };
            let bench = Bench::with_boot(config, boot);
            assert_eq!(bench.exit, ended.then_some(Exit::Failed), "{config}");
            let message = "No suitable source for synchronisation";
            assert_eq!(bench.logs.iter().any(|l| l == message), ended, "{config}");
        }
    }
}
