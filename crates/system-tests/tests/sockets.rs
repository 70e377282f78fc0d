//! Which sockets the daemon opens and how they are bound and marked: addresses, devices, families,
//! ports, service classes, and sockets that a service manager passes.

#![forbid(unsafe_code)]

use system_tests::{Host, Lab, NtpRequest, Process, csv, hex, seconds, wait_for};

const SERVER: &str = "192.168.163.131";

/// Whether a time server answers at `address` when asked from `host`.
fn serves(host: &Host, address: &str) -> bool {
    let request = format!("{}\n", hex(&NtpRequest::client(4).bytes()));
    let line = format!("probe udp {address} 400");
    // A busy machine may answer late, but not every time.
    (0..4).any(|_| {
        let reply = host.shell_with_input(&line, &request).ok();
        reply.trim() != "-"
    })
}

/// Waits until the daemon's only source has answered.
#[track_caller]
fn wait_for_reach(host: &Host) {
    wait_for("an answer of the source", seconds(30), || {
        let reach = csv(host, "sources").first()?.get(5)?.clone();
        (reach != "0").then_some(())
    });
}

/// Gives `host` a second interface, `eth1`, whose other end `far` is in the same place.
fn second_interface(host: &Host) {
    host.must(
        "ip link add eth1 type veth peer name far
         ip address add 192.168.164.1/24 dev eth1
         ip link set eth1 up
         ip link set far up",
    );
}

#[test]
fn a_device_limits_who_reaches_the_server() {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    second_interface(&server);
    for (device, near, far) in [
        ("lo", true, false),
        ("eth0", false, true),
        ("eth1", false, false),
    ] {
        let _daemon = server.chronyd(&format!("local stratum 5\nallow\nbinddevice {device}\n"));
        wait_for("the server's socket", seconds(10), || {
            let sockets = server.shell("ss -Hlun 'sport = 123'").ok();
            // The kernel itself says which device a socket is bound to.
            sockets.contains(&format!("%{device}:123")).then_some(())
        });
        assert_eq!(serves(&server, "127.0.0.1:123"), near, "{device}");
        assert_eq!(serves(&client, &format!("{SERVER}:123")), far, "{device}");
    }
}

#[test]
fn a_device_limits_what_the_client_reaches() {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    second_interface(&client);
    let _server = server.chronyd("local stratum 5\nallow\n");
    let source = format!("server {SERVER} minpoll 0 maxpoll 0 iburst\n");
    {
        let _daemon = client.chronyd(&format!("{source}bindacqdevice eth0\n"));
        wait_for_reach(&client);
    }
    for device in ["eth1", "nosuch0"] {
        let mut daemon = client.chronyd(&format!("{source}bindacqdevice {device}\n"));
        let text = "Can't synchronise: no selectable sources (1 unreachable sources)";
        let _ = daemon.wait_for_line(text, seconds(30));
        let sources = csv(&client, "sources");
        assert_eq!(sources[0][5], "0", "{device}: {sources:?}");
    }
}

#[test]
fn a_device_limits_who_asks_for_reports() {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    let common = "local stratum 5\ncmdallow\nbindcmdaddress 0.0.0.0\n";
    for (device, near, far) in [("lo", 0, 1), ("eth0", 1, 0)] {
        let _daemon = server.chronyd(&format!("{common}bindcmddevice {device}\n"));
        let ask = |host: &Host, address| {
            let line = format!("chronyc -n -h {address} tracking");
            host.shell(&line).status
        };
        assert_eq!(ask(&server, "127.0.0.1"), near, "{device}");
        assert_eq!(ask(&client, SERVER), far, "{device}");
    }
}

#[test]
fn an_address_limits_one_family_only() {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    server.must(
        "ip address add 192.168.163.141/24 dev eth0
         ip address add fd00:163::131/64 dev eth0 nodad",
    );
    client.must("ip address add fd00:163::132/64 dev eth0 nodad");
    let answered = || {
        let addresses = [
            "192.168.163.131:123",
            "192.168.163.141:123",
            "[fd00:163::131]:123",
        ];
        addresses.map(|address| serves(&client, address))
    };
    for (config, want) in [
        ("", [true, true, true]),
        ("bindaddress 192.168.163.141\n", [false, true, true]),
        ("bindaddress fd00:163::131\n", [true, true, true]),
        ("bindaddress ::1\n", [true, true, false]),
    ] {
        let _daemon = server.chronyd(&format!("local stratum 5\nallow\n{config}"));
        assert_eq!(answered(), want, "{config}");
    }
    for (option, want) in [("-4", [true, true, false]), ("-6", [false, false, true])] {
        let _daemon = server.daemon("chronyd", option, "local stratum 5\nallow\n");
        assert_eq!(answered(), want, "{option}");
        let udp = server.shell("ss -Hlun").ok();
        let other = if option == "-4" { "[::" } else { "127.0.0.1:" };
        assert!(!udp.contains(other), "{option}: {udp}");
    }
}

#[test]
fn one_family_is_also_all_that_names_are_resolved_to() {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    server.must("ip address add fd00:163::131/64 dev eth0 nodad");
    client.must("ip address add fd00:163::132/64 dev eth0 nodad");
    client.append("/etc/hosts", "192.168.163.131 both\nfd00:163::131 both\n");
    let _server = server.chronyd("local stratum 5\nallow\n");
    for (option, line, want) in [
        ("-4", "server both", SERVER),
        ("-6", "server both", "fd00:163::131"),
        ("", "server both ipv4", SERVER),
        ("", "server both ipv6", "fd00:163::131"),
    ] {
        let config = format!("{line} iburst\nport 0\n");
        let _daemon = client.daemon("chronyd", option, &config);
        wait_for_reach(&client);
        let name = csv(&client, "sources")[0][2].clone();
        assert_eq!(name, want, "{option} {line}");
    }
    // A name without an address of the wanted family stays unresolved, and is shown by number.
    let _daemon = client.chronyd("server host131 ipv6\n");
    wait_for("the unresolved source", seconds(10), || {
        let sources = client.shell("chronyc -n sources -a").ok();
        sources.contains("^? ID#0000000001").then_some(())
    });
    assert!(client.shell("chronyc -n sources").ok().lines().count() == 2);
    let activity = csv(&client, "activity");
    assert_eq!(activity[0], ["0", "0", "0", "0", "1"]);
}

/// A capture of NTP at the server, which `work` gives something to see.
struct Capture<'a> {
    host: &'a Host,
    process: Process,
}

impl<'a> Capture<'a> {
    fn start(host: &'a Host) -> Self {
        let process =
            host.spawn("tshark -q -i eth0 -f 'udp and portrange 120-124' -w /mnt/work/packets");
        let capture = Self { host, process };
        wait_for("tshark's first word", seconds(120), || {
            capture
                .process
                .stderr()
                .contains("Capturing on")
                .then_some(())
        });
        // The message comes just before the capture is open; a packet of our own shows that it is.
        wait_for("an open capture", seconds(20), || {
            let _ = host.shell_with_input("probe udp 192.168.163.132:120 10", "00\n");
            (capture.size() > 400).then_some(())
        });
        capture
    }

    fn size(&self) -> u64 {
        std::fs::metadata(self.host.path("/mnt/work/packets")).map_or(0, |file| file.len())
    }

    /// Ends it; `fields` of every packet that matches `filter`, separated by commas.
    fn end(mut self, filter: &str, fields: &[&str]) -> Vec<String> {
        // What is captured reaches the file late: two kilobytes are a dozen packets.
        let least = self.size() + 2000;
        wait_for("packets in the file", seconds(60), || {
            (self.size() > least).then_some(())
        });
        self.process.signal("INT");
        let _ = self.process.wait(seconds(20));
        let fields: Vec<String> = fields.iter().map(|name| format!("-e {name}")).collect();
        let line = format!(
            "tshark -r /mnt/work/packets -Y '{filter}' -T fields -E separator=, {}",
            fields.join(" ")
        );
        let table = self.host.shell(&line).ok();
        table.lines().map(str::to_owned).collect()
    }
}

/// Class of service, port and address of what leaves, in both directions and families, as another
/// program sees it on the wire.
#[test]
fn packets_carry_the_class_and_come_from_the_port_that_is_configured() {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    server.must("ip address add fd00:163::131/64 dev eth0 nodad");
    client.must(
        "ip address add fd00:163::132/64 dev eth0 nodad
         ip address add 192.168.163.142/24 dev eth0",
    );
    let capture = Capture::start(&server);
    let _server = server.chronyd("local stratum 5\nallow\ndscp 46\n");
    let _client = client.chronyd(&format!(
        "server {SERVER} minpoll 0 maxpoll 0
         server fd00:163::131 minpoll 0 maxpoll 0
         dscp 10\nacquisitionport 124\nbindacqaddress 192.168.163.142\n"
    ));
    wait_for("both sources", seconds(30), || {
        let sources = csv(&client, "sources");
        let answered = sources.iter().filter(|row| row[5] != "0").count();
        (answered == 2).then_some(())
    });
    let packets = capture.end(
        "ntp",
        &[
            "ntp.flags.mode",
            "ip.src",
            "ip.dsfield.dscp",
            "ipv6.src",
            "ipv6.tclass.dscp",
            "udp.srcport",
            "udp.dstport",
        ],
    );
    let mut kinds = packets.clone();
    kinds.sort();
    kinds.dedup();
    let want = [
        "3,,,fd00:163::132,10,124,123",
        "3,192.168.163.142,10,,,124,123",
        "4,,,fd00:163::131,46,123,124",
        "4,192.168.163.131,46,,,123,124",
    ];
    assert_eq!(kinds, want);
}

#[test]
fn each_request_has_a_port_of_its_own_unless_one_is_set() {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    let _server = server.chronyd("local stratum 5\nallow\n");
    let source = format!("server {SERVER} minpoll 0 maxpoll 0\n");
    for (config, listening) in [
        ("", None),
        // The kernel's choice; a socket that never sent has no port yet.
        ("acquisitionport 0\n", Some(false)),
        ("acquisitionport 124\n", Some(true)),
        ("acquisitionport 123\n", Some(true)),
        ("port 0\nacquisitionport 123\n", Some(true)),
    ] {
        let daemon = client.chronyd(&format!("{source}{config}"));
        wait_for_reach(&client);
        let bound = client.shell("ss -Huanp").ok();
        let ours: Vec<&str> = bound
            .lines()
            .filter(|line| line.contains(&format!("pid={},", daemon.id())))
            .filter(|line| !line.contains(":323 "))
            .collect();
        match listening {
            // At most the socket of the exchange under way.
            None => assert!(ours.len() <= 1, "{ours:?}"),
            Some(known) => {
                assert_eq!(ours.len(), 1 + usize::from(known), "{config}: {ours:?}");
                let port = config.trim().rsplit(' ').next().expect("a number");
                let bound = ours.iter().all(|line| line.contains(&format!(":{port} ")));
                assert_eq!(bound, known, "{config}: {ours:?}");
            }
        }
    }
}

#[test]
fn without_any_socket_of_its_port_the_daemon_does_not_run() {
    let lab = Lab::new();
    let host = lab.host("host131", "192.168.163.131/24");
    // 203.0.113.0/24 is for documentation (RFC 5737); binding to a foreign address is allowed, so
    // a device that does not exist has to fail it.
    let line =
        "chronyd -d -x 'acquisitionport 124' 'bindacqdevice nosuch0' 'bindacqaddress 203.0.113.1'";
    let output = host.shell(line);
    assert_eq!(output.status, 1, "{}", output.stderr);
    let text = "Fatal error : Could not open NTP sockets\n";
    assert!(output.stderr.ends_with(text), "{}", output.stderr);
    // One family is enough.
    let daemon = host.shell("chronyd -d -x -4 -t 1 'acquisitionport 124' 'local'");
    assert_eq!(daemon.status, 0, "{}", daemon.stderr);
}

#[test]
fn sockets_of_the_service_manager_are_used_where_they_fit() {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    server.must("ip address add fd00:163::131/64 dev eth0 nodad");
    client.must("ip address add fd00:163::132/64 dev eth0 nodad");
    server.write(
        "/etc/chrony.conf",
        "local stratum 5\nallow\nbindaddress 192.168.163.131\nbindaddress fd00:163::131\n\
         bindcmdaddress 192.168.163.131\nbindcmdaddress ::\ncmdallow\nuser chrony\n",
    );
    let line = "probe activate udp:192.168.163.131:123 udp:[fd00:163::131]:123 \
        chronyd -x -d -d";
    let mut daemon = server.spawn(line);
    for line in [
        "Reusing UDPv4 socket fd=3 local=192.168.163.131:123",
        "Reusing UDPv6 socket fd=4 local=[fd00:163::131]:123",
        "Opened UDPv4 socket fd=",
    ] {
        let _ = daemon.wait_for_line(line, seconds(20));
    }
    assert!(serves(&client, "192.168.163.131:123"));
    assert!(serves(&client, "[fd00:163::131]:123"));
    // When nobody may ask any more the socket is not closed, for it may be wanted again.
    assert_eq!(server.shell("chronyc deny all").ok(), "200 OK\n");
    assert!(!serves(&client, "192.168.163.131:123"));
    assert_eq!(server.shell("chronyc allow").ok(), "200 OK\n");
    assert!(serves(&client, "192.168.163.131:123"));
    daemon.stop();

    // A stream socket is not what is wanted.
    let line = "probe activate tcp:192.168.163.131:123 udp:192.168.163.131:323 chronyd -x -d -d";
    let mut daemon = server.spawn(line);
    let _ = daemon.wait_for_line(
        "Reusing UDPv4 socket fd=4 local=192.168.163.131:323",
        seconds(20),
    );
    wait_for("the server", seconds(10), || {
        serves(&client, "192.168.163.131:123").then_some(())
    });
    assert!(!daemon.stderr().contains("Reusing UDPv4 socket fd=3"));
    let asked = client.shell("chronyc -n -h 192.168.163.131 tracking");
    assert_eq!(asked.status, 0, "{}", asked.stdout);
    daemon.stop();

    // A socket that would get the requests over IPv4 as well is used, with a warning.
    server.must("echo 0 > /proc/sys/net/ipv6/bindv6only");
    let line = "probe activate udp:192.168.163.131:324 udp:[::]:323 chronyd -x -d -d";
    let mut daemon = server.spawn(line);
    for line in [
        "Reusing UDPv6 socket fd=4 local=[::]:323",
        "Reusable IPv6 socket missing IPV6_V6ONLY option",
    ] {
        let _ = daemon.wait_for_line(line, seconds(20));
    }
    daemon.stop();
}
