//! How fast the simulator is, and how far it goes.
//!
//! ```text
//! cargo run --release -p timewright-sim --example scale -- rate [HOURS]
//! cargo run --release -p timewright-sim --example scale -- large [CLIENTS [SERVERS [HOURS]]]
//! ```
//!
//! `rate`: one server and ten clients with a fixed poll of 64 s, HOURS (default 200) each.
//! `large`: CLIENTS (default 10000) under SERVERS (default 100) in three strata, for HOURS
//! (default 24), default polls. Both without the checks of every step.
//!
//! Printed are simulated hours of clients per second of CPU time, wall time, peak memory, and how
//! well the clocks of each stratum were kept.

use std::time::Instant;
use timewright_sim::{ClockModel, Link, Report, Scenario, SimRng};

type Failure = Box<dyn std::error::Error>;

const USAGE: &str = "usage: scale rate [HOURS] | large [CLIENTS [SERVERS [HOURS]]]";

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: u32| -> Result<u32, Failure> {
        Ok(arguments.get(index).map_or(Ok(default), |n| n.parse())?)
    };
    match arguments.first().map(String::as_str) {
        Some("rate") => rate(number(1, 200)?),
        Some("large") => large(number(1, 10_000)?, number(2, 100)?, number(3, 24)?),
        _ => Err(USAGE.into()),
    }
}

const RATE_CLIENTS: u32 = 10;

fn rate(hours: u32) -> Result<(), Failure> {
    let names: Vec<String> = (0..RATE_CLIENTS).map(|i| format!("c{i}")).collect();
    let mut scenario = Scenario::new().node("s", "local stratum 1\nallow\n");
    for name in &names {
        scenario = scenario
            .node(name, "server s minpoll 6 maxpoll 6\n")
            .clock(name, wrong(0.1, 100.0));
    }
    let length_s = 3600.0 * f64::from(hours);
    run(
        &scenario.leave_unchecked().sample_every(64.0),
        length_s,
        RATE_CLIENTS * hours,
        &[("clients", names)],
    )
}

fn large(clients: u32, servers: u32, hours: u32) -> Result<(), Failure> {
    let mut dice = SimRng::new(1, 0);
    // One tenth, three tenths and the rest; at least four of each, as everybody uses four.
    let first = (servers / 10).max(4);
    let second = (3 * servers / 10).max(4);
    let third = servers.saturating_sub(first + second).max(4);
    let mut scenario = Scenario::new();
    let mut strata = Vec::new();
    let mut above: Vec<String> = Vec::new();
    for (stratum, count) in [first, second, third, clients].into_iter().enumerate() {
        let stratum = stratum + 1;
        let names: Vec<String> = (0..count).map(|i| format!("n{stratum}.{i}")).collect();
        for name in &names {
            let serves = if stratum < 4 { "allow\n" } else { "" };
            let config = if above.is_empty() {
                "local stratum 1\nallow\n".to_owned()
            } else {
                format!("{serves}{}", four_of(&above, &mut dice))
            };
            scenario = scenario.node(name, &config);
            if stratum > 1 {
                let model = wrong(0.01 * dice.normal(), 20.0 * dice.normal());
                scenario = scenario.clock(name, model);
            }
            if stratum == 4 {
                // Not all at once.
                scenario = scenario.starts_at(name, 2000.0 + 1000.0 * dice.uniform());
            }
        }
        strata.push(names.clone());
        above = names;
    }
    let length_s = 3600.0 * f64::from(hours);
    let scenario = scenario
        .link_all(Link::exponential(5e-3, 1e-3))
        .forget_packets()
        .leave_unchecked()
        .sample_every(900.0);
    let titles = ["stratum 1", "stratum 2", "stratum 3", "clients"];
    let groups: Vec<_> = titles.into_iter().zip(strata).collect();
    run(&scenario, length_s, clients * hours, &groups)
}

fn wrong(offset_s: f64, freq_ppm: f64) -> ClockModel {
    ClockModel {
        offset_s,
        freq_ppm,
        wander: 1e-9,
        ..ClockModel::PERFECT
    }
}

fn four_of(names: &[String], dice: &mut SimRng) -> String {
    let start = dice.below(names.len());
    let chosen = names.iter().cycle().skip(start).take(4);
    chosen
        .map(|name| format!("server {name} iburst\n"))
        .collect()
}

fn run(
    scenario: &Scenario,
    length_s: f64,
    client_hours: u32,
    groups: &[(&str, Vec<String>)],
) -> Result<(), Failure> {
    let (wall, cpu) = (Instant::now(), cpu_s()?);
    let report = scenario.run(1, length_s)?;
    let (wall_s, cpu_s) = (wall.elapsed().as_secs_f64(), cpu_s()? - cpu);
    println!(
        "{client_hours} client-hours in {cpu_s:.2} s of CPU time, {wall_s:.2} s on the wall: {:.0} per CPU second",
        f64::from(client_hours) / cpu_s
    );
    println!("peak memory {:.0} MiB", peak_memory_mib()?);
    for (name, hosts) in groups {
        let (rms_s, max_s) = quality(&report, hosts, 0.25 * length_s);
        println!(
            "{name}: {} hosts, offset {rms_s:.2e} s RMS, {max_s:.2e} s at most",
            hosts.len()
        );
    }
    Ok(())
}

fn quality(report: &Report, hosts: &[String], from_s: f64) -> (f64, f64) {
    let seen = hosts.iter().map(|host| report.summary(host, from_s));
    let (mut squares, mut max, mut count) = (0.0, 0f64, 0.0);
    for summary in seen {
        squares += summary.rms_offset_s * summary.rms_offset_s;
        max = max.max(summary.max_offset_s);
        count += 1.0;
    }
    (f64::sqrt(squares / f64::max(count, 1.0)), max)
}

/// CPU time of this process so far. Linux counts it in ticks of 10 ms.
fn cpu_s() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The second field, in parentheses, may contain anything.
    let (_, rest) = stat.rsplit_once(')').ok_or("no process name")?;
    let ticks = rest.split_whitespace().skip(11).take(2);
    let mut sum = 0.0;
    for field in ticks {
        sum += field.parse::<f64>()?;
    }
    Ok(sum / 100.0)
}

fn peak_memory_mib() -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.ok_or("no VmHWM")?.parse::<f64>()? / 1024.0)
}
