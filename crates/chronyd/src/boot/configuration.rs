//! Reading the configuration, resolving the names it needs at once, and naming what this build
//! does not have.

use super::Fatal;
use crate::args::{Mode, Options};
use crate::logger::Logger;
use crate::os_files::OsFiles;
use std::io::Write;
use std::net::IpAddr;
use timewright_config::directives::{self, Directive, Status};
use timewright_config::{AccessRule, Config, ParseOptions, Parsed, Subnet, Warning};
use timewright_sys::names::{Families, lookup};
use timewright_sys::net::Family;

/// Reads the configuration. `None`: it was printed, and that was all to do. Otherwise with the
/// names of the directives used.
pub(super) fn read(
    options: &Options,
    logger: &mut Logger,
) -> Result<Option<(Config, Vec<&'static str>)>, Fatal> {
    let how = ParseOptions {
        client_only: options.mode == Mode::PrintOnce,
        restart: options.restarted,
        print: options.print_config,
    };
    let parsed = if options.directives.is_empty() {
        timewright_config::parse_file(&options.config_file, &OsFiles, how)
    } else {
        timewright_config::parse_lines(&options.directives, &OsFiles, how)
    };
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(failure) => {
            print(&failure.printed);
            log_warnings(&failure.warnings, logger);
            return Err(failure.error.to_string());
        }
    };
    let Parsed {
        mut config,
        warnings,
        printed,
        used,
    } = parsed;
    print(&printed);
    log_warnings(&warnings, logger);
    resolve_names(&mut config, options.family, logger)?;
    Ok((!options.print_config).then_some((config, used)))
}

fn print(lines: &[Vec<u8>]) {
    let mut text: Vec<u8> = Vec::new();
    for line in lines {
        text.extend(line);
        text.push(b'\n');
    }
    // A reader that has gone is no reason to fail.
    let _ = std::io::stdout().write_all(&text);
}

fn log_warnings(warnings: &[Warning], logger: &mut Logger) {
    for warning in warnings {
        logger.warning(warning);
    }
}

/// Replaces the names in access rules and `initstepslew` by addresses.
fn resolve_names(
    config: &mut Config,
    family: Option<Family>,
    logger: &mut Logger,
) -> Result<(), Fatal> {
    let rules = config.server.access.iter_mut();
    for rule in rules.chain(&mut config.command.access) {
        resolve_rule(rule, family)?;
    }
    if let Some(initial) = &mut config.initstepslew {
        initial
            .hosts
            .retain_mut(|host| match first_address(host, family) {
                Some(address) => {
                    *host = address.to_string();
                    true
                }
                None => {
                    logger.warning(format_args!(
                        "Could not resolve address of initstepslew server {host}"
                    ));
                    false
                }
            });
        if initial.hosts.is_empty() {
            config.initstepslew = None;
        }
    }
    Ok(())
}

fn resolve_rule(rule: &mut AccessRule, family: Option<Family>) -> Result<(), Fatal> {
    if let Subnet::Name(name) = &rule.subnet {
        match first_address(name, family) {
            Some(address) => rule.subnet = Subnet::host(address),
            None => return Err(rule.unresolved().to_string()),
        }
    }
    Ok(())
}

fn first_address(name: &str, family: Option<Family>) -> Option<IpAddr> {
    let families = match family {
        None => Families::Any,
        Some(Family::V4) => Families::V4,
        Some(Family::V6) => Families::V6,
    };
    lookup(name, families).ok()?.first().copied()
}

/// Warns of everything asked for that this build does not do.
pub(super) fn warn_of_missing(
    options: &Options,
    config: &Config,
    used: &[&'static str],
    logger: &mut Logger,
) {
    for name in used {
        let status = directives::find(name.as_bytes()).map(Directive::status);
        if status == Some(Status::Pending) {
            logger.warning(format_args!(
                "{name} directive has no effect in this version"
            ));
        }
    }
    if config.sources.iter().any(|source| source.options.nts) {
        logger.warning("Missing NTS support");
    }
    if options.filter_level != 0 {
        logger.warning("-F option has no effect in this version");
    }
    if options.set_from_rtc {
        logger.warning("-s option has no effect in this version");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(lines: &[&str]) -> Options {
        Options {
            directives: lines.iter().map(|line| line.as_bytes().to_vec()).collect(),
            ..Options::default()
        }
    }

    fn quiet() -> Logger {
        let mut logger = Logger::early();
        logger.set_threshold(timewright_core::event::Severity::Fatal);
        logger
    }

    #[test]
    fn names_become_addresses() {
        let options = options(&[
            "allow 127.0.0.1",
            "cmdallow localhost",
            "initstepslew 1 localhost nosuchhost.invalid",
        ]);
        let (config, used) = read(&options, &mut quiet()).unwrap().unwrap();
        let local = |subnet: &Subnet| match subnet {
            Subnet::Prefix { address, .. } => address.is_loopback(),
            Subnet::Any | Subnet::Name(_) => false,
        };
        assert!(local(&config.server.access[0].subnet));
        assert!(local(&config.command.access[0].subnet));
        assert_eq!(config.initstepslew.unwrap().hosts.len(), 1);
        assert_eq!(used, ["allow", "cmdallow", "initstepslew"]);
    }

    #[test]
    fn an_unknown_host_in_a_rule_is_fatal() {
        let options = options(&["port 0", "deny nosuchhost.invalid"]);
        let text = read(&options, &mut quiet()).unwrap_err();
        assert_eq!(text, "Could not parse deny directive at line 2");
    }
}
