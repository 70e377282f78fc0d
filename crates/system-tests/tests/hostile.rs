//! Bad input from everywhere: the daemon stays up, stays silent or says what is wrong, and its
//! state is afterwards what it was before.

#![forbid(unsafe_code)]

use system_tests::{
    Host, Lab, NtpReply, NtpRequest, Process, csv, hex, seconds, source_states, unhex, wait_for,
};

/// A small generator of pseudo-random numbers (xorshift64), so that a failure can be repeated.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_be_bytes()[3]).collect()
    }
}

/// What must not change: the sources with their states, the reference and what is served.
fn state(host: &Host) -> Vec<String> {
    let reference = csv(host, "tracking");
    let mut lines: Vec<String> = source_states(host)
        .into_iter()
        .map(|(state, name)| state + &name)
        .collect();
    lines.extend(reference.iter().flat_map(|row| row[..3].iter().cloned()));
    for command in [
        "accheck 192.168.163.132",
        "accheck 10.1.1.1",
        "activity",
        "manual list",
        "smoothing",
    ] {
        lines.push(host.shell(&format!("chronyc -n {command}")).stdout);
    }
    lines
}

/// A server and a client that follows it, both of which must come out as they went in.
struct Pair {
    _lab: Lab,
    server: Host,
    client: Host,
    daemons: [Process; 2],
}

impl Pair {
    fn new() -> Self {
        let lab = Lab::new();
        let (server, client) = lab.server_and_client();
        let daemons = [
            server.chronyd("allow 192.168.0.0/16\nlocal stratum 5\n"),
            client.chronyd("server 192.168.163.131 iburst\nallow 192.168.0.0/16\n"),
        ];
        wait_for("the server's selection", seconds(45), || {
            (source_states(&client).first()?.0 == "^*").then_some(())
        });
        // What follows compares states, so the first burst must be over.
        wait_for("the end of the burst", seconds(45), || {
            (csv(&client, "activity").first()?.first()? == "1").then_some(())
        });
        Self {
            _lab: lab,
            server,
            client,
            daemons,
        }
    }

    /// Sends `packets` from the client to the server's NTP port; the reply to each, if any.
    fn ask(&self, packets: &[Vec<u8>], wait_ms: u32) -> Vec<Option<Vec<u8>>> {
        let input: String = packets.iter().map(|packet| hex(packet) + "\n").collect();
        let line = format!("probe udp 192.168.163.131:123 {wait_ms}");
        let printed = self.client.shell_with_input(&line, &input).ok();
        let replies: Vec<_> = printed.lines().map(unhex).collect();
        assert_eq!(replies.len(), packets.len());
        replies
    }

    /// Everything still works and nothing changed.
    #[track_caller]
    fn check_unharmed(&mut self, before: &[Vec<String>; 2]) {
        for daemon in &mut self.daemons {
            assert!(!daemon.has_ended(), "{}", daemon.stderr());
        }
        let request = NtpRequest::client(4);
        let reply = self
            .ask(&[request.bytes()], 1000)
            .remove(0)
            .expect("a good request is answered");
        let reply = NtpReply::parse(&reply).expect("a whole packet");
        assert_eq!(
            (reply.mode, reply.stratum, reply.origin),
            (4, 5, request.transmit)
        );
        assert_eq!([state(&self.server), state(&self.client)], *before);
    }

    fn states(&self) -> [Vec<String>; 2] {
        [state(&self.server), state(&self.client)]
    }
}

#[test]
fn bad_ntp_packets_get_silence() {
    let mut pair = Pair::new();
    let before = pair.states();
    let good = NtpRequest::client(4);
    let mut packets: Vec<Vec<u8>> = Vec::new();
    // Cut anywhere in the header (an empty datagram included).
    packets.extend((0..48).map(|length| good.bytes()[..length].to_vec()));
    for version in [0, 5, 6, 7] {
        packets.push(NtpRequest { version, ..good }.bytes());
    }
    for mode in [0, 2, 4, 5, 6, 7] {
        packets.push(NtpRequest { mode, ..good }.bytes());
    }
    // A tail that is neither an extension field nor a MAC, and one that claims more than there is.
    for tail in [
        vec![0; 1],
        vec![1, 2, 3],
        vec![0xff; 10],
        vec![0x01, 0x04, 0xff, 0xfc, 0, 0, 0, 0, 0, 0, 0, 0],
    ] {
        packets.push([good.bytes(), tail].concat());
    }
    // Longer than any packet of the protocol, up to the largest datagram.
    for length in [1141, 1500, 9000, 65507] {
        let mut packet = good.bytes();
        packet.resize(length, 0xa5);
        packets.push(packet);
    }
    let replies = pair.ask(&packets, 60);
    for (packet, reply) in packets.iter().zip(&replies) {
        assert_eq!(
            *reply,
            None,
            "{} bytes beginning {:02x?}",
            packet.len(),
            &packet[..packet.len().min(4)]
        );
    }
    pair.check_unharmed(&before);
}

#[test]
fn random_ntp_packets_never_get_more_than_they_sent() {
    let mut pair = Pair::new();
    let before = pair.states();
    let mut noise = Noise(0x7469_6d65_7772_6967);
    let mut packets = Vec::new();
    for round in 0..400 {
        let length = if round % 4 == 0 {
            48
        } else {
            usize::try_from(noise.next() % 300).unwrap()
        };
        let mut packet = noise.bytes(length);
        if let (Some(first), true) = (packet.first_mut(), round % 2 == 0) {
            // A plausible beginning gets further into the daemon: version 4, client or active.
            *first = if round % 3 == 0 { 0x21 } else { 0x23 };
        }
        packets.push(packet);
    }
    for reply in pair.ask(&packets, 20).into_iter().flatten() {
        // A reply returns the transmit timestamp of its request as origin; on a busy machine it may
        // come after the next request has left.
        let origin = reply
            .get(24..32)
            .expect("no reply is shorter than a header");
        let request = packets
            .iter()
            .find(|packet| packet.get(40..48) == Some(origin));
        let request = request.unwrap_or_else(|| panic!("a reply to nothing: {}", hex(&reply)));
        assert!(
            reply.len() <= request.len(),
            "{} for {}",
            hex(&reply),
            hex(request)
        );
    }
    pair.check_unharmed(&before);
}

#[test]
fn a_flood_leaves_the_daemon_as_it_was() {
    let mut pair = Pair::new();
    let before = pair.states();
    let good = hex(&NtpRequest::client(4).bytes());
    let junk = hex(&Noise(42).bytes(48));
    let input = format!("=5000\n{good}\n=5000\n{junk}\n");
    let _ = pair
        .client
        .shell_with_input("probe udp 192.168.163.131:123", &input)
        .ok();
    pair.check_unharmed(&before);
}

/// Control requests that are wrong in every field, `allowed` as on the Unix socket or not.
fn control_packets() -> Vec<Vec<u8>> {
    // A request for `tracking` (33), which is as long as its reply, with one thing changed.
    let tracking = || {
        let mut packet = vec![0; 104];
        packet[..12].copy_from_slice(&[6, 1, 0, 0, 0, 33, 0, 0, 1, 2, 3, 4]);
        packet
    };
    let with = |at: usize, value: u8| {
        let mut packet = tracking();
        packet[at] = value;
        packet
    };
    let mut packets: Vec<Vec<u8>> = (0..104)
        .step_by(3)
        .map(|length| tracking()[..length].to_vec())
        .collect();
    for version in [0, 1, 4, 5, 7, 255] {
        packets.push(with(0, version));
    }
    for kind in [0, 2, 3, 255] {
        packets.push(with(1, kind));
    }
    packets.extend([with(2, 1), with(3, 1), with(4, 255)]);
    // Requests that do not exist, and lengths no request has.
    packets.extend([75, 100, 255].map(|command| with(5, command)));
    for length in [861, 2000, 60000] {
        let mut packet = tracking();
        packet.resize(length, 0x5a);
        packets.push(packet);
    }
    let mut noise = Noise(0x63_6f6e_7472_6f6c);
    for _ in 0..200 {
        let length = usize::try_from(noise.next() % 700).unwrap();
        packets.push(noise.bytes(length));
    }
    packets
}

#[test]
fn bad_control_packets_over_udp_change_nothing() {
    let mut pair = Pair::new();
    let before = pair.states();
    let mut packets = control_packets();
    // Well-formed headers around noise: every request code there is. Over UDP they may only read.
    let mut noise = Noise(0x75_6470);
    for command in 0..75_u8 {
        let mut packet = noise.bytes(500);
        packet[..8].copy_from_slice(&[6, 1, 0, 0, 0, command, 0, 0]);
        packets.push(packet);
    }
    let input: String = packets.iter().map(|packet| hex(packet) + "\n").collect();
    let printed = pair
        .server
        .shell_with_input("probe udp 127.0.0.1:323 20", &input)
        .ok();
    for (packet, reply) in packets.iter().zip(printed.lines().map(unhex)) {
        let Some(reply) = reply else { continue };
        assert!(
            reply.len() <= packet.len().max(28),
            "{} for {}",
            reply.len(),
            hex(packet)
        );
        assert_eq!(reply[..2], [6, 2], "{}", hex(packet));
        // The sequence number is the request's.
        assert_eq!(reply[16..20], packet[8..12], "{}", hex(packet));
    }
    pair.check_unharmed(&before);

    // Other hosts do not reach the port at all.
    let input: String = packets[..60]
        .iter()
        .map(|packet| hex(packet) + "\n")
        .collect();
    let printed = pair
        .client
        .shell_with_input("probe udp 192.168.163.131:323 10", &input)
        .ok();
    assert!(printed.lines().all(|line| line == "-"), "{printed}");
    pair.check_unharmed(&before);
}

#[test]
fn bad_control_packets_on_the_unix_socket_change_nothing() {
    let mut pair = Pair::new();
    let before = pair.states();
    let packets = control_packets();
    let input: String = packets.iter().map(|packet| hex(packet) + "\n").collect();
    let line = "probe unix /run/chrony/chronyd.sock /run/chrony/probe.sock 20";
    let printed = pair.server.shell_with_input(line, &input).ok();
    assert_eq!(printed.lines().count(), packets.len());
    for (packet, reply) in packets.iter().zip(printed.lines().map(unhex)) {
        let Some(reply) = reply else { continue };
        assert_eq!(reply[..2], [6, 2], "{}", hex(packet));
        assert_eq!(reply[16..20], packet[8..12], "{}", hex(packet));
    }
    pair.check_unharmed(&before);
}

#[test]
fn a_server_whose_every_reply_is_bad_is_never_believed() {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    let rogue = server.spawn("probe rogue 192.168.163.131:123");
    wait_for("the rogue server", seconds(5), || {
        rogue.stdout().contains("ready").then_some(())
    });
    let mut daemon =
        client.chronyd("server 192.168.163.131 iburst minpoll -2 maxpoll -2\nmaxdistance 3.0\n");
    wait_for("two rounds of every flaw", seconds(60), || {
        let (state, _) = source_states(&client).into_iter().next()?;
        assert!(state == "^?", "{state}\n{}", daemon.stderr());
        rogue.stdout().contains("round 2").then_some(())
    });
    assert!(!daemon.has_ended(), "{}", daemon.stderr());
    let tracking = csv(&client, "tracking");
    assert_eq!(tracking[0][..3], ["00000000", "", "0"]);
    assert!(
        !daemon.stderr().contains("Selected source"),
        "{}",
        daemon.stderr()
    );
}

#[test]
fn a_malformed_drift_file_is_reported_and_replaced_at_the_end() {
    let lab = Lab::new();
    let host = lab.host("host131", "192.168.163.131/24");
    let config = "local stratum 5\ndriftfile /var/lib/chrony/drift\n";
    for content in [
        b"".as_slice(),
        b"abc def\n",
        b"1.0\n",
        b"\0\xff\xfe\n",
        &[0x41; 100_000],
        b"1.0 x\n",
    ] {
        host.write("/var/lib/chrony/drift", content);
        let mut daemon = host.chronyd(config);
        let line = "Could not read valid frequency and skew from driftfile /var/lib/chrony/drift";
        let _ = daemon.wait_for_line(line, seconds(5));
        daemon.stop();
        let drift = host.read("/var/lib/chrony/drift");
        assert_eq!(drift.split_whitespace().count(), 2, "{drift}");
    }
    // A directory in its place: reading and writing fail, the daemon lives and ends in order.
    host.must("rm /var/lib/chrony/drift; mkdir -p /var/lib/chrony/drift/x");
    let mut daemon = host.chronyd(config);
    daemon.stop();
    assert!(
        daemon.stderr().contains("Could not "),
        "{}",
        daemon.stderr()
    );
}

#[test]
fn a_full_disk_keeps_the_old_drift_file() {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    let _server = server.chronyd("allow\nlocal stratum 5\n");
    let old = "           -12.345000             0.250000\n";
    client.must("mkdir -p /var/lib/chrony; mount -t tmpfs -o size=12k tmpfs /var/lib/chrony");
    client.write("/var/lib/chrony/drift", old);
    // The rest of the file system is filled up.
    let _ = client.shell("cat /dev/zero > /var/lib/chrony/filler");
    assert_ne!(
        client.shell("echo x > /var/lib/chrony/probe").status,
        0,
        "the disk should be full"
    );
    client.must("rm -f /var/lib/chrony/probe");
    let config = "server 192.168.163.131 iburst minpoll 0 maxpoll 0\ndriftfile /var/lib/chrony/drift interval 1\n";
    let mut daemon = client.chronyd(config);
    wait_for("the server's selection", seconds(45), || {
        (source_states(&client).first()?.0 == "^*").then_some(())
    });
    daemon.stop();
    assert_eq!(
        client.read("/var/lib/chrony/drift"),
        old,
        "{}",
        daemon.stderr()
    );
    assert!(!client.path("/var/lib/chrony/drift.tmp").exists());
}

#[test]
fn malformed_keys_are_named_and_the_good_ones_work() {
    let lab = Lab::new();
    let host = lab.host("host131", "192.168.163.131/24");
    let keys = "1 MD5 ASCII:abcdefghijkl\n2\nx MD5 y\n3 NOSUCH ASCII:abcdefghijkl\n4 SHA1 HEX:0G\n5 SHA1 HEX:0123456789ABCDEF0123\n";
    host.write("/etc/chrony.keys", keys);
    host.must("chmod 640 /etc/chrony.keys");
    let daemon = host.chronyd("local stratum 5\nkeyfile /etc/chrony.keys\n");
    let log = daemon.stderr();
    if !host.chronyd_has("SECHASH") {
        assert!(log.contains("keyfile directive has no effect"), "{log}");
        return;
    }
    for line in [
        "Could not parse key at line 2 in file /etc/chrony.keys",
        "Could not parse key at line 3 in file /etc/chrony.keys",
        "Invalid type in key 3",
        "Could not decode key 4",
        "Loaded 2 symmetric keys",
    ] {
        assert!(log.contains(line), "no `{line}` in\n{log}");
    }
}
