//! What the daemon costs while it does its job: memory and wake-ups of a client of four servers.

#![forbid(unsafe_code)]

use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use system_tests::{Host, Lab, Process, csv_by, seconds, source_states, wait_for};

/// Resident memory that a client of four servers may have, in KiB.
const MEMORY_LIMIT_KIB: u64 = 6 * 1024;

/// Each server is asked every second: in the time of the test as often as in an hour at the usual
/// interval.
const POLLING: &str = "iburst minpoll 0 maxpoll 0";

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
    control: &'static str,
}

impl Client {
    fn start(lab: &Lab, name: &str, address: &str, program: &str, control: &'static str) -> Self {
        let host = lab.host(name, address);
        let config: String = (1..=4)
            .map(|number| format!("server 192.168.163.{number} {POLLING}\n"))
            .collect();
        let daemon = host.daemon(program, "", &config);
        let client = Self {
            host,
            daemon,
            control,
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
        csv_by(self.control, &self.host, "ntpdata")
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
    let _server = server.daemon("debian-chronyd", "", "allow\nlocal stratum 5\n");
    let ours = Client::start(&lab, "ours", "192.168.163.11/24", "chronyd", "chronyc");
    let reference = Client::start(
        &lab,
        "reference",
        "192.168.163.12/24",
        "debian-chronyd",
        "debian-chronyc",
    );

    // Both side by side, so that a busy machine disturbs both alike; nobody asks them anything
    // meanwhile, because each answer is a wake-up.
    let clients = [&ours, &reference];
    let requests = clients.map(Client::requests);
    let start = Instant::now();
    let sleeps = clients.map(Client::sleeps);
    std::thread::sleep(WINDOW);
    let sleeps = [0, 1].map(|index| clients[index].sleeps() - sleeps[index]);
    let hours = start.elapsed().as_secs_f64() / 3600.0;
    let requests = [0, 1].map(|index| clients[index].requests() - requests[index]);
    for client in clients {
        assert!(
            client.is_synchronised(),
            "{:?}",
            source_states(&client.host)
        );
        let log = client.daemon.stderr();
        assert!(!log.contains("Can't synchronise"), "{log}");
    }
    assert!(
        requests.iter().all(|count| *count > 200),
        "{requests:?} requests in {WINDOW:?}"
    );
    let per_hour = |index: usize| sleeps[index] as f64 / hours;
    let per_request = |index: usize| sleeps[index] as f64 / requests[index] as f64;
    let memory = clients.map(|client| {
        let field = client.daemon.status_field("VmRSS");
        field
            .trim_end_matches(" kB")
            .parse::<u64>()
            .expect("a number")
    });
    report!(
        "memory        {} KiB, reference {} KiB",
        memory[0],
        memory[1]
    );
    report!(
        "wake-ups/hour {:.0}, reference {:.0}",
        per_hour(0),
        per_hour(1)
    );
    report!(
        "wake-ups/poll {:.3}, reference {:.3}",
        per_request(0),
        per_request(1)
    );
    assert!(memory[0] < MEMORY_LIMIT_KIB, "{} KiB resident", memory[0]);
    // Polls are spread at random, so the two did not send exactly the same number of requests; per
    // request the counts compare to the last wake-up but a few, hence one in a hundred.
    assert!(
        per_request(0) <= per_request(1) * 1.01,
        "{:.3} wake-ups for each poll, the reference needs {:.3}",
        per_request(0),
        per_request(1)
    );
}
