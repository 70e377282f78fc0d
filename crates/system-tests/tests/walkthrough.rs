//! What administrators' notes on setting up chrony on CentOS 7 do, typed as they type it.
//!
//! Server `host131` at 192.168.163.131, client `host132` at .132, an isolated network. The one
//! addition is `-x` on the daemon's command line: the machine's clock is not ours to set. Setting a
//! wrong clock right is shown in a virtual machine (`cargo xtask vm`).

#![forbid(unsafe_code)]

use std::time::Duration;

use system_tests::{
    Host, Lab, NtpReply, NtpRequest, Process, Tracking, hex, seconds, source_states, unhex,
    wait_for,
};

const STOCK: &str = include_str!("data/centos-7-chrony.conf");

/// Edits the stock file as the notes do on the server.
const EDIT_SERVER: &str = "cp /etc/chrony.conf /etc/chrony.conf.org
sed -i -e '3,6s/^/#/' -e '26s/#//' -e '29s/.*/local stratum 5/' /etc/chrony.conf";

/// ... and on the client.
const EDIT_CLIENT: &str = "cp /etc/chrony.conf /etc/chrony.conf.org
sed -i -e '3,6s/^/#/' -e '6aserver 192.168.163.131 iburst' /etc/chrony.conf";

/// `systemctl restart chronyd`: the program with no more than the option that spares the clock.
#[track_caller]
fn restart(host: &Host) -> Process {
    let mut process = host.spawn("chronyd -d -x");
    wait_for("an answer to chronyc", seconds(20), || {
        assert!(!process.has_ended(), "{}", process.stderr());
        let there = host.path("/run/chrony/chronyd.sock").exists();
        (there && host.shell("chronyc -n tracking").status == 0).then_some(())
    });
    process
}

/// The two machines of the notes with the daemons running.
fn pair() -> (Lab, Host, Host, Process, Process) {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    for (host, edit) in [(&server, EDIT_SERVER), (&client, EDIT_CLIENT)] {
        host.write("/etc/chrony.conf", STOCK);
        host.must(edit);
    }
    let (on_server, on_client) = (restart(&server), restart(&client));
    (lab, server, client, on_server, on_client)
}

#[track_caller]
fn wait_until_selected(client: &Host) {
    wait_for("the server's selection", seconds(45), || {
        source_states(client)
            .iter()
            .any(|(state, _)| state == "^*")
            .then_some(())
    });
}

/// The table without what changes from one second to the next.
const SOURCES_LEGEND: &str = r"
  .-- Source mode  '^' = server, '=' = peer, '#' = local clock.
 / .- Source state '*' = current best, '+' = combined, '-' = not combined,
| /             'x' = may be in error, '~' = too variable, '?' = unusable.
||                                                 .- xxxx [ yyyy ] +/- zzzz
||      Reachability register (octal) -.           |  xxxx = adjusted offset,
||      Log2(Polling interval) --.      |          |  yyyy = measured offset,
||                                \     |          |  zzzz = estimated error.
||                                 |    |           \
MS Name/IP address         Stratum Poll Reach LastRx Last sample               
===============================================================================
";

#[test]
fn w1_both_programs_name_the_release_they_are_compatible_with() {
    let lab = Lab::new();
    let host = lab.host("host131", "192.168.163.131/24");
    for options in ["--version", "-v"] {
        for (program, features) in [
            (
                "chronyd",
                "CMDMON REFCLOCK RTC PRIVDROP SCFILTER SIGND NTS SECHASH IPV6 DEBUG",
            ),
            ("chronyc", "READLINE SECHASH IPV6 DEBUG"),
        ] {
            let line = host.shell(&format!("{program} {options}")).ok();
            let start = format!(
                "{program} (timewright {}) version 4.8 (",
                env!("CARGO_PKG_VERSION")
            );
            let rest = line
                .strip_prefix(&start)
                .unwrap_or_else(|| panic!("{line}"));
            let inside = rest.strip_suffix(")\n").unwrap_or_else(|| panic!("{line}"));
            let names: Vec<&str> = inside
                .split(' ')
                .map(|word| word.trim_start_matches(['+', '-']))
                .collect();
            assert_eq!(names.join(" "), features, "{line}");
        }
    }
}

#[test]
fn w3_a_start_in_the_background_logs_what_the_notes_show_and_stops_on_request() {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    let syslog = client.syslog();
    let _server = server.chronyd("allow\nlocal stratum 5\n");
    client.write(
        "/var/lib/chrony/drift",
        "          -21.077000             0.415000\n",
    );
    let config = "server 192.168.163.131 iburst\ndriftfile /var/lib/chrony/drift\n";
    client.write("/etc/chrony.conf", config);
    let started = client.shell("chronyd -x");
    assert_eq!(
        (
            started.status,
            started.stdout.as_str(),
            started.stderr.as_str()
        ),
        (0, "", "")
    );
    // The parent returned because the daemon is ready, so its pid file is there.
    let pid: u32 = client
        .read("/run/chrony/chronyd.pid")
        .trim()
        .parse()
        .expect("a number");

    let patience = seconds(45);
    let first = syslog.wait_for("chronyd version 4.8 starting (+CMDMON ", patience);
    // Facility daemon (3), severity info (6); ident and pid before the text.
    assert!(first.starts_with("<30>"), "{first}");
    assert!(first.contains(&format!(" chronyd[{pid}]: ")), "{first}");
    let _ = syslog.wait_for(
        "Frequency -21.077 +/- 0.415 ppm read from /var/lib/chrony/drift",
        patience,
    );
    let _ = syslog.wait_for("Selected source 192.168.163.131", patience);

    client.must(&format!("kill -TERM {pid}"));
    client.wait_until_gone(pid);
    let _ = syslog.wait_for("chronyd exiting", patience);
    assert!(!client.path("/run/chrony/chronyd.pid").exists());
    assert!(!client.path("/run/chrony/chronyd.sock").exists());
}

#[test]
fn w3_readiness_and_the_end_are_told_to_the_service_manager() {
    let lab = Lab::new();
    let host = lab.host("host131", "192.168.163.131/24");
    let notify = host.datagrams("/run/notify");
    host.write("/etc/chrony.conf", "local stratum 5\n");
    let mut process = host.spawn_after("export NOTIFY_SOCKET=/run/notify", "chronyd -n -x");
    let _ = notify.wait_for("READY=1", seconds(20));
    // Ready means that clients are served and chronyc is answered.
    let _ = host.shell("chronyc -n tracking").ok();
    process.stop();
    let _ = notify.wait_for("STOPPING=1", seconds(5));
    assert_eq!(notify.all(), ["READY=1", "STOPPING=1"]);
}

#[test]
fn w5_the_stock_file_loads_unchanged() {
    let lab = Lab::new();
    let host = lab.host("host131", "192.168.163.131/24");
    host.write("/etc/chrony.conf", STOCK);
    let printed = host.shell("chronyd -p").ok();
    let directives: Vec<&str> = STOCK
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    assert_eq!(printed.lines().collect::<Vec<_>>(), directives);

    // No name server is in reach; the daemon runs and shows its four sources with -a.
    host.write(
        "/etc/resolv.conf",
        "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
    );
    let mut daemon = restart(&host);
    assert_eq!(
        host.shell("chronyc -n -N -c sources -a")
            .ok()
            .lines()
            .count(),
        4
    );
    daemon.stop();
}

#[test]
fn w5_the_edits_are_those_of_the_notes() {
    let lab = Lab::new();
    let host = lab.host("host131", "192.168.163.131/24");
    for (edit, hunks) in [
        (EDIT_SERVER, ["3,6c3,6", "26c26", "29c29"].as_slice()),
        (EDIT_CLIENT, &["3,7c3,6"]),
    ] {
        host.write("/etc/chrony.conf", STOCK);
        host.must(edit);
        let diff = host
            .shell("diff /etc/chrony.conf /etc/chrony.conf.org")
            .stdout;
        let found: Vec<&str> = diff
            .lines()
            .filter(|line| line.contains('c') && !line.contains(' '))
            .collect();
        assert_eq!(found, hunks, "{diff}");
    }
}

#[test]
fn w5_the_preferred_of_two_good_servers_is_selected() {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    let other = lab.host("host133", "192.168.163.133/24");
    let _servers = [&server, &other].map(|host| host.chronyd("allow\nlocal stratum 5\n"));
    for preferred in ["192.168.163.131", "192.168.163.133"] {
        let options = |address: &str| {
            if address == preferred {
                "iburst prefer"
            } else {
                "iburst"
            }
        };
        let config: String = ["192.168.163.131", "192.168.163.133"]
            .map(|address| format!("server {address} {}\n", options(address)))
            .concat();
        let mut daemon = client.chronyd(&config);
        wait_until_selected(&client);
        wait_for("the preferred source", seconds(30), || {
            let states = source_states(&client);
            (states
                .iter()
                .any(|row| *row == ("^*".to_owned(), preferred.to_owned())))
            .then_some(())
        });
        daemon.stop();
    }
}

#[test]
fn w5_a_server_may_be_named_and_asked_in_bursts() {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    let _server = server.chronyd("allow\nlocal stratum 5\n");
    for line in [
        "server host131 iburst",
        "server 192.168.163.131 burst minpoll 0 maxpoll 1",
    ] {
        let mut daemon = client.chronyd(&format!("{line}\n"));
        wait_until_selected(&client);
        let shown = client.shell("chronyc sources").ok();
        assert!(shown.contains("^* host131 "), "{shown}");
        daemon.stop();
    }
}

#[test]
fn w6_an_isolated_server_serves_its_own_clock_to_those_it_allows() {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    // A reply or silence, as the client sees it.
    let ask = || {
        let request = hex(&NtpRequest::client(4).bytes());
        let printed = client
            .shell_with_input("probe udp 192.168.163.131:123 700", &request)
            .ok();
        unhex(printed.trim()).and_then(|bytes| NtpReply::parse(&bytes))
    };
    let mut daemon = server.chronyd("allow 192.168.0.0/16\nlocal stratum 5\n");
    let reply = ask().expect("an allowed client is answered");
    assert_eq!(
        (reply.leap, reply.version, reply.mode, reply.stratum),
        (0, 4, 4, 5)
    );
    assert_eq!(reply.reference_id, 0x7f7f_0101);
    assert_eq!(reply.origin, NtpRequest::client(4).transmit);
    let tracking = server.shell("chronyc tracking").ok();
    assert!(
        tracking.starts_with("Reference ID    : 7F7F0101 ()\nStratum         : 5\n"),
        "{tracking}"
    );

    // Changed at run time ...
    assert_eq!(
        server.shell("chronyc deny 192.168.163.132").ok(),
        "200 OK\n"
    );
    assert_eq!(ask(), None);
    assert_eq!(
        server.shell("chronyc allow 192.168.163.132").ok(),
        "200 OK\n"
    );
    assert!(ask().is_some());
    daemon.stop();
    // ... and in the file.
    for (config, answered) in [
        ("local stratum 5\n", false),
        ("local stratum 5\nallow 10.0.0.0/8\n", false),
        ("local stratum 5\nallow\ndeny 192.168.163.0/24\n", false),
        ("local stratum 5\nallow\n", true),
        ("local stratum 10\nallow 192.168.163.132\n", true),
    ] {
        let mut daemon = server.chronyd(config);
        assert_eq!(ask().is_some(), answered, "{config}");
        daemon.stop();
    }
}

#[test]
fn w7_drift_file_and_log_files_are_kept_where_the_notes_say() {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    let _server = server.chronyd("allow\nlocal stratum 5\n");
    client.write("/etc/chrony.keys", "1 MD5 ASCII:notasecret\n");
    client.must("chmod 640 /etc/chrony.keys; mkdir -p /var/lib/chrony");
    let config =
        "server 192.168.163.131 iburst minpoll 1 maxpoll 1\ndriftfile /var/lib/chrony/drift
makestep 1.0 3\nrtcsync\nlogdir /var/log/chrony\nlog measurements statistics tracking
keyfile /etc/chrony.keys\n";
    let mut daemon = client.chronyd(config);
    wait_until_selected(&client);
    let log = daemon.stderr();
    let keys = if client.chronyd_has("SECHASH") {
        "Loaded 1 symmetric keys"
    } else {
        "keyfile directive has no effect"
    };
    assert!(log.contains(keys), "{log}");
    for (name, banner) in [
        (
            "measurements",
            "   Date (UTC) Time     IP Address   L St 123 567 ABCD  LP RP Score    Offset  Peer del. Peer disp.  Root del. Root disp. Refid     MTxRx",
        ),
        (
            "statistics",
            "   Date (UTC) Time     IP Address    Std dev'n Est offset  Offset sd  Diff freq   Est skew  Stress  Ns  Bs  Nr  Asym",
        ),
        (
            "tracking",
            "   Date (UTC) Time     IP Address   St   Freq ppm   Skew ppm     Offset L Co  Offset sd Rem. corr. Root delay Root disp. Max. error",
        ),
    ] {
        let text = wait_for("a line of the log", seconds(20), || {
            let file = client.path(&format!("/var/log/chrony/{name}.log"));
            std::fs::read_to_string(file)
                .ok()
                .filter(|text| text.contains(" 192.168.163.131 "))
        });
        let ruler = "=".repeat(banner.len());
        let head: Vec<&str> = text.lines().take(3).collect();
        assert_eq!(head, [ruler.as_str(), banner, ruler.as_str()]);
    }
    assert!(!client.path("/var/lib/chrony/drift").exists());
    daemon.stop();
    let drift = client.read("/var/lib/chrony/drift");
    assert_eq!(drift.len(), 42, "{drift}");
    let numbers: Vec<f64> = drift
        .split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect();
    assert_eq!(numbers.len(), 2);
    // Read back at the next start.
    let mut daemon = client.chronyd(config);
    let line = format!(
        "Frequency {:.3} +/- {:.3} ppm read from /var/lib/chrony/drift",
        numbers[0], numbers[1]
    );
    let _ = daemon.wait_for_line(&line, seconds(5));
}

#[test]
fn w7_leap_seconds_come_from_the_timezone_database() {
    let lab = Lab::new();
    let host = lab.host("host131", "192.168.163.131/24");
    let mut daemon = host.chronyd("leapsectz right/UTC\n");
    let _ = daemon.wait_for_line("right/UTC", seconds(5));
    let log = daemon.stderr();
    if std::path::Path::new("/usr/share/zoneinfo/right/UTC").exists() {
        assert!(
            log.contains("Using right/UTC timezone to obtain leap second data"),
            "{log}"
        );
    } else {
        assert!(
            log.contains("Timezone right/UTC failed leap second check, ignoring"),
            "{log}"
        );
    }
}

/// A session at a terminal: types each line at its prompt and returns all that was shown, without
/// the control sequences of a line editor.
fn session(host: &Host, lines: &[&str]) -> String {
    let mut terminal = host.spawn_after("export TERM=xterm", "script -q -e -c chronyc /dev/null");
    let plain = |terminal: &Process| {
        let text = terminal.stdout();
        let mut shown = String::new();
        let mut characters = text
            .chars()
            .filter(|character| *character != '\r')
            .peekable();
        while let Some(character) = characters.next() {
            if character != '\u{1b}' {
                shown.push(character);
            } else if characters.next_if_eq(&'[').is_some() {
                // Parameters up to the letter that ends the sequence.
                while characters
                    .next_if(|next| !next.is_ascii_alphabetic())
                    .is_some()
                {}
                characters.next();
            }
        }
        shown
    };
    for (number, line) in lines.iter().enumerate() {
        wait_for("a prompt", seconds(20), || {
            let shown = plain(&terminal);
            (shown.matches("chronyc> ").count() > number && shown.ends_with("chronyc> ")
                || shown
                    .lines()
                    .filter(|line| line.starts_with("chronyc> "))
                    .count()
                    > number)
                .then_some(())
        });
        terminal.type_in(&format!("{line}\r"));
    }
    let status = terminal.wait(seconds(20));
    assert_eq!(status, 0, "{}", plain(&terminal));
    plain(&terminal)
}

#[test]
fn w9_chronyc_at_a_terminal_shows_banner_prompt_and_reports() {
    let (_lab, _server, client, _on_server, _on_client) = pair();
    wait_until_selected(&client);
    let shown = session(
        &client,
        &["sources", "sources -v", "sourcestats -v", "quit"],
    );
    assert!(shown.starts_with("chrony version 4.8\n"), "{shown}");
    assert!(
        shown.contains(SOURCES_LEGEND.trim_start_matches('\n')),
        "{shown}"
    );
    assert_eq!(shown.matches("^* host131 ").count(), 2, "{shown}");
    assert!(
        shown.contains(
            "Name/IP Address            NP  NR  Span  Frequency  Freq Skew  Offset  Std Dev\n"
        ),
        "{shown}"
    );
}

#[test]
fn w10_the_isolated_server_has_no_sources_and_says_so_without_an_error() {
    let (_lab, server, _client, _on_server, _on_client) = pair();
    assert_eq!(server.shell("chronyc sources -v").ok(), SOURCES_LEGEND);
}

#[test]
fn w11_the_client_shows_the_server_selected() {
    let (_lab, _server, client, _on_server, _on_client) = pair();
    wait_until_selected(&client);
    let shown = client.shell("chronyc sources -v").ok();
    let rows = shown
        .strip_prefix(SOURCES_LEGEND)
        .unwrap_or_else(|| panic!("{shown}"));
    let words: Vec<&str> = rows.split_whitespace().collect();
    assert_eq!(words[..4], ["^*", "host131", "5", "6"], "{rows}");
    assert_eq!(rows.lines().count(), 1, "{rows}");
    // The columns are where the header says.
    assert_eq!(&rows[..3], "^* ");
    assert_eq!(rows.find("+/-"), Some(69), "{rows}");
}

#[test]
fn w12_tracking_names_the_server_and_has_all_thirteen_lines() {
    let (_lab, _server, client, _on_server, _on_client) = pair();
    wait_until_selected(&client);
    let shown = client.shell("chronyc tracking").ok();
    assert!(
        shown.starts_with("Reference ID    : C0A8A383 (host131)\nStratum         : 6\n"),
        "{shown}"
    );
    let labels: Vec<&str> = shown
        .lines()
        .map(|line| line.get(..18).unwrap_or(line))
        .collect();
    assert_eq!(
        labels,
        [
            "Reference ID    : ",
            "Stratum         : ",
            "Ref time (UTC)  : ",
            "System time     : ",
            "Last offset     : ",
            "RMS offset      : ",
            "Frequency       : ",
            "Residual freq   : ",
            "Skew            : ",
            "Root delay      : ",
            "Root dispersion : ",
            "Update interval : ",
            "Leap status     : ",
        ]
    );
    assert!(shown.ends_with("Leap status     : Normal\n"), "{shown}");
    let tracking = Tracking::of(&client).expect("an answer");
    assert!(tracking.system_time.abs() < 1e-3, "{tracking:?}");
}

#[test]
fn w13_ntpdate_asks_the_server_while_the_local_daemon_runs() {
    let (_lab, _server, client, _on_server, _on_client) = pair();
    // At the prompt, and as cron runs it, with almost no environment.
    for line in ["ntpdate -q host131", "env -i /usr/sbin/ntpdate -q host131"] {
        let printed = client.shell(line).ok();
        let last = printed.lines().last().unwrap_or_default();
        assert!(last.contains(" 192.168.163.131 s5 no-leap"), "{printed}");
        let offset = last
            .split_whitespace()
            .find(|word| word.starts_with(['+', '-']) && word.contains('.'));
        let offset: f64 = offset
            .and_then(|word| word.parse().ok())
            .unwrap_or_else(|| panic!("{printed}"));
        // Both machines have the same clock; ntpdate says itself how well it could measure.
        let margin = last
            .split_once(" +/- ")
            .and_then(|(_, rest)| rest.split(' ').next()?.parse::<f64>().ok());
        assert!(offset.abs() <= margin.expect("a number"), "{printed}");
    }
}

#[test]
fn w14_both_clocks_agree() {
    let (_lab, server, client, _on_server, _on_client) = pair();
    wait_until_selected(&client);
    // The notes compare `date` on the client with `date` over ssh on the server, by eye. Both
    // machines of this laboratory have one clock, so what can be seen is that the daemons leave it
    // alone and agree on it: the offset the client claims, and the two dates.
    let tracking = Tracking::of(&client).expect("an answer");
    assert!(tracking.system_time.abs() < 1e-3, "{tracking:?}");
    let date = |host: &Host| -> f64 {
        let printed = host.shell("date +%s.%N").ok();
        printed
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("{printed}"))
    };
    let (before, between, after) = (date(&client), date(&server), date(&client));
    assert!(
        before <= between && between <= after,
        "{before} {between} {after}"
    );
}

#[test]
fn a_client_that_starts_first_finds_the_server_later() {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    let mut daemon = client.chronyd("server 192.168.163.131 iburst minpoll 1 maxpoll 2\n");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(
        source_states(&client),
        [("^?".to_owned(), "192.168.163.131".to_owned())]
    );
    let _server = server.chronyd("allow\nlocal stratum 5\n");
    wait_until_selected(&client);
    assert!(!daemon.has_ended());
}
