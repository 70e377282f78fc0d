//! The directories of the daemon, and whether its command socket is safe.

use crate::files::directories::{check_private, make};
use crate::logger::Logger;
use crate::runtime::Paths;
use std::path::Path;
use timewright_config::Config;
use timewright_sys::users::User;

/// Makes missing directories and collects the paths of the run; the command socket is left out
/// if its directory does not protect it.
pub(super) fn prepare(config: &Config, user: User, logger: &mut Logger) -> Paths {
    let mut socket = config.command.socket.clone();
    if let Some(path) = &socket {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        if let Err(text) = make(directory, 0o770, user) {
            logger.error(text);
        }
        if let Err(text) = check_private(directory, user) {
            logger.error(text);
            logger.warning(format_args!("Disabled command socket {}", path.display()));
            socket = None;
        }
    }
    for directory in [
        &config.logs.dir,
        &config.client.dump_dir,
        &config.nts.dump_dir,
    ] {
        if let Some(directory) = directory
            && let Err(text) = make(directory, 0o750, user)
        {
            logger.error(text);
        }
    }
    Paths {
        pid_file: config.process.pid_file.clone(),
        command_socket: socket,
        drift_file: config
            .clock
            .drift_file
            .as_ref()
            .map(|drift| drift.path.clone()),
        dump_dir: config.client.dump_dir.clone(),
        source_dirs: config.source_dirs.clone(),
        keys: config.process.key_file.clone(),
        signing: config.server.signd_dir.clone(),
        leap_list: config.leap.list.clone(),
        temperature: config
            .clock
            .temp_comp
            .as_ref()
            .map(|comp| comp.sensor.clone()),
    }
}
