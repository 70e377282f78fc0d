//! What an administrator changes at run time, and the files the daemon keeps while it runs.

#![forbid(unsafe_code)]

use std::fs;

use system_tests::{Host, Lab, NtpRequest, Process, csv, hex, seconds, source_states, wait_for};

const SERVER: &str = "allow 192.168.0.0/16\nlocal stratum 5\n";

/// A server that serves and a client whose daemon has `config`.
fn pair(config: &str) -> (Lab, Host, Host, Process, Process) {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    let daemons = (server.chronyd(SERVER), client.chronyd(config));
    (lab, server, client, daemons.0, daemons.1)
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

/// Runs a control command and checks its one line and whether it counts as a success.
#[track_caller]
fn check_command(host: &Host, command: &str, line: &str) {
    let output = host.shell(&format!("chronyc {command}"));
    let status = i32::from(
        !["200", "208", "209"]
            .iter()
            .any(|code| line.starts_with(code)),
    );
    assert_eq!(
        (output.stdout.as_str(), output.status),
        (format!("{line}\n").as_str(), status),
        "{command}"
    );
}

#[test]
fn sources_come_and_go() {
    let (_lab, _server, client, _on_server, daemon) = pair("");
    check_command(&client, "add server 192.168.163.131 iburst", "200 OK");
    wait_until_selected(&client);
    check_command(
        &client,
        "add server 192.168.163.131",
        "511 Source already present",
    );
    check_command(&client, "delete host131", "200 OK");
    assert_eq!(source_states(&client), []);
    check_command(&client, "delete 192.168.163.131", "503 No such source");
    let log = daemon.stderr();
    assert!(log.contains("Added source 192.168.163.131"), "{log}");
    assert!(log.contains("Removed source 192.168.163.131"), "{log}");
}

#[test]
fn sources_go_offline_and_online() {
    let (_lab, server, client, _on_server, _daemon) =
        pair("server host131 iburst minpoll 0 maxpoll 0\n");
    wait_until_selected(&client);
    wait_for("the end of the first burst", seconds(30), || {
        (csv(&client, "activity").first()?.first()? == "1").then_some(())
    });
    check_command(&client, "offline", "200 OK");
    assert_eq!(csv(&client, "activity"), [["0", "1", "0", "0", "0"]]);
    let received = || {
        csv(&server, "serverstats")[0][0]
            .parse::<u64>()
            .expect("a number")
    };
    let before = received();
    std::thread::sleep(seconds(3));
    assert_eq!(received(), before, "requests of an offline source");
    check_command(&client, "online 255.255.255.0/192.168.163.0", "200 OK");
    wait_for("requests", seconds(20), || {
        (received() > before + 2).then_some(())
    });
}

#[test]
fn source_files_are_reloaded() {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    let _server = server.chronyd(SERVER);
    client.write(
        "/etc/sources.d/a.sources",
        "server 192.168.163.199 iburst\n",
    );
    let _daemon = client.chronyd("sourcedir /etc/sources.d\n");
    let names = || {
        source_states(&client)
            .into_iter()
            .map(|(_, name)| name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(), ["192.168.163.199"]);
    client.write("/etc/sources.d/a.sources", "server 192.168.163.198\n");
    client.write(
        "/etc/sources.d/b.sources",
        "server 192.168.163.131 iburst\n",
    );
    assert_eq!(names(), ["192.168.163.199"]);
    check_command(&client, "reload sources", "200 OK");
    wait_until_selected(&client);
    let mut found = names();
    found.sort();
    assert_eq!(found, ["192.168.163.131", "192.168.163.198"]);
    client.must("rm /etc/sources.d/b.sources");
    check_command(&client, "reload sources", "200 OK");
    assert_eq!(names(), ["192.168.163.198"]);
}

#[test]
fn a_pool_is_filled_from_the_addresses_of_its_name() {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    server.must("for n in 141 142 143; do ip address add 192.168.163.$n/24 dev eth0; done");
    let _server = server.chronyd(SERVER);
    client.append(
        "/etc/hosts",
        "192.168.163.141 pool.test\n192.168.163.142 pool.test\n192.168.163.143 pool.test\n",
    );
    let _daemon = client.chronyd("pool pool.test iburst maxsources 2\n");
    wait_until_selected(&client);
    let states = wait_for("two members", seconds(20), || {
        let states = source_states(&client);
        (states.len() == 2).then_some(states)
    });
    for (_, name) in states {
        assert!(
            ["141", "142", "143"]
                .iter()
                .any(|end| name == format!("192.168.163.{end}")),
            "{name}"
        );
    }
}

#[test]
fn samples_survive_a_restart() {
    let config = "server 192.168.163.131 iburst minpoll 0 maxpoll 0\ndumpdir /var/lib/chrony\n";
    let (_lab, _server, client, _on_server, mut daemon) = pair(config);
    let samples = || {
        csv(&client, "sourcestats")
            .first()?
            .get(1)?
            .parse::<u32>()
            .ok()
    };
    wait_for("eight samples", seconds(45), || {
        samples().filter(|count| *count >= 8)
    });
    daemon.stop();
    let dump = client.read("/var/lib/chrony/192.168.163.131.dat");
    let lines: Vec<&str> = dump.lines().collect();
    assert_eq!(lines[..2], ["SRC0", "192.168.163.131"]);
    let words: Vec<&str> = lines[2].split(' ').collect();
    // Not authenticated, all of the last eight polls answered, stratum 5, no leap second.
    assert_eq!(
        (words[0], words[2], words[3], words[4]),
        ("0", "8", "5", "0"),
        "{dump}"
    );

    let mut daemon = client.daemon("chronyd", "-r", config);
    let _ = daemon.wait_for_line("Loaded dump file for 192.168.163.131", seconds(5));
    assert!(samples() >= Some(8), "{:?}", samples());
    // Used up: an old file must not be taken for a new one.
    assert!(!client.path("/var/lib/chrony/192.168.163.131.dat").exists());
    daemon.stop();

    // A damaged file is refused, a start without -r removes what is there.
    client.write(
        "/var/lib/chrony/192.168.163.131.dat",
        dump.replace("SRC0", "SRC9"),
    );
    let mut daemon = client.daemon("chronyd", "-r", config);
    let _ = daemon.wait_for_line("Could not load dump file for 192.168.163.131", seconds(5));
    daemon.stop();
    let mut daemon = client.chronyd(config);
    wait_for("removed dumps", seconds(5), || {
        (!client.path("/var/lib/chrony/192.168.163.131.dat").exists()).then_some(())
    });
    assert!(!daemon.has_ended());
}

#[test]
fn log_files_are_cycled() {
    let config =
        "server 192.168.163.131 iburst minpoll 0 maxpoll 0\nlogdir /var/log/chrony\nlog tracking\n";
    let (_lab, _server, client, _on_server, _daemon) = pair(config);
    let log = client.path("/var/log/chrony/tracking.log");
    let has_line = || fs::read_to_string(&log).is_ok_and(|text| text.contains(" 192.168.163.131 "));
    wait_for("a line", seconds(45), || has_line().then_some(()));
    client.must("mv /var/log/chrony/tracking.log /var/log/chrony/tracking.log.1");
    check_command(&client, "cyclelogs", "200 OK");
    wait_for("a line in the new file", seconds(20), || {
        has_line().then_some(())
    });
    assert!(
        fs::read_to_string(&log)
            .expect("just read")
            .starts_with("=====")
    );
}

#[test]
fn clients_are_counted_and_limited() {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    let _server = server.chronyd("allow\nlocal stratum 5\nratelimit interval 1 burst 4 leak 16\n");
    let request = hex(&NtpRequest::client(4).bytes());
    let printed = client
        .shell_with_input(
            "probe udp 192.168.163.131:123 50",
            &format!("{request}\n").repeat(12),
        )
        .ok();
    let answered = printed.lines().filter(|line| *line != "-").count();
    // The burst, and now and then one that leaks through, so that an attacker who spoofs the
    // address of a client does not cut it off.
    assert!((4..10).contains(&answered), "{answered} of 12 answered");
    let row = csv(&server, "clients")
        .into_iter()
        .next()
        .expect("one client");
    assert_eq!(
        (row[0].as_str(), row[1].as_str()),
        ("192.168.163.132", "12"),
        "{row:?}"
    );
    assert_eq!(
        row[2].parse::<usize>().expect("drops"),
        12 - answered,
        "{row:?}"
    );
    let statistics = csv(&server, "serverstats");
    assert_eq!(statistics[0][0], "12", "{statistics:?}");
    check_command(&server, "deny 192.168.163.0/24", "200 OK");
    check_command(&server, "accheck 192.168.163.132", "209 Access denied");
    check_command(&server, "accheck 192.168.164.132", "208 Access allowed");
}

#[test]
fn a_script_can_wait_for_synchronisation() {
    let (_lab, _server, client, _on_server, _daemon) = pair("server 192.168.163.131 iburst\n");
    let printed = client.shell("chronyc waitsync 40 0.1 0 1").ok();
    let last = printed.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("try: ") && last.contains(", refid: C0A8A383, correction: "),
        "{printed}"
    );
    // The server has no source to wait for but its own clock is reference enough.
    let output = client.shell("chronyc waitsync 1 0.000000000001 0 1");
    assert_eq!(
        (output.status, output.stdout.lines().count()),
        (1, 1),
        "{}",
        output.stdout
    );
}

#[test]
fn several_commands_in_one_call() {
    let (_lab, _server, client, _on_server, _daemon) = pair("server 192.168.163.131\n");
    let printed = client.shell("chronyc -n -m 'activity' 'sources'").ok();
    assert!(
        printed.starts_with("200 OK\n1 sources online\n"),
        "{printed}"
    );
    assert!(printed.contains("^? 192.168.163.131 "), "{printed}");
    // The first failure ends it.
    let output = client.shell("chronyc -m 'foo' 'activity'");
    assert_eq!(
        (
            output.status,
            output.stdout.as_str(),
            output.stderr.as_str()
        ),
        (1, "", "Unrecognized command\n")
    );
}

#[test]
fn the_clock_cannot_be_set_with_x() {
    let (_lab, _server, client, _on_server, mut daemon) =
        pair("server 192.168.163.131 iburst\nmanual\n");
    wait_until_selected(&client);
    for command in [
        "makestep",
        "local stratum 9",
        "reselect",
        "refresh",
        "maxupdateskew 50",
        "minpoll 192.168.163.131 4",
    ] {
        let output = client.shell(&format!("chronyc {command}"));
        assert!(
            ["200 OK\n", "500 Failure\n"].contains(&output.stdout.as_str()),
            "{command}: {}",
            output.stdout
        );
    }
    assert!(!daemon.has_ended());
    assert_eq!(source_states(&client)[0].1, "192.168.163.131");
}

#[test]
fn configuration_fragments_are_read_in_order() {
    let lab = Lab::new();
    let host = lab.host("host131", "192.168.163.131/24");
    host.write("/etc/chrony.d/20-b.conf", "local stratum 7\n");
    host.write("/etc/chrony.d/10-a.conf", "local stratum 3\nport 0\n");
    host.write("/etc/chrony.d/ignored.txt", "nonsense\n");
    let _daemon = host.chronyd("confdir /etc/chrony.d\n");
    // The last one wins.
    assert_eq!(csv(&host, "tracking")[0][2], "7");
}
