//! Other implementations as our servers, our clients and our control clients.

#![forbid(unsafe_code)]

use system_tests::{Host, Lab, Process, Tracking, csv, csv_by, seconds, source_states, wait_for};

/// Long enough for four `iburst` samples of any implementation on a busy machine.
const SYNCHRONISED: std::time::Duration = seconds(45);

const SERVER: &str = "allow 192.168.0.0/16\nlocal stratum 5\n";
const CLIENT: &str = "server 192.168.163.131 iburst\n";

#[track_caller]
fn wait_until_selected(client: &Host) {
    wait_for("the server's selection", SYNCHRONISED, || {
        (source_states(client) == [("^*".to_owned(), "192.168.163.131".to_owned())]).then_some(())
    });
}

/// `daemon` and `client` name the programs that play the two parts.
#[track_caller]
fn check_client_follows_server(daemon: &str, client: &str, options: &str) {
    let lab = Lab::new();
    let (server, host) = lab.server_and_client();
    let _server = server.daemon(daemon, "", SERVER);
    let _client = host.daemon(
        client,
        "",
        &format!("server 192.168.163.131 iburst {options}\n"),
    );
    wait_until_selected(&host);
    let tracking = Tracking::of(&host).expect("an answer");
    assert_eq!(
        (tracking.stratum, tracking.reference_id.as_str()),
        (6, "C0A8A383")
    );
    assert_eq!(tracking.leap, "Normal");
    // Both read the same clock, so what is measured is what the two programs get wrong.
    assert!(tracking.system_time.abs() < 1e-3, "{tracking:?}");
}

#[test]
fn our_client_follows_debians_server() {
    check_client_follows_server("debian-chronyd", "chronyd", "");
}

#[test]
fn debians_client_follows_our_server() {
    check_client_follows_server("chronyd", "debian-chronyd", "");
}

#[test]
fn our_client_follows_our_server() {
    check_client_follows_server("chronyd", "chronyd", "");
}

#[test]
fn our_and_debians_daemons_are_peers_of_each_other() {
    for (first, second) in [("chronyd", "debian-chronyd"), ("debian-chronyd", "chronyd")] {
        let lab = Lab::new();
        let (one, other) = lab.server_and_client();
        let peer = |address: &str| format!("peer {address} minpoll 0 maxpoll 0\nallow\n");
        // The first has a reference, so the second follows it, in symmetric mode.
        let _one = one.daemon(first, "", &(peer("192.168.163.132") + "local stratum 3\n"));
        let _other = other.daemon(second, "", &peer("192.168.163.131"));
        wait_for("the peer's selection", SYNCHRONISED, || {
            (source_states(&other) == [("=*".to_owned(), "192.168.163.131".to_owned())])
                .then_some(())
        });
        let tracking = Tracking::of(&other).expect("an answer");
        assert_eq!(tracking.stratum, 4, "{first} and {second}");
    }
}

#[test]
fn time_goes_over_ipv6() {
    for (daemon, client) in [("chronyd", "debian-chronyd"), ("debian-chronyd", "chronyd")] {
        let lab = Lab::new();
        // Without duplicate address detection the addresses work at once.
        let server = lab.host("host131", "fd00:163::131/64");
        let host = lab.host("host132", "fd00:163::132/64");
        for host in [&server, &host] {
            wait_for("usable addresses", seconds(10), || {
                (!host
                    .shell("ip -6 address show dev eth0 tentative")
                    .stdout
                    .contains("fd00"))
                .then_some(())
            });
        }
        let _server = server.daemon(daemon, "", "allow fd00:163::/64\nlocal stratum 5\n");
        let _client = host.daemon(client, "", "server fd00:163::131 iburst\n");
        wait_for("the server's selection", SYNCHRONISED, || {
            (source_states(&host) == [("^*".to_owned(), "fd00:163::131".to_owned())]).then_some(())
        });
        // The first four bytes of the MD5 of the address.
        let tracking = Tracking::of(&host).expect("an answer");
        assert_eq!(
            (tracking.stratum, tracking.reference_id.as_str()),
            (6, "0B2BE6C2")
        );
    }
}

/// Interleaved mode shows in the reports once a second exchange has taken place.
#[track_caller]
fn check_interleaved(daemon: &str, client: &str) {
    let lab = Lab::new();
    let (server, host) = lab.server_and_client();
    let _server = server.daemon(daemon, "", SERVER);
    let _client = host.daemon(
        client,
        "",
        "server 192.168.163.131 iburst xleave minpoll 0 maxpoll 0\n",
    );
    let reader = if client == "chronyd" {
        "chronyc"
    } else {
        "debian-chronyc"
    };
    wait_for("an interleaved exchange", SYNCHRONISED, || {
        let rows = csv_by(reader, &host, "ntpdata");
        (rows.first()?.get(26)? == "Yes").then_some(())
    });
    wait_until_selected(&host);
}

#[test]
fn our_client_and_debians_server_interleave() {
    check_interleaved("debian-chronyd", "chronyd");
}

#[test]
fn debians_client_and_our_server_interleave() {
    check_interleaved("chronyd", "debian-chronyd");
}

#[test]
fn every_protocol_version_is_spoken_with_debians_server() {
    for version in 1..=4 {
        check_client_follows_server("debian-chronyd", "chronyd", &format!("version {version}"));
    }
}

#[test]
fn every_protocol_version_is_understood_from_debians_client() {
    for version in 1..=4 {
        check_client_follows_server("chronyd", "debian-chronyd", &format!("version {version}"));
    }
}

/// ntpsec's ntpd, told not to touch the clock.
fn ntpd(host: &Host, config: &str) -> Process {
    host.write(
        "/etc/ntp.conf",
        format!("disable ntp\nrestrict default\nrestrict 127.0.0.1\n{config}"),
    );
    host.spawn("ntpd -n -g -c /etc/ntp.conf -p /run/ntpd.pid")
}

#[test]
fn our_client_follows_ntpsecs_server() {
    let lab = Lab::new();
    let (server, host) = lab.server_and_client();
    let _server = ntpd(&server, "tos orphan 5 orphanwait 1\n");
    let _client = host.chronyd("server 192.168.163.131 iburst minpoll 1 maxpoll 2\n");
    wait_until_selected(&host);
    let tracking = Tracking::of(&host).expect("an answer");
    assert!(tracking.system_time.abs() < 1e-3, "{tracking:?}");
}

#[test]
fn ntpsecs_client_follows_our_server() {
    let lab = Lab::new();
    let (server, host) = lab.server_and_client();
    let _server = server.chronyd(SERVER);
    let _client = ntpd(&host, "server 192.168.163.131 iburst\n");
    // refid and stratum of the peer, and the tally code before it, from ntpq's table.
    let line = wait_for("ntpd's selection of our server", SYNCHRONISED, || {
        let table = host.shell("/usr/bin/python3 /mnt/bin/ntpq -pn").stdout;
        table
            .lines()
            .find(|line| line.starts_with("*192.168.163.131"))
            .map(str::to_owned)
    });
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[1], "127.127.1.1", "{line}");
    assert_eq!(words[2], "5", "{line}");
    let offset_ms: f64 = words[8].parse().expect("a number");
    assert!(offset_ms.abs() < 1.0, "{line}");
}

/// Commands that report, for all ways of printing.
const REPORTS: &[&str] = &[
    "tracking",
    "sources",
    "sources -v",
    "sources -a",
    "sourcestats",
    "sourcestats -v",
    "sourcestats -a",
    "selectdata",
    "selectdata -a",
    "authdata",
    "authdata -v",
    "authdata -a",
    "activity",
    "clients",
    "clients -k",
    "clients -p 1",
    "smoothing",
    "manual list",
    "rtcdata",
    "sourcename 192.168.163.131",
    "waitsync 1",
];

/// Options that change how reports are printed and that 4.3 has.
const MANNERS: &[&str] = &["", "-n", "-c", "-N", "-N -c", "-m -n"];

/// A daemon with sources of all kinds, and two control clients that read the same replies of it.
/// What they print for each of `lines` must be the same, on both streams, and so must the status.
#[track_caller]
fn check_both_clients_do_the_same<'a>(
    daemon: &str,
    lines: impl Iterator<Item = (&'a str, &'a str)>,
) {
    let lab = Lab::new();
    let (server, host) = lab.server_and_client();
    let _server = server.chronyd(SERVER);
    let config = "allow\nmanual\nsmoothtime 400 0.01\n\
                  server 192.168.163.199 offline noselect key 3\n\
                  peer 192.168.163.198 offline\n\
                  server nosuch.invalid offline\n";
    let _client = host.daemon(daemon, "", &format!("{CLIENT}{config}"));
    wait_for("the server's selection", SYNCHRONISED, || {
        source_states(&host)
            .iter()
            .any(|(state, _)| state == "^*")
            .then_some(())
    });
    // One client of ours in the list that `clients` prints.
    let _ = server.shell("ntpdate -q 192.168.163.132");
    let mut replay = host.spawn("probe replay /run/chrony/replay.sock /run/chrony/chronyd.sock");
    wait_for("the replaying socket", seconds(5), || {
        replay.stdout().contains("ready").then_some(())
    });
    assert!(!replay.has_ended());
    let lines: Vec<_> = lines.collect();
    // One script for all: standard output, exit status and standard error of each line.
    let ask = |client: &str| {
        let run = |(options, line): &(&str, &str)| {
            format!(
                "echo '## {options} {line}'\n\
                 {client} -h /run/chrony/replay.sock {options} -- '{line}' 2>/run/errors\n\
                 echo \"status $?\"; cat /run/errors\n"
            )
        };
        let script: String = lines.iter().map(run).collect();
        host.shell_with_input("TZ=UTC sh", &script).ok()
    };
    let (ours, debians) = (ask("chronyc"), ask("debian-chronyc"));
    let blocks = |text: &str| text.split("## ").map(str::to_owned).collect::<Vec<_>>();
    let (ours, debians) = (blocks(&ours), blocks(&debians));
    // The first block is what comes before the first line: nothing.
    assert_eq!(ours.len(), lines.len() + 1);
    let pairs = ours.iter().zip(&debians);
    let different: Vec<_> = pairs.filter(|(ours, debians)| ours != debians).collect();
    assert!(
        different.is_empty() && ours.len() == debians.len(),
        "{} of {} differ, ours first: {different:#?}",
        different.len(),
        lines.len()
    );
}

fn reports() -> impl Iterator<Item = (&'static str, &'static str)> {
    MANNERS
        .iter()
        .flat_map(|manner| REPORTS.iter().map(|report| (*manner, *report)))
}

fn commands() -> impl Iterator<Item = (&'static str, &'static str)> {
    include_str!("data/commands.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| ("", line))
}

#[test]
fn our_and_debians_control_clients_print_the_same_about_our_daemon() {
    check_both_clients_do_the_same("chronyd", reports());
}

#[test]
fn our_and_debians_control_clients_print_the_same_about_debians_daemon() {
    check_both_clients_do_the_same("debian-chronyd", reports());
}

#[test]
fn our_and_debians_control_clients_command_our_daemon_the_same() {
    check_both_clients_do_the_same("chronyd", commands());
}

#[test]
fn our_and_debians_control_clients_command_debians_daemon_the_same() {
    check_both_clients_do_the_same("debian-chronyd", commands());
}

#[test]
fn ntpdate_takes_our_servers_time() {
    let lab = Lab::new();
    let (server, host) = lab.server_and_client();
    let _server = server.chronyd(SERVER);
    let printed = host.shell("ntpdate -q host131").ok();
    assert!(printed.contains("192.168.163.131"), "{printed}");
}

#[test]
fn broadcasts_are_sent_to_the_network() {
    let lab = Lab::new();
    let (server, _client) = lab.server_and_client();
    let packets = dissect(&server, || {
        let _server = server.chronyd("local stratum 5\nbroadcast 1 192.168.163.255\n");
        std::thread::sleep(seconds(4));
    });
    let count = packets.iter().filter(|line| **line == ",,4,5,5").count();
    assert!(
        (2..=5).contains(&count),
        "{count} broadcasts in four seconds: {packets:#?}"
    );
}

/// Captures NTP on the server's side while `work` runs and returns what tshark says of each packet.
fn dissect(server: &Host, work: impl FnOnce()) -> Vec<String> {
    let mut capture = server.spawn("tshark -q -i eth0 -f 'udp port 123' -w /mnt/work/packets");
    wait_for("tshark's first word", seconds(120), || {
        capture.stderr().contains("Capturing on").then_some(())
    });
    // The message comes just before the capture is open; a packet of our own shows that it is.
    wait_for("an open capture", seconds(20), || {
        let _ = server.shell_with_input("probe udp 192.168.163.132:123 10", "00\n");
        let size = std::fs::metadata(server.path("/mnt/work/packets")).map_or(0, |file| file.len());
        (size > 400).then_some(())
    });
    work();
    capture.signal("INT");
    let _ = capture.wait(seconds(20));
    let fields = "-T fields -E separator=, -e _ws.malformed -e _ws.expert.message -e ntp.flags.vn -e ntp.flags.mode -e ntp.stratum";
    let table = server
        .shell(&format!(
            "tshark -r /mnt/work/packets -Y 'udp.length >= 56' {fields}"
        ))
        .ok();
    table.lines().map(str::to_owned).collect()
}

#[test]
fn tshark_finds_nothing_malformed_in_what_we_send() {
    for options in ["version 1", "version 2", "version 3", "version 4", "xleave"] {
        let lab = Lab::new();
        let (server, host) = lab.server_and_client();
        let _server = server.chronyd(SERVER);
        let packets = dissect(&server, || {
            let config = format!("server 192.168.163.131 iburst minpoll 0 maxpoll 0 {options}\n");
            let _client = host.chronyd(&config);
            wait_for("six exchanges", SYNCHRONISED, || {
                let samples: u32 = csv(&host, "sourcestats").first()?.get(1)?.parse().ok()?;
                (samples >= 6).then_some(())
            });
        });
        let version = options.strip_prefix("version ").unwrap_or("4");
        for (what, mode, stratum) in [("requests", "3", "0"), ("replies", "4", "5")] {
            let expected = format!(",,{version},{mode},{stratum}");
            let count = packets.iter().filter(|line| **line == expected).count();
            assert!(
                count >= 4,
                "{options}: {count} {what} like {expected} in {packets:#?}"
            );
        }
        for line in &packets {
            assert!(line.starts_with(",,"), "{options}: {line}");
        }
    }
}
