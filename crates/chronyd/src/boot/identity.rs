//! Whom the daemon runs as, its priority, and what it may do (`daemon-and-files.md` 2, 4).

use super::Fatal;
use crate::args::Options;
use crate::files::secrets;
use crate::logger::Logger;
use timewright_config::Config;
use timewright_sys::error_text;
use timewright_sys::privileges::{Capability, Step, drop_root, forbid_new_privileges};
use timewright_sys::process;
use timewright_sys::users::{self, User};

/// The user of `-u` or the configuration.
pub(super) fn run_user(options: &Options, config: &Config) -> Result<User, Fatal> {
    let name = options.user.as_ref().unwrap_or(&config.process.user);
    users::by_name(name).ok_or_else(|| format!("Could not get user/group ID of {name}"))
}

/// Real-time priority and locked memory.
pub(super) fn set_scheduling(
    options: &Options,
    config: &Config,
    logger: &mut Logger,
) -> Result<(), Fatal> {
    let priority = match options.priority {
        0 => i32::from(config.process.sched_priority),
        priority => priority,
    };
    if !(0..=99).contains(&priority) {
        return Err(format!("Bad scheduler priority: {priority}"));
    }
    if priority > 0 && process::set_fifo_priority(priority).is_err() {
        logger.error("pthread_setschedparam() failed");
    }
    if options.lock_memory || config.process.lock_all {
        if process::unlimit_locked_memory().is_err() {
            logger.error("setrlimit() failed");
        } else if process::lock_memory().is_err() {
            logger.error("mlockall() failed");
        }
    }
    Ok(())
}

/// Gives root up for the run user, if that is another.
pub(super) fn drop_privileges(
    options: &Options,
    config: &Config,
    user: User,
    logger: &mut Logger,
) -> Result<(), Fatal> {
    if process::effective_user() == 0 && (user.uid != 0 || user.gid != 0) {
        let keep = capabilities(options, config);
        drop_root(user, &keep).map_err(|(step, error)| {
            let reason = error_text(&error);
            match step {
                Step::KeepCapabilities => "prctl() failed".to_owned(),
                Step::SetGroups => format!("setgroups() failed : {reason}"),
                Step::SetGroup => format!("setgid({}) failed : {reason}", user.gid),
                Step::SetUser => format!("setuid({}) failed : {reason}", user.uid),
                Step::SetCapabilities => "cap_set_proc() failed".to_owned(),
            }
        })?;
        // Programs that send mail may be set-group-id; without them nothing is ever executed.
        if config.logs.mail_on_change.is_none() {
            let _ = forbid_new_privileges();
        }
        if let Some(keys) = &config.process.key_file {
            secrets::check_access(keys, logger);
        }
    }
    if process::effective_user() == 0 {
        logger.warning("Running with root privileges");
    }
    Ok(())
}

/// Kernel from which binding to a device needs no privilege.
const FREE_DEVICE_BINDING: (u32, u32, u32) = (5, 7, 0);

/// What the run user has to keep.
fn capabilities(options: &Options, config: &Config) -> Vec<Capability> {
    let mut keep = Vec::new();
    if !options.no_clock_control {
        keep.push(Capability::SysTime);
    }
    let privileged = |port: u16| (1..1024).contains(&port);
    // NTP sockets are opened when they are wanted, after root was given up.
    if privileged(config.server.port) || config.client.acquisition_port.is_some_and(privileged) {
        keep.push(Capability::NetBindService);
    }
    let device = config.server.bind_device.is_some() || config.client.bind_device.is_some();
    if device && process::kernel_version().is_ok_and(|version| version < FREE_DEVICE_BINDING) {
        keep.push(Capability::NetRaw);
    }
    keep
}

/// The range of `-F`, and what excludes it.
pub(super) fn check_filter(options: &Options, config: &Config) -> Result<(), Fatal> {
    if options.filter_level != 0 && config.logs.mail_on_change.is_some() {
        return Err("mailonchange directive cannot be used with -F enabled".to_owned());
    }
    if options.filter_level.unsigned_abs() > 2 {
        return Err("Unsupported filter level".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(options: &Options, edit: impl FnOnce(&mut Config)) -> Vec<Capability> {
        let mut config = Config::default();
        edit(&mut config);
        capabilities(options, &config)
    }

    #[test]
    fn only_needed_capabilities_are_kept() {
        let normal = Options::default();
        let untouched = Options {
            no_clock_control: true,
            ..Options::default()
        };
        let (clock, ports) = (Capability::SysTime, Capability::NetBindService);
        assert_eq!(kept(&normal, |_| {}), [clock, ports]);
        assert_eq!(kept(&normal, |c| c.server.port = 0), [clock]);
        assert_eq!(kept(&untouched, |c| c.server.port = 11123), []);
        assert_eq!(
            kept(&untouched, |c| {
                c.server.port = 0;
                c.client.acquisition_port = Some(123);
            }),
            [ports]
        );
    }

    #[test]
    fn the_user_must_exist() {
        let options = Options {
            user: Some("no such user".into()),
            ..Options::default()
        };
        assert_eq!(
            run_user(&options, &Config::default()),
            Err("Could not get user/group ID of no such user".into())
        );
        let root = run_user(&Options::default(), &Config::default());
        assert_eq!(root, Ok(User { uid: 0, gid: 0 }));
    }
}
