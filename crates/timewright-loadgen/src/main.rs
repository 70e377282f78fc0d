//! NTP load generator: many clients from one process, and what their replies cost the server.
//!
//! ```text
//! timewright-loadgen ADDRESS:PORT [OPTION VALUE]...
//!   --seconds S       how long to send (1)
//!   --requests N      end after N requests if that is sooner
//!   --window N        closed loop: keep N requests on the way (the default, with 192)
//!   --rate R          open loop: send R requests per second, whatever comes back
//!   --clients N       number of client addresses (4000)
//!   --first ADDRESS   the first of them (127.1.0.0); all must be the host's own, as 127/8 is
//!   --mode MODE       basic (default) or interleaved
//!   --pid PID         server whose processor time is accounted
//! ```
//!
//! One line of `key=value` words tells the outcome; times are in nanoseconds.

#![forbid(unsafe_code)]

mod account;
mod load;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use load::{Mode, Pace, Plan};

fn main() -> ExitCode {
    match plan(std::env::args().skip(1)).and_then(|plan| load::run(&plan)) {
        Ok(outcome) => {
            println!("{outcome}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("timewright-loadgen: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn plan(mut words: impl Iterator<Item = String>) -> Result<Plan> {
    let server = words
        .next()
        .context("usage: timewright-loadgen ADDRESS:PORT [OPTION VALUE]...")?;
    let server = server
        .parse()
        .with_context(|| format!("`{server}` is not an address with a port"))?;
    let mut plan = Plan::new(server);
    while let Some(option) = words.next() {
        let value = words
            .next()
            .with_context(|| format!("{option} wants a value"))?;
        apply(&mut plan, &option, &value)
            .with_context(|| format!("`{option} {value}` is not understood"))?;
    }
    plan.check()?;
    Ok(plan)
}

fn apply(plan: &mut Plan, option: &str, value: &str) -> Result<()> {
    match option {
        "--seconds" => plan.duration = Duration::try_from_secs_f64(value.parse()?)?,
        "--requests" => plan.requests = Some(value.parse()?),
        "--window" => plan.pace = Pace::Window(value.parse()?),
        "--rate" => plan.pace = Pace::Rate(value.parse()?),
        "--clients" => plan.clients = value.parse()?,
        "--first" => plan.first_client = value.parse()?,
        "--pid" => plan.pid = Some(value.parse()?),
        "--mode" => {
            plan.mode = match value {
                "basic" => Mode::Basic,
                "interleaved" => Mode::Interleaved,
                _ => bail!("the modes are basic and interleaved"),
            }
        }
        _ => bail!("unknown option"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Plan> {
        plan(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read() {
        let plan = parsed("127.0.0.1:123 --rate 20000 --mode interleaved --seconds 0.5").unwrap();
        assert_eq!(plan.pace, Pace::Rate(20_000.0));
        assert_eq!(plan.mode, Mode::Interleaved);
        assert_eq!(plan.duration, Duration::from_millis(500));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "",
            "127.0.0.1",
            "127.0.0.1:123 --rate",
            "127.0.0.1:123 --rate fast",
            "127.0.0.1:123 --rate -1",
            "127.0.0.1:123 --rate nan",
            "127.0.0.1:123 --window 0",
            "127.0.0.1:123 --clients 0",
            "127.0.0.1:123 --clients 4000000000",
            "127.0.0.1:123 --seconds -1",
            "127.0.0.1:123 --seconds 1000",
            "[::1]:123",
            "127.0.0.1:123 --colour blue",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
