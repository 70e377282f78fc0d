//! What the daemon costs while it does its job: memory and wake-ups of a client of four servers.

#![forbid(unsafe_code)]

use std::fs;
use std::io::Write;
use std::time::Duration;

use system_tests::{Host, Lab, Process, csv_by, seconds, source_states, wait_for};

/// Resident memory that a client of four servers may have, in KiB.
const MEMORY_LIMIT_KIB: u64 = 6 * 1024;

/// Each server is asked every second: in the time of the test as often as in an hour at the usual
/// interval.
const BUSY: &str = "iburst minpoll 0 maxpoll 0";

/// Selected after the first burst, and not asked again within the time of the test: what wakes the
/// daemon then is no poll.
const QUIET: &str = "iburst minpoll 10 maxpoll 10";

/// Polls of four servers in an hour at the usual interval of 64 seconds.
const POLLS_PER_HOUR: f64 = 4.0 * 3600.0 / 64.0;

/// To send the request, and to take the reply.
const WAKEUPS_OF_A_POLL: f64 = 2.0;

/// How long wake-ups are counted.
const WINDOW: Duration = Duration::from_secs(60);

/// Prints a line that is shown for a passing test too: the figures are what one looks for.
macro_rules! report {
    ($($argument:tt)*) => {
        let _ = writeln!(std::io::stderr(), $($argument)*);
    };
}

/// A client whose four servers are the four addresses of one host.
struct Client {
    host: Host,
    daemon: Process,
    /// The control client that came with the daemon.
    control: String,
}

impl Client {
    /// A client with our programs (`""`) or Debian's (`"debian-"`).
    fn start(lab: &Lab, number: u8, origin: &str, polling: &str) -> Self {
        let host = lab.host(
            &format!("client{number}"),
            &format!("192.168.163.{number}/24"),
        );
        let config: String = (1..=4)
            .map(|number| format!("server 192.168.163.{number} {polling}\n"))
            .collect();
        let daemon = host.daemon(&format!("{origin}chronyd"), "", &config);
        let client = Self {
            host,
            daemon,
            control: format!("{origin}chronyc"),
        };
        wait_for("a selected source", seconds(45), || {
            client.is_synchronised().then_some(())
        });
        client
    }

    fn is_synchronised(&self) -> bool {
        let states = source_states(&self.host);
        states.len() == 4 && states.iter().any(|(state, _)| state == "^*")
    }

    /// Times the process went to sleep of its own accord, all its threads together.
    fn sleeps(&self) -> u64 {
        let tasks =
            fs::read_dir(format!("/proc/{}/task", self.daemon.id())).expect("a running daemon");
        tasks
            .filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok())
            .filter_map(|status| {
                let field = status
                    .lines()
                    .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
                field.trim().parse::<u64>().ok()
            })
            .sum()
    }

    /// Requests sent to the four servers.
    fn requests(&self) -> u64 {
        // Number 30 of a row of `ntpdata` is the number of requests sent.
        csv_by(&self.control, &self.host, "ntpdata")
            .iter()
            .map(|row| row[30].parse::<u64>().expect("a number"))
            .sum()
    }
}

#[test]
fn a_client_of_four_servers_is_small_and_sleeps() {
    let lab = Lab::new();
    let server = lab.host("servers", "192.168.163.1/24");
    server.must("for n in 2 3 4; do ip address add 192.168.163.$n/24 dev eth0; done");
    let _server = server.daemon("debian-chronyd", "", "allow\nlocal stratum 5\nport 11123\n");
    // A server in the same machine sometimes answers before the client has gone to sleep, and then
    // chance decides what is counted. Over a path of some milliseconds every reply is a wake-up.
    let paths = [1, 2, 3, 4].map(|number| {
        server.spawn(&format!(
            "probe slow 192.168.163.{number}:123 127.0.0.1:11123 2"
        ))
    });
    for path in &paths {
        wait_for("the path", seconds(5), || {
            path.stdout().contains("ready").then_some(())
        });
    }
    let busy = [(11, ""), (12, "debian-")].map(|(n, origin)| Client::start(&lab, n, origin, BUSY));
    let quiet =
        [(13, ""), (14, "debian-")].map(|(n, origin)| Client::start(&lab, n, origin, QUIET));
    // All side by side, so that a busy machine disturbs all alike.
    let clients: Vec<&Client> = busy.iter().chain(&quiet).collect();
    for client in &quiet {
        wait_for("the end of the first bursts", seconds(60), || {
            (csv_by(&client.control, &client.host, "activity")
                .first()?
                .first()?
                == "4")
                .then_some(())
        });
    }

    // Nobody asks the daemons anything meanwhile, because each answer is a wake-up.
    let requests: Vec<u64> = clients.iter().map(|client| client.requests()).collect();
    let sleeps: Vec<u64> = clients.iter().map(|client| client.sleeps()).collect();
    std::thread::sleep(WINDOW);
    let sleeps: Vec<u64> = clients
        .iter()
        .zip(sleeps)
        .map(|(client, before)| client.sleeps() - before)
        .collect();
    let requests: Vec<u64> = clients
        .iter()
        .zip(requests)
        .map(|(client, before)| client.requests() - before)
        .collect();
    for client in &clients {
        assert!(
            client.is_synchronised(),
            "{:?}",
            source_states(&client.host)
        );
        let log = client.daemon.stderr();
        assert!(!log.contains("Can't synchronise"), "{log}");
    }
    assert!(
        requests[..2].iter().all(|count| *count > 200),
        "{requests:?} requests"
    );
    assert_eq!(requests[2..], [0, 0], "requests of the quiet clients");

    let memory = [0, 1].map(|index| {
        let field = busy[index].daemon.status_field("VmRSS");
        field
            .trim_end_matches(" kB")
            .parse::<u64>()
            .expect("a number")
    });
    let per_poll = [0, 1].map(|index| sleeps[index] as f64 / requests[index] as f64);
    let unasked = [2, 3].map(|index| sleeps[index] as f64 * 3600.0 / WINDOW.as_secs_f64());
    let per_hour = [0, 1].map(|index| per_poll[index] * POLLS_PER_HOUR + unasked[index]);
    report!(
        "memory              {} KiB, reference {} KiB",
        memory[0],
        memory[1]
    );
    report!(
        "wake-ups per poll   {:.3}, reference {:.3}",
        per_poll[0],
        per_poll[1]
    );
    report!(
        "others in an hour   {:.0}, reference {:.0}",
        unasked[0],
        unasked[1]
    );
    report!(
        "wake-ups in an hour {:.0}, reference {:.0}",
        per_hour[0],
        per_hour[1]
    );
    assert!(memory[0] < MEMORY_LIMIT_KIB, "{} KiB resident", memory[0]);
    // A poll needs two wake-ups: to send, and for the reply. Where two coincide they are one, which
    // chance gives now to one daemon, now to the other; so the reference counts for two at least.
    let limit = per_poll[1].max(WAKEUPS_OF_A_POLL) * POLLS_PER_HOUR + unasked[1];
    assert!(
        per_hour[0] <= limit * 1.01,
        "{:.0} wake-ups in an hour, the reference needs {:.0}",
        per_hour[0],
        per_hour[1]
    );
}
