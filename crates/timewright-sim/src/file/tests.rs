//! Every statement, key and event with good and bad values, and what a scenario does with them.

use super::*;
use crate::figures::Figures;
use crate::plot::{HostSeries, over_time};
use crate::table::{Run, csv, table};
use proptest::prelude::*;
use std::cell::RefCell;

const PAGE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/simulator.md"
));

fn no_files(path: &Path) -> Result<Vec<u8>, String> {
    Err(format!("no file {}", path.display()))
}

fn parse(text: &str) -> Result<ScenarioFile, String> {
    ScenarioFile::parse("x.sim", text.as_bytes(), &no_files).map_err(|error| error.to_string())
}

/// A client, a server and something more.
fn with(more: &str) -> String {
    format!("host s\nhost c\nconfig\nserver s iburst\nend\nlength 200\n{more}\n")
}

#[track_caller]
fn good(more: &str) -> ScenarioFile {
    parse(&with(more)).unwrap_or_else(|error| panic!("{more}: {error}"))
}

/// The message must name the line of `more` and contain all of `wants`.
#[track_caller]
fn bad(more: &str, wants: &[&str]) {
    let Err(error) = parse(&with(more)) else {
        panic!("{more}: accepted");
    };
    assert!(error.starts_with("x.sim:7: "), "{more}: {error}");
    for want in wants {
        assert!(error.contains(want), "{more}: {error}: no {want}");
    }
}

#[test]
fn every_statement_takes_good_values() {
    for more in [
        "title  Any text, # too",
        "LENGTH 1d",
        "settle 10s # a comment",
        "sample 100ms",
        "start 2016-12-31T12:00:00Z",
        "families both",
        "show c s",
        "host third 192.0.2.1 2001:db8::1",
        "file /etc/chrony/x\nany text\nend",
        "clock offset -0.5 freq 100ppm wander 1ppb sine 2ppm 1d",
        "clock",
        "stamps daemon",
        "driftfile -12.5 0.01",
        "options -r -x -4",
        "starts 10s",
        "starts never",
        "name ntp.example.net s c",
        "name ntp.example.net nothing",
        "name ntp.example.net no-answer",
        "link * * delay 1ms",
        "link c s jitter 1ms loss 1% duplicate 0.1 reorder 1% 10ms corrupt 0.5 truncate 1",
        "link c s jitter 1ms asymmetry -0.25",
        "link c s open 30m every 1d",
        "link c s one-in 10",
        "link c s cut",
        "link c s up",
        "oneway c s jitter 1ms gaussian",
        "link c s jitter 1ms uniform loss 1%",
        "link c s jitter 1ms heavy-tailed 2.5 delay 1ms",
        "link c s jitter 1ms spikes 5% 20",
        "link c s jitter 1ms exponential",
        "link c s jitter 1ms half-gaussian",
        "link c s jitter 1ms bimodal 20% 10",
        "link c s delay 10ms skew 4ms",
        "link c s all-but-one-in 10",
        "queue 5ms 10s * c",
        "device PPS /dev/pps0 noise 1us missing 1% offset -1ms scale steady reading 2us",
        "clock ageing 0.1ppm phase 0.25",
    ] {
        good(more);
    }
}

#[test]
fn every_event_takes_good_values() {
    for event in [
        "step c -500ms",
        "link c s cut",
        "oneway s c delay 10ms",
        "name ntp.example.net s",
        "freq c -2ppm",
        "unplug c",
        "plug c",
        "stop c",
        "kill c",
        "start c",
        "restart c",
        "restart c 1m",
        "pause c 5s",
        "suspend c 1h",
        "suspend c 1h -5ms",
        "freeze c 10s",
        "leap insert",
        "leap delete",
    ] {
        good(&format!("at 1m {event}"));
    }
    for command in [
        "makestep",
        "makestep 0.1 3",
        "burst 4/6",
        "burst 4/6 s",
        "online",
        "offline s",
        "onoffline",
        "refresh",
        "reselect",
        "reselectdist 1e-4",
        "reset sources",
        "delete s",
        "minpoll s 4",
        "maxpoll 10.0.0.1 6",
        "minstratum s 2",
        "polltarget s 12",
        "maxdelay s 0.1",
        "maxdelayratio s 2",
        "maxdelaydevratio s 10",
        "offset s 0.001",
        "selectopts s +prefer -trust",
        "maxupdateskew 10",
        "dfreq 1.5",
        "doffset 0.01",
        "manual on",
        "manual delete 2",
        "settime 2010-01-01T01:00:00Z",
        "add server 10.0.0.1 iburst minpoll 2 maxpoll 3 key 1",
        "add pool s.example maxsources 2 ipv4",
        "add peer s",
        "reload sources",
        "local",
        "local off",
        "local stratum 3 orphan",
        "allow",
        "allow all 10.0/12",
        "deny s",
        "cyclelogs",
        "smoothtime reset",
        "dump",
        "shutdown",
    ] {
        good(&format!("at 1m chronyc c {command}"));
    }
}

#[test]
fn what_is_wrong_is_told_with_what_is_allowed() {
    for (more, wants) in [
        ("lenght 1d", &["`lenght`", "length", "oneway"][..]),
        ("length", &["missing", "usage: length TIME"]),
        ("length 1y", &["`1y`", "ns, us, ms, s, m, h, d, w"]),
        ("length 0", &["more than zero"]),
        ("length 1d 2d", &["`2d` is too much"]),
        ("settle -1", &["0 to 10 years"]),
        ("settle 200", &["after 200 s", "length is 200 s"]),
        ("sample 1us", &["millisecond"]),
        ("start yesterday", &["2016-12-31"]),
        ("families ipx", &["ipv4, ipv6, both"]),
        ("show", &["missing"]),
        ("show nobody", &["`nobody`", "s, c"]),
        ("host", &["name is missing"]),
        ("host s", &["line 1 already"]),
        ("host *", &["cannot be the name"]),
        ("host 10.0.0.9", &["cannot be the name"]),
        ("host x 1.2.3", &["`1.2.3` is no IP address"]),
        ("host x 1.2.3.4 1.2.3.4", &["taken"]),
        ("config other.conf", &["has a config already"]),
        (
            "file /x nothing.txt",
            &["could not read nothing.txt", "no file"],
        ),
        ("file /x", &["no line `end`"]),
        (
            "clock speed 3",
            &["`speed`", "offset, freq, ageing, wander, sine"],
        ),
        ("clock freq 1", &["100000ppm", "`freq FREQUENCY`"]),
        ("clock sine 1ppm", &["missing", "`sine FREQUENCY PERIOD`"]),
        ("clock wander -1ppb", &["not negative"]),
        ("stamps hardware", &["kernel, daemon"]),
        ("driftfile 1", &["missing"]),
        ("options -Z", &["-r, -x, -q, -4, -6"]),
        ("starts soon", &["`soon`"]),
        ("name", &["name is missing"]),
        ("name x", &["stands for"]),
        ("name x nobody", &["`nobody`"]),
        ("link c", &["second host"]),
        ("link c nobody delay 1", &["`nobody`", "s, c"]),
        ("link c s speed 1", &["`speed`", "delay, jitter, loss"]),
        ("link c s delay 2d", &["more than a day"]),
        ("link c s loss 2", &["0% to 100%"]),
        ("link c s jitter 1ms funny", &["exponential, gaussian"]),
        (
            "link c s jitter 1ms heavy-tailed 1",
            &["from 1.01 to 100", "SHAPE"],
        ),
        ("link c s open 1h per 1d", &["should be `every`"]),
        ("link c s one-in 0", &["from 1 to"]),
        ("oneway c s asymmetry 0.1", &["belong to `link`"]),
        ("link c s delay 1ms skew 4ms", &["the way back"]),
        ("queue 5ms 10s c nobody", &["`nobody`"]),
        ("queue 5ms 0 c s", &["more than zero"]),
        ("device GPS 0", &["SHM, SOCK, PPS, PHC"]),
        ("device SHM 0 noise -1", &["0 to 10 years"]),
        ("device SHM 0 scale tai", &["utc, steady"]),
        ("clock phase 2", &["from 0 to 1"]),
        ("at", &["missing"]),
        ("at noon step c 1", &["`noon`"]),
        ("at 1h explode c", &["`explode`", "freeze, leap, chronyc"]),
        ("at 1h step c", &["`step HOST TIME`"]),
        ("at 1h step nobody 1s", &["`nobody`"]),
        ("at 1h leap twice", &["insert, delete"]),
        ("at 1h pause c 0", &["more than zero"]),
        ("at 1h stop c now", &["`now` is too much"]),
        ("at 1h chronyc c", &["command is missing"]),
        ("at 1h chronyc c sources", &["`sources`", "makestep, burst"]),
        ("at 1h chronyc c burst 4", &["4/6"]),
        ("at 1h chronyc c offline nobody", &["neither a host nor"]),
        (
            "at 1h chronyc c makestep 1",
            &["`makestep [THRESHOLD LIMIT]`"],
        ),
        ("at 1h chronyc c add s", &["server, peer or pool"]),
        ("at 1h chronyc c add server", &["missing host name"]),
        ("at 1h chronyc c add server s nonsense", &["ption"]),
        ("at 1h chronyc c local stratum 16", &["alue"]),
        ("at 1h chronyc c allow 10.0.0.0/33", &["no subnet"]),
        ("at 1h chronyc c deny nobody", &["no subnet"]),
        ("at 1h chronyc c settime noon", &["is no time"]),
        ("at 1h chronyc c reload files", &["`files`", "sources"]),
        ("at 1h chronyc c manual delete x", &["no whole number"]),
        ("at 1h chronyc c minpoll s x", &["no whole number"]),
        ("at 1h chronyc c selectopts s prefer", &["after + or -"]),
        ("at 1h chronyc c dump now", &["too much"]),
    ] {
        bad(more, wants);
    }
    let error = parse("clock freq 1ppm\n").err().unwrap();
    assert!(
        error.starts_with("x.sim:1: ") && error.contains("host NAME"),
        "{error}"
    );
    assert!(parse("").err().unwrap().contains("there is no host"));
    let many: String = (0..=250).map(|i| format!("host h{i}\n")).collect();
    assert!(parse(&many).err().unwrap().starts_with("x.sim:251: "));
    let error = parse("host c\nlength 90d\nsample 10ms\n").err().unwrap();
    assert!(
        error.starts_with("x.sim:2: ") && error.contains("`sample`"),
        "{error}"
    );
    let broken = ScenarioFile::parse("x.sim", b"title ok\ntitle \xff\n", &no_files);
    assert_eq!(broken.err().unwrap().line, 2);
}

#[test]
fn errors_of_a_configuration_name_their_line() {
    let error = parse("host s\nhost c\nconfig\n# nothing\nserver s iburts\nend\n");
    let error = error.err().unwrap();
    assert!(
        error.starts_with("x.sim:5: ") && error.contains("host c"),
        "{error}"
    );

    let read = |path: &Path| {
        assert_eq!(path, Path::new("dir/chrony.conf"));
        Ok(b"server s\nmakestep 1\n".to_vec())
    };
    let text = b"host s\nhost c\nconfig chrony.conf\n";
    let error = ScenarioFile::parse("dir/x.sim", text, &read).err().unwrap();
    assert_eq!((error.file.as_str(), error.line), ("dir/chrony.conf", 2));

    let error = parse("host c\nconfig\ninclude /etc/more.conf\nend\n")
        .err()
        .unwrap();
    assert!(
        error.contains("more.conf") && error.contains("file PATH"),
        "{error}"
    );
}

#[test]
fn sources_that_are_not_there_are_mistakes() {
    let unmapped = "host s\nhost c\nconfig\npool pool.ntp.org iburst\nend\n";
    let error = parse(unmapped).err().unwrap();
    assert!(error.contains("`name pool.ntp.org HOST...`"), "{error}");
    assert!(parse(&format!("{unmapped}name pool.ntp.org s\n")).is_ok());

    let by_address = "host c\nconfig\nserver 192.0.2.7\nend\n";
    let error = parse(by_address).err().unwrap();
    assert!(error.contains("`host NAME 192.0.2.7`"), "{error}");
    assert!(parse(&format!("{by_address}host s 192.0.2.7\n")).is_ok());
}

#[test]
fn reference_clocks_need_their_device() {
    let text = "host c\nconfig\nrefclock SHM 0:perm=0600 poll 2\nend\nlength 300\nsettle 100\n";
    let error = parse(text).err().unwrap();
    assert!(error.contains("`device SHM 0`"), "{error}");
    let scenario = parse(&format!(
        "{text}clock offset 50ms\ndevice SHM 0 noise 1us\n"
    ))
    .unwrap();
    let report = scenario.run(1);
    let figures = Figures::of(&report, "c", scenario.settle_s);
    assert!(figures.max_offset_s < 1e-4, "{figures:?}");
}

#[test]
fn an_unchanged_configuration_runs_with_its_names_and_files() {
    let asked = RefCell::new(Vec::new());
    let read = |path: &Path| {
        asked.borrow_mut().push(path.display().to_string());
        Ok(match path.to_str() {
            Some("there/chrony.conf") => {
                b"confdir /etc/chrony/conf.d\nsourcedir /run/x\nmakestep 1 3\n".to_vec()
            }
            _ => b"server time.example.net iburst\n".to_vec(),
        })
    };
    let text = "\
host good 192.0.2.1
host c
config chrony.conf
file /etc/chrony/conf.d/a.conf a.conf
file /run/x/b.sources
server 192.0.2.1 iburst minpoll 4
end
clock offset 5
name time.example.net good
length 300
settle 100
";
    let scenario = ScenarioFile::parse("there/x.sim", text.as_bytes(), &read).unwrap();
    assert_eq!(*asked.borrow(), ["there/chrony.conf", "there/a.conf"]);
    assert_eq!(scenario.shown, ["c"]);
    let report = scenario.run(1);
    let figures = Figures::of(&report, "c", scenario.settle_s);
    assert!((figures.steps - 1.0).abs() < 1e-9, "{figures:?}");
    assert!(figures.max_offset_s < 1e-3, "{figures:?}");
}

/// What a description means must be seen in the run.
#[test]
fn events_and_paths_do_what_they_say() {
    let check = |more: &str, what: &str, holds: &dyn Fn(&Report) -> bool| {
        let scenario = good(more);
        assert!(holds(&scenario.run(1)), "{more}: {what}");
    };
    let logged =
        |text: &'static str| move |report: &Report| !report.node("c").logged(text).is_empty();
    check("at 30s stop c", "it ends", &|report: &Report| {
        report.node("c").logged("chronyd exiting") == [30.0]
    });
    check(
        "at 30s restart c 5s",
        "it starts again",
        &|report: &Report| report.node("c").logged("Added source").len() == 2,
    );
    check(
        "at 60s step c 100s",
        "it is noticed",
        &logged("Forward time jump"),
    );
    check(
        "at 60s chronyc c doffset 0.5\nat 90 chronyc c makestep",
        "it steps",
        &|report| report.node("c").clock().steps() == 1,
    );
    check("at 60s chronyc s deny all", "nobody is served", &|report| {
        report.packets("s", "c").all(|packet| packet.at_s < 61.0) && report.node("c").received > 0
    });
    check(
        "at 60s chronyc c delete s\nat 90s chronyc c add server s iburst",
        "no source, then one",
        &|report| {
            let times: Vec<f64> = report.packets("c", "s").map(|packet| packet.at_s).collect();
            !times.iter().any(|at| (60.5..90.0).contains(at)) && times.iter().any(|&at| at > 90.0)
        },
    );
    check("link c s cut", "nothing arrives", &|report| {
        report.node("c").received == 0
    });
    check(
        "oneway c s cut\nat 20 oneway c s up",
        "it arrives later",
        &|report| {
            let first = report.packets("s", "c").next();
            first.is_some_and(|packet| packet.at_s > 20.0)
        },
    );
    check("starts 50", "nothing before", &|report| {
        report.packets("c", "s").all(|packet| packet.at_s >= 50.0)
    });
    check(
        "options -x\nclock offset 1",
        "the clock is left alone",
        &|report| (report.observed("c", 190.0).offset_s - 1.0).abs() < 1e-9,
    );
    check("at 20 unplug c", "no packet leaves", &|report| {
        report.packets("c", "s").all(|packet| packet.at_s < 20.0)
    });
}

#[test]
fn later_lines_change_what_they_name() {
    // A second each way by the second line, the loss of the first stays.
    let scenario = good(
        "link * * delay 1s jitter 0 loss 100%\nlink c s delay 10s loss 0%\nat 100 link c s loss 100%",
    );
    let report = scenario.run(1);
    let copies: Vec<(bool, usize)> = report
        .packets("c", "s")
        .map(|packet| (packet.at_s < 100.0, packet.copies))
        .collect();
    assert!(
        copies.contains(&(true, 1)) && copies.iter().all(|&(early, n)| n == usize::from(early))
    );
    assert!(report.node("s").received > 0);
}

fn runs(scenario: &ScenarioFile, seeds: std::ops::RangeInclusive<u64>) -> Vec<Run> {
    seeds
        .map(|seed| {
            let report = scenario.run(seed);
            let figures = scenario.shown.iter();
            let figures = figures.map(|host| Figures::of(&report, host, scenario.settle_s));
            Run {
                seed,
                figures: figures.collect(),
            }
        })
        .collect()
}

#[test]
fn equal_seeds_give_equal_bytes() {
    let make = || {
        let scenario = good("clock offset 0.1 freq 20ppm wander 1ppb\nlink * * jitter 1ms loss 5%");
        let runs = runs(&scenario, 3..=4);
        let report = scenario.run(3);
        let hosts: Vec<HostSeries<'_>> = scenario
            .shown
            .iter()
            .map(|host| HostSeries {
                host,
                observations: report.observations(host),
            })
            .collect();
        let svg = over_time(
            &scenario.heading(3),
            scenario.length_s,
            scenario.settle_s,
            &hosts,
        );
        (table(&scenario, &runs), csv(&scenario, &runs), svg)
    };
    let first = make();
    assert_eq!(first, make());
    assert!(first.0.contains("seeds 3 to 4") && first.1.lines().count() == 3);
}

#[test]
fn the_manual_names_every_word() {
    let statements = STATEMENTS.iter().map(|s| ("", s.name, s.synopsis));
    let clock = clock::KEYS.iter().map(|k| ("", k.name, k.value));
    let device = device::KEYS.iter().map(|k| ("", k.name, k.value));
    let link = link::KEYS.iter().map(|k| ("", k.name, k.value));
    let jitter = link::DISTRIBUTIONS.iter().map(|d| ("", d.name, d.value));
    let events = event::EVENTS
        .iter()
        .map(|r| ("at TIME ", r.name, r.synopsis));
    let commands = chronyc::COMMANDS.iter().map(|r| ("", r.name, r.synopsis));
    let all = statements
        .chain(clock)
        .chain(device)
        .chain(link)
        .chain(jitter)
        .chain(events)
        .chain(commands);
    // A bar in a table of Markdown needs a backslash.
    let page = PAGE.replace("\\|", "|");
    for (before, name, value) in all {
        let entry = format!("`{}`", format!("{before}{name} {value}").trim_end());
        assert!(
            page.contains(&entry),
            "docs/simulator.md does not have {entry}"
        );
    }
}

/// Words of the language and some that are none.
fn word() -> impl Strategy<Value = String> {
    let tables = STATEMENTS.iter().map(|s| s.name);
    let tables = tables.chain(clock::KEYS.iter().map(|k| k.name));
    let tables = tables.chain(link::KEYS.iter().map(|k| k.name));
    let tables = tables.chain(link::DISTRIBUTIONS.iter().map(|d| d.name));
    let tables = tables.chain(event::EVENTS.iter().map(|r| r.name));
    let tables = tables.chain(chronyc::COMMANDS.iter().map(|r| r.name));
    let others = [
        "s", "c", "*", "end", "every", "1", "0", "-1", "10ms", "1e9", "1d", "50%", "5ppm",
    ];
    let known: Vec<&str> = tables.chain(others).collect();
    prop_oneof![8 => proptest::sample::select(known).prop_map(str::to_owned), 1 => "\\PC{0,6}"]
}

/// Lines of such words behind a scenario that is right.
fn soup() -> impl Strategy<Value = String> {
    let line = proptest::collection::vec(word(), 0..7).prop_map(|words| words.join(" "));
    proptest::collection::vec(line, 0..6).prop_map(|lines| with(&lines.join("\n")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Bytes from anywhere are read or refused with a line and a reason.
    #[test]
    fn no_text_breaks_the_parser(bytes: Vec<u8>) {
        if let Err(error) = ScenarioFile::parse("x.sim", &bytes, &no_files) {
            prop_assert!(!error.what.is_empty() && error.line <= bytes.len() + 1);
        }
    }

    /// What is accepted can be run.
    #[test]
    fn what_is_accepted_runs(text in soup()) {
        if let Ok(mut scenario) = ScenarioFile::parse("x.sim", text.as_bytes(), &no_files) {
            scenario.length_s = scenario.length_s.min(20.0);
            scenario.settle_s = scenario.settle_s.min(1.0);
            let runs = runs(&scenario, 1..=1);
            prop_assert!(table(&scenario, &runs).contains("RMS offset"));
        }
    }
}
