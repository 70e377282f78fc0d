//! What a configuration says about one item, in the words of the table.

use std::fmt::Display;
use std::net::IpAddr;
use std::path::Path;

use timewright_config::{
    AccessRule, AuthSelectMode, BindAddresses, Config, Driver, Family, FileSource, HwTimestampSpec,
    LeapMode, LocalSpec, OpenCommand, RateLimit, RefId, RefclockOptions, RefclockSpec, RxFilter,
    SourceKind, SourceOptions, SourceSpec, Subnet, TempCurve, read_source_dirs,
};
use timewright_time::Seconds;

/// The value of `item` as the text gave it.
pub(crate) fn written(item: &str, config: &Config, files: &dyn FileSource) -> String {
    let (directive, option) = item.split_once('.').unwrap_or((item, ""));
    match (directive, option) {
        ("lexical", "whole") => config.server.port.to_string(),
        ("lexical", "float") => number(config.selection.max_distance),
        ("lexical", "option") => source_option("minpoll", &first(&config.sources).options),
        ("lexical", "unsigned") => source_option("certset", &first(&config.sources).options),
        ("lexical", "hex") => source_option("extfield", &first(&config.sources).options),
        ("lexical", "option-float") => source_option("offset", &first(&config.sources).options),
        ("sourcedir", "") => list(
            read_source_dirs(&config.source_dirs, files)
                .iter()
                .map(host),
        ),
        ("bindcmdaddress", "path") => path(config.command.socket.as_deref()),
        (_, "") => plain(directive, config),
        ("server" | "pool" | "peer", _) => source_option(option, &first(&config.sources).options),
        ("local", _) => local_option(option, config.server.local.as_ref().expect("local is on")),
        ("ratelimit", _) => limit_option(option, config.server.rate_limit),
        ("ntsratelimit", _) => limit_option(option, config.nts.rate_limit),
        ("cmdratelimit", _) => limit_option(option, config.command.rate_limit),
        ("hwtimestamp", _) => hardware_option(option, first(&config.hw_timestamps.interfaces)),
        ("refclock", _) => refclock_option(option, first(&config.refclocks)),
        _ => panic!("{item}: no such item"),
    }
}

/// The value of an option of a reference clock after the adjustments made at start-up.
pub(crate) fn effective(option: &str, config: &Config) -> String {
    effective_refclock_option(option, &config.refclocks)
}

fn first<T>(list: &[T]) -> &T {
    list.first().expect("the case has such a line")
}

fn pick(condition: bool, yes: &str, no: &str) -> String {
    (if condition { yes } else { no }).to_owned()
}

fn flag(on: bool) -> String {
    pick(on, "on", "off")
}

fn number(value: Seconds) -> String {
    value.0.to_string()
}

fn or<T: Display>(value: Option<T>, none: &str) -> String {
    value.map_or_else(|| none.to_owned(), |value| value.to_string())
}

fn path(value: Option<&Path>) -> String {
    or(value.map(Path::display), "none")
}

fn list<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    let words: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    if words.is_empty() {
        "none".to_owned()
    } else {
        words.join(" ")
    }
}

fn addresses(bound: BindAddresses) -> String {
    format!("{} {}", or(bound.v4, "any"), or(bound.v6, "any"))
}

fn host(spec: &SourceSpec) -> String {
    assert_eq!(
        spec.address,
        spec.name.parse::<IpAddr>().ok(),
        "an address is recognised"
    );
    spec.name.clone()
}

fn hosts(config: &Config, kind: SourceKind) -> String {
    list(
        config
            .sources
            .iter()
            .filter(|spec| spec.kind == kind)
            .map(host),
    )
}

fn rules(rules: &[AccessRule], allow: bool) -> String {
    list(rules.iter().map(|rule| {
        assert_eq!(rule.allow, allow, "{rule:?}");
        let all = if rule.all { "all " } else { "" };
        match &rule.subnet {
            Subnet::Any if rule.all => "all any".to_owned(),
            Subnet::Any => "any".to_owned(),
            Subnet::Prefix { address, bits } => format!("{all}{address}/{bits}"),
            Subnet::Name(name) => format!("{all}name {name}"),
        }
    }))
}

fn refid(value: Option<RefId>) -> String {
    or(
        value.map(|id| {
            String::from_utf8_lossy(&id)
                .trim_end_matches('\0')
                .to_owned()
        }),
        "none",
    )
}

/// The value of a directive.
fn plain(directive: &str, config: &Config) -> String {
    let Config {
        client,
        selection,
        clock,
        leap,
        server,
        nts,
        command,
        rtc,
        logs,
        hw_timestamps,
        process,
        ..
    } = config;
    match directive {
        "server" => hosts(config, SourceKind::Server),
        "pool" => hosts(config, SourceKind::Pool),
        "peer" => hosts(config, SourceKind::Peer),
        "refclock" => list(config.refclocks.iter().map(|spec| {
            let words = [
                spec.driver.clone(),
                spec.parameter.to_string_lossy().into_owned(),
            ];
            words
                .into_iter()
                .chain(spec.driver_options.iter().cloned())
                .collect::<Vec<_>>()
                .join(" ")
        })),
        "initstepslew" => or(
            config.initstepslew.as_ref().map(|init| {
                let words = std::iter::once(number(init.threshold));
                list(words.chain(init.hosts.iter().cloned()))
            }),
            "none",
        ),
        "acquisitionport" => or(client.acquisition_port, "unset"),
        "bindacqaddress" => addresses(client.bind_addresses),
        "bindacqdevice" => or(client.bind_device.as_ref(), "none"),
        "dscp" => client.dscp.to_string(),
        "dumpdir" => path(client.dump_dir.as_deref()),
        "maxsamples" => client.samples.max.to_string(),
        "minsamples" => client.samples.min.to_string(),
        "refresh" => client.refresh_s.to_string(),
        "authselectmode" => match selection.auth_select_mode {
            AuthSelectMode::Require => "require",
            AuthSelectMode::Prefer => "prefer",
            AuthSelectMode::Mix => "mix",
            AuthSelectMode::Ignore => "ignore",
        }
        .to_owned(),
        "combinelimit" => selection.combine_limit.to_string(),
        "maxdistance" => number(selection.max_distance),
        "maxjitter" => number(selection.max_jitter),
        "maxstratum" => selection.max_stratum.to_string(),
        "minstratum" => selection.min_stratum.to_string(),
        "minsources" => selection.min_sources.to_string(),
        "reselectdist" => number(selection.reselect_distance),
        "stratumweight" => number(selection.stratum_weight),
        "clockprecision" => or(clock.precision.map(number), "measured"),
        "corrtimeratio" => clock.corr_time_ratio.to_string(),
        "driftfile" => or(
            clock
                .drift_file
                .as_ref()
                .map(|file| format!("{} {}", file.path.display(), file.interval_s)),
            "none",
        ),
        "fallbackdrift" => or(
            clock
                .fallback_drift
                .map(|(min, max)| format!("{min} {max}")),
            "off",
        ),
        "leapsecmode" => match leap.mode {
            LeapMode::System => "system",
            LeapMode::Slew => "slew",
            LeapMode::Step => "step",
            LeapMode::Ignore => "ignore",
        }
        .to_owned(),
        "leapsectz" => or(leap.timezone.as_ref(), "none"),
        "leapseclist" => path(leap.list.as_deref()),
        "makestep" => or(
            clock
                .make_step
                .map(|step| format!("{} {}", step.threshold.0, step.limit)),
            "none",
        ),
        "maxchange" => or(
            clock
                .max_change
                .map(|change| format!("{} {} {}", change.offset.0, change.start, change.ignore)),
            "off",
        ),
        "maxclockerror" => clock.max_clock_error_ppm.to_string(),
        "maxdrift" => clock.max_drift_ppm.to_string(),
        "maxupdateskew" => clock.max_update_skew_ppm.to_string(),
        "maxslewrate" => clock.max_slew_rate_ppm.to_string(),
        "tempcomp" => or(
            clock.temp_comp.as_ref().map(|comp| {
                let curve = match &comp.curve {
                    TempCurve::Quadratic { t0, k0, k1, k2 } => list([t0, k0, k1, k2]),
                    TempCurve::Points(file) => file.display().to_string(),
                };
                format!("{} {} {curve}", comp.sensor.display(), comp.interval.0)
            }),
            "off",
        ),
        "allow" => rules(&server.access, true),
        "deny" => rules(&server.access, false),
        "cmdallow" => rules(&command.access, true),
        "cmddeny" => rules(&command.access, false),
        "bindaddress" => addresses(server.bind_addresses),
        "binddevice" => or(server.bind_device.as_ref(), "none"),
        "broadcast" => list(
            server
                .broadcasts
                .iter()
                .map(|sent| format!("{} {} {}", sent.interval_s, sent.address, sent.port)),
        ),
        "clientloglimit" => server.client_log_limit.to_string(),
        "noclientlog" => flag(server.no_client_log),
        "local" => flag(server.local.is_some()),
        "ntpsigndsocket" => path(server.signd_dir.as_deref()),
        "port" => server.port.to_string(),
        "ptpport" => server.ptp_port.to_string(),
        "ptpdomain" => server.ptp_domain.to_string(),
        "ratelimit" => flag(server.rate_limit.is_some()),
        "smoothtime" => or(
            server.smooth_time.map(|smoothing| {
                let leap_only = if smoothing.leap_only { " leaponly" } else { "" };
                format!(
                    "{} {}{leap_only}",
                    smoothing.max_freq_ppm, smoothing.max_wander_ppm
                )
            }),
            "off",
        ),
        "ntsaeads" => list(&nts.aeads),
        "ntsdumpdir" | "ntscachedir" => path(nts.dump_dir.as_deref()),
        "ntsrefresh" => nts.refresh_s.to_string(),
        "ntstrustedcerts" => list(
            nts.trusted_certs
                .iter()
                .map(|certs| format!("{} {}", certs.set, certs.path.display())),
        ),
        "nosystemcert" => flag(nts.no_system_cert),
        "nocerttimecheck" => nts.no_cert_time_check.to_string(),
        "ntsport" => nts.port.to_string(),
        "ntsservercert" => list(nts.server_certs.iter().map(|file| file.display())),
        "ntsserverkey" => list(nts.server_keys.iter().map(|file| file.display())),
        "ntsprocesses" => nts.processes.to_string(),
        "maxntsconnections" => nts.max_connections.to_string(),
        "ntsntpserver" => or(nts.ntp_server.as_ref(), "none"),
        "ntsrotate" => nts.rotate_s.to_string(),
        "ntsratelimit" => flag(nts.rate_limit.is_some()),
        "bindcmdaddress" => addresses(command.bind_addresses),
        "bindcmddevice" => or(command.bind_device.as_ref(), "none"),
        "cmdport" => command.port.to_string(),
        "cmdratelimit" => flag(command.rate_limit.is_some()),
        "opencommands" => list(
            OpenCommand::NAMES
                .iter()
                .filter(|(_, open)| command.open_commands.contains(open))
                .map(|(name, _)| *name),
        ),
        "manual" => flag(command.manual),
        "hwclockfile" => path(rtc.hwclock_file.as_deref()),
        "rtcautotrim" => number(rtc.auto_trim),
        "rtcdevice" => path(Some(&rtc.device)),
        "rtcfile" => path(rtc.file.as_deref()),
        "rtconutc" => flag(rtc.on_utc),
        "rtcsync" => flag(rtc.sync),
        "log" => {
            let types = logs.types;
            let files = [
                (types.measurements, "measurements"),
                (types.raw_measurements, "rawmeasurements"),
                (types.refclocks, "refclocks"),
                (types.rtc, "rtc"),
                (types.selection, "selection"),
                (types.statistics, "statistics"),
                (types.tempcomp, "tempcomp"),
                (types.tracking, "tracking"),
            ];
            list(files.iter().filter(|(on, _)| *on).map(|(_, name)| *name))
        }
        "logbanner" => logs.banner.to_string(),
        "logchange" => number(logs.change),
        "logdir" => path(logs.dir.as_deref()),
        "mailonchange" => or(
            logs.mail_on_change
                .as_ref()
                .map(|mail| format!("{} {}", mail.address, mail.threshold.0)),
            "off",
        ),
        "hwtimestamp" => list(
            hw_timestamps
                .interfaces
                .iter()
                .map(|spec| or(spec.interface.as_ref(), "*")),
        ),
        "hwtstimeout" => number(hw_timestamps.timeout),
        "keyfile" => path(process.key_file.as_deref()),
        "lock_all" => flag(process.lock_all),
        "pidfile" => path(process.pid_file.as_deref()),
        "sched_priority" => process.sched_priority.to_string(),
        "user" => process.user.clone(),
        // Nothing is stored.
        "commandkey" | "dumponexit" | "generatecommandkey" | "linux_freq_scale" | "linux_hz" => {
            assert_eq!(config, &Config::default());
            "-".to_owned()
        }
        _ => panic!("{directive}: no such directive"),
    }
}

fn source_option(option: &str, o: &SourceOptions) -> String {
    match option {
        "minpoll" => o.minpoll.to_string(),
        "maxpoll" => o.maxpoll.to_string(),
        "iburst" => flag(o.iburst),
        "burst" => flag(o.burst),
        "key" => or(o.key, "none"),
        "nts" => flag(o.nts),
        "certset" => o.certset.to_string(),
        "ntsport" => o.ntsport.to_string(),
        "port" => o.port.to_string(),
        "maxdelay" => o.maxdelay.to_string(),
        "maxdelayratio" => o.maxdelayratio.to_string(),
        "maxdelaydevratio" => o.maxdelaydevratio.to_string(),
        "maxdelayquant" => o.maxdelayquant.to_string(),
        "mindelay" => o.mindelay.to_string(),
        "asymmetry" => o.asymmetry.to_string(),
        "offset" => o.offset.to_string(),
        "minsamples" => or(o.minsamples, "global"),
        "maxsamples" => or(o.maxsamples, "global"),
        "maxunreach" => o.maxunreach.to_string(),
        "filter" => o.filter.to_string(),
        "offline" => flag(o.offline),
        "auto_offline" => flag(o.auto_offline),
        "prefer" => flag(o.select.prefer),
        "noselect" => flag(o.select.noselect),
        "trust" => flag(o.select.trust),
        "require" => flag(o.select.require),
        "xleave" => flag(o.xleave),
        "polltarget" => o.polltarget.to_string(),
        "presend" => o.presend.to_string(),
        "minstratum" => o.minstratum.to_string(),
        "version" => or(o.version, "automatic"),
        "copy" => flag(o.copy),
        "extfield" => {
            let fields = [
                (o.extfields.mono_root, "F323"),
                (o.extfields.net_correction, "F324"),
                (o.extfields.net_correction_10a, "10A"),
            ];
            list(fields.iter().filter(|(on, _)| *on).map(|(_, name)| *name))
        }
        "ipv4" => flag(o.family == Some(Family::V4)),
        "ipv6" => flag(o.family == Some(Family::V6)),
        "maxsources" => o.maxsources.to_string(),
        _ => panic!("{option}: no such option of a source"),
    }
}

fn local_option(option: &str, o: &LocalSpec) -> String {
    match option {
        "stratum" => o.stratum.to_string(),
        "distance" => number(o.distance),
        "activate" => number(o.activate),
        "orphan" => flag(o.orphan),
        "waitsynced" => number(o.waitsynced),
        "waitunsynced" => number(o.waitunsynced),
        _ => panic!("{option}: no such option of local"),
    }
}

fn limit_option(option: &str, limit: Option<RateLimit>) -> String {
    let limit = limit.expect("the limit is on");
    match option {
        "interval" => limit.interval.to_string(),
        "burst" => limit.burst.to_string(),
        "leak" => limit.leak.to_string(),
        "kod" => limit.kod.to_string(),
        _ => panic!("{option}: no such option of a rate limit"),
    }
}

fn hardware_option(option: &str, o: &HwTimestampSpec) -> String {
    match option {
        "minpoll" => o.minpoll.to_string(),
        "maxpoll" => o.maxpoll.to_string(),
        "minsamples" => o.minsamples.to_string(),
        "maxsamples" => o.maxsamples.to_string(),
        "precision" => number(o.precision),
        "txcomp" => number(o.txcomp),
        "rxcomp" => number(o.rxcomp),
        "nocrossts" => flag(o.nocrossts),
        "rxfilter" => match o.rxfilter {
            None => "automatic",
            Some(RxFilter::None) => "none",
            Some(RxFilter::Ntp) => "ntp",
            Some(RxFilter::Ptp) => "ptp",
            Some(RxFilter::All) => "all",
        }
        .to_owned(),
        _ => panic!("{option}: no such option of hwtimestamp"),
    }
}

fn refclock_option(option: &str, spec: &RefclockSpec) -> String {
    if let Some(name) = option.strip_prefix("driver.") {
        assert_eq!(spec.driver, name);
        return driver(&spec.driver().expect("the driver is known"));
    }
    let o: &RefclockOptions = &spec.options;
    match option {
        "poll" => o.poll.to_string(),
        "dpoll" => o.dpoll.to_string(),
        "refid" => refid(o.refid),
        "lock" => refid(o.lock),
        "rate" => o.rate.to_string(),
        "maxlockage" => o.maxlockage.to_string(),
        "width" => o.width.to_string(),
        "pps" => flag(o.pps),
        "offset" => o.offset.to_string(),
        "delay" => o.delay.to_string(),
        "stratum" => o.stratum.to_string(),
        "precision" => o.precision.to_string(),
        "maxdispersion" => o.maxdispersion.to_string(),
        "filter" => o.filter.to_string(),
        "prefer" => flag(o.select.prefer),
        "noselect" => flag(o.select.noselect),
        "trust" => flag(o.select.trust),
        "require" => flag(o.select.require),
        "tai" => flag(o.tai),
        "local" => flag(o.local),
        "minsamples" => or(o.minsamples, "global"),
        "maxsamples" => or(o.maxsamples, "global"),
        "maxunreach" => o.maxunreach.to_string(),
        _ => panic!("{option}: no such option of a reference clock"),
    }
}

fn driver(driver: &Driver) -> String {
    match driver {
        Driver::Pps { path, clear } => {
            format!("{} {}", path.display(), pick(*clear, "clear", "assert"))
        }
        Driver::Shm { unit, perm } => format!("{unit} {perm:o}"),
        Driver::Sock { path } => path.display().to_string(),
        Driver::Phc {
            path,
            nocrossts,
            extpps,
            pin,
            channel,
            clear,
        } => {
            let flag = |on: bool, word: &str| pick(on, &format!(" {word}"), "");
            format!(
                "{}{}{} pin={pin} channel={channel}{}",
                path.display(),
                flag(*nocrossts, "nocrossts"),
                flag(*extpps, "extpps"),
                flag(*clear, "clear")
            )
        }
        Driver::Rtc { path, utc } => format!("{} {}", path.display(), pick(*utc, "utc", "local")),
    }
}

/// A precision of the system clock to compare with.
const SYSTEM_PRECISION: Seconds = Seconds(1e-6);

fn effective_refclock_option(option: &str, specs: &[RefclockSpec]) -> String {
    let o = &first(specs).options;
    match option {
        "dpoll" => o.driver_poll().to_string(),
        "maxlockage" => o.effective_maxlockage().to_string(),
        "filter" => o.filter_length().to_string(),
        "precision" => number(o.effective_precision(SYSTEM_PRECISION)),
        "refid" => list(
            specs
                .iter()
                .enumerate()
                .map(|(index, spec)| refid(Some(spec.reference_id(index)))),
        ),
        _ => panic!("{option}: nothing is adjusted"),
    }
}
