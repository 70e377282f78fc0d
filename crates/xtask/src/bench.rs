//! `cargo xtask bench server`: processor time per reply, ours beside Debian's chronyd.
//!
//! Both daemons run with the same configuration on processor 0 and are put under the same load by
//! `timewright-loadgen` on processor 1, one shortly after the other, in alternating order, so that
//! what disturbs the machine meets both. What is compared is the ratio of such neighbouring
//! measurements, of which the median counts; single figures differ from machine to machine.
//! User and system time are taken from the scheduler's account of the daemon's process.
//!
//! ```text
//! build, fetch -> (own network namespace)
//!   -> pairs x { start both -> scenarios x { slices x { A, B } } -> stop }
//! ```

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::foreground::{Foreground, free_ports};
use crate::peers;
use crate::shell::{cargo, command, is_root, read, run, target_dir};
use crate::tools;

/// Fewer paired measurements than this say nothing.
const PAIRS_MIN: usize = 7;
const PAIRS: &str = "15";
/// The daemons' processor and the generator's.
const SERVER_CPU: &str = "0";
const GENERATOR_CPU: &str = "1";
/// Each measurement of a pair is the sum of so many short ones, alternating with the other's.
const SLICES: usize = 6;
/// How long a daemon may take to its first answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first measurement of a run fills tables and caches and is not counted.
const WARM_UP: &[&str] = &["--window", "64", "--seconds", "0.1"];

/// What is asked of a server. Short enough that nothing else on the machine waits for long.
struct Scenario {
    name: &'static str,
    about: &'static str,
    load: &'static [&'static str],
    /// Replies that must be in interleaved mode, of all.
    interleaved_min: f64,
    /// Whether more time per reply than the other's is a failure.
    judged: bool,
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "saturation",
        about: "basic mode, as fast as answers come, 192 requests on the way",
        load: &["--window", "192", "--seconds", "0.05"],
        interleaved_min: 0.0,
        judged: true,
    },
    Scenario {
        name: "20k/s",
        about: "basic mode, 20,000 requests per second",
        load: &["--rate", "20000", "--seconds", "0.05"],
        interleaved_min: 0.0,
        judged: true,
    },
    Scenario {
        name: "interleaved",
        about: "interleaved mode, as fast as answers come, 192 requests on the way",
        load: &[
            "--window",
            "192",
            "--mode",
            "interleaved",
            "--seconds",
            "0.4",
        ],
        // The first reply to each client is none.
        interleaved_min: 0.8,
        judged: false,
    },
];

/// `cargo xtask bench server`.
pub(crate) fn server(arguments: &[&str]) -> Result<()> {
    let (pairs, against_itself) = match arguments {
        [] => (PAIRS, false),
        ["--pairs", pairs] => (*pairs, false),
        ["--against-itself"] => (PAIRS, true),
        ["--against-itself", "--pairs", pairs] => (*pairs, true),
        _ => bail!("usage: cargo xtask bench server [--against-itself] [--pairs NUMBER]"),
    };
    match pairs.parse::<usize>() {
        Ok(PAIRS_MIN..) => {}
        Ok(_) | Err(_) => bail!("the number of pairs must be {PAIRS_MIN} or more, not `{pairs}`"),
    }
    if std::thread::available_parallelism()?.get() < 2 {
        bail!("the benchmark needs two processors, one for the server and one for the load");
    }
    tools::need(tools::BENCH)?;
    let theirs = peers::fetch()?.chronyd();
    let ours = match std::env::var_os("TIMEWRIGHT_CHRONYD") {
        _ if against_itself => theirs.clone(),
        Some(ours) => ours.into(),
        None => build("chronyd")?,
    };
    let generator = build("timewright-loadgen")?;
    let inside = |mut command: Command| {
        command.arg(std::env::current_exe().context("xtask does not know its own path")?);
        command.args(["bench", "inside", pairs]);
        command.args([&ours, &theirs, &generator]);
        run(&mut command)
    };
    // An own network namespace keeps the firewall of the machine out of the measurement.
    match namespace()? {
        Some(command) => inside(command),
        None => {
            println!("no network namespace can be made here; measuring on the host's loopback");
            measure(&ours, &theirs, &generator, pairs.parse()?)
        }
    }
}

/// The program of a package, as shipped.
pub(crate) fn build(package: &str) -> Result<PathBuf> {
    run(cargo().args(["build", "--quiet", "--release", "--package", package]))?;
    Ok(target_dir().join("release").join(package))
}

/// A command that runs the words added to it in a new network namespace, if that is allowed.
fn namespace() -> Result<Option<Command>> {
    let words: &[&str] = if is_root() {
        &["--net"]
    } else {
        &["--user", "--map-root-user", "--net"]
    };
    let unshare = tools::find("unshare").context("unshare is missing")?;
    let make = || {
        let mut made = command(&unshare);
        made.args(words);
        made
    };
    let possible = read(make().arg("true")).is_ok();
    Ok(possible.then(make))
}

/// `bench inside`, what [`server`] runs in the namespace.
pub(crate) fn inside(arguments: &[&str]) -> Result<()> {
    let [pairs, ours, theirs, generator] = arguments else {
        bail!("`bench inside` is not meant to be typed");
    };
    let ip = tools::find("ip").context("ip is missing")?;
    run(command(ip).args(["link", "set", "lo", "up"]))?;
    measure(
        Path::new(ours),
        Path::new(theirs),
        Path::new(generator),
        pairs.parse()?,
    )
}

/// The paired measurements of one scenario.
struct Row {
    scenario: &'static Scenario,
    ours: Vec<Measurement>,
    theirs: Vec<Measurement>,
}

fn measure(ours: &Path, theirs: &Path, generator: &Path, pairs: usize) -> Result<()> {
    let directory = target_dir().join("bench");
    let mut rows: Vec<Row> = SCENARIOS
        .iter()
        .map(|scenario| Row {
            scenario,
            ours: Vec::new(),
            theirs: Vec::new(),
        })
        .collect();
    let load = |server: &mut Server, words: &[&str]| server.load(generator, words);
    for pair in 0..pairs {
        // New processes for every pair: where the kernel puts their memory matters as well.
        let [our_port, their_port] = free_ports()?;
        let start_ours = || Server::start(ours, &directory.join("ours"), our_port);
        let start_theirs = || Server::start(theirs, &directory.join("debian"), their_port);
        // Who starts first has an advantage of about a hundredth.
        let (mut ours, mut theirs);
        if pair.is_multiple_of(2) {
            ours = start_ours()?;
            theirs = start_theirs()?;
        } else {
            theirs = start_theirs()?;
            ours = start_ours()?;
        }
        for server in [&mut ours, &mut theirs] {
            server.wait(generator)?;
            load(server, WARM_UP)?;
        }
        for row in &mut rows {
            let words = row.scenario.load;
            let (mut our_slices, mut their_slices) = (Vec::new(), Vec::new());
            for slice in 0..SLICES {
                if (pair + slice).is_multiple_of(2) {
                    our_slices.push(load(&mut ours, words)?);
                    their_slices.push(load(&mut theirs, words)?);
                } else {
                    their_slices.push(load(&mut theirs, words)?);
                    our_slices.push(load(&mut ours, words)?);
                }
            }
            row.ours.push(Measurement::of(&our_slices));
            row.theirs.push(Measurement::of(&their_slices));
        }
        println!("pair {} of {pairs} measured", pair + 1);
    }
    report(&rows)
}

/// Prints the table; an error if we need more time than the other where that is judged.
fn report(rows: &[Row]) -> Result<()> {
    println!(
        "\nProcessor time per reply, user and system; medians of {} pairs:\n",
        rows.first().map_or(0, |row| row.ours.len())
    );
    println!(
        "{:12} {:>9} {:>9} {:>6}  {:15} {:>18} {:>18}",
        "", "ours ns", "theirs ns", "ratio", "(range)", "replies/s", "latency us"
    );
    let mut complaints = Vec::new();
    for row in rows {
        let median_of = |all: &[Measurement], value: fn(&Measurement) -> f64| {
            median(&all.iter().map(value).collect::<Vec<f64>>())
        };
        let both = |value: fn(&Measurement) -> f64| {
            (median_of(&row.ours, value), median_of(&row.theirs, value))
        };
        let mut ratios: Vec<f64> = row
            .ours
            .iter()
            .zip(&row.theirs)
            .map(|(ours, theirs)| ours.cpu_ns() / theirs.cpu_ns())
            .collect();
        ratios.sort_by(f64::total_cmp);
        // What is printed is what is judged.
        let ratio = (median(&ratios) * 100.0).round() / 100.0;
        let range = format!(
            "({:.2} to {:.2})",
            ratios.first().copied().unwrap_or(f64::NAN),
            ratios.last().copied().unwrap_or(f64::NAN)
        );
        let (cpu, rate, latency) = (
            both(Measurement::cpu_ns),
            both(Measurement::rate),
            both(|one| one.median_ns / 1000.0),
        );
        println!(
            "{:12} {:9.0} {:9.0} {ratio:6.2}  {range:15} {:>18} {:>18}",
            row.scenario.name,
            cpu.0,
            cpu.1,
            format!("{:.0} / {:.0}", rate.0, rate.1),
            format!("{:.0} / {:.0}", latency.0, latency.1),
        );
        if row.scenario.judged && (ratio.is_nan() || ratio > 1.0) {
            complaints.push(format!("{} {ratio:.2}", row.scenario.name));
        }
        check(row)?;
    }
    println!();
    for row in rows {
        println!("{:12} {}", row.scenario.name, row.scenario.about);
    }
    if !complaints.is_empty() {
        bail!(
            "more processor time per reply than Debian's chronyd: {}",
            complaints.join(", ")
        );
    }
    Ok(())
}

/// Figures are worth nothing if the server did something else than was asked.
fn check(row: &Row) -> Result<()> {
    for (who, all) in [("ours", &row.ours), ("Debian's", &row.theirs)] {
        for one in all {
            let name = row.scenario.name;
            if one.interleaved < row.scenario.interleaved_min * one.replies {
                bail!(
                    "{name}: {who} answered {} of {} requests in interleaved mode",
                    one.interleaved,
                    one.replies
                );
            }
            if one.replies < 0.5 * one.sent {
                bail!(
                    "{name}: {who} answered {} of {} requests",
                    one.replies,
                    one.sent
                );
            }
        }
    }
    Ok(())
}

/// What the generator told.
#[derive(Clone, Debug)]
struct Measurement {
    sent: f64,
    replies: f64,
    interleaved: f64,
    elapsed_ns: f64,
    cpu_total_ns: f64,
    /// Of the latencies.
    median_ns: f64,
}

impl Measurement {
    fn parse(line: &str) -> Result<Self> {
        let value = |key: &str| -> Result<f64> {
            line.split_whitespace()
                .filter_map(|word| word.split_once('='))
                .find(|(name, _)| *name == key)
                .and_then(|(_, value)| value.parse().ok())
                .with_context(|| format!("no number `{key}` in the generator's report: {line}"))
        };
        let replies = value("replies")?;
        if replies < 1.0 {
            bail!("the server answered nothing");
        }
        Ok(Self {
            sent: value("sent")?,
            replies,
            interleaved: value("interleaved")?,
            elapsed_ns: value("elapsed")?,
            cpu_total_ns: value("cpu")?,
            median_ns: value("median")?,
        })
    }

    /// The sum of slices, with the mean of their median latencies.
    fn of(slices: &[Self]) -> Self {
        let sum = |value: fn(&Self) -> f64| slices.iter().map(value).sum::<f64>();
        Self {
            sent: sum(|one| one.sent),
            replies: sum(|one| one.replies),
            interleaved: sum(|one| one.interleaved),
            elapsed_ns: sum(|one| one.elapsed_ns),
            cpu_total_ns: sum(|one| one.cpu_total_ns),
            median_ns: sum(|one| one.median_ns) / sum(|_| 1.0),
        }
    }

    /// Per reply.
    fn cpu_ns(&self) -> f64 {
        self.cpu_total_ns / self.replies
    }

    /// Replies per second.
    fn rate(&self) -> f64 {
        self.replies / self.elapsed_ns * 1e9
    }
}

/// The middle one of `values`, the mean of the two middle ones for an even count; NaN of none.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        f64::midpoint(at(middle.wrapping_sub(1)), at(middle))
    } else {
        at(middle)
    }
}

/// A daemon that is asked.
struct Server {
    daemon: Foreground,
    port: u16,
}

impl Server {
    fn start(program: &Path, directory: &Path, port: u16) -> Result<Self> {
        // The client log is on and packets are stamped by the kernel unless configured otherwise.
        let config = format!("bindaddress 127.0.0.1\nport {port}\nallow\nlocal stratum 1\n");
        let daemon = Foreground::start(pinned(SERVER_CPU, program)?, directory, &config)?;
        Ok(Self { daemon, port })
    }

    /// Waits for the first answer.
    fn wait(&mut self, generator: &Path) -> Result<()> {
        let start = Instant::now();
        while let Err(error) = self.load_once(generator, &["--window", "1", "--seconds", "0.01"]) {
            if start.elapsed() > PATIENCE {
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// One measurement. On a machine with better things to do the daemon may not get its turn in
    /// time, which is not its fault: once more, then.
    fn load(&mut self, generator: &Path, words: &[&str]) -> Result<Measurement> {
        self.load_once(generator, words)
            .or_else(|_| self.load_once(generator, words))
    }

    fn load_once(&mut self, generator: &Path, words: &[&str]) -> Result<Measurement> {
        let measurement = || {
            let mut load = pinned(GENERATOR_CPU, generator)?;
            load.arg(format!("127.0.0.1:{}", self.port)).args(words);
            load.args(["--pid", &self.daemon.id().to_string()]);
            Measurement::parse(&read(&mut load)?)
        };
        let measurement = measurement();
        self.daemon.check()?;
        measurement.with_context(|| self.daemon.describe("the daemon"))
    }
}

/// A command that runs on one processor only and, as root, before everything else that wants it.
/// The two tools become the program, so that the process started is the one measured.
fn pinned(cpu: &str, program: &Path) -> Result<Command> {
    let find = |name| tools::find(name).with_context(|| format!("{name} is missing"));
    let taskset = find("taskset")?;
    let mut command = if is_root() {
        let mut chrt = command(find("chrt")?);
        chrt.args(["--fifo", "1"]).arg(taskset);
        chrt
    } else {
        command(taskset)
    };
    command.args(["--cpu-list", cpu]).arg(program);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        for (values, want) in [
            (&[3.0][..], 3.0),
            (&[3.0, 1.0], 2.0),
            (&[9.0, 1.0, 2.0], 2.0),
            (&[4.0, 1.0, 3.0, 2.0], 2.5),
        ] {
            assert!((median(values) - want).abs() < 1e-12, "{values:?}");
        }
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn the_generator_s_report_is_read_by_key() {
        let line = "sent=12 replies=10 interleaved=0 strange=0 elapsed=2000000000 median=5 p99=9 cpu=40000\n";
        let one = Measurement::parse(line).unwrap();
        assert!((one.cpu_ns() - 4000.0).abs() < 1e-9);
        assert!((one.rate() - 5.0).abs() < 1e-9);
        assert!(Measurement::parse("sent=12 replies=0").is_err());
        assert!(Measurement::parse(&line.replace("cpu", "gpu")).is_err());
    }

    fn row(our_ns: &[f64], judged: bool) -> Row {
        let one = |cpu_total_ns| Measurement {
            sent: 1.0,
            replies: 1.0,
            interleaved: 0.0,
            elapsed_ns: 1.0,
            cpu_total_ns,
            median_ns: 1.0,
        };
        let scenario = SCENARIOS.iter().find(|scenario| scenario.judged == judged);
        let mut row = Row {
            scenario: scenario.unwrap(),
            ours: our_ns.iter().copied().map(one).collect(),
            theirs: our_ns.iter().map(|_| one(100.0)).collect(),
        };
        for one in row.ours.iter_mut().chain(&mut row.theirs) {
            one.interleaved = one.replies;
        }
        row
    }

    #[test]
    fn only_a_median_above_one_is_a_failure() {
        assert!(report(&[row(&[99.0, 100.0, 500.0], true)]).is_ok());
        let error = report(&[row(&[99.0, 103.0, 103.0], true)]).unwrap_err();
        assert!(error.to_string().ends_with("saturation 1.03"), "{error}");
        assert!(report(&[row(&[300.0; 3], false)]).is_ok());
    }

    #[test]
    fn a_server_that_does_not_answer_fails() {
        let mut bad = row(&[50.0; 3], true);
        bad.ours[1].sent = 3.0;
        assert!(report(&[bad]).is_err());
    }
}
