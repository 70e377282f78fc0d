//! Start, end and failure of the daemon as a process: texts, exit statuses, privileges.

#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use system_tests::{Host, Lab, csv, seconds, wait_for};

/// Capability numbers (`capability.h`).
const NET_BIND_SERVICE: u64 = 1 << 10;

fn host(lab: &Lab) -> Host {
    lab.host("host131", "192.168.163.131/24")
}

/// Standard error without the time stamps that begin each line.
fn messages(stderr: &str) -> Vec<&str> {
    stderr
        .lines()
        .map(|line| line.split_once("Z ").map_or(line, |(_, rest)| rest))
        .collect()
}

/// Runs `line`, which must fail with status 1 and `text` as the last message.
#[track_caller]
fn check_fails(host: &Host, line: &str, text: &str) {
    let output = host.shell(line);
    assert_eq!(output.status, 1, "{line}\n{}", output.stderr);
    assert_eq!(
        messages(&output.stderr).last(),
        Some(&format!("Fatal error : {text}").as_str()),
        "{line}"
    );
}

#[test]
fn fatal_errors_have_the_documented_texts() {
    let lab = Lab::new();
    let host = host(&lab);
    host.write("/etc/empty.conf", "");
    host.write("/var/lib/old/key", "");
    for (line, text) in [
        (
            "chronyd -d -x -f /nonexistent",
            "Could not open /nonexistent : No such file or directory",
        ),
        (
            "chronyd -d -x -f /etc/empty.conf -u nosuchuser",
            "Could not get user/group ID of nosuchuser",
        ),
        (
            "chronyd -d -x 'user nosuchuser'",
            "Could not get user/group ID of nosuchuser",
        ),
        ("chronyd -d -x -t abc", "Invalid argument abc"),
        (
            "chronyd -d -x 'allow' 'nosuchdirective'",
            "Invalid directive nosuchdirective at line 2",
        ),
        (
            "setpriv --reuid 990 --regid 990 --clear-groups chronyd -d -x",
            "Not superuser",
        ),
        (
            "chronyd -d -x 'port 0' 'cmdport 0' 'bindcmdaddress /' 'pidfile /'",
            "Nothing to do",
        ),
    ] {
        check_fails(&host, line, text);
    }
}

#[test]
fn every_kind_of_configuration_error_names_line_and_file() {
    let lab = Lab::new();
    let host = host(&lab);
    let long = format!("# {}", "x".repeat(2100));
    for (config, text) in [
        ("frobnicate 1\n", "Invalid directive frobnicate at line 1"),
        (
            "\n# comment\nport 123 4\n",
            "Too many arguments for port directive at line 3",
        ),
        ("port\n", "Missing arguments for port directive at line 1"),
        (
            "port 70000\n",
            "Invalid value 70000 in port directive (min 0, max 65535) at line 1",
        ),
        ("port 12x\n", "Could not parse port directive at line 1"),
        ("server\n", "Invalid syntax for server directive at line 1"),
        (
            "server a minpoll\n",
            "Invalid value in server directive at line 1",
        ),
        (
            "server a minpol 4\n",
            "Invalid option in server directive at line 1",
        ),
        (
            "Server a iburst # comment\n",
            "Invalid option in Server directive at line 1",
        ),
        ("log measurments\n", "Invalid log parameter at line 1"),
        (
            "local stratum 16\n",
            "Invalid value in local directive at line 1",
        ),
        (
            "allow 300.1.1.1.1\n",
            "Could not parse allow directive at line 1",
        ),
        (long.as_str(), "String too long at line 1"),
    ] {
        host.write("/etc/chrony.conf", config);
        check_fails(
            &host,
            "chronyd -d -x",
            &format!("{text} in file /etc/chrony.conf"),
        );
        // `-p` refuses the same.
        assert_eq!(host.shell("chronyd -p").status, 1, "{config}");
    }
    assert!(!host.path("/run/chrony/chronyd.pid").exists());
}

#[test]
fn errors_go_where_the_way_of_starting_says() {
    let lab = Lab::new();
    let host = host(&lab);
    host.write("/etc/chrony.conf", "frobnicate\n");
    let text = "Invalid directive frobnicate at line 1 in file /etc/chrony.conf";
    // In the background: the waiting parent prints the bare text.
    let output = host.shell("chronyd -x");
    assert_eq!((output.status, output.stderr), (1, format!("{text}\n")));
    // In the foreground with the system log: without a time stamp.
    let output = host.shell("chronyd -n -x");
    assert_eq!(
        (output.status, output.stderr),
        (1, format!("Fatal error : {text}\n"))
    );
    // Standard output stays empty in both.
    assert_eq!(output.stdout, "");
}

#[test]
fn bad_options_print_the_usage() {
    let lab = Lab::new();
    let host = host(&lab);
    let help = host.shell("chronyd --help").ok();
    assert!(
        help.starts_with("Usage: chronyd [OPTION]... [DIRECTIVE]...\n\nOptions:\n  -4\t\tUse IPv4"),
        "{help}"
    );
    for (line, complaint) in [
        ("chronyd -Z", "chronyd: invalid option -- 'Z'\n"),
        (
            "chronyd -t",
            "chronyd: option requires an argument -- 't'\n",
        ),
    ] {
        let output = host.shell(line);
        assert_eq!((output.status, output.stderr.as_str()), (1, complaint));
        assert_eq!(output.stdout, help);
    }
}

#[test]
fn a_second_instance_is_refused() {
    let lab = Lab::new();
    let host = host(&lab);
    let mut first = host.chronyd("local stratum 5\nport 0\n");
    let text = format!(
        "Another chronyd may already be running (pid={}), check /run/chrony/chronyd.pid",
        first.id()
    );
    for file in ["/run", "/var/run"] {
        let line = format!("chronyd -d -x 'port 0' 'pidfile {file}/chrony/chronyd.pid'");
        check_fails(&host, &line, &text.replace("/run", file));
    }
    // The first one is not disturbed, and its pid file not removed.
    assert!(!first.has_ended());
    assert_eq!(
        host.read("/run/chrony/chronyd.pid"),
        format!("{}\n", first.id())
    );
    first.stop();
    assert!(!host.path("/run/chrony/chronyd.pid").exists());
    // A file left behind by a process that is gone is no hindrance.
    host.write("/run/chrony/chronyd.pid", format!("{}\n", first.id()));
    let _second = host.chronyd("local stratum 5\nport 0\n");
}

#[test]
fn signals_end_the_daemon_in_order() {
    let lab = Lab::new();
    let host = host(&lab);
    host.must("mkdir -p /var/lib/chrony");
    for signal in ["TERM", "INT", "QUIT", "HUP"] {
        let mut process = host.chronyd("local stratum 5\ndriftfile /var/lib/chrony/drift\n");
        process.signal("PIPE");
        process.signal(signal);
        assert_eq!(process.wait(seconds(10)), 0, "{signal}");
        let log = process.stderr();
        assert_eq!(
            messages(&log).last(),
            Some(&"chronyd exiting"),
            "{signal}: {log}"
        );
    }
    // Others have no handler: 10 is USR1.
    let mut process = host.chronyd("local stratum 5\n");
    process.signal("USR1");
    assert_eq!(process.wait(seconds(10)), -10);
    // ... which leaves a pid file and a socket behind, and the next start copes with both.
    let _next = host.chronyd("local stratum 5\n");
}

#[test]
fn chronyc_can_end_the_daemon() {
    let lab = Lab::new();
    let host = host(&lab);
    let mut process = host.chronyd("local stratum 5\n");
    assert_eq!(host.shell("chronyc shutdown").ok(), "200 OK\n");
    assert_eq!(process.wait(seconds(10)), 0);
    let log = process.stderr();
    assert!(log.contains("Received shutdown command"), "{log}");
    let output = host.shell("chronyc -h 127.0.0.1 tracking");
    assert_eq!(
        (output.status, output.stdout.as_str()),
        (1, "506 Cannot talk to daemon\n")
    );
}

#[test]
fn the_offset_is_measured_once() {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    let _server = server.chronyd("allow\nlocal stratum 5\n");
    for (option, verdict) in [("-Q", "(ignored)"), ("-q -x", "(step)")] {
        let line = format!("chronyd {option} -t 40 'server 192.168.163.131 iburst'");
        let output = client.shell(&line);
        let lines = messages(&output.stderr);
        assert_eq!(output.status, 0, "{line}\n{}", output.stderr);
        let found = lines
            .iter()
            .find_map(|line| line.strip_prefix("System clock wrong by "));
        let words: Vec<&str> = found
            .unwrap_or_else(|| panic!("{lines:?}"))
            .split(' ')
            .collect();
        assert_eq!(words[1..], ["seconds", verdict], "{lines:?}");
        assert!(
            words[0].parse::<f64>().expect("a number").abs() < 1e-3,
            "{lines:?}"
        );
        assert_eq!(lines.last(), Some(&"chronyd exiting"));
    }
    for options in ["-Q", "-Q 'server 192.168.163.199 iburst'"] {
        let output = client.shell(&format!("chronyd -t 40 {options} 'maxsamples 1'"));
        assert_eq!(output.status, 1, "{}", output.stderr);
        let lines = messages(&output.stderr);
        assert!(
            lines.contains(&"No suitable source for synchronisation"),
            "{lines:?}"
        );
    }
}

#[test]
fn a_limited_run_ends_by_itself_and_tells_whether_it_had_a_reference() {
    let lab = Lab::new();
    let host = host(&lab);
    for (config, status) in [("server 192.168.163.199", 1), ("local stratum 5", 0)] {
        let output = host.shell(&format!("chronyd -d -x -t 1 '{config}'"));
        assert_eq!(output.status, status, "{}", output.stderr);
        let lines = messages(&output.stderr);
        assert_eq!(
            lines[lines.len() - 2..],
            ["Timeout reached", "chronyd exiting"]
        );
    }
}

#[test]
fn root_is_given_up_for_the_user_and_only_the_needed_rights_are_kept() {
    let lab = Lab::new();
    let host = host(&lab);
    for (options, config, rights) in [
        ("-u chrony", "local stratum 5\nallow\n", NET_BIND_SERVICE),
        (
            "",
            "local stratum 5\nallow\nuser chrony\n",
            NET_BIND_SERVICE,
        ),
        ("-u chrony", "local stratum 5\nport 0\nuser root\n", 0),
        ("-u chrony", "local stratum 5\nport 11123\n", 0),
    ] {
        host.must("rm -rf /run/chrony /var/lib/chrony; install -d -o chrony -g chrony -m 750 /var/lib/chrony");
        host.write(
            "/etc/chrony.conf",
            format!("{config}driftfile /var/lib/chrony/drift\n"),
        );
        let mut process = host.spawn(&format!("chronyd -d -x {options}"));
        wait_for("an answer", seconds(20), || {
            assert!(!process.has_ended(), "{}", process.stderr());
            (host.path("/run/chrony/chronyd.sock").exists() && !csv(&host, "tracking").is_empty())
                .then_some(())
        });
        assert_eq!(process.status_field("Uid"), "990\t990\t990\t990");
        assert_eq!(process.status_field("Gid"), "990\t990\t990\t990");
        assert_eq!(process.status_field("Groups"), "");
        for set in ["CapEff", "CapPrm"] {
            let found = u64::from_str_radix(&process.status_field(set), 16).expect("hexadecimal");
            assert_eq!(found, rights, "{set} with {options} and {config}");
        }
        for set in ["CapInh", "CapAmb"] {
            assert_eq!(process.status_field(set), "0000000000000000", "{set}");
        }
        let directory = fs::metadata(host.path("/run/chrony")).expect("made by the daemon");
        assert_eq!((directory.uid(), directory.gid()), (990, 990));
        assert_eq!(directory.permissions().mode() & 0o7777, 0o750);
        // What needs root's socket works for root, and the files are the user's.
        assert_eq!(host.shell("chronyc allow 10.0.0.0/8").ok(), "200 OK\n");
        process.stop();
        assert_eq!(
            fs::metadata(host.path("/var/lib/chrony/drift"))
                .expect("written")
                .uid(),
            990
        );
    }
}

#[test]
fn an_ordinary_user_may_run_it_on_free_ports() {
    let lab = Lab::new();
    let host = host(&lab);
    let line = "setpriv --reuid 990 --regid 990 --clear-groups chronyd -d -x -U -u chrony \
        'port 11123' 'cmdport 11323' 'bindcmdaddress /' 'bindcmdaddress 127.0.0.1' 'pidfile /run/own/pid' \
        'allow' 'local stratum 5'";
    host.must("install -d -o chrony -g chrony /run/own");
    let mut process = host.spawn(line);
    wait_for("an answer", seconds(20), || {
        assert!(!process.has_ended(), "{}", process.stderr());
        (host
            .shell("chronyc -h 127.0.0.1 -p 11323 -n tracking")
            .status
            == 0)
            .then_some(())
    });
    process.stop();
}

#[test]
fn a_busy_port_is_reported_and_the_rest_works() {
    let lab = Lab::new();
    let host = host(&lab);
    let mut holder = host.spawn("probe hold 0.0.0.0:123");
    wait_for("the held port", seconds(5), || {
        holder.stdout().contains("ready").then_some(())
    });
    assert!(!holder.has_ended());
    let mut process = host.chronyd("local stratum 5\nallow\n");
    let _ = process.wait_for_line("Could not open NTP socket on 0.0.0.0:123", seconds(5));
}

#[test]
fn a_log_file_is_appended_to_and_never_through_a_link() {
    let lab = Lab::new();
    let host = host(&lab);
    host.write("/var/log/chronyd.log", "old\n");
    let output =
        host.shell("chronyd -x -n -l /var/log/chronyd.log -t 1 'port 0' 'local stratum 3'");
    assert_eq!(output.stderr, "");
    let log = host.read("/var/log/chronyd.log");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines[0], "old");
    assert!(
        lines[1].ends_with(')') && lines[1].contains("Z chronyd version 4.8 starting (+"),
        "{log}"
    );
    // 2026-01-02T03:04:05Z
    assert_eq!(lines[1].find("Z "), Some(19), "{log}");
    assert!(
        lines[lines.len() - 1].ends_with("Z chronyd exiting"),
        "{log}"
    );

    host.must("ln -s /var/log/chronyd.log /var/log/link");
    let output = host.shell("chronyd -x -n -l /var/log/link -t 1");
    assert_eq!(output.status, 1, "{}", output.stderr);
    assert!(
        output.stderr.contains("Could not open /var/log/link"),
        "{}",
        output.stderr
    );
    assert_eq!(host.read("/var/log/chronyd.log"), log);
}

#[test]
fn an_open_socket_directory_disables_the_command_socket() {
    let lab = Lab::new();
    let host = host(&lab);
    for (script, complaint) in [
        (
            "mkdir -m 777 /run/chrony",
            "Wrong permissions on /run/chrony",
        ),
        (
            "mkdir -m 750 /run/chrony; chown chrony /run/chrony",
            "Wrong owner of /run/chrony (UID != 0)",
        ),
        (
            "mkdir -m 750 /run/chrony; chgrp chrony /run/chrony",
            "Wrong owner of /run/chrony (GID != 0)",
        ),
    ] {
        host.must(&format!("rm -rf /run/chrony\n{script}"));
        let line = "chronyd -d -x -u root 'port 0' 'local stratum 5' 'pidfile /run/pid' 'bindcmdaddress /run/chrony/chronyd.sock'";
        let mut process = host.spawn(line);
        let _ = process.wait_for_line(
            "Disabled command socket /run/chrony/chronyd.sock",
            seconds(10),
        );
        assert!(process.stderr().contains(complaint), "{}", process.stderr());
        assert!(!host.path("/run/chrony/chronyd.sock").exists());
        // Monitoring over UDP goes on.
        let _ = host.shell("chronyc -n -h 127.0.0.1 tracking").ok();
        process.stop();
    }
}

#[test]
fn only_reports_are_given_over_udp() {
    let lab = Lab::new();
    let host = host(&lab);
    let _daemon = host.chronyd("local stratum 5\n");
    for address in ["127.0.0.1", "::1"] {
        let ask = |command: &str| host.shell(&format!("chronyc -n -h {address} {command}"));
        assert_eq!(ask("tracking").status, 0, "{address}");
        for command in ["allow 10.0.0.0/8", "shutdown", "clients", "makestep"] {
            let output = ask(command);
            assert_eq!(output.status, 1, "{command}");
            // A report begins with its header before the daemon is asked.
            assert!(
                output.stdout.ends_with("501 Not authorised\n"),
                "{command}: {}",
                output.stdout
            );
        }
    }
}

#[test]
fn the_configuration_is_printed_as_it_is_read() {
    let lab = Lab::new();
    let host = host(&lab);
    host.write("/etc/more.conf", "allow   10.0.0.0/8\n");
    host.write(
        "/etc/chrony.conf",
        "! comment\nServer  a.example   iburst\ninclude /etc/more.conf\n\nrtcsync\n",
    );
    let printed = host.shell("chronyd -p").ok();
    assert_eq!(
        printed,
        "Server a.example iburst\nallow 10.0.0.0/8\nrtcsync\n"
    );
}
