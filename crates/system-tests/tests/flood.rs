//! Requests in the name of millions of addresses: the server's memory stays what `clientloglimit`
//! says, and the clients that are really there are answered, limited and listed as before.

#![forbid(unsafe_code)]

use std::net::Ipv4Addr;
use std::time::Duration;

use system_tests::{Host, Lab, Process, csv, seconds, source_states, wait_for};

/// Default of `clientloglimit`, KiB.
const LIMIT_KIB: u64 = 512;
/// What else may grow, KiB: buffers and the allocator's reserve.
const SLACK_KIB: u64 = 1024;

/// Addresses of a flood. Ten millions take a minute of a quiet machine, so they are for
/// `TIMEWRIGHT_FLOOD=10000000 cargo xtask system strangers`.
fn addresses() -> u32 {
    std::env::var("TIMEWRIGHT_FLOOD")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_000_000)
}

/// Most addresses of one run of the generator, which is given 400 s.
const FLOOD_MAX: u32 = 2_500_000;

/// A server, two clients that follow it, and a host that sends in the name of 10.0.0.0/8.
struct Scene {
    _lab: Lab,
    server: Host,
    clients: [Host; 2],
    attacker: Host,
    daemon: Process,
    _daemons: [Process; 2],
}

const CLIENTS: [&str; 2] = ["192.168.163.132", "192.168.163.133"];

impl Scene {
    fn new(config: &str) -> Self {
        let lab = Lab::new();
        let (server, first) = lab.server_and_client();
        let second = lab.host("host133", "192.168.163.133/24");
        let attacker = lab.host("host134", "192.168.163.134/24");
        // Every address of the network is the attacker's own, and replies go there.
        attacker.must("ip route add local 10.0.0.0/8 dev lo");
        server.must("ip route add 10.0.0.0/8 via 192.168.163.134");
        let daemon = server.chronyd(&format!("allow\nlocal stratum 5\n{config}"));
        // One asks every second, one every minute after its first burst.
        let follow = |client: &Host, poll: &str| {
            client.chronyd(&format!("server 192.168.163.131 iburst {poll}\n"))
        };
        let daemons = [
            follow(&first, "minpoll 0 maxpoll 0"),
            follow(&second, "minpoll 6 maxpoll 6"),
        ];
        let scene = Self {
            _lab: lab,
            server,
            clients: [first, second],
            attacker,
            daemon,
            _daemons: daemons,
        };
        for client in &scene.clients {
            wait_for("the server's selection", seconds(45), || {
                (source_states(client).first()?.0 == "^*").then_some(())
            });
        }
        wait_for("the end of the bursts", seconds(45), || {
            (scene.hits(CLIENTS[1])? >= 4 && scene.hits(CLIENTS[0])? >= 6).then_some(())
        });
        scene
    }

    /// NTP requests of a client as the server lists it.
    fn hits(&self, address: &str) -> Option<u64> {
        let rows = csv(&self.server, "clients");
        let is_wanted = |row: &&Vec<String>| row.first().is_some_and(|first| first == address);
        rows.iter().find(is_wanted)?.get(1)?.parse().ok()
    }

    /// Valid replies the first client has had.
    fn replies(&self) -> u64 {
        let rows = csv(&self.clients[0], "ntpdata");
        // The last but two numbers of a row: requests sent, replies received, valid ones.
        let number = rows.first().and_then(|row| row.get(32)?.parse().ok());
        number.unwrap_or_default()
    }

    fn memory_kib(&self) -> u64 {
        let field = self.daemon.status_field("VmRSS");
        field.trim_end_matches(" kB").parse().expect("a number")
    }

    /// One request in the name of each of `count` addresses, `first` of them left out.
    fn flood(&self, first: u32, count: u32) -> Process {
        let address = Ipv4Addr::from(0x0a00_0001 + first);
        self.attacker.spawn(&format!(
            "loadgen 192.168.163.131:123 --seconds 400 --requests {count} --clients {count} \
             --first {address}"
        ))
    }
}

#[test]
fn strangers_neither_fill_the_memory_nor_push_out_the_clients() {
    let mut scene = Scene::new("");
    let count = addresses();
    let before = scene.memory_kib();
    let hits = CLIENTS.map(|address| scene.hits(address).expect("a listed client"));
    let replies = scene.replies();
    let mut looks = 0;
    let mut most = before;
    for first in (0..count).step_by(FLOOD_MAX as usize) {
        let part = FLOOD_MAX.min(count - first);
        let mut flood = scene.flood(first, part);
        while !flood.has_ended() {
            for address in CLIENTS {
                assert!(scene.hits(address).is_some(), "{address} is not listed");
            }
            most = most.max(scene.memory_kib());
            looks += 1;
            std::thread::sleep(Duration::from_millis(200));
        }
        assert_eq!(flood.wait(seconds(1)), 0, "{}", flood.stderr());
        let printed = flood.stdout();
        print!("{printed}");
        assert!(printed.starts_with(&format!("sent={part} ")), "{printed}");
    }
    let after = scene.memory_kib();
    println!("resident {before} KiB before, {most} at most, {after} after; {looks} looks");
    assert!(
        most <= before + LIMIT_KIB + SLACK_KIB,
        "resident memory grew from {before} to {most} KiB"
    );
    assert!(looks > 0);
    // Counted on in the records they had, and answered meanwhile and afterwards.
    let later = CLIENTS.map(|address| scene.hits(address).expect("a listed client"));
    assert!(
        later[0] > hits[0] && later[1] >= hits[1],
        "{hits:?} {later:?}"
    );
    let target = replies.max(scene.replies()) + 3;
    assert!(scene.replies() > replies);
    wait_for("replies after the flood", seconds(45), || {
        (scene.replies() >= target).then_some(())
    });
    for client in &scene.clients {
        assert_eq!(source_states(client)[0].0, "^*");
    }
    assert!(!scene.daemon.has_ended(), "{}", scene.daemon.stderr());
}

#[test]
fn the_rate_limit_lets_known_clients_through_a_flood() {
    // So many tokens that a request a second always has one.
    let mut scene = Scene::new("ratelimit interval 0 burst 16 leak 2\n");
    let hits = scene.hits(CLIENTS[0]).expect("a listed client");
    let replies = scene.replies();
    let mut flood = scene.flood(0, addresses() / 4);
    assert_eq!(flood.wait(seconds(400)), 0, "{}", flood.stderr());
    wait_for("more requests", seconds(45), || {
        (scene.hits(CLIENTS[0])? >= hits + 8).then_some(())
    });
    assert!(scene.replies() >= replies + 6);

    // In the name of the client itself: what it asks has no tokens left, but leaks through.
    scene
        .attacker
        .must(&format!("ip route add local {}/32 dev lo", CLIENTS[0]));
    let replies = scene.replies();
    let mut flood = scene.attacker.spawn(&format!(
        "loadgen 192.168.163.131:123 --seconds 400 --rate 500 --requests 15000 --clients 1 \
         --first {}",
        CLIENTS[0]
    ));
    assert_eq!(flood.wait(seconds(400)), 0, "{}", flood.stderr());
    let gained = scene.replies() - replies;
    // About thirty requests, a quarter of which is answered: none in 2 runs of 10000.
    assert!(gained >= 1, "{gained} replies");
    let drops = csv(&scene.server, "serverstats");
    assert!(
        drops[0][1].parse::<u64>().expect("a number") > 1000,
        "{drops:?}"
    );
    assert!(!scene.daemon.has_ended(), "{}", scene.daemon.stderr());
}
