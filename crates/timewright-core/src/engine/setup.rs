//! From the configuration to an engine.

use super::access::{AccessService, rule};
use super::serve::Server;
use super::startup::Phase;
use super::{Boot, Context, Engine, Purpose};
use crate::discipline::jump::JumpDetector;
use crate::discipline::manual::Manual;
use crate::discipline::smooth::{SmoothConfig, Smoothing};
use crate::discipline::tempcomp::{Curve, Tempcomp};
use crate::discipline::{Effects, LocalClock, LocalClockConfig};
use crate::event::{Event, Severity};
use crate::ids::Tickets;
use crate::keys::KeyRing;
use crate::refclock::Refclocks;
use crate::reference::{
    DriftConfig, LeapDatabase, LeapFile, LocalReferenceConfig, MailConfig, Mode, Reference,
    ReferenceConfig,
};
use crate::select::{SelectConfig, Selector};
use crate::server::ServerConfig;
use crate::server::client_log::ClientLogConfig;
use crate::server::snapshot::{MonoScale, ReferenceState, ServerSnapshot, SlewCount};
use crate::source::{MeasurementLog, OurReference, Params, SocketPolicy, Sockets, SourceTable};
use crate::timers::{Timer, Timers};
use std::collections::{BTreeMap, VecDeque};
use timewright_config::{self as config, Config};
use timewright_time::{FreqRatio, Now, Seconds};

impl Engine {
    /// Takes over a clock. Outputs of the start (sockets, messages) are queued;
    /// [`crate::output::Output::Ready`] is among them, or follows when `initstepslew` is over.
    pub fn new(config: Config, boot: Boot, now: Now, cx: &mut Context<'_>) -> Self {
        let mut effects = Effects::new();
        let local = LocalClock::new(&local_clock_config(&config, &boot), cx.clock);
        let leap_database = LeapDatabase::new(
            leap_file(
                &config.leap.list.as_ref().map(|p| p.display().to_string()),
                &boot.leap_list,
            ),
            leap_file(&config.leap.timezone, &boot.leap_zone),
            &mut effects,
        );
        let reference = Reference::new(reference_config(&config), leap_database, &local, now);
        let snapshot = ServerSnapshot {
            clock: local.cook_line(),
            reference: ReferenceState::Unsynchronised { since: now.mono },
            local: None,
            smoothing: None,
            precision_log2: local.precision_log2(),
            quantum: local.precision(),
            mono: MonoScale::new(cx.rng),
            slews: SlewCount::default(),
        };
        let server = Server::new(&server_config(&config, &boot), snapshot, cx.rng);
        let smoothing = config
            .server
            .smooth_time
            .and_then(|s| SmoothConfig::from_ppm(s.max_freq_ppm, s.max_wander_ppm, s.leap_only))
            .map(Smoothing::new);
        let tempcomp = config
            .clock
            .temp_comp
            .as_ref()
            .and_then(|t| tempcomp(t, &boot, now));
        let (event_time, _) = local.cook(now.raw);
        let params = params(&config, &boot, &local);
        let mut engine = Self {
            selector: Selector::new(select_config(&config)),
            table: SourceTable::new(),
            keys: KeyRing::default(),
            our_reference: OurReference::default(),
            sockets: Sockets::new(SocketPolicy {
                port: config.server.port,
                acquisition_port: config.client.acquisition_port,
                ipv4: boot.ipv4,
                ipv6: boot.ipv6,
            }),
            timers: Timers::new(),
            tickets: Tickets::default(),
            actions: VecDeque::new(),
            effects: Effects::new(),
            manual: Manual::new(config.command.manual),
            jumps: JumpDetector::new(now),
            urgent: super::urgent::Urgent::default(),
            wake: now,
            phase: Phase::Starting,
            shifts: None,
            owed: BTreeMap::new(),
            config,
            boot,
            local,
            reference,
            params,
            server,
            smoothing,
            tempcomp,
            refclocks: Refclocks::default(),
            event_time,
        };
        engine.add_refclocks(cx);
        let keys = engine.boot.keys.take();
        engine.handle_keys(keys.as_deref(), cx);
        if engine.config.server.signd_dir.is_some() {
            cx.out.log(Event::info("MS-SNTP authentication enabled"));
        }
        engine.apply_effects(effects, cx);
        engine.sockets.open_permanent(cx.out);
        engine.apply_configured_access(cx);
        let drift = engine.boot.drift_file.take();
        engine.with_clock(cx, |engine, dcx| {
            engine
                .reference
                .start(drift.as_deref(), &mut engine.local, dcx);
        });
        match engine.boot.purpose {
            Purpose::Daemon => {}
            Purpose::SetOnce => engine.reference.set_mode(Mode::UpdateOnce),
            Purpose::PrintOnce => engine.reference.set_mode(Mode::PrintOnce),
        }
        if let Some(run_time) = engine.boot.run_time {
            engine.timers.arm(Timer::Exit, now.mono + run_time);
        }
        engine.begin_startup(cx);
        engine.settle(cx);
        engine
    }

    fn apply_configured_access(&mut self, cx: &mut Context<'_>) {
        let services = [
            (AccessService::Ntp, self.config.server.access.clone()),
            (AccessService::Command, self.config.command.access.clone()),
        ];
        for (service, rules) in services {
            for directive in &rules {
                if let Some(rule) = rule(directive, &self.boot.hosts) {
                    self.apply_access_rule(service, &rule, Severity::Debug, cx);
                }
            }
        }
    }
}

fn leap_file(path: &Option<String>, content: &Option<Vec<u8>>) -> Option<LeapFile> {
    path.as_ref().map(|path| LeapFile {
        name: path.clone(),
        content: content.clone(),
    })
}

fn local_clock_config(config: &Config, boot: &Boot) -> LocalClockConfig {
    LocalClockConfig {
        max_drift_ppm: config.clock.max_drift_ppm,
        max_slew_rate_ppm: config.clock.max_slew_rate_ppm,
        max_clock_error: FreqRatio::from_ppm(config.clock.max_clock_error_ppm),
        precision: config
            .clock
            .precision
            .or(boot.clock_quantum)
            .unwrap_or(Seconds::ZERO),
        control: boot.control_clock,
        era_s: boot.era_s,
    }
}

fn reference_config(config: &Config) -> ReferenceConfig {
    let clock = &config.clock;
    ReferenceConfig {
        max_update_skew: FreqRatio::from_ppm(clock.max_update_skew_ppm),
        correction_time_ratio: clock.corr_time_ratio,
        make_step: clock.make_step.unwrap_or(config::MakeStep {
            threshold: Seconds::ZERO,
            limit: 0,
        }),
        max_change: clock.max_change,
        log_change: config.logs.change,
        mail: config.logs.mail_on_change.as_ref().map(|m| MailConfig {
            user: m.address.clone(),
            threshold: m.threshold,
        }),
        drift: clock.drift_file.as_ref().map(|d| DriftConfig {
            path: d.path.display().to_string(),
            interval: Seconds(f64::from(d.interval_s)),
        }),
        fallback_drift: clock.fallback_drift.map_or((0, 0), |(min, max)| {
            (
                i32::try_from(min).unwrap_or(0),
                i32::try_from(max).unwrap_or(0),
            )
        }),
        leap_mode: config.leap.mode,
        local: config.server.local.as_ref().map(local_reference_config),
    }
}

/// Settings of `local` as the reference takes them.
pub(crate) fn local_reference_config(spec: &config::LocalSpec) -> LocalReferenceConfig {
    LocalReferenceConfig {
        stratum: spec.stratum,
        distance: spec.distance,
        activate: spec.activate,
        wait_synced: spec.waitsynced,
        wait_unsynced: spec.waitunsynced,
        orphan: spec.orphan,
    }
}

fn select_config(config: &Config) -> SelectConfig {
    let selection = &config.selection;
    SelectConfig {
        max_distance: selection.max_distance,
        max_jitter: selection.max_jitter,
        reselect_distance: selection.reselect_distance,
        stratum_weight: selection.stratum_weight,
        combine_limit: selection.combine_limit,
        min_stratum: selection.min_stratum,
        max_stratum: selection.max_stratum,
        min_sources: usize::try_from(selection.min_sources).unwrap_or(usize::MAX),
        auth_mode: selection.auth_select_mode,
        max_clock_error: FreqRatio::from_ppm(config.clock.max_clock_error_ppm),
        log_statistics: config.logs.types.statistics,
        log_selection: config.logs.types.selection,
    }
}

fn params(config: &Config, boot: &Boot, local: &LocalClock) -> Params {
    Params {
        precision: local.precision(),
        precision_log2: local.precision_log2(),
        max_clock_error: FreqRatio::from_ppm(config.clock.max_clock_error_ppm),
        era_s: boot.era_s,
        ptp_port: config.server.ptp_port,
        hw_timestamping: false,
        hw_timeout: config.hw_timestamps.timeout,
        measurement_log: match (
            config.logs.types.measurements,
            config.logs.types.raw_measurements,
        ) {
            (_, true) => MeasurementLog::All,
            (true, false) => MeasurementLog::Synchronised,
            (false, false) => MeasurementLog::Off,
        },
        refresh: Seconds(f64::from(config.client.refresh_s)),
    }
}

fn server_config(config: &Config, boot: &Boot) -> ServerConfig {
    ServerConfig {
        client_log: ClientLogConfig {
            limit_bytes: (!config.server.no_client_log).then_some(config.server.client_log_limit),
            rate_limits: [
                config.server.rate_limit,
                config.nts.rate_limit,
                config.command.rate_limit,
            ],
        },
        era_s: boot.era_s,
    }
}

/// `None` if the points cannot be used; the driver checked them before it got this far.
fn tempcomp(spec: &config::TempComp, boot: &Boot, now: Now) -> Option<Tempcomp> {
    let curve = match &spec.curve {
        config::TempCurve::Quadratic { t0, k0, k1, k2 } => Curve::Quadratic {
            t0: *t0,
            k0: *k0,
            k1: *k1,
            k2: *k2,
        },
        config::TempCurve::Points(_) => {
            Curve::parse_points(boot.tempcomp_points.as_deref()?).ok()?
        }
    };
    Some(Tempcomp::new(
        spec.sensor.display().to_string(),
        spec.interval,
        curve,
        now.mono,
    ))
}
