//! What options and directives about the process itself do to it: memory, priority, logs, times,
//! the order in which it ends.

#![forbid(unsafe_code)]

use std::fs;

use system_tests::{Host, Lab, Process, csv, seconds, wait_for};

/// `SCHED_FIFO` and `SCHED_OTHER` of `sched.h`.
const FIFO: &str = "1";
const OTHER: &str = "0";

fn host(lab: &Lab) -> Host {
    lab.host("host131", "192.168.163.131/24")
}

/// Messages without the time stamps that begin each line.
fn messages(log: &str) -> Vec<&str> {
    log.lines()
        .map(|line| line.split_once("Z ").map_or(line, |(_, rest)| rest))
        .collect()
}

/// Priority and policy of a process, fields 40 and 41 of `/proc/PID/stat` (proc(5)).
#[track_caller]
fn scheduling(process: &Process) -> (String, String) {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.id())).expect("it runs");
    let (_, fields) = stat.rsplit_once(") ").expect("the name is in parentheses");
    // The first field after the name is the third.
    let fields: Vec<&str> = fields.split_whitespace().collect();
    (fields[40 - 3].to_owned(), fields[41 - 3].to_owned())
}

#[track_caller]
fn locked_kilobytes(process: &Process) -> u64 {
    let field = process.status_field("VmLck");
    let number = field.strip_suffix(" kB").expect("a number of kilobytes");
    number.trim().parse().expect("a number")
}

#[test]
fn memory_is_locked_if_asked_for_and_stays_so_for_another_user() {
    let lab = Lab::new();
    let host = host(&lab);
    let may_lift_limits = host.shell("ulimit -l unlimited").status == 0;
    for (options, config, locked) in [
        ("", "", false),
        ("-m", "", true),
        ("", "lock_all\n", true),
        ("-m -u chrony", "", true),
    ] {
        let mut process = host.daemon("chronyd", options, &format!("local stratum 5\n{config}"));
        let kilobytes = locked_kilobytes(&process);
        if locked && !may_lift_limits {
            // A container without that right: said once, and nothing is locked.
            let _ = process.wait_for_line("setrlimit() failed", seconds(5));
            assert_eq!(kilobytes, 0);
            continue;
        }
        // More than the program itself, which is some megabytes.
        assert_eq!(kilobytes > 1000, locked, "{options} {config}: {kilobytes}");
        assert!(locked || kilobytes == 0, "{kilobytes}");
        let log = process.stderr();
        assert!(!log.contains("failed"), "{log}");
    }
}

#[test]
fn the_priority_is_that_of_the_option_else_of_the_directive() {
    let lab = Lab::new();
    let host = host(&lab);
    for (options, config, want) in [
        ("", "", ("0", OTHER)),
        ("-P 1", "", ("1", FIFO)),
        ("", "sched_priority 7\n", ("7", FIFO)),
        ("-P 9", "sched_priority 7\n", ("9", FIFO)),
        ("-P 0", "sched_priority 99\n", ("99", FIFO)),
        ("-P 3 -u chrony", "", ("3", FIFO)),
    ] {
        let process = host.daemon("chronyd", options, &format!("local stratum 5\n{config}"));
        let (priority, policy) = scheduling(&process);
        assert_eq!(
            (priority.as_str(), policy.as_str()),
            want,
            "{options} {config}"
        );
    }
    for (line, number) in [
        ("chronyd -d -x 'sched_priority 100'", 100),
        ("chronyd -d -x -P 100", 100),
        ("chronyd -d -x -P -1", -1),
    ] {
        let output = host.shell(line);
        let text = format!("Fatal error : Bad scheduler priority: {number}");
        assert_eq!(messages(&output.stderr).last(), Some(&text.as_str()));
        assert_eq!(output.status, 1, "{line}");
    }
}

/// A daemon that may not be what was asked for says so and runs on.
#[test]
fn what_the_system_refuses_is_reported_and_not_fatal() {
    let lab = Lab::new();
    let host = host(&lab);
    let line = "setpriv --bounding-set=-sys_nice,-ipc_lock,-sys_resource --inh-caps=-sys_nice,-ipc_lock,-sys_resource \
        chronyd -d -x -P 1 -m -t 1 'local stratum 5'";
    let output = host.shell(&format!("ulimit -r 0; ulimit -l 64; {line}"));
    assert_eq!(output.status, 0, "{}", output.stderr);
    let lines = messages(&output.stderr);
    assert!(
        lines.contains(&"pthread_setschedparam() failed"),
        "{lines:?}"
    );
    let complaints = ["setrlimit() failed", "mlockall() failed"];
    assert!(
        lines.iter().any(|line| complaints.contains(line)),
        "{lines:?}"
    );
}

#[test]
fn the_filter_level_is_checked() {
    let lab = Lab::new();
    let host = host(&lab);
    for (options, text) in [
        ("-F 3", "Unsupported filter level"),
        ("-F -3", "Unsupported filter level"),
        (
            "-F 1 'mailonchange root 1'",
            "mailonchange directive cannot be used with -F enabled",
        ),
        ("-F x", "Invalid argument x"),
    ] {
        let output = host.shell(&format!("chronyd -d -x -t 1 {options} 'local stratum 5'"));
        let text = format!("Fatal error : {text}");
        assert_eq!(messages(&output.stderr).last(), Some(&text.as_str()));
        assert_eq!(output.status, 1, "{options}");
    }
    for level in ["0", "0x", "-F0"] {
        let output = host.shell(&format!(
            "chronyd -d -x -t 1 -F {} 'local'",
            level.trim_start_matches("-F")
        ));
        assert_eq!(output.status, 0, "{level}: {}", output.stderr);
    }
}

#[test]
fn severities_choose_what_is_logged() {
    let lab = Lab::new();
    let host = host(&lab);
    let run = |options: &str| {
        let line = format!("chronyd -x -t 1 {options} 'local stratum 5' 'allow 10.0.0.0/8'");
        host.shell(&line).stderr
    };
    // Info, warning, nothing below fatal; out of range is the nearest.
    let log = run("-d");
    let info = messages(&log);
    assert!(
        info[0].starts_with("chronyd version 4.8 starting (+"),
        "{log}"
    );
    assert_eq!(messages(&run("-d -L 1")), ["Running with root privileges"]);
    for silent in ["-d -L 2", "-d -L 3", "-d -L 99"] {
        assert_eq!(run(silent), "", "{silent}");
    }
    for debug in ["-d -L -1", "-d -L -99", "-d -d", "-d -d -L 3"] {
        let log = run(debug);
        let lines = messages(&log);
        // In a debug log every line tells its severity.
        for line in [
            "I:Disabled control of system clock",
            "W:Running with root privileges",
            "D:Allowed NTP access from 10.0.0.0/8",
            "D:Opened UDPv4 socket fd=",
        ] {
            let found = lines.iter().any(|found| found.starts_with(line));
            assert!(found, "{debug}: no {line} in {log}");
        }
    }
}

/// What a debug log tells of one exchange, and of a name.
#[test]
fn a_debug_log_follows_a_packet() {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    let mut served = server.daemon("chronyd", "-d", "local stratum 5\nallow\n");
    let mut daemon = client.daemon("chronyd", "-d", "server host131 iburst\n");
    for line in [
        "D:Resolving host131",
        "D:Resolved to 192.168.163.131",
        "D:Opened UDPv4 socket fd=",
        "D:Sent message to=192.168.163.131:123 fd=",
        "D:Received error message to=192.168.163.131:123 len=48 tss=K",
        "D:Received message from=192.168.163.131:123 fd=",
        "D:Closed socket fd=",
        "D:Received command 33 from=/",
    ] {
        let _ = daemon.wait_for_line(line, seconds(20));
    }
    for line in [
        "D:Received message from=192.168.163.132:",
        "D:Sent message to=192.168.163.132:",
    ] {
        let _ = served.wait_for_line(line, seconds(20));
    }
}

#[test]
fn a_log_file_that_was_moved_is_opened_again_when_told() {
    let lab = Lab::new();
    let host = host(&lab);
    host.write(
        "/etc/chrony.conf",
        "local stratum 5\nlogdir /var/log/chrony\nlog tracking\n",
    );
    let mut process = host.spawn("chronyd -n -x -u root -l /var/log/chronyd.log");
    wait_for("an answer", seconds(20), || {
        assert!(!process.has_ended(), "{}", process.stderr());
        (host.shell("chronyc -n tracking").status == 0).then_some(())
    });
    host.must("mv /var/log/chronyd.log /var/log/chronyd.log.1");
    host.must("chronyc local off; chronyc cyclelogs; chronyc local");
    let old = host.read("/var/log/chronyd.log.1");
    let new = host.read("/var/log/chronyd.log");
    assert!(old.ends_with("Disabled local reference mode\n"), "{old}");
    assert_eq!(messages(&new), ["Enabled local reference mode"]);
    // A file that is still there is not opened again.
    host.must("chronyc cyclelogs; chronyc local off");
    let grown = host.read("/var/log/chronyd.log");
    assert_eq!(messages(&grown).len(), 2, "{grown}");
    process.stop();
    let log = host.read("/var/log/chronyd.log");
    assert_eq!(messages(&log).last(), Some(&"chronyd exiting"));
    let mode = host.shell("stat -c %a /var/log/chronyd.log").ok();
    assert_eq!(mode, "640\n");
}

#[test]
fn supervisors_hear_of_readiness() {
    let lab = Lab::new();
    let host = host(&lab);
    let common = "chronyd -x -N 9 'local stratum 5' 'bindcmdaddress /' 'pidfile /run/pid'";
    // In the foreground: the line, and the end of the file although the daemon runs on.
    let output = host.shell(&format!(
        "({common} -d -t 30 9>&1 >/dev/null 2>/dev/null &) | wc -l"
    ));
    assert_eq!(output.stdout, "1\n", "{}", output.stderr);
    host.must("kill $(cat /run/pid); while [ -e /run/pid ]; do sleep 0.05; done");
    // In the background.
    let output = host.shell(&format!(
        "{common} -t 30 9>&1 >/dev/null 2>/dev/null | wc -l"
    ));
    assert_eq!(output.stdout, "1\n", "{}", output.stderr);
    // A number that is not a descriptor's is found out when it would be used.
    host.must("kill $(cat /run/pid); while [ -e /run/pid ]; do sleep 0.05; done");
    let output = host.shell(&format!("{common} -d -t 30"));
    let text = "Fatal error : Could not send notification requested by -N option";
    assert_eq!(messages(&output.stderr).last(), Some(&text));
    assert_eq!(output.status, 1);
}

/// The daemon leaves what it should and takes away what only means something while it runs.
#[test]
fn what_is_left_after_the_end() {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    let _server = server.chronyd("local stratum 5\nallow\n");
    let config = "server 192.168.163.131 minpoll 0 maxpoll 0 iburst\n\
        driftfile /var/lib/chrony/drift\ndumpdir /var/lib/chrony\nuser chrony\n";
    client.must("install -d -o chrony -g chrony /var/lib/chrony");
    client.write("/etc/chrony.conf", config);
    let manager = client.datagrams("/run/notify");
    client.must("chmod 777 /run/notify");
    let mut process = client.spawn_after(
        "export NOTIFY_SOCKET=/run/notify",
        "chronyd -n -x -u chrony -l /dev/stderr",
    );
    let _ = manager.wait_for("READY=1", seconds(20));
    wait_for("six samples", seconds(30), || {
        let count: u32 = csv(&client, "sourcestats").first()?.get(1)?.parse().ok()?;
        (count >= 6).then_some(())
    });
    assert!(client.path("/run/chrony/chronyd.sock").exists());
    assert!(client.path("/run/chrony/chronyd.pid").exists());
    process.stop();
    assert_eq!(manager.wait_for("STOPPING=1", seconds(5)), "STOPPING=1");
    assert!(!client.path("/run/chrony/chronyd.sock").exists());
    let dump = client.read("/var/lib/chrony/192.168.163.131.dat");
    assert!(dump.starts_with("SRC0\n192.168.163.131\n0 "), "{dump}");
    assert_eq!(client.read("/var/lib/chrony/drift").len(), 42);

    // The next one takes the dump over with `-r`, and removes it in any case.
    for (option, loaded) in [("-r", true), ("", false)] {
        let mut process = client.spawn(&format!("chronyd -d -x {option}"));
        let first = process.wait_for_line("Selected source", seconds(40));
        let log = process.stderr();
        let found = log.contains("Loaded dump file for 192.168.163.131");
        assert_eq!(found, loaded, "{option}: {first} in {log}");
        assert!(!client.path("/var/lib/chrony/192.168.163.131.dat").exists());
        process.stop();
        client.must("test -e /var/lib/chrony/192.168.163.131.dat");
    }
}

/// Names of all sources, in the order of the report.
fn sources(host: &Host) -> Vec<String> {
    let report = csv(host, "sources");
    report.into_iter().map(|row| row[2].clone()).collect()
}

/// `include`, `confdir` and `sourcedir` in one configuration: what is read, in which order, and
/// what a reload changes. The addresses say which file a source is from.
#[test]
fn included_files_and_fragments() {
    let lab = Lab::new();
    let host = host(&lab);
    let server = |path: &str, number: &str| {
        host.write(path, format!("server 127.123.{number}\n"));
    };
    for (path, number) in [
        ("/etc/one/conf.1", "1.1"),
        ("/etc/one/conf.2", "1.2"),
        ("/etc/one/3.conf", "1.3"),
        ("/etc/one/4.conf", "1.4"),
        ("/etc/two/2.conf", "2.2"),
        ("/etc/two/3.conf", "2.3"),
        ("/etc/three/1.conf", "3.1"),
        ("/etc/three/2.conf", "3.2"),
        ("/etc/four/1.conf", "4.1"),
        ("/etc/four/4.conf", "4.4"),
        ("/etc/five/1.sources", "5.1"),
        ("/etc/five/2.sources", "5.2"),
        ("/etc/five/3.sources", "5.3"),
        ("/etc/five/x.conf", "5.9"),
    ] {
        server(path, number);
    }
    let mut daemon = host.chronyd(
        "include /etc/one/conf.1\nconfdir /etc/one\nconfdir /etc/two /etc/three /etc/four\n\
         sourcedir /etc/five\ninclude /etc/one/conf.2\n",
    );
    let wanted = |numbers: &[&str]| {
        let full = numbers.iter().map(|number| format!("127.123.{number}"));
        full.collect::<Vec<_>>()
    };
    // Of equal names in one line the first directory has the file.
    let lasting = ["1.1", "1.3", "1.4", "3.1", "2.2", "2.3", "4.4", "1.2"];
    let first = [&lasting[..], &["5.1", "5.2", "5.3"]].concat();
    assert_eq!(sources(&host), wanted(&first));

    // One vanishes, one changes an option, one stays, one is new, one is in use.
    host.must("rm /etc/five/1.sources");
    host.write("/etc/five/2.sources", "server 127.123.5.2 minpoll 5\n");
    server("/etc/five/4.sources", "5.4");
    host.write("/etc/five/5.sources", "server 127.123.1.1 minpoll 4\n");
    for _ in 0..3 {
        assert_eq!(host.shell("chronyc reload sources").ok(), "200 OK\n");
        let second = [&lasting[..], &["5.3", "5.2", "5.4"]].concat();
        let mut names = sources(&host);
        names[lasting.len()..].sort();
        let mut want = wanted(&second);
        want[lasting.len()..].sort();
        assert_eq!(names, want);
    }
    let polls = csv(&host, "sources");
    let poll = |name: &str| {
        let row = polls.iter().find(|row| row[2] == name);
        row.expect("a source of this name")[4].clone()
    };
    assert_eq!(
        (poll("127.123.5.2"), poll("127.123.5.3")),
        ("5".into(), "6".into())
    );
    daemon.stop();
    let log = daemon.stderr();
    // Said once, not by every reload.
    let refused = "Could not add source 127.123.1.1 : Already in use";
    assert_eq!(log.matches("Could not add source").count(), 1, "{log}");
    assert!(log.contains(refused), "{log}");
    assert!(log.contains("Removed source 127.123.5.1\n"), "{log}");
    assert!(log.contains("Added source 127.123.5.4\n"), "{log}");
}

#[test]
fn directives_on_the_command_line_replace_the_file() {
    let lab = Lab::new();
    let host = host(&lab);
    host.write("/etc/chrony.conf", "nonsense\n");
    host.write("/etc/more.conf", "port 0\n");
    let run = |line: &str| host.shell(line);
    for line in [
        "chronyd -x -t 1 'local stratum 5' -d",
        "chronyd 'local stratum 5' -x -d -t1 -f /etc/chrony.conf",
        "chronyd -dxt 1 -- 'local stratum 5' 'include /etc/more.conf'",
    ] {
        let output = run(line);
        assert_eq!(output.status, 0, "{line}: {}", output.stderr);
    }
    let output = run("chronyd -x -t 1 -d 'local' 'include /etc/chrony.conf'");
    let text = "Fatal error : Invalid directive nonsense at line 1 in file /etc/chrony.conf";
    assert_eq!(messages(&output.stderr).last(), Some(&text));
}
