//! Every directive with its value, default and repetition (`config.md` section 4).

// Values are compared with the numbers they were written as.
#![allow(clippy::float_cmp)]
#![allow(
    clippy::indexing_slicing,
    reason = "predicates of tests, lengths are checked"
)]

use std::collections::BTreeSet;
use std::path::Path;

use timewright_config::directives::{self, Status};
use timewright_config::{
    AuthSelectMode, Config, LeapMode, MemoryFiles, OpenCommand, ParseOptions, SourceKind,
    TempCurve, parse_lines,
};
use timewright_time::Seconds;

/// The names of `config.md` 4.9, with those that came after 4.8 and have an effect here.
const NAMES: &str = "
    acquisitionport allow authselectmode bindacqaddress bindacqdevice bindaddress bindcmdaddress
    bindcmddevice binddevice broadcast clientloglimit clockprecision cmdallow cmddeny cmdport
    cmdratelimit combinelimit commandkey confdir corrtimeratio deny driftfile dscp dumpdir
    dumponexit fallbackdrift generatecommandkey hwclockfile hwtimestamp hwtstimeout include
    initstepslew keyfile leapseclist leapsecmode leapsectz linux_freq_scale linux_hz local lock_all
    log logbanner logchange logdir mailonchange makestep manual maxchange maxclockerror maxdistance
    maxdrift maxjitter maxntsconnections maxsamples maxslewrate maxstratum maxupdateskew minsamples
    minsources minstratum
    nocerttimecheck noclientlog nosystemcert ntpsigndsocket ntsaeads ntscachedir ntsdumpdir
    ntsntpserver ntsport ntsprocesses ntsratelimit ntsrefresh ntsrotate ntsservercert ntsserverkey
    ntstrustedcerts opencommands peer pidfile pool port ptpdomain ptpport ratelimit refclock
    refresh reselectdist rtcautotrim rtcdevice rtcfile rtconutc rtcsync sched_priority server
    smoothtime sourcedir stratumweight tempcomp user";

type Case = (&'static [&'static str], fn(&Config) -> bool);

/// Lines and what they must lead to. No predicate may hold for the empty configuration.
const CASES: &[Case] = &[
    // Sources and client side.
    (&["server a", "server b"], |c| {
        c.sources.len() == 2 && c.sources[1].kind == SourceKind::Server && c.sources[1].name == "b"
    }),
    (&["Pool a maxsources 5"], |c| {
        let source = c.sources.first();
        source.is_some_and(|s| s.kind == SourceKind::Pool && s.options.maxsources == 5)
    }),
    (&["peer ::1 port 7"], |c| {
        c.sources.first().is_some_and(|s| {
            let address = "::1".parse().ok();
            s.kind == SourceKind::Peer && s.address == address && s.options.port == 7
        })
    }),
    (&["refclock SHM 0", "refclock SOCK /x"], |c| {
        c.refclocks.len() == 2 && c.refclocks[1].driver == "SOCK"
    }),
    (&["initstepslew 30 a b", "initstepslew 10x c"], |c| {
        let init = c.initstepslew.as_ref();
        init.is_some_and(|init| init.threshold == Seconds(10.0) && init.hosts == ["c"])
    }),
    (&["initstepslew 5"], |c| {
        c.initstepslew
            .as_ref()
            .is_some_and(|init| init.hosts.is_empty())
    }),
    (&["acquisitionport 0"], |c| {
        c.client.acquisition_port == Some(0)
    }),
    (
        &[
            "bindacqaddress ::1",
            "bindacqaddress 1.2.3.4",
            "bindacqaddress 1.2.3.5",
        ],
        |c| {
            let bound = c.client.bind_addresses;
            bound.v4 == "1.2.3.5".parse().ok() && bound.v6 == "::1".parse().ok()
        },
    ),
    (&["bindacqdevice eth0"], |c| {
        c.client.bind_device.as_deref() == Some("eth0")
    }),
    (&["dscp 1", "dscp 63"], |c| c.client.dscp == 63),
    (&["dumpdir /x"], |c| {
        c.client.dump_dir.as_deref() == Some(Path::new("/x"))
    }),
    (&["maxsamples 5"], |c| c.client.samples.max == 5),
    (&["minsamples 7"], |c| c.client.samples.min == 7),
    (&["ntsaeads 1 2", "ntsaeads 15 2147483647"], |c| {
        c.nts.aeads == [15, 2_147_483_647]
    }),
    (&["ntsaeads"], |c| c.nts.aeads.is_empty()),
    (&["ntsdumpdir /x"], |c| {
        c.nts.dump_dir.as_deref() == Some(Path::new("/x"))
    }),
    (&["ntscachedir /x"], |c| {
        c.nts.dump_dir.as_deref() == Some(Path::new("/x"))
    }),
    (&["ntsrefresh 0"], |c| c.nts.refresh_s == 0),
    (&["ntstrustedcerts /x", "ntstrustedcerts 2x /y"], |c| {
        let certs = &c.nts.trusted_certs;
        certs.len() == 2
            && (certs[0].set, certs[1].set) == (0, 2)
            && certs[1].path == Path::new("/y")
    }),
    (&["ntstrustedcerts 5"], |c| {
        c.nts
            .trusted_certs
            .iter()
            .any(|certs| certs.path == Path::new("5"))
    }),
    (&["nosystemcert", "nosystemcert"], |c| c.nts.no_system_cert),
    (&["nocerttimecheck 1"], |c| c.nts.no_cert_time_check == 1),
    (&["refresh 2147483647"], |c| {
        c.client.refresh_s == 2_147_483_647
    }),
    // Selection.
    (&["authselectmode REQUIRE"], |c| {
        c.selection.auth_select_mode == AuthSelectMode::Require
    }),
    (&["authselectmode prefer"], |c| {
        c.selection.auth_select_mode == AuthSelectMode::Prefer
    }),
    (&["authselectmode ignore"], |c| {
        c.selection.auth_select_mode == AuthSelectMode::Ignore
    }),
    (&["combinelimit 0"], |c| c.selection.combine_limit == 0.0),
    (&["maxdistance 1abc"], |c| {
        c.selection.max_distance == Seconds(1.0)
    }),
    (&["maxjitter .5"], |c| {
        c.selection.max_jitter == Seconds(0.5)
    }),
    (&["minsources 2"], |c| c.selection.min_sources == 2),
    (&["minstratum 3"], |c| {
        (c.selection.min_stratum, c.selection.max_stratum) == (3, 15)
    }),
    (&["maxstratum 5", "maxstratum 2147483647"], |c| {
        (c.selection.min_stratum, c.selection.max_stratum) == (0, 2_147_483_647)
    }),
    (&["reselectdist 1e-3"], |c| {
        c.selection.reselect_distance == Seconds(1e-3)
    }),
    (&["stratumweight 0"], |c| {
        c.selection.stratum_weight == Seconds(0.0)
    }),
    // Clock.
    (&["clockprecision 1e-10"], |c| {
        c.clock.precision == Some(Seconds(1e-9))
    }),
    (&["clockprecision 2"], |c| {
        c.clock.precision == Some(Seconds(1.0))
    }),
    (&["clockprecision 1e-6"], |c| {
        c.clock.precision == Some(Seconds(1e-6))
    }),
    (&["corrtimeratio 1"], |c| c.clock.corr_time_ratio == 1.0),
    (&["driftfile /x"], |c| {
        let drift = c.clock.drift_file.as_ref();
        drift.is_some_and(|drift| drift.path == Path::new("/x") && drift.interval_s == 3600)
    }),
    (&["driftfile /x Interval 60"], |c| {
        c.clock
            .drift_file
            .as_ref()
            .is_some_and(|drift| drift.interval_s == 60)
    }),
    (&["fallbackdrift 16 19"], |c| {
        c.clock.fallback_drift == Some((16, 19))
    }),
    (&["fallbackdrift 5 5"], |c| {
        c.clock.fallback_drift == Some((5, 5))
    }),
    (&["leapsecmode SLEW"], |c| c.leap.mode == LeapMode::Slew),
    (&["leapsecmode step"], |c| c.leap.mode == LeapMode::Step),
    (&["leapsecmode ignore"], |c| c.leap.mode == LeapMode::Ignore),
    (&["leapsectz right/UTC"], |c| {
        c.leap.timezone.as_deref() == Some("right/UTC")
    }),
    (&["leapseclist /x"], |c| {
        c.leap.list.as_deref() == Some(Path::new("/x"))
    }),
    (&["makestep 1 3", "makestep 0.1 -1"], |c| {
        c.clock
            .make_step
            .is_some_and(|step| step.threshold == Seconds(0.1) && step.limit == -1)
    }),
    (&["maxchange 10 1 -2"], |c| {
        let change = c.clock.max_change;
        change.is_some_and(|m| (m.offset, m.start, m.ignore) == (Seconds(10.0), 1, -2))
    }),
    (&["maxclockerror 0.5"], |c| {
        c.clock.max_clock_error_ppm == 0.5
    }),
    (&["maxdrift 100"], |c| c.clock.max_drift_ppm == 100.0),
    (&["maxdrift -1"], |c| c.clock.max_drift_ppm == 0.0),
    (&["maxupdateskew -5"], |c| {
        c.clock.max_update_skew_ppm == 5.0
    }),
    (&["maxslewrate 500"], |c| c.clock.max_slew_rate_ppm == 500.0),
    (&["tempcomp /s 30 26000 0.0 0.1 1e-4"], |c| {
        c.clock.temp_comp.as_ref().is_some_and(|comp| {
            comp.sensor == Path::new("/s")
                && comp.interval == Seconds(30.0)
                && comp.curve
                    == TempCurve::Quadratic {
                        t0: 26000.0,
                        k0: 0.0,
                        k1: 0.1,
                        k2: 1e-4,
                    }
        })
    }),
    (&["tempcomp /s -1 /points"], |c| {
        c.clock.temp_comp.as_ref().is_some_and(|comp| {
            comp.interval == Seconds(1.0) && comp.curve == TempCurve::Points("/points".into())
        })
    }),
    // Server.
    (&["allow", "allow 10"], |c| {
        c.server.access.len() == 2 && c.server.access[1].allow
    }),
    (&["allow", "deny all 1.2.3.4/24"], |c| {
        let rule = c.server.access.last();
        rule.is_some_and(|r| !r.allow && r.all && r.subnet.to_string() == "1.2.3.4/24")
    }),
    (&["bindaddress 1.2.3.4", "bindaddress ::1"], |c| {
        let bound = c.server.bind_addresses;
        bound.v4 == "1.2.3.4".parse().ok() && bound.v6 == "::1".parse().ok()
    }),
    (&["binddevice eth0"], |c| {
        c.server.bind_device.as_deref() == Some("eth0")
    }),
    (
        &["broadcast 0 1.2.3.255", "broadcast 99999999 ::1 99999"],
        |c| {
            let [first, second] = c.server.broadcasts[..] else {
                return false;
            };
            (first.interval_s, first.port) == (1, 123)
                && (second.interval_s, second.port) == (1 << 24, 34463)
                && second.address.is_ipv6()
        },
    ),
    (&["clientloglimit -1"], |c| {
        c.server.client_log_limit == u64::MAX
    }),
    (&["noclientlog"], |c| c.server.no_client_log),
    (&["local stratum 5 orphan", "local"], |c| {
        c.server
            .local
            .is_some_and(|local| local.stratum == 10 && !local.orphan)
    }),
    (&["ntpsigndsocket /x"], |c| {
        c.server.signd_dir.as_deref() == Some(Path::new("/x"))
    }),
    (&["ntsport 5"], |c| c.nts.port == 5),
    (&["ntsservercert /a", "ntsservercert /b"], |c| {
        c.nts.server_certs.len() == 2
    }),
    (&["ntsserverkey /a", "ntsserverkey /b"], |c| {
        c.nts.server_keys.last().is_some_and(|key| key == "/b")
    }),
    (&["ntsprocesses 0"], |c| c.nts.processes == 0),
    (&["maxntsconnections 1"], |c| c.nts.max_connections == 1),
    (&["ntsntpserver h"], |c| {
        c.nts.ntp_server.as_deref() == Some("h")
    }),
    (&["ntsrotate 0"], |c| c.nts.rotate_s == 0),
    (&["port 0"], |c| c.server.port == 0),
    (&["port 1", "port 0065535"], |c| c.server.port == 65535),
    (&["ratelimit"], |c| {
        c.server
            .rate_limit
            .is_some_and(|l| (l.interval, l.burst, l.leak, l.kod) == (3, 8, 2, 0))
    }),
    (&["ratelimit burst 4 kod 2", "ratelimit interval 1"], |c| {
        c.server
            .rate_limit
            .is_some_and(|l| (l.interval, l.burst, l.leak, l.kod) == (1, 4, 2, 2))
    }),
    (&["ntsratelimit leak 3"], |c| {
        c.nts
            .rate_limit
            .is_some_and(|l| (l.interval, l.burst, l.leak, l.kod) == (6, 8, 3, 0))
    }),
    (&["smoothtime 400 0.01 LeapOnly"], |c| {
        c.server
            .smooth_time
            .is_some_and(|s| (s.max_freq_ppm, s.max_wander_ppm, s.leap_only) == (400.0, 0.01, true))
    }),
    (&["smoothtime 400 0"], |c| {
        c.server
            .smooth_time
            .is_some_and(|s| !s.leap_only && s.max_wander_ppm == 0.0)
    }),
    (&["ptpport 319"], |c| c.server.ptp_port == 319),
    (&["ptpdomain 255"], |c| c.server.ptp_domain == 255),
    // Commands.
    (&["bindcmdaddress /s"], |c| {
        c.command.socket.as_deref() == Some(Path::new("/s"))
    }),
    (&["bindcmdaddress /"], |c| c.command.socket.is_none()),
    (&["bindcmdaddress 1.2.3.4"], |c| {
        let bound = c.command.bind_addresses;
        bound.v4 == "1.2.3.4".parse().ok() && bound.v6 == "::1".parse().ok()
    }),
    (&["bindcmddevice eth0"], |c| {
        c.command.bind_device.as_deref() == Some("eth0")
    }),
    (&["cmdallow 1.2"], |c| {
        c.command.access.iter().any(|rule| rule.allow) && c.server.access.is_empty()
    }),
    (&["cmddeny"], |c| {
        c.command.access.iter().any(|rule| !rule.allow && !rule.all)
    }),
    (&["cmdport 0"], |c| c.command.port == 0),
    (&["cmdratelimit burst 1"], |c| {
        c.command
            .rate_limit
            .is_some_and(|l| (l.interval, l.burst, l.leak, l.kod) == (-4, 1, 2, 0))
    }),
    (
        &[
            "opencommands activity",
            "opencommands Tracking ntpdata tracking",
        ],
        |c| {
            c.command.open_commands == BTreeSet::from([OpenCommand::NtpData, OpenCommand::Tracking])
        },
    ),
    (&["opencommands"], |c| c.command.open_commands.is_empty()),
    (&["manual"], |c| c.command.manual),
    // Real-time clock.
    (&["hwclockfile /x"], |c| {
        c.rtc.hwclock_file.as_deref() == Some(Path::new("/x"))
    }),
    (&["rtcautotrim 30"], |c| c.rtc.auto_trim == Seconds(30.0)),
    (&["rtcdevice /dev/rtc9"], |c| {
        c.rtc.device == Path::new("/dev/rtc9")
    }),
    (&["rtcfile /x"], |c| {
        c.rtc.file.as_deref() == Some(Path::new("/x"))
    }),
    (&["rtconutc"], |c| c.rtc.on_utc),
    (&["rtcsync"], |c| c.rtc.sync),
    // Logging.
    (&["log tracking", "log rawmeasurements"], |c| {
        let types = c.logs.types;
        types.tracking && types.measurements && types.raw_measurements && !types.statistics
    }),
    (&["logbanner 0"], |c| c.logs.banner == 0),
    (&["logchange 0.5"], |c| c.logs.change == Seconds(0.5)),
    (&["logdir /x"], |c| {
        c.logs.dir.as_deref() == Some(Path::new("/x"))
    }),
    (&["mailonchange root@localhost 0.5"], |c| {
        let mail = c.logs.mail_on_change.as_ref();
        mail.is_some_and(|m| m.address == "root@localhost" && m.threshold == Seconds(0.5))
    }),
    // Miscellaneous.
    (&["confdir /d"], |c| c.server.port == 77),
    (&["include /d/*.conf"], |c| c.server.port == 77),
    (&["sourcedir /a /b", "sourcedir /c"], |c| {
        c.source_dirs.len() == 2 && c.source_dirs[0].len() == 2
    }),
    (
        &[
            "hwtimestamp eth0",
            "hwtimestamp * nocrossts",
            "hwtimestamp eth0 minpoll 3",
        ],
        |c| {
            let minpoll = |name| c.hw_timestamps.for_interface(name).map(|spec| spec.minpoll);
            let any = c
                .hw_timestamps
                .for_interface("eth9")
                .is_some_and(|spec| spec.nocrossts);
            c.hw_timestamps.interfaces.len() == 3 && minpoll("eth0") == Some(0) && any
        },
    ),
    (&["hwtstimeout 0.1"], |c| {
        c.hw_timestamps.timeout == Seconds(0.1)
    }),
    (&["keyfile /k"], |c| {
        c.process.key_file.as_deref() == Some(Path::new("/k"))
    }),
    (&["lock_all"], |c| c.process.lock_all),
    (&["pidfile /x"], |c| {
        c.process.pid_file.as_deref() == Some(Path::new("/x"))
    }),
    (&["pidfile /"], |c| c.process.pid_file.is_none()),
    (&["sched_priority 100"], |c| c.process.sched_priority == 100),
    (&["user chrony"], |c| c.process.user == "chrony"),
];

fn parse(lines: &[&str]) -> Config {
    let files = MemoryFiles::new().with("/d/x.conf", "port 77\n");
    match parse_lines(lines, &files, ParseOptions::default()) {
        Ok(parsed) => parsed.config,
        Err(failure) => panic!("{lines:?}: {failure}"),
    }
}

#[test]
fn directives_set_their_values() {
    for (lines, holds) in CASES {
        assert!(holds(&parse(lines)), "not stored: {lines:?}");
        assert!(!holds(&Config::default()), "true by default: {lines:?}");
    }
}

#[test]
fn the_table_is_complete() {
    let wanted: BTreeSet<&str> = NAMES.split_whitespace().collect();
    let known: BTreeSet<&str> = directives::all().map(|row| row.name).collect();
    assert_eq!(known, wanted);
    let tested: BTreeSet<String> = CASES
        .iter()
        .flat_map(|(lines, _)| lines.iter())
        .filter_map(|line| line.split(' ').next())
        .map(str::to_lowercase)
        .collect();
    for row in directives::all() {
        let without_effect = matches!(row.status(), Status::Ignored | Status::NoLongerSupported);
        assert!(
            without_effect || tested.contains(row.name),
            "{} is not tested",
            row.name
        );
    }
}

#[test]
fn obsolete_names_change_nothing() {
    for name in [
        "commandkey",
        "dumponexit",
        "generatecommandkey",
        "linux_freq_scale",
        "linux_hz",
    ] {
        for arguments in ["", " x", " x y z"] {
            assert_eq!(
                parse(&[&format!("{name}{arguments}")]),
                Config::default(),
                "{name}"
            );
        }
    }
}

/// What `Config::default()` must be: the default columns of `config.md` section 4.
#[test]
fn defaults() {
    let c = parse(&[]);
    assert_eq!(c, Config::default());
    assert_eq!(c.client.acquisition_port, None);
    assert_eq!((c.client.samples.min, c.client.samples.max), (6, 0));
    assert_eq!((c.client.dscp, c.client.refresh_s), (0, 1_209_600));
    assert_eq!(c.nts.aeads, [30, 15]);
    assert_eq!(
        (c.nts.refresh_s, c.nts.rotate_s, c.nts.port),
        (2_419_200, 604_800, 4460)
    );
    assert_eq!((c.nts.processes, c.nts.max_connections), (1, 100));
    assert_eq!(c.selection.auth_select_mode, AuthSelectMode::Mix);
    assert_eq!(
        (c.selection.combine_limit, c.selection.min_sources),
        (3.0, 1)
    );
    assert_eq!(
        (c.selection.max_distance, c.selection.max_jitter),
        (Seconds(3.0), Seconds(1.0))
    );
    let strata = (c.selection.min_stratum, c.selection.max_stratum);
    assert_eq!(strata, (0, 15));
    let extra = (c.selection.reselect_distance, c.selection.stratum_weight);
    assert_eq!(extra, (Seconds(1e-4), Seconds(1e-3)));
    assert_eq!((c.clock.precision, c.clock.corr_time_ratio), (None, 3.0));
    assert_eq!(
        (c.clock.fallback_drift, c.leap.mode),
        (None, LeapMode::System)
    );
    assert_eq!(
        (c.clock.max_clock_error_ppm, c.clock.max_drift_ppm),
        (1.0, 500_000.0)
    );
    assert_eq!(c.clock.max_update_skew_ppm, 1000.0);
    assert!((c.clock.max_slew_rate_ppm - 83333.333).abs() < 1e-3);
    assert_eq!(c.clock.make_step, None);
    assert_eq!(
        (c.server.port, c.server.ptp_port, c.server.ptp_domain),
        (123, 0, 123)
    );
    assert_eq!(c.server.client_log_limit, 524_288);
    assert_eq!((c.command.port, c.command.manual), (323, false));
    assert_eq!(
        c.command.bind_addresses.v4,
        Some("127.0.0.1".parse().unwrap())
    );
    assert_eq!(c.command.bind_addresses.v6, Some("::1".parse().unwrap()));
    let socket = Path::new("/var/run/chrony/chronyd.sock");
    assert_eq!(c.command.socket.as_deref(), Some(socket));
    assert_eq!(c.command.open_commands, OpenCommand::DEFAULT.into());
    assert_eq!(
        (c.rtc.device.as_path(), c.rtc.auto_trim),
        (Path::new("/dev/rtc"), Seconds(0.0))
    );
    assert_eq!((c.logs.banner, c.logs.change), (32, Seconds(1.0)));
    assert_eq!(c.hw_timestamps.timeout, Seconds(0.001));
    let pid = Path::new("/var/run/chrony/chronyd.pid");
    assert_eq!(c.process.pid_file.as_deref(), Some(pid));
    assert_eq!(
        (c.process.user.as_str(), c.process.sched_priority),
        ("root", 0)
    );
}

#[test]
fn values_that_switch_off() {
    for (lines, what) in [
        (
            &["clockprecision 1", "clockprecision 0"][..],
            "measured precision",
        ),
        (&["clockprecision -1"], "measured precision"),
        (&["fallbackdrift 3 2"], "MAX below MIN"),
        (&["fallbackdrift 0 5"], "MIN not positive"),
        (&["fallbackdrift 5 6", "fallbackdrift 0 0"], "both 0"),
        (&["maxchange 1 1 1", "maxchange 1 -1 1"], "negative START"),
        (&["sourcedir"], "no directory"),
        (
            &["sourcedir 1 2 3 4 5 6 7 8 9 10 11"],
            "too many directories",
        ),
        (&["maxdrift 600000"], "the largest drift"),
        (&["log"], "no log"),
    ] {
        assert_eq!(parse(lines), Config::default(), "{what}");
    }
}
