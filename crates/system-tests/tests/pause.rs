//! A daemon that stands still while the clocks go on, as in a paused virtual machine.

#![forbid(unsafe_code)]

use std::thread::sleep;

use system_tests::{Host, Lab, Process, seconds, source_states, wait_for};

/// A server, and a client that asks it every second and is synchronised.
fn pair() -> (Lab, Host, Host, Process, Process) {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    let serving = server.chronyd("local stratum 1\nallow\n");
    let following = client.chronyd("server 192.168.163.131 iburst minpoll 0 maxpoll 0\n");
    wait_until_selected(&client);
    (lab, server, client, serving, following)
}

#[track_caller]
fn wait_until_selected(client: &Host) {
    wait_for("the server's selection", seconds(30), || {
        source_states(client)
            .iter()
            .any(|(state, _)| state == "^*")
            .then_some(())
    });
}

fn stop_for(process: &Process, length_s: u64) {
    process.signal("STOP");
    sleep(seconds(length_s));
    process.signal("CONT");
}

/// The leap status of `chronyc -c tracking`.
fn leap(host: &Host) -> String {
    let line = host.shell("chronyc -n -c tracking").ok();
    line.trim()
        .rsplit(',')
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn a_long_pause_is_noticed_and_recovered_from() {
    let (_lab, _server, client, _serving, mut following) = pair();
    let before = following.stderr();
    assert!(!before.contains(" detected"), "{before}");
    stop_for(&following, 14);
    let line = following.wait_for_line("Pause of ", seconds(5));
    let length = line.split("Pause of ").nth(1).unwrap_or_default();
    let length = length.strip_suffix(" seconds detected").expect(&line);
    let length: f64 = length.parse().expect(&line);
    // The last deadline was up to a second ahead when it was stopped; the machine may be busy.
    assert!((12.0..20.0).contains(&length), "{line}");
    wait_until_selected(&client);
    wait_for("synchronisation", seconds(10), || {
        (leap(&client) == "Normal").then_some(())
    });
    let said = following.stderr();
    assert_eq!(said.matches(" detected").count(), 1, "{said}");
}

#[test]
fn a_short_stop_is_taken_for_load() {
    let (_lab, _server, client, _serving, following) = pair();
    for length_s in [1, 3, 5] {
        stop_for(&following, length_s);
        sleep(seconds(2));
        assert_eq!(leap(&client), "Normal");
    }
    let said = following.stderr();
    assert!(!said.contains(" detected"), "{said}");
    assert_eq!(said.matches("Selected source").count(), 1, "{said}");
}
