//! Start-up in its observable order (`daemon-and-files.md` 2). Each step is a function that
//! returns the text of its fatal error.

mod configuration;
mod engine;
mod identity;
mod paths;

pub(crate) use engine::{check_points, engine_values};

use crate::args::Options;
use crate::clocks::{self, KernelClock, SystemClock};
use crate::daemonise::{self, Side};
use crate::event_loop::Daemon;
use crate::files::records::Records;
use crate::files::{FileError, pid, secrets};
use crate::logger::Logger;
use crate::net::command::{CommandConfig, CommandSockets};
use crate::net::{Inherited, LACKS_V6_ONLY, NetConfig, PerFamily, SocketTable, announced};
use crate::notify::{Manager, Supervisor};
use crate::refclock::Devices;
use crate::runtime::Runtime;
use crate::version;
use std::process::ExitCode;
use timewright_config::{BindAddresses, Config};
use timewright_core::event::{Event, Severity};
use timewright_sys::process;
use timewright_sys::signals::Termination;

/// The text of a fatal error.
type Fatal = String;

/// How far the start came.
enum Started {
    /// The daemon runs.
    Running(Box<Daemon>),
    /// There is nothing more to do in this process.
    Finished(ExitCode),
}

/// Runs the daemon to its end.
pub(crate) fn run(options: &Options) -> ExitCode {
    let mut logger = Logger::early();
    match start(options, &mut logger) {
        Ok(Started::Running(daemon)) => daemon.run(logger),
        Ok(Started::Finished(code)) => code,
        Err(text) => {
            logger.log(&Event::new(Severity::Fatal, text));
            ExitCode::FAILURE
        }
    }
}

fn start(options: &Options, logger: &mut Logger) -> Result<Started, Fatal> {
    if !options.any_user && process::real_user() != 0 {
        return Err("Not superuser".to_owned());
    }
    let passed = announced(std::env::var("LISTEN_FDS").ok().as_deref());
    // Before anything is opened that could get the descriptor's number.
    let supervisor = Supervisor::from_options(options);
    if !options.foreground {
        match daemonise::detach(passed, options.notify_fd)? {
            Side::Daemon(parent) => logger.set_parent(parent),
            Side::Ends(status) => return Ok(Started::Finished(ExitCode::from(status))),
        }
    }
    open_log(options, logger)?;
    logger.info(version::start_line());
    logger.info(version::own_line());

    let Some((mut config, used)) = configuration::read(options, logger)? else {
        return Ok(Started::Finished(ExitCode::SUCCESS));
    };
    if let Some(path) = &config.process.pid_file
        && let Some(pid) = pid::running(path)
    {
        return Err(format!(
            "Another chronyd may already be running (pid={pid}), check {}",
            path.display()
        ));
    }
    let user = identity::run_user(options, &config)?;
    let mut paths = paths::prepare(&config, user, logger);
    if let Some(path) = &config.process.pid_file {
        match pid::write(path) {
            Ok(()) => {}
            // A full disk does not keep the clock from running.
            Err(error @ FileError::Write(..)) => {
                logger.error(error);
                paths.pid_file = None;
            }
            Err(error) => return Err(error.to_string()),
        }
    }

    let fault = |error: timewright_config::StartupError| error.to_string();
    let precision = &mut config.clock.precision;
    precision.get_or_insert_with(clocks::precision);
    config.check_nts().map_err(fault)?;
    let clock = open_clock(options, &config, logger)?;
    config.check_rtc().map_err(fault)?;
    let devices = Devices::open(&config)?;
    configuration::warn_of_missing(options, &config, &used, logger);
    let mut inherited = Inherited::take_over(passed);
    // As root: the file need not be readable by the user the daemon runs as.
    let keys = (config.process.key_file.as_ref()).and_then(|path| secrets::read(path, logger));
    let command = open_command_sockets(options, &config, &mut inherited, logger);
    timewright_config::check_access(&config.server.access).map_err(fault)?;
    timewright_config::check_access(&config.command.access).map_err(fault)?;

    identity::set_scheduling(options, &config, logger)?;
    identity::drop_privileges(options, &config, user, logger)?;
    identity::check_filter(options, &config)?;
    config.check_client_log().map_err(fault)?;

    let sockets = SocketTable::new(net_config(options, &config), inherited);
    let manager = Manager::from_environment(supervisor);
    let records = Records::new(config.logs.dir.clone(), u64::from(config.logs.banner));
    let mut runtime = Runtime::new(clock, sockets, command, records, paths, manager, options);
    runtime.devices = devices;
    let mut daemon = Daemon::new(runtime, options, config, keys, logger)?;

    let termination =
        Termination::install().map_err(|(signal, _)| format!("sigaction({signal}) failed"))?;
    daemon.open_command_socket(termination, logger);
    Ok(Started::Running(Box::new(daemon)))
}

fn open_log(options: &Options, logger: &mut Logger) -> Result<(), Fatal> {
    if let Some(path) = &options.log_file {
        logger.use_file(path).map_err(|error| error.to_string())?;
    } else if !options.log_to_stderr {
        logger.use_syslog();
    }
    logger.set_threshold(options.severity);
    Ok(())
}

fn open_clock(
    options: &Options,
    config: &Config,
    logger: &mut Logger,
) -> Result<SystemClock, Fatal> {
    if options.no_clock_control {
        logger.info("Disabled control of system clock");
        return Ok(SystemClock::ReadOnly);
    }
    let clock = KernelClock::open(config.rtc.sync)?;
    let mut clock = SystemClock::Kernel(Box::new(clock));
    for event in clock.take_notes().events {
        logger.log(&event);
    }
    Ok(clock)
}

fn open_command_sockets(
    options: &Options,
    config: &Config,
    inherited: &mut Inherited,
    logger: &mut Logger,
) -> CommandSockets {
    let mut sockets = CommandSockets::default();
    let wanted = CommandConfig {
        port: config.command.port,
        bind: per_family(config.command.bind_addresses),
        device: config.command.bind_device.clone(),
        family: options.family,
    };
    for address in sockets.open_udp(&wanted, inherited, logger) {
        logger.error(format_args!("Could not open command socket on {address}"));
    }
    if inherited.take_v6_only_warning() {
        logger.warning(LACKS_V6_ONLY);
    }
    sockets
}

fn net_config(options: &Options, config: &Config) -> NetConfig {
    NetConfig {
        port: config.server.port,
        acquisition_port: config.client.acquisition_port,
        bind: per_family(config.server.bind_addresses),
        device: config.server.bind_device.clone(),
        acquisition_bind: per_family(config.client.bind_addresses),
        acquisition_device: config.client.bind_device.clone(),
        dscp: config.client.dscp,
        family: options.family,
    }
}

const fn per_family(addresses: BindAddresses) -> PerFamily {
    PerFamily {
        v4: addresses.v4,
        v6: addresses.v6,
    }
}
